/**
 * Checks that a value from another process has the shape of an answer. It may have been written by native code that a
 * model has corrupted, and the server reads it in many places without checking again.
 */
import { AGGREGATIONS, type Answer, type Mask } from './answer.js';
import {
  type Check,
  isArrayOf,
  isCount,
  isNumber,
  isRecord,
  isText,
  listOf,
  orAbsent,
  orNull,
  record,
} from './check-shape.js';
import { DATATYPES } from './datatypes.js';

const isBox = record({ xmin: isNumber, ymin: isNumber, xmax: isNumber, ymax: isNumber });

/** Columns of the same length. */
const isSpanColumns: Check = (value) => {
  if (!isRecord(value)) return false;
  const { labels, scores, starts, ends } = value;
  const columns = [labels, scores, starts, ends];
  const types = ['Uint16Array', 'Float32Array', 'Uint32Array', 'Uint32Array'];
  const lengths = new Set((columns as Uint16Array[]).map((column) => column?.length));
  return types.every((type, i) => isArrayOf(type)(columns[i])) && lengths.size === 1;
};

/** The number of elements must be that of the shape: clients multiply the sizes. */
const isTensor: Check = (value) => {
  if (!isRecord(value) || !isText(value['name']) || !listOf(isCount)(value['shape'])) return false;
  const { datatype, shape, data } = value;
  const count = (shape as number[]).reduce((product, size) => product * size, 1);
  if (datatype === 'BYTES') return listOf(isText)(data) && (data as string[]).length === count;
  const array = DATATYPES[datatype as string]?.array;
  return array !== undefined && isArrayOf(array.name)(data) && (data as Uint8Array).length === count;
};

/** A score for each document. */
const isRanking: Check = (value) => {
  if (!record({ documents: listOf(isText), scores: listOf(isNumber) })(value) || !isRecord(value)) return false;
  return (value['documents'] as string[]).length === (value['scores'] as number[]).length;
};

/** Masks whose runs do not exceed the size: clients draw them. */
const isMasks: Check = (value) => {
  const isMask = record({ label: isText, runLengths: isArrayOf('Uint32Array') });
  if (!record({ width: isCount, height: isCount, items: listOf(isMask) })(value) || !isRecord(value)) return false;
  const pixels = (value['width'] as number) * (value['height'] as number);
  return (value['items'] as Mask[]).every(({ runLengths }) => runLengths.reduce((sum, run) => sum + run, 0) <= pixels);
};

/** A new kind of answer needs an entry here, as the compiler says. */
const FIELDS: Readonly<Record<Answer['kind'], Check>> = {
  classification: record({ label: isText, scores: orNull(listOf(isNumber)), labels: orAbsent(listOf(isText)) }),
  regression: record({ value: isNumber, unit: orNull(isText) }),
  multiClassification: record({
    targets: listOf(record({ name: isText, label: isText, scores: orNull(listOf(isNumber)), labels: listOf(isText) })),
  }),
  values: record({ values: listOf(record({ name: isText, value: isNumber, unit: orNull(isText) })) }),
  embedding: record({ vector: isArrayOf('Float32Array') }),
  similarities: record({ scores: listOf(isNumber) }),
  ranking: isRanking,
  detections: record({
    items: listOf(record({ label: isText, score: isNumber, box: isBox })),
    threshold: isNumber,
  }),
  masks: isMasks,
  tokens: record({
    text: isText,
    labels: listOf(isText),
    spans: record(Object.fromEntries(AGGREGATIONS.map((name) => [name, isSpanColumns]))),
  }),
  answer: record({ text: orNull(isText), score: isNumber, start: orNull(isCount), end: orNull(isCount) }),
  fillings: record({ items: listOf(record({ token: isCount, text: isText, score: isNumber, sequence: isText })) }),
  text: record({ text: isText, score: orNull(isNumber) }),
  tensors: record({ tensors: listOf(isTensor) }),
};

/** Whether the value is an answer of one of these kinds. */
export function isAnswerOf(value: unknown, kinds: readonly Answer['kind'][]): value is Answer {
  if (!isRecord(value) || !orAbsent((flag) => flag === true)(value['isTruncated'])) return false;
  const kind = kinds.find((one) => one === value['kind']);
  return kind !== undefined && FIELDS[kind](value);
}
