/** Reads the nodes, constants and inputs of a graph as far as its operations are estimated from them. Field numbers are those of onnx.proto. */
import { fieldsOf, fieldText, numbersOf, type ProtobufField, stringField } from './protobuf.js';

/** An initializer, or what is computed from initializers alone. */
export interface Constant {
  readonly name: string;
  readonly dims: readonly number[];
  readonly isFloat: boolean;
  /** Its values if they are few, such as a shape or the steps of a slice; otherwise empty. */
  readonly values: readonly number[];
}

export interface Node {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Uint8Array>;
}

export interface GraphInput {
  readonly name: string;
  readonly isInteger: boolean;
  /** 0 for a size that is open. */
  readonly shape: readonly number[];
}

const FLOAT_TYPES = new Set([1, 10, 11, 16]);
const INT32 = 6;
const INT64 = 7;
/** Longer lists are not shapes. */
const MAX_VALUES = 16;

export function nodeOf(bytes: Uint8Array): Node {
  const node = { op: '', domain: '', inputs: [] as string[], outputs: [] as string[], attributes: new Map() };
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) node.inputs.push(fieldText(field));
    else if (field.number === 2) node.outputs.push(fieldText(field));
    else if (field.number === 4) node.op = fieldText(field);
    else if (field.number === 5) node.attributes.set(stringField(field.bytes, 1), field.bytes);
    else if (field.number === 7) node.domain = fieldText(field);
  }
  return node;
}

/** The integers of an attribute (field 8), or its single one (field 3). */
export function intsOf(attribute: Uint8Array | undefined): number[] {
  if (!attribute) return [];
  const ints: number[] = [];
  for (const field of fieldsOf(attribute))
    if (field.number === 8 || field.number === 3) for (const int of numbersOf(field)) ints.push(int);
  return ints;
}

export function constantOf(tensor: Uint8Array): Constant {
  const found = { name: '', dims: [] as number[], type: 0 };
  const data: ProtobufField[] = [];
  for (const field of fieldsOf(tensor)) {
    if (field.number === 1) for (const size of numbersOf(field)) found.dims.push(size);
    else if (field.number === 2) found.type = field.value;
    else if (field.number === 8) found.name = fieldText(field);
    else if (field.number === 4 || field.number === 7 || field.number === 9) data.push(field);
  }
  const isSmall = found.dims.reduce((all, size) => all * size, 1) <= MAX_VALUES;
  const values = isSmall ? data.flatMap((field) => valuesOf(field, found.type)) : [];
  return { name: found.name, dims: found.dims, isFloat: FLOAT_TYPES.has(found.type), values };
}

/** Floats and 64-bit integers, raw (field 9) or typed. */
function valuesOf(field: ProtobufField, type: number): number[] {
  if (field.number === 7) return numbersOf(field);
  const { buffer, byteOffset, byteLength } = field.bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  const bytesEach = type === INT64 ? 8 : 4;
  if (type !== INT64 && type !== 1) return [];
  return Array.from({ length: Math.floor(byteLength / bytesEach) }, (_, i) =>
    type === INT64 ? Number(view.getBigInt64(i * 8, true)) : view.getFloat32(i * 4, true),
  );
}

/** The tensor of an attribute (field 5). */
export function tensorOf(attribute: Uint8Array | undefined): Uint8Array | null {
  return attribute ? bytesAt(attribute, 5) : null;
}

export function inputOf(valueInfo: Uint8Array): GraphInput {
  // ValueInfoProto → TypeProto → its tensor type, which has the type of an element and a shape.
  const tensorType = bytesAt(bytesAt(valueInfo, 2), 1);
  const elementType = [...fieldsOf(tensorType)].find(({ number }) => number === 1)?.value;
  const shape = Array.from(fieldsOf(bytesAt(tensorType, 2)), ({ bytes }) => {
    const size = [...fieldsOf(bytes)].find(({ number }) => number === 1);
    return Math.max(0, size?.value ?? 0);
  });
  return { name: stringField(valueInfo, 1), isInteger: elementType === INT64 || elementType === INT32, shape };
}

/** Empty if there is no such field. */
function bytesAt(message: Uint8Array, number: number): Uint8Array {
  for (const field of fieldsOf(message)) if (field.number === number) return field.bytes;
  return new Uint8Array();
}
