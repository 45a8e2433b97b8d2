/**
 * Reads what onnxruntime-node does not tell about an ONNX file: producer, opset version, number of parameters and of
 * operations, class labels and the operators that compute the outputs.
 *
 * Field numbers are those of onnx.proto (ModelProto, GraphProto, TensorProto, OperatorSetIdProto).
 */
import { operationsPerValue } from './graph-operations.js';
import { fieldsOf, fieldText, numbersOf, stringField } from './protobuf.js';
import { classLabelsOf } from './zip-map.js';

export interface FileFacts {
  readonly producer: string | null;
  readonly opset: number | null;
  readonly parameterCount: number;
  readonly operationsPerValue: number;
  /** Class labels of an `ai.onnx.ml` classifier, in the order of its scores; null if the graph has none. */
  readonly classLabels: readonly string[] | null;
  /** The operator that computes each output of the graph, by the output's name. */
  readonly outputOperators: Readonly<Record<string, string>>;
}

/** @throws MalformedProtobufError */
export function readGraphFile(bytes: Uint8Array): FileFacts {
  const model = {
    producerName: '',
    producerVersion: '',
    opset: null as number | null,
    parameterCount: 0,
    operations: 0,
  };
  let classLabels: readonly string[] | null = null;
  let outputOperators: Readonly<Record<string, string>> = {};
  for (const field of fieldsOf(bytes)) {
    if (field.number === 2) model.producerName = fieldText(field);
    else if (field.number === 3) model.producerVersion = fieldText(field);
    else if (field.number === 7) {
      model.parameterCount = countParameters(field.bytes);
      model.operations = operationsPerValue(field.bytes);
      classLabels = findClassLabels(field.bytes);
      outputOperators = findOutputOperators(field.bytes);
    } else if (field.number === 8) model.opset = readMainOpset(field.bytes) ?? model.opset;
  }
  const producer = `${model.producerName} ${model.producerVersion}`.trim();
  return {
    producer: producer || null,
    opset: model.opset,
    parameterCount: model.parameterCount,
    operationsPerValue: model.operations,
    classLabels,
    outputOperators,
  };
}

function readMainOpset(bytes: Uint8Array): number | null {
  const opset = { domain: '', version: null as number | null };
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) opset.domain = fieldText(field);
    else if (field.number === 2) opset.version = field.value;
  }
  return opset.domain === '' || opset.domain === 'ai.onnx' ? opset.version : null;
}

/** The number of elements in all float initializers. Integer initializers are indices and shapes, not parameters. */
function countParameters(graph: Uint8Array): number {
  let count = 0;
  for (const field of fieldsOf(graph)) if (field.number === 5) count += countElements(field.bytes);
  return count;
}

/** Classifiers of `ai.onnx.ml` list their classes in an attribute whose name starts with `classlabels_`. */
function findClassLabels(graph: Uint8Array): string[] | null {
  for (const node of fieldsOf(graph)) {
    if (node.number !== 1) continue;
    for (const attribute of fieldsOf(node.bytes)) {
      if (attribute.number !== 5 || !stringField(attribute.bytes, 1).startsWith('classlabels_')) continue;
      const labels = classLabelsOf(attribute.bytes);
      if (labels.length > 0) return labels;
    }
  }
  return null;
}

function findOutputOperators(graph: Uint8Array): Record<string, string> {
  const found: Record<string, string> = {};
  const outputs = new Set<string>();
  for (const field of fieldsOf(graph)) {
    if (field.number === 12) outputs.add(stringField(field.bytes, 1));
    if (field.number !== 1) continue;
    const node = { outputs: [] as string[], operator: '' };
    for (const part of fieldsOf(field.bytes)) {
      if (part.number === 2) node.outputs.push(fieldText(part));
      else if (part.number === 4) node.operator = fieldText(part);
    }
    for (const output of node.outputs) found[output] = node.operator;
  }
  return Object.fromEntries(Object.entries(found).filter(([name]) => outputs.has(name)));
}

const FLOAT_TYPES = new Set([1, 10, 11, 16]);

function countElements(tensor: Uint8Array): number {
  const found = { elements: 1, isFloat: false };
  for (const field of fieldsOf(tensor)) {
    if (field.number === 1) for (const size of numbersOf(field)) found.elements *= size;
    else if (field.number === 2) found.isFloat = FLOAT_TYPES.has(field.value);
  }
  return found.isFloat ? found.elements : 0;
}
