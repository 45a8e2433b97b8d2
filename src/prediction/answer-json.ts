/** Serializes answers as JSON and back. Arrays of numbers become base64, which is exact and smaller than decimal digits. */

import type { Answer } from '../tasks/answer.js';
import { DATATYPES, type NumericArray, type TensorArray, type TensorData } from '../tasks/datatypes.js';

/** An array of numbers in JSON: its datatype and its bytes. */
interface Packed {
  readonly packed: string;
  readonly base64: string;
}

export function encodeAnswer(answer: Answer): string {
  return JSON.stringify(answer, (_, value) => (ArrayBuffer.isView(value) ? pack(value as NumericArray) : value));
}

export function decodeAnswer(json: string): Answer {
  return JSON.parse(json, (_, value) => (isPacked(value) ? decode(value.packed, value.base64) : unpackTensor(value)));
}

function pack(array: NumericArray): Packed {
  // Compared by name: an array from another process or realm is not an instance of the classes here.
  const kind = array[Symbol.toStringTag];
  const [datatype] = Object.entries(DATATYPES).find(([, type]) => type.array.name === kind) ?? [];
  if (!datatype) throw new Error(`An answer holds a ${kind}. This is a bug.`);
  const { buffer, byteOffset, byteLength } = array;
  return { packed: datatype, base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
}

function isPacked(value: unknown): value is Packed {
  return typeof value === 'object' && value !== null && 'packed' in value;
}

/** Reads a tensor as earlier releases wrote it, with its bytes next to its shape. */
function unpackTensor(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('base64' in value) || !('datatype' in value)) return value;
  const { base64, ...tensor } = value as TensorData & { base64: string };
  return { ...tensor, data: decode(tensor.datatype, base64) };
}

function decode(datatype: string, base64: string): TensorArray {
  const bytes = Buffer.from(base64, 'base64');
  const type = DATATYPES[datatype];
  if (!type) throw new Error(`A recorded tensor has the unknown datatype ${datatype}. This is a bug.`);
  return new type.array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
}
