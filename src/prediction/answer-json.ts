/** Serializes answers as JSON and back. Arrays of numbers become base64, which is exact and smaller than decimal digits. */

import type { Answer } from '../tasks/answer.js';
import { DATATYPES, type NumericArray, type TensorArray, type TensorData } from '../tasks/datatypes.js';

/** An array of numbers in JSON: its datatype and its bytes. */
interface Packed {
  readonly packed: string;
  readonly base64: string;
}

export function encodeAnswer(answer: Answer): string {
  return JSON.stringify(packed(answer));
}

export function decodeAnswer(json: string): Answer {
  return JSON.parse(json, (_, value) => (isPacked(value) ? decode(value.packed, value.base64) : unpackTensor(value)));
}

/** A copy with packed arrays: a replacer for `JSON.stringify` takes three times as long. */
function packed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return pack(value as NumericArray);
  if (Array.isArray(value)) return value.map(packed);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = packed((value as Record<string, unknown>)[key]);
  return copy;
}

/** By the names of the classes: an array from another process or realm is not an instance of those here. */
const DATATYPE_OF: ReadonlyMap<string, string> = new Map(
  Object.entries(DATATYPES)
    .toReversed()
    .map(([datatype, { array }]) => [array.name, datatype]),
);

function pack(array: NumericArray): Packed {
  const kind = array[Symbol.toStringTag];
  const datatype = DATATYPE_OF.get(kind);
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
