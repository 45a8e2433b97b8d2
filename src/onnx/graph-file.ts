/**
 * Reads what onnxruntime-node does not tell about an ONNX file: producer, opset version, number of parameters and of
 * operations, and what the values of the outputs mean.
 *
 * Field numbers are those of onnx.proto (ModelProto, GraphProto, TensorProto, OperatorSetIdProto).
 */
import { MAX_NAMES_CHARACTERS, parseClassNames } from './class-names.js';
import { converterFaults } from './converter-faults.js';
import { embeddingRowsOf } from './embedding-rows.js';
import { operationsPerValue } from './graph-operations.js';
import { GraphView } from './graph-view.js';
import { type ImageFacts, imageFactsOf } from './image-facts.js';
import { type KnownCategories, knownCategoriesOf } from './known-categories.js';
import { type LostMissing, lostMissingOf } from './missing-values.js';
import { type OutputOrigin, outputOriginsOf } from './output-origins.js';
import { fieldsOf, fieldText, numbersOf } from './protobuf.js';

interface FileFacts {
  readonly producer: string | null;
  readonly opset: number | null;
  readonly parameterCount: number;
  readonly operationsPerValue: number;
  /** Where the values of each output come from, by the output's name. */
  readonly outputOrigins: Readonly<Record<string, OutputOrigin>>;
  /** Of the metadata; null if there are none. */
  readonly classNames: readonly string[] | null;
  readonly images: ImageFacts;
  readonly knownCategories: readonly KnownCategories[];
  readonly lostMissing: readonly LostMissing[];
  readonly embeddingRows: number | null;
  /** Why the answers of the graph are known to be wrong; see `converter-faults.ts`. */
  readonly converterFaults: readonly string[];
}

/** @throws MalformedProtobufError */
export function readGraphFile(bytes: Uint8Array): FileFacts {
  const model = {
    producerName: '',
    producerVersion: '',
    opset: null as number | null,
    parameterCount: 0,
    operations: 0,
    classNames: null as readonly string[] | null,
  };
  let outputOrigins: Readonly<Record<string, OutputOrigin>> = {};
  for (const field of fieldsOf(bytes)) {
    if (field.number === 2) model.producerName = fieldText(field);
    else if (field.number === 3) model.producerVersion = fieldText(field);
    else if (field.number === 7) {
      model.parameterCount = countParameters(field.bytes);
      model.operations = operationsPerValue(field.bytes);
      outputOrigins = outputOriginsOf(field.bytes);
    } else if (field.number === 8) model.opset = readMainOpset(field.bytes) ?? model.opset;
    else if (field.number === 14) model.classNames = readClassNames(field.bytes) ?? model.classNames;
  }
  const view = new GraphView(bytes);
  const producer = `${model.producerName} ${model.producerVersion}`.trim();
  return {
    producer: producer || null,
    opset: model.opset,
    parameterCount: model.parameterCount,
    operationsPerValue: model.operations,
    outputOrigins,
    classNames: model.classNames,
    images: imageFactsOf(bytes, view),
    knownCategories: knownCategoriesOf(view),
    lostMissing: lostMissingOf(view),
    embeddingRows: embeddingRowsOf(view),
    converterFaults: converterFaults(view),
  };
}

/** `entry`: a StringStringEntryProto. */
function readClassNames(entry: Uint8Array): readonly string[] | null {
  const found = { key: '', value: '' };
  for (const field of fieldsOf(entry)) {
    if (field.number === 1) found.key = fieldText(field);
    // A character has at most four bytes.
    else if (field.number === 2 && field.bytes.length <= 4 * MAX_NAMES_CHARACTERS) found.value = fieldText(field);
  }
  return found.key === 'names' ? parseClassNames(found.value) : null;
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

const FLOAT_TYPES = new Set([1, 10, 11, 16]);

function countElements(tensor: Uint8Array): number {
  const found = { elements: 1, isFloat: false };
  for (const field of fieldsOf(tensor)) {
    if (field.number === 1) for (const size of numbersOf(field)) found.elements *= size;
    else if (field.number === 2) found.isFloat = FLOAT_TYPES.has(field.value);
  }
  return found.isFloat ? found.elements : 0;
}
