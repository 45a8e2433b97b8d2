/** Tensors and their datatypes, named as in the Open Inference Protocol. Shared by the server and the workers. */

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
  /** Fill value for padding the second dimension to the length of the longest item of the batch; absent: never padded. */
  readonly pad?: number;
  /**
   * `values`: the first dimension is the length of the row, and rows of a run are joined to one row. `starts`: where each
   * row begins in it. Absent: the first dimension counts rows.
   */
  readonly ragged?: 'values' | 'starts';
}

export interface Datatype {
  /** The name in ONNX Runtime. */
  readonly ort: string;
  readonly array: new (source: ArrayBuffer | number) => NumericArray;
  /** Size of an element. */
  readonly bytes: number;
  /** Smallest and largest integer; null for floating point. */
  readonly range: readonly [bigint, bigint] | null;
}

/** All datatypes except BYTES (strings). Values of BOOL are 0 and 1. */
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

/** The values as an array of that datatype. Integers of 64 bits may be strings of digits. */
export function arrayOf({ datatype }: Pick<TensorData, 'datatype'>, values: readonly (number | string)[]): TensorArray {
  if (datatype === 'BYTES') return values.map(String);
  const array = new (DATATYPES[datatype]?.array ?? Float32Array)(values.length);
  const isBig = array instanceof BigInt64Array || array instanceof BigUint64Array;
  for (const [i, value] of values.entries()) array[i] = isBig ? BigInt(value) : Number(value);
  return array;
}

function signedRange(bits: bigint): [bigint, bigint] {
  return [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
}

function unsignedRange(bits: bigint): [bigint, bigint] {
  return [0n, 2n ** bits - 1n];
}

/** The datatype for ONNX Runtime's name of an element type; undefined if it is not supported. */
export function datatypeOfOrt(type: string): string | undefined {
  if (type === 'string') return 'BYTES';
  return Object.entries(DATATYPES).find(([, { ort }]) => ort === type)?.[0];
}

/** Finds an output by name. Converts FP16 to FP32, so that tasks do not see half precision. */
export function outputNamed(outputs: readonly TensorData[], name: string): TensorData | undefined {
  const output = outputs.find((output) => output.name === name);
  return output?.data instanceof Float16Array
    ? { ...output, datatype: 'FP32', data: Float32Array.from(output.data) }
    : output;
}

export type Floats = Float32Array | Float64Array;

/**
 * The values of an output as floating-point numbers; empty if there is no such output. Values that are not plain numbers
 * become NaN, which callers refuse as not finite.
 */
export function floatOutput(outputs: readonly TensorData[], name: string): Floats {
  const data = outputNamed(outputs, name)?.data ?? [];
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return Float64Array.from<unknown>(data, (value) => (typeof value === 'number' ? value : Number.NaN));
}
