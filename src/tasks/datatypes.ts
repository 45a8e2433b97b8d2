/**
 * Datatypes of the Open Inference Protocol, and tensors as data. A leaf: server and worker share it.
 */

export type NumericArray =
  | Float16Array
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;
export type TensorArray = NumericArray | string[];

export interface TensorData {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: TensorArray;
  /** The second size may be filled up with this value, so that it is that of its mates. */
  readonly pad?: number;
}

export interface Datatype {
  /** ONNX Runtime's name of it. */
  readonly ort: string;
  readonly array: new (source: ArrayBuffer | number) => NumericArray;
  readonly bytes: number;
  /** Whole numbers in this range; null for floats. */
  readonly range: readonly [bigint, bigint] | null;
}

/** BYTES (strings) and BOOL are handled apart. */
export const DATATYPES: Readonly<Record<string, Datatype>> = {
  FP16: { ort: 'float16', array: Float16Array, bytes: 2, range: null },
  FP32: { ort: 'float32', array: Float32Array, bytes: 4, range: null },
  FP64: { ort: 'float64', array: Float64Array, bytes: 8, range: null },
  INT8: { ort: 'int8', array: Int8Array, bytes: 1, range: signedRange(8n) },
  INT16: { ort: 'int16', array: Int16Array, bytes: 2, range: signedRange(16n) },
  INT32: { ort: 'int32', array: Int32Array, bytes: 4, range: signedRange(32n) },
  INT64: { ort: 'int64', array: BigInt64Array, bytes: 8, range: signedRange(64n) },
  UINT8: { ort: 'uint8', array: Uint8Array, bytes: 1, range: unsignedRange(8n) },
  UINT16: { ort: 'uint16', array: Uint16Array, bytes: 2, range: unsignedRange(16n) },
  UINT32: { ort: 'uint32', array: Uint32Array, bytes: 4, range: unsignedRange(32n) },
  UINT64: { ort: 'uint64', array: BigUint64Array, bytes: 8, range: unsignedRange(64n) },
  BOOL: { ort: 'bool', array: Uint8Array, bytes: 1, range: [0n, 1n] },
};

function signedRange(bits: bigint): [bigint, bigint] {
  return [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

function unsignedRange(bits: bigint): [bigint, bigint] {
  return [0n, 2n ** bits - 1n];
}

export function datatypeOfOrt(type: string): string | undefined {
  if (type === 'string') return 'BYTES';
  return Object.entries(DATATYPES).find(([, { ort }]) => ort === type)?.[0];
}

/** Half floats become what everything here computes with. */
export function outputNamed(outputs: readonly TensorData[], name: string): TensorData | undefined {
  const found = outputs.find((output) => output.name === name);
  return found?.datatype === 'FP16'
    ? { ...found, datatype: 'FP32', data: Float32Array.from(found.data as Float16Array) }
    : found;
}
