/**
 * The check of tensors that a client sends, and of those that a graph answers.
 *
 * Data comes as a JSON list, flat or nested, or as base64 of little-endian bytes in row-major order.
 */

import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, type Datatype, type NumericArray, type TensorArray, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { UnusableOutputError } from './failures.js';
import { describe, type Problems } from './problems.js';
import type { AnySpec, Example, SpecBase, TensorSpec } from './spec.js';

interface TensorInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: unknown;
  readonly base64?: string | null;
}

export interface TensorsItem extends AnyItem {
  readonly kind: 'tensors';
  readonly tensors: readonly TensorData[];
}

export const tensorsInput = defineInput({ kind: 'TENSORS', key: 'tensors', check: checkTensors });

/**
 * Checks tensors against the graph's inputs: every input once, no other, exact datatype and fixed sizes.
 * Problems have paths `tensors.<index>.<field>`.
 */
function checkTensors(given: readonly TensorInput[], spec: AnySpec, problems: Problems): TensorsItem {
  const tensors: TensorData[] = [];
  const seen = new Set<string>();
  for (const [index, tensor] of given.entries()) {
    const path = ['tensors', String(index)];
    const wanted = spec.inputs.find(({ name }) => name === tensor.name);
    if (!wanted || seen.has(tensor.name)) {
      const names = spec.inputs.map(({ name }) => name).join(', ');
      const message = wanted ? 'this input is given twice' : 'the model has no input of this name';
      problems.add([...path, 'name'], 'UNKNOWN_NAME', message, `one each of ${names}`, tensor.name);
    } else {
      const checked = checkTensor(wanted, tensor, path, problems);
      if (checked) tensors.push(checked);
    }
    seen.add(tensor.name);
  }
  for (const { name, datatype, shape } of spec.inputs.filter(({ name }) => !seen.has(name))) {
    problems.add(['tensors'], 'MISSING', `input "${name}" is missing`, `${name}: ${datatype}${shapeText(shape)}`);
  }
  const rows = checkRows(spec, tensors, problems);
  return { kind: 'tensors', rows, work: workOfTensors(spec, rows, tensors), tensors };
}

/** As a text of as many tokens, where the graph reads tokens. */
function workOfTensors({ text }: Pick<AnySpec, 'text'>, rows: number, [first]: readonly TensorData[]): number {
  return text ? rows * (first?.shape[1] ?? 1) : rows;
}

/** All inputs that have a free first size agree on it; a task with one answer an input takes one row at a time. */
function checkRows(spec: AnySpec, tensors: readonly TensorData[], problems: Problems): number {
  const batched = tensors.filter(({ name }) => spec.inputs.find((input) => input.name === name)?.shape[0] === null);
  const rows = batched[0]?.shape[0] ?? 1;
  const isBatch = spec.head.kind === 'tensors';
  const expected = isBatch ? rows : 1;
  const odd = batched.find(({ shape }) => shape[0] !== expected);
  if (odd) {
    const rule = isBatch ? 'all inputs have the same first size' : 'one row at a time; send more by predictMany';
    problems.add(
      ['tensors', String(tensors.indexOf(odd)), 'shape', '0'],
      'WRONG_SHAPE',
      rule,
      String(expected),
      odd.shape[0],
    );
  }
  return rows;
}

function checkTensor(
  wanted: TensorSpec,
  tensor: TensorInput,
  path: readonly string[],
  problems: Problems,
): TensorData | null {
  if (tensor.datatype !== wanted.datatype) {
    const message = `the datatype of "${wanted.name}" is another`;
    problems.add([...path, 'datatype'], 'WRONG_TYPE', message, wanted.datatype, tensor.datatype);
    return null;
  }
  if (!checkShape(wanted, tensor.shape, [...path, 'shape'], problems)) return null;
  const hasData = tensor.data !== undefined && tensor.data !== null;
  const hasBase64 = tensor.base64 !== undefined && tensor.base64 !== null;
  if (hasData === hasBase64) {
    const code = hasData ? 'WRONG_KIND' : 'MISSING';
    problems.add(path, code, 'a tensor has its values in exactly one of data and base64', 'data or base64');
    return null;
  }
  const data = hasData
    ? readList(tensor, [...path, 'data'], problems)
    : readBase64(tensor, tensor.base64 as string, [...path, 'base64'], problems);
  return data && { name: wanted.name, datatype: wanted.datatype, shape: tensor.shape, data };
}

function checkShape(
  wanted: TensorSpec,
  shape: readonly number[],
  path: readonly string[],
  problems: Problems,
): boolean {
  const expected = shapeText(wanted.shape);
  if (shape.length !== wanted.shape.length) {
    problems.add(
      path,
      'WRONG_SHAPE',
      `"${wanted.name}" has ${wanted.shape.length} dimensions`,
      expected,
      shapeText(shape),
    );
    return false;
  }
  const wrong = shape.findIndex((size, i) => size < 0 || (wanted.shape[i] !== null && wanted.shape[i] !== size));
  const empty = shape.indexOf(0);
  if (wrong >= 0) {
    problems.add(
      [...path, String(wrong)],
      'WRONG_SHAPE',
      'this size does not fit the model',
      expected,
      shapeText(shape),
    );
  } else if (empty >= 0) {
    problems.add([...path, String(empty)], 'EMPTY', 'a tensor has at least one element', expected, shapeText(shape));
  }
  return wrong < 0 && empty < 0;
}

function readList(tensor: TensorInput, path: readonly string[], problems: Problems): TensorArray | null {
  if (!Array.isArray(tensor.data)) {
    problems.add(path, 'WRONG_TYPE', 'data is a list of values, flat or nested', 'a list', tensor.data);
    return null;
  }
  const flat = flattenNested(tensor.data, tensor.shape, path, problems);
  if (!flat || !checkElementCount(tensor, flat.length, path, problems)) return null;
  return tensor.datatype === 'BYTES' ? readStrings(flat, path, problems) : readNumbers(tensor, flat, path, problems);
}

/** A list without lists is flat; otherwise it is nested exactly as the shape says. */
function flattenNested(
  data: readonly unknown[],
  shape: readonly number[],
  path: readonly string[],
  problems: Problems,
): readonly unknown[] | null {
  if (!data.some(Array.isArray)) return data;
  const flat: unknown[] = [];
  const visit = (value: unknown, depth: number, at: readonly string[]): boolean => {
    if (depth === shape.length) return flat.push(value) > 0;
    const size = shape[depth] as number;
    if (Array.isArray(value) && value.length === size) {
      return value.every((element, i) => visit(element, depth + 1, [...at, String(i)]));
    }
    problems.add(at, 'WRONG_SHAPE', `the nesting is not that of shape ${shapeText(shape)}`, `a list of ${size}`, value);
    return false;
  };
  return visit(data, 0, path) ? flat : null;
}

function readStrings(flat: readonly unknown[], path: readonly string[], problems: Problems): string[] | null {
  // ONNX Runtime for Node ends a string at its first NUL: the model would see another value.
  const wrong = flat.findIndex((value) => typeof value !== 'string' || !value.isWellFormed() || value.includes('\0'));
  if (wrong < 0) return flat as string[];
  const code = typeof flat[wrong] === 'string' ? 'UNREADABLE' : 'WRONG_TYPE';
  problems.add(
    [...path, String(wrong)],
    code,
    'a BYTES value is a string, well-formed and without NUL',
    'a string',
    flat[wrong],
  );
  return null;
}

function readNumbers(
  tensor: TensorInput,
  flat: readonly unknown[],
  path: readonly string[],
  problems: Problems,
): NumericArray | null {
  const type = DATATYPES[tensor.datatype] as Datatype;
  const array = new type.array(flat.length);
  for (let index = 0; index < flat.length; index++) {
    const value = flat[index];
    const read = type.range ? readInteger(type, value) : readFloat(type, value);
    if (typeof read === 'string') {
      const code = read === 'NOT_FINITE' || read === 'OUT_OF_RANGE' ? read : 'WRONG_TYPE';
      problems.add([...path, String(index)], code, valueMessage(tensor.datatype, code), tensor.datatype, value);
      return null;
    }
    array[index] = array instanceof BigInt64Array || array instanceof BigUint64Array ? BigInt(read) : Number(read);
  }
  return array;
}

function valueMessage(datatype: string, code: string): string {
  if (code === 'NOT_FINITE') return 'a number is finite';
  if (code === 'WRONG_TYPE')
    return `${describe(datatype)} values are ${DATATYPES[datatype]?.range ? 'whole ' : ''}numbers`;
  return 'the value lies outside the datatype; whole numbers beyond 2^53 are sent as strings';
}

function readFloat({ bytes }: Datatype, value: unknown): number | 'WRONG_TYPE' | 'OUT_OF_RANGE' | 'NOT_FINITE' {
  if (typeof value !== 'number') return 'WRONG_TYPE';
  if (!Number.isFinite(value)) return 'NOT_FINITE';
  const kept = bytes === 8 ? value : bytes === 4 ? Math.fround(value) : Math.f16round(value);
  return Number.isFinite(kept) ? value : 'OUT_OF_RANGE';
}

function readInteger(
  { ort, range }: Datatype,
  value: unknown,
): number | bigint | 'WRONG_TYPE' | 'OUT_OF_RANGE' | 'NOT_FINITE' {
  if (typeof value === 'boolean') return ort === 'bool' ? Number(value) : 'WRONG_TYPE';
  if (typeof value === 'string' && !/^-?\d{1,20}$/.test(value)) return 'WRONG_TYPE';
  if (typeof value !== 'string' && typeof value !== 'number') return 'WRONG_TYPE';
  if (value === Infinity || value === -Infinity) return 'NOT_FINITE';
  if (typeof value === 'number' && !Number.isInteger(value)) return 'WRONG_TYPE';
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return 'OUT_OF_RANGE';
  const whole = BigInt(value);
  const [minimum, maximum] = range as readonly [bigint, bigint];
  return whole >= minimum && whole <= maximum ? whole : 'OUT_OF_RANGE';
}

function readBase64(
  tensor: TensorInput,
  base64: string,
  path: readonly string[],
  problems: Problems,
): TensorArray | null {
  const type = DATATYPES[tensor.datatype];
  if (!type) {
    problems.add(path, 'WRONG_KIND', 'strings are sent as data', 'data', 'base64');
    return null;
  }
  const bytes = decodeBase64(base64);
  if (!bytes) {
    problems.add(path, 'UNREADABLE', 'this is not base64', 'base64 of little-endian bytes', base64);
    return null;
  }
  if (!checkElementCount(tensor, bytes.byteLength / type.bytes, path, problems)) return null;
  const array = new type.array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  );
  const wrong = type.range ? firstAbove(array, tensor.datatype === 'BOOL' ? 1 : null) : firstNotFinite(array);
  if (wrong < 0) return array;
  const code = type.range ? 'OUT_OF_RANGE' : 'NOT_FINITE';
  problems.add(
    [...path, String(wrong)],
    code,
    valueMessage(tensor.datatype, code),
    tensor.datatype,
    Number(array[wrong]),
  );
  return null;
}

/**
 * The outputs of the graph, as they are.
 *
 * @throws UnusableOutput when a number is not finite
 */
export function postprocessTensors(outputs: readonly TensorData[]): AnswerOf<'tensors'> {
  for (const { name, data } of outputs) {
    if (!isFloats(data)) continue;
    const wrong = firstNotFinite(data);
    if (wrong >= 0) throw new UnusableOutputError(`value ${wrong} of output "${name}" is ${data[wrong]}`);
  }
  return { kind: 'tensors', tensors: outputs };
}

function isFloats(data: TensorArray): data is Float16Array | Float32Array | Float64Array {
  return data instanceof Float32Array || data instanceof Float64Array || data instanceof Float16Array;
}

function firstNotFinite(array: NumericArray): number {
  for (let i = 0; i < array.length; i++) if (!Number.isFinite(array[i])) return i;
  return -1;
}

function firstAbove(array: NumericArray, maximum: number | null): number {
  if (maximum === null) return -1;
  for (let i = 0; i < array.length; i++) if ((array[i] as number) > maximum) return i;
  return -1;
}

function checkElementCount(tensor: TensorInput, count: number, path: readonly string[], problems: Problems): boolean {
  const expected = tensor.shape.reduce((product, size) => product * size, 1);
  if (count === expected) return true;
  const message = `shape ${shapeText(tensor.shape)} holds ${expected} values`;
  problems.add(path, 'WRONG_SHAPE', message, `${expected} values`, `${count} values`);
  return false;
}

/** Node's decoder skips what is not base64 without a word: only the length gives it away. */
export function decodeBase64(text: string): Buffer | null {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.length === Math.floor(((text.length - padding) * 3) / 4) ? bytes : null;
}

export function shapeText(shape: readonly (number | null)[]): string {
  return `[${shape.map((size) => size ?? 'any').join(', ')}]`;
}

/** Larger examples would be too large to show, and to build while the server answers requests. */
const MAX_EXAMPLE_VALUES = 1_000_000;

/** Zeros in the smallest shape that fits. @throws ManifestError when that is too large */
export function tensorExamples({ inputs }: Pick<SpecBase, 'inputs'>): Example[] {
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const sizes = shape.map((size) => size ?? 1);
    const count = sizes.reduce((product, size) => product * size, 1);
    if (count > MAX_EXAMPLE_VALUES) {
      throw new ManifestError(`input "${name}" has shape ${shapeText(shape)}, too large for an example of zeros`);
    }
    return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? '' : 0)) };
  });
  return [{ tensors }];
}
