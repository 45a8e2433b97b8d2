/**
 * The input `tensors`, which every version accepts.
 *
 * Values are a JSON list, flat or nested, or base64 of little-endian bytes in row-major order.
 */
import { ManifestError } from '../errors.js';
import { DATATYPES, type Datatype, type NumericArray, type TensorArray, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { numberMessage, readNumber } from './numbers.js';
import { oncePer } from './once-per.js';
import { listed, type Problems, quoted, type ValueProblem } from './problems.js';
import type { AnySpec, Example, SpecBase, TensorSpec } from './spec.js';
import { readsBags } from './static-embedding.js';
import { problemOfString, workOfStrings } from './strings.js';

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
 * Checks tensors against the inputs of the graph: each input exactly once, no others, with the same datatype and matching
 * sizes. Problems have the path `tensors` or `tensors.<index>.<field>`.
 */
function checkTensors(given: readonly TensorInput[], spec: AnySpec, problems: Problems): TensorsItem {
  const tensors: TensorData[] = [];
  const inputs = inputsByName(spec);
  const seen = new Set<string>();
  for (const [index, tensor] of given.entries()) {
    if (problems.isFull) break;
    const path = ['tensors', String(index)];
    const input = inputs.get(tensor.name);
    if (!input || seen.has(tensor.name)) {
      const names = listed(spec.inputs, ({ name }) => name);
      const message = input ? 'this input appears twice' : 'the model has no input with this name';
      problems.add([...path, 'name'], 'UNKNOWN_NAME', message, `each of ${names}, once`, tensor.name);
    } else {
      const checked = checkTensor(input, tensor, path, problems);
      if (checked) tensors.push(checked);
    }
    seen.add(tensor.name);
  }
  for (const { name, datatype, shape } of inputs.values()) {
    if (problems.isFull) break;
    if (seen.has(name)) continue;
    const expected = `${quoted(name)}: ${datatype}${shapeText(shape)}`;
    problems.add(['tensors'], 'MISSING', `input "${quoted(name)}" is missing`, expected);
  }
  const rows = checkRows(spec, tensors, problems);
  return { kind: 'tensors', rows, work: workOfTensors(spec, rows, tensors), preprocessingWork: 0, tensors };
}

const inputsByName = oncePer((spec: AnySpec) => new Map(spec.inputs.map((input) => [input.name, input])));

/** Counts in the unit of the version, see `AnyItem.work`: tokens, pixels, or the values of all tensors, of strings their tokens. */
function workOfTensors({ text, image, inputs }: AnySpec, rows: number, tensors: readonly TensorData[]): number {
  if (text && readsBags(inputs)) return Math.max(1, ...tensors.map(({ shape }) => sizeOf(shape)));
  if (text) return Math.max(1, rows * (tensors[0]?.shape[1] ?? 1));
  const values = tensors.reduce(
    (sum, { shape, data, datatype }) =>
      sum + (datatype === 'BYTES' ? workOfStrings(data as readonly string[]) : sizeOf(shape)),
    0,
  );
  return Math.max(1, image && image.color !== 'grey' ? Math.ceil(values / 3) : values);
}

/**
 * Checks that all inputs with a variable first dimension have the same number of rows, and returns that number. Tasks that
 * give one answer per input accept a single row.
 */
function checkRows(spec: AnySpec, tensors: readonly TensorData[], problems: Problems): number {
  const isTokens = (name: string) => spec.text !== null && readsBags(spec.inputs) && name === 'input_ids';
  const batched = tensors.filter(({ name }) => inputsByName(spec).get(name)?.shape[0] === null && !isTokens(name));
  const rows = batched[0]?.shape[0] ?? 1;
  const acceptsBatch = spec.head.kind === 'tensors';
  const expected = acceptsBatch ? rows : 1;
  const mismatch = batched.find(({ shape }) => shape[0] !== expected);
  if (mismatch) {
    const message = acceptsBatch
      ? 'the first dimension must be the same for all inputs'
      : 'this model takes one row per input; send more rows with predictMany';
    problems.add(
      ['tensors', String(tensors.indexOf(mismatch)), 'shape', '0'],
      'WRONG_SHAPE',
      message,
      String(expected),
      mismatch.shape[0],
    );
  }
  return rows;
}

function checkTensor(
  input: TensorSpec,
  tensor: TensorInput,
  path: readonly string[],
  problems: Problems,
): TensorData | null {
  if (tensor.datatype !== input.datatype) {
    const message = `the datatype does not match input "${quoted(input.name)}"`;
    problems.add([...path, 'datatype'], 'WRONG_TYPE', message, input.datatype, tensor.datatype);
    return null;
  }
  if (!checkShape(input, tensor.shape, [...path, 'shape'], problems)) return null;
  const hasData = tensor.data !== undefined && tensor.data !== null;
  const hasBase64 = tensor.base64 !== undefined && tensor.base64 !== null;
  if (hasData === hasBase64) {
    const code = hasData ? 'WRONG_KIND' : 'MISSING';
    problems.add(path, code, 'exactly one of data and base64 is required', 'data or base64');
    return null;
  }
  const data = hasData
    ? readList(tensor, [...path, 'data'], problems)
    : readBase64(tensor, tensor.base64 as string, [...path, 'base64'], problems);
  return data && { name: input.name, datatype: input.datatype, shape: tensor.shape, data };
}

function checkShape(input: TensorSpec, shape: readonly number[], path: readonly string[], problems: Problems): boolean {
  const expected = shapeText(input.shape);
  if (shape.length !== input.shape.length) {
    const message = `input "${quoted(input.name)}" has ${input.shape.length} dimensions`;
    problems.add(path, 'WRONG_SHAPE', message, expected, shapeText(shape));
    return false;
  }
  const wrong = shape.findIndex((size, i) => size < 0 || (input.shape[i] !== null && input.shape[i] !== size));
  if (wrong >= 0) {
    const message = 'this size does not match the model';
    problems.add([...path, String(wrong)], 'WRONG_SHAPE', message, expected, shapeText(shape));
    return false;
  }
  const size = sizeOf(shape);
  if (!shape.includes(0) || size <= MAX_SIZE_WITHOUT_VALUES) return true;
  const message = `the tensor has no values, but its other sizes multiply to ${size}; at most ${MAX_SIZE_WITHOUT_VALUES} are accepted`;
  problems.add(path, 'WRONG_SHAPE', message, expected, shapeText(shape));
  return false;
}

/**
 * Limits the memory and the time that a tensor with a dimension of zero can take: it has no values to limit it, but a
 * graph that sums over that dimension returns as many values as the other sizes have.
 */
export const MAX_SIZE_WITHOUT_VALUES = 2 ** 22;

/** The number of values, or of places for them if a dimension is zero. */
function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * Math.max(1, size), 1);
}

function readList(tensor: TensorInput, path: readonly string[], problems: Problems): TensorArray | null {
  if (!Array.isArray(tensor.data)) {
    problems.add(path, 'WRONG_TYPE', 'data is not a list', 'a list of values, flat or nested', tensor.data);
    return null;
  }
  const flat = flattenNested(tensor.data, tensor.shape, path, problems);
  if (!flat || !checkElementCount(tensor, flat.length, path, problems)) return null;
  return tensor.datatype === 'BYTES'
    ? readStrings(tensor, flat, path, problems)
    : readNumbers(tensor, flat, path, problems);
}

/** Flattens a list that is nested like the shape. A list that contains no lists is returned as it is. */
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
    problems.add(at, 'WRONG_SHAPE', `the nesting does not match shape ${shapeText(shape)}`, `a list of ${size}`, value);
    return false;
  };
  return visit(data, 0, path) ? flat : null;
}

function readStrings(
  tensor: TensorInput,
  flat: readonly unknown[],
  path: readonly string[],
  problems: Problems,
): string[] | null {
  const perRow = valuesPerRow(tensor.shape);
  let index = 0;
  while (index < flat.length) {
    const value = flat[index];
    const problem = typeof value === 'string' ? problemOfString(value) : notAString(value);
    index = problem ? problems.addOfValue({ path, index, perRow }, ...problem) : index + 1;
  }
  return index === flat.length ? flat.map((value) => (typeof value === 'string' ? value : '')) : null;
}

function notAString(value: unknown): ValueProblem {
  return ['WRONG_TYPE', 'BYTES values must be strings', 'a string', value];
}

function readNumbers(
  tensor: TensorInput,
  flat: readonly unknown[],
  path: readonly string[],
  problems: Problems,
): NumericArray | null {
  const type = DATATYPES[tensor.datatype] as Datatype;
  const array = new type.array(flat.length);
  const perRow = valuesPerRow(tensor.shape);
  const isBig = array instanceof BigInt64Array || array instanceof BigUint64Array;
  let index = 0;
  while (index < flat.length) {
    const value = flat[index];
    const number = readNumber(type, value);
    if (typeof number === 'string') {
      const message = numberMessage(tensor.datatype, value, number);
      index = problems.addOfValue({ path, index, perRow }, number, message, tensor.datatype, value);
    } else array[index++] = isBig ? BigInt(number) : Number(number);
  }
  return index === flat.length ? array : null;
}

function readBase64(
  tensor: TensorInput,
  base64: string,
  path: readonly string[],
  problems: Problems,
): TensorArray | null {
  const type = DATATYPES[tensor.datatype];
  if (!type) {
    problems.add(path, 'WRONG_KIND', 'BYTES values cannot be sent as base64', 'data', 'base64');
    return null;
  }
  const bytes = base64 === '' ? Buffer.alloc(0) : decodeBase64(base64);
  if (!bytes) {
    problems.add(path, 'UNREADABLE', 'the value is not valid base64', 'base64 of little-endian bytes', base64);
    return null;
  }
  if (!checkElementCount(tensor, bytes.byteLength / type.bytes, path, problems)) return null;
  const array = new type.array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  );
  const code = type.range ? 'OUT_OF_RANGE' : 'NOT_FINITE';
  const next = type.range ? nextAbove(tensor.datatype === 'BOOL' ? 1 : null) : nextNotFinite;
  const perRow = valuesPerRow(tensor.shape);
  let index = next(array, 0);
  while (index < array.length) {
    const value = array[index];
    const problem = [code, numberMessage(tensor.datatype, value, code), tensor.datatype, Number(value)] as const;
    index = next(array, problems.addOfValue({ path, index, perRow }, ...problem));
  }
  return index === array.length ? array : null;
}

/** The index of the first value that is not accepted, from `from` on; the length, or `from` if that is beyond it, if there is none. */
type FindNext = (array: NumericArray, from: number) => number;

const nextNotFinite: FindNext = (array, from) => {
  let i = from;
  while (i < array.length && Number.isFinite(array[i])) i++;
  return i;
};

/** Integers have all values of their type, but booleans are bytes. */
function nextAbove(maximum: number | null): FindNext {
  if (maximum === null) return (array) => array.length;
  return (array, from) => {
    let i = from;
    while (i < array.length && (array[i] as number) <= maximum) i++;
    return i;
  };
}

/** The values of each row of a tensor whose first dimension counts rows. */
export function valuesPerRow([, ...sizes]: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function checkElementCount(tensor: TensorInput, count: number, path: readonly string[], problems: Problems): boolean {
  const expected = tensor.shape.reduce((product, size) => product * size, 1);
  if (count === expected) return true;
  const message = `shape ${shapeText(tensor.shape)} has ${expected} values`;
  problems.add(path, 'WRONG_SHAPE', message, `${expected} values`, `${count} values`);
  return false;
}

/** Returns null if the text is empty or not base64. Node's decoder skips invalid characters silently, so lengths are compared. */
export function decodeBase64(text: string): Buffer | null {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length > 0 && bytes.length === Math.floor(((text.length - padding) * 3) / 4) ? bytes : null;
}

/** A shape for messages, such as "[any, 3]"; of a longer one, its first 20 sizes. */
export function shapeText(shape: readonly (number | null)[]): string {
  return `[${listed(shape, (size) => String(size ?? 'any'))}]`;
}

/** Larger examples are not useful, and would block the event loop while they are built. */
const MAX_EXAMPLE_VALUES = 1_000_000;

/** An example of zeros (for BYTES, empty strings) in the smallest shape. @throws ManifestError if that is too large */
export function tensorExamples({ inputs }: Pick<SpecBase, 'inputs'>): Example[] {
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const sizes = shape.map((size) => size ?? 1);
    const count = sizes.reduce((product, size) => product * size, 1);
    if (count > MAX_EXAMPLE_VALUES) {
      throw new ManifestError(
        `input "${name}" has shape ${shapeText(shape)}, which is too large for a generated example: add example to model.yaml`,
      );
    }
    return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? '' : 0)) };
  });
  return [{ tensors }];
}
