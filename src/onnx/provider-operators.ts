/** What the operators of a graph say about how it runs on a GPU. Those in subgraphs and functions are not looked at. */
import { nodeOf } from './graph-nodes.js';
import { fieldsOf } from './protobuf.js';

/**
 * Operators that compute most of what their graph computes, and for which ONNX Runtime has code for the CPU only: trees,
 * linear models and support vector machines of scikit-learn and its relatives, and counts of words.
 */
const CPU_OPERATORS = new Set([
  'TreeEnsemble',
  'TreeEnsembleClassifier',
  'TreeEnsembleRegressor',
  'LinearClassifier',
  'LinearRegressor',
  'SVMClassifier',
  'SVMRegressor',
  'TfIdfVectorizer',
]);

const CONVOLUTIONS = new Set(['Conv', 'ConvTranspose']);

/**
 * Whether the graph runs on the CPU although a GPU is in use. A session for a GPU would run its main operators on the CPU too,
 * and copy tensors back and forth.
 */
export function runsOnCpu(model: Uint8Array): boolean {
  return hasOperator(model, CPU_OPERATORS);
}

/** Whether runs with CUDA are slow after the batch size has changed. */
export function hasConvolutions(model: Uint8Array): boolean {
  return hasOperator(model, CONVOLUTIONS);
}

function hasOperator(model: Uint8Array, operators: ReadonlySet<string>): boolean {
  for (const { number, bytes: graph } of fieldsOf(model)) {
    if (number !== 7) continue;
    for (const { number: part, bytes: node } of fieldsOf(graph))
      if (part === 1 && operators.has(nodeOf(node).op)) return true;
  }
  return false;
}
