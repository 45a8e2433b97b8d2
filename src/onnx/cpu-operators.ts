/** Which graphs run on the CPU although a GPU is in use. */
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

/**
 * Whether the graph has such an operator. A session for a GPU would run it on the CPU too, and copy its tensors back and
 * forth. Operators in subgraphs and functions are not looked at.
 */
export function runsOnCpu(model: Uint8Array): boolean {
  for (const { number, bytes: graph } of fieldsOf(model)) {
    if (number !== 7) continue;
    for (const { number: part, bytes: node } of fieldsOf(graph))
      if (part === 1 && CPU_OPERATORS.has(nodeOf(node).op)) return true;
  }
  return false;
}
