/**
 * Checks that a TensorProto is consistent: its data is stored once, and as large as its shape requires. Data is embedded in
 * the file, or is a part of a data file of the version.
 */
import { DATA_LOCATION, EXTERNAL, EXTERNAL_DATA, type ExternalData, externalDataOf } from './external-data.js';
import { countNumbers, fieldsOf, fieldText, numbersOf, type ProtobufField } from './protobuf.js';

interface ScannedTensor {
  readonly name: string;
  /** The value of an int64 scalar, infinity if it is in a data file; null for every other tensor. */
  readonly value: number | null;
  /** What is wrong. Each reason is a predicate that completes "tensor x …". */
  readonly reasons: readonly string[];
}

export const DIMS = 1;
export const DATA_TYPE = 2;
const INT64 = 7;
const STRING = 8;
const RAW_DATA = 9;

/** The size in bytes of each data file, by its location in the graph. */
export type DataFileSizes = ReadonlyMap<string, number>;

/** Bytes per element of raw data, by TensorProto.DataType. */
const ELEMENT_BYTES: Readonly<Record<number, number>> = {
  1: 4,
  2: 1,
  3: 1,
  4: 2,
  5: 2,
  6: 4,
  7: 8,
  9: 1,
  10: 2,
  11: 8,
  12: 4,
  13: 8,
  14: 8,
  15: 16,
  16: 2,
  17: 1,
  18: 1,
  19: 1,
  20: 1,
  21: 0.5,
  22: 0.5,
  23: 0.5,
};

/** Elements per number of a typed field: complex elements take two numbers, two 4-bit elements share one. */
const ELEMENTS_PER_NUMBER: Readonly<Record<number, number>> = { 14: 0.5, 15: 0.5, 21: 2, 22: 2, 23: 2 };

/** Typed data fields by field number: bytes per number, 0 for varints, null for strings. */
const TYPED_DATA_FIELDS: Readonly<Record<number, number | null>> = { 4: 4, 5: 0, 6: null, 7: 0, 10: 8, 11: 0 };

/** @throws MalformedProtobufError */
export function scanTensor(bytes: Uint8Array, files: DataFileSizes): ScannedTensor {
  const tensor = { name: '', type: 0, dims: [] as number[], raw: null as number | null, numbers: 0 };
  const entries: Uint8Array[] = [];
  let isExternal = false;
  let value: number | null = null;
  for (const field of fieldsOf(bytes)) {
    if (field.number === DIMS) tensor.dims.push(...dimsOf(field));
    else if (field.number === DATA_TYPE) tensor.type = field.value;
    else if (field.number === 8) tensor.name = fieldText(field);
    else if (field.number === RAW_DATA) tensor.raw = field.bytes.length;
    else if (field.number === EXTERNAL_DATA) entries.push(field.bytes);
    else if (field.number === DATA_LOCATION) isExternal = field.value === EXTERNAL;
    else if (field.number in TYPED_DATA_FIELDS) tensor.numbers += countOf(field);
    value ??= scalarOf(field);
  }
  const external = isExternal || entries.length > 0 ? externalDataOf(entries) : null;
  const isScalar = tensor.type === INT64 && elementCount(tensor.dims) === 1;
  const reasons = external ? reasonsAgainstExternal(tensor, external, files) : reasonsAgainst(tensor);
  return { name: tensor.name, value: isScalar ? (external ? Infinity : value) : null, reasons };
}

/**
 * Where a tensor keeps its data, and the bytes that it needs from the beginning of that file, as far as they can be told;
 * null if the data is in the graph. @throws MalformedProtobufError
 */
export function placeOf(bytes: Uint8Array): { readonly location: string; readonly neededBytes: number } | null {
  const entries: Uint8Array[] = [];
  const dims: number[] = [];
  let type = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.number === DIMS && dims.length <= MAX_RANK) dims.push(...dimsOf(field));
    else if (field.number === DATA_TYPE) type = field.value;
    else if (field.number === EXTERNAL_DATA) entries.push(field.bytes);
  }
  if (entries.length === 0) return null;
  const { location, offset, length } = externalDataOf(entries);
  const ownBytes = length === null ? elementCount(dims) * (ELEMENT_BYTES[type] ?? 0) : Number(length);
  const neededBytes = Number(offset ?? 0) + ownBytes;
  return { location, neededBytes: Number.isNaN(neededBytes) ? 0 : neededBytes };
}

const MAX_RANK = 64;
const LONGEST_DIM_BYTES = 10;

/** Does not decode a field that is longer than any valid shape, and returns too many dimensions instead. */
function dimsOf(field: ProtobufField): number[] {
  return field.bytes.length > MAX_RANK * LONGEST_DIM_BYTES ? Array(MAX_RANK + 1).fill(1) : numbersOf(field);
}

/** What is wrong with the shape; empty if nothing is. */
function reasonsAgainstShape(dims: readonly number[]): string[] {
  if (dims.length > MAX_RANK) return [`has more than ${MAX_RANK} dimensions`];
  if (dims.some((size) => size < 0)) return [`has a negative dimension in its shape [${dims.join(', ')}]`];
  return [];
}

function reasonsAgainst({ type, dims, raw, numbers }: TensorParts): string[] {
  const reasons = reasonsAgainstShape(dims);
  if (reasons.length > 0) return reasons;
  if (raw !== null && numbers > 0) return ['has both raw and typed data; only one is allowed'];
  const elements = elementCount(dims);
  const shape = `its shape [${dims.join(', ')}] requires`;
  if (raw !== null) {
    const expected = Math.ceil(elements * (ELEMENT_BYTES[type] ?? 0));
    if (type === STRING || !(type in ELEMENT_BYTES))
      return [`has raw data, which is not allowed for data type ${type}`];
    return raw === expected ? [] : [`has ${raw} bytes; ${shape} ${expected}`];
  }
  const given = Math.ceil(numbers * (ELEMENTS_PER_NUMBER[type] ?? 1));
  const isEnough = given === elements || (type in ELEMENTS_PER_NUMBER && Math.abs(given - elements) <= 1);
  return isEnough ? [] : [`has ${given} elements; ${shape} ${elements}`];
}

const BYTE_COUNT = /^\d{1,15}$/;

/** ONNX Runtime would read past the end of a file, or bytes of another tensor: offsets and lengths are checked here. */
function reasonsAgainstExternal(
  { type, dims, raw, numbers }: TensorParts,
  { location, offset, length, isAmbiguous }: ExternalData,
  files: DataFileSizes,
): string[] {
  const reasons = reasonsAgainstShape(dims);
  if (reasons.length > 0) return reasons;
  if (raw !== null || numbers > 0) return ['has both embedded data and data in another file; only one is allowed'];
  if (isAmbiguous) return ['names its place in a data file twice'];
  const size = files.get(location);
  if (size === undefined) return [`keeps its data in the file "${location}", which cannot be read`];
  if (type === STRING || !(type in ELEMENT_BYTES))
    return [`keeps its data in a data file, which is not allowed for data type ${type}`];
  if (!BYTE_COUNT.test(offset ?? '0') || !BYTE_COUNT.test(length ?? '0'))
    return [`has the offset "${offset}" and the length "${length}" in ${location}; both must be numbers of bytes`];
  const begin = Number(offset ?? 0);
  const expected = Math.ceil(elementCount(dims) * (ELEMENT_BYTES[type] ?? 0));
  if (length !== null && Number(length) !== expected)
    return [`has ${length} bytes in ${location}; its shape [${dims.join(', ')}] requires ${expected}`];
  if (begin + expected <= size) return [];
  return [
    `needs bytes ${begin} to ${begin + expected} of ${location}, which has ${size}: the file is cut off, or belongs to another export`,
  ];
}

interface TensorParts {
  readonly type: number;
  readonly dims: readonly number[];
  readonly raw: number | null;
  readonly numbers: number;
}

function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

function countOf(field: ProtobufField): number {
  const size = TYPED_DATA_FIELDS[field.number];
  if (size === null) return 1;
  return size ? field.bytes.length / size : countNumbers(field);
}

/** The value of a single int64, from raw or typed data; null for other fields. */
function scalarOf(field: ProtobufField): number | null {
  if (field.number === RAW_DATA && field.bytes.length === 8) {
    return Number(new DataView(field.bytes.buffer, field.bytes.byteOffset, 8).getBigInt64(0, true));
  }
  return field.number === INT64 && field.bytes.length <= 10 ? (numbersOf(field)[0] ?? null) : null;
}
