/**
 * Rows of one request that are sent together: as columns, or as tensors whose first dimension counts the rows.
 *
 * Each row is checked as if it was sent alone, and fails alone. Rows of numbers become blocks (see `block.ts`); all others
 * become items.
 */
import { type InputProblem, InvalidInputError } from '../errors.js';
import type { Block } from './block.js';
import type { NumericArray, TensorArray, TensorData } from './datatypes.js';
import { isNumeric, type NumericInput, numericInputs } from './numeric.js';
import { oncePer } from './once-per.js';
import { listed, Problems } from './problems.js';
import { columnInputsOf, expectedValue, rowInput } from './row.js';
import { readsBags } from './static-embedding.js';
import { checkInput, type Item, inputsOf, type ModelInput, taskNamed, type VersionSpec } from './tasks.js';
import type { TensorsItem } from './tensors.js';

/** Rows of one request, at most. */
export const MAX_ROWS = 1_000;

/** Rows as they are sent: exactly one of the keys is set. */
export interface BulkInput {
  readonly columns?: Readonly<Record<string, unknown>> | null;
  readonly tensors?: GivenTensors | null;
}

export interface BulkRows {
  /** The number of rows, at least 1. */
  readonly count: number;
  /** Null if no row can be in a block. */
  readonly stack: Stack | null;
  /** What has to run as an item of its own, by row. */
  readonly items: ReadonlyMap<number, Item>;
  /** What cannot run, by row. */
  readonly refused: ReadonlyMap<number, InvalidInputError>;
  /** The row as it would be sent alone. */
  readonly input: (row: number) => ModelInput;
}

/** Checked rows of numbers, one after the other. */
export class Stack {
  /** The rows of the request, in ascending order. */
  readonly rows: number[] = [];
  readonly #inputs: readonly NumericInput[];
  readonly #values: readonly NumericArray[];

  /** `most`: how many rows it may get. `values`: those of all rows, if they have been read. */
  constructor(inputs: readonly NumericInput[], most: number, values?: readonly NumericArray[]) {
    this.#inputs = inputs;
    this.#values = values ?? inputs.map(({ type, valuesPerRow }) => new type.array(most * valuesPerRow));
    if (values) for (let row = 0; row < most; row++) this.rows.push(row);
  }

  /** Of one row, in the unit of the version. */
  get workPerRow(): number {
    return Math.max(
      1,
      this.#inputs.reduce((sum, { valuesPerRow }) => sum + valuesPerRow, 0),
    );
  }

  /** Where the values of the next row begin, for the input with this index. */
  placeOf(input: number): { readonly values: NumericArray; readonly offset: number } {
    const { valuesPerRow } = this.#inputs[input] as NumericInput;
    return { values: this.#values[input] as NumericArray, offset: this.rows.length * valuesPerRow };
  }

  /** Rows from `begin` to `end`, as places in `rows`. */
  block(begin: number, end: number): Block {
    const inputs = this.#inputs.map(({ valuesPerRow }, i) =>
      (this.#values[i] as NumericArray).slice(begin * valuesPerRow, end * valuesPerRow),
    );
    const rows = end - begin;
    const work = rows * this.workPerRow;
    return { kind: 'block', rows, work, preprocessingWork: 0, inputs };
  }
}

/** Paths of problems begin with `prefix` and the key. @throws InvalidInputError if no row can be read */
export function readRows({ columns, tensors }: BulkInput, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  if (columns != null) return readColumns(columns, spec, [...prefix, 'columns']);
  return readTensors(tensors ?? [], spec, [...prefix, 'tensors']);
}

// ── columns ──

/**
 * Problems with a column as a whole have the path `<prefix>.<column>`; those of a row, `<prefix>.<column>.<row>`.
 *
 * @throws InvalidInputError if the columns are not those of the version, or differ in length
 */
function readColumns(
  columns: Readonly<Record<string, unknown>>,
  spec: VersionSpec,
  prefix: readonly string[],
): BulkRows {
  const count = checkColumns(columns, spec, prefix);
  const inputOf = (row: number): ModelInput => {
    const values = Object.keys(columns).map((name) => [name, (columns[name] as readonly unknown[])[row]]);
    return { row: Object.fromEntries(values) };
  };
  const items = new Map<number, Item>();
  const refused = new Map<number, InvalidInputError>();
  const stack = isNumeric(spec) ? stackOf(spec, count) : null;
  const writers = stack && writersOf(spec, columns, stack);
  for (let row = 0; row < count; row++) {
    if (stack && writers?.every((write) => write(row))) {
      stack.rows.push(row);
      continue;
    }
    try {
      items.set(row, checkInput(spec, inputOf(row), []));
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      // From `row.<column>`.
      refused.set(
        row,
        withPaths(error, ([, ...names]) => [...prefix, ...names, String(row)]),
      );
    }
  }
  return { count, stack, items, refused, input: inputOf };
}

function stackOf(spec: VersionSpec, count: number): Stack | null {
  const inputs = numericInputs(spec);
  const areComplete = inputs?.every(({ columns, valuesPerRow }) => columns.length === valuesPerRow);
  return inputs && areComplete ? new Stack(inputs, count) : null;
}

/** Returns the number of rows. */
function checkColumns(
  columns: Readonly<Record<string, unknown>>,
  spec: VersionSpec,
  prefix: readonly string[],
): number {
  const problems = new Problems(prefix);
  const accepted = inputsOf(taskNamed(spec.task), spec);
  if (!accepted.some(({ key }) => key === rowInput.key)) {
    const expected = accepted.map(({ key }) => `inputs with ${key}`).join(' or ');
    problems.add([], 'WRONG_KIND', 'this model reads no rows of named columns', expected || 'inputs, or tensors');
    problems.throwIfAny();
  }
  const known = columnsByName(spec);
  let count: number | null = null;
  for (const [name, values] of Object.entries(columns)) {
    if (problems.isFull) break;
    if (!known.has(name)) {
      const names = listed(spec.columns, (column) => column.name);
      problems.add([name], 'UNKNOWN_NAME', 'the model has no column with this name', `one of ${names}`, name);
    } else if (!Array.isArray(values)) {
      problems.add([name], 'WRONG_TYPE', 'a column is a list with one value for each row', 'a list', values);
    } else {
      count ??= values.length;
      if (values.length !== count)
        problems.add([name], 'WRONG_SHAPE', 'all columns must have one value for each row', `${count} values`, values);
    }
  }
  for (const { column } of columnInputsOf(spec)) {
    if (problems.isFull) break;
    if (column.required && !Object.hasOwn(columns, column.name))
      problems.add(
        [column.name],
        'MISSING',
        'this column is required',
        `a list of values, each ${expectedValue(column)}`,
      );
  }
  problems.throwIfAny();
  if (count === null) problems.add([], 'EMPTY', 'there are no columns', 'a list of values for each column');
  else checkCount(count, [], problems);
  problems.throwIfAny();
  return count as number;
}

function checkCount(count: number, path: readonly string[], problems: Problems): void {
  const expected = `1 to ${MAX_ROWS} rows`;
  if (count === 0) problems.add(path, 'EMPTY', 'there are no rows', expected, 0);
  if (count > MAX_ROWS) problems.add(path, 'TOO_LARGE', 'there are too many rows', expected, count);
}

const columnsByName = oncePer((spec: VersionSpec) => new Set(spec.columns.map(({ name }) => name)));

/** One for each column: writes its value of a row to the stack, unless the value has to be looked at. */
function writersOf(
  spec: VersionSpec,
  columns: Readonly<Record<string, unknown>>,
  stack: Stack,
): ((row: number) => boolean)[] {
  const places = new Map<number, readonly [input: number, index: number]>();
  for (const [input, { columns: indices }] of (numericInputs(spec) ?? []).entries())
    for (const [index, column] of indices.entries()) places.set(column, [input, index]);
  return columnInputsOf(spec).map(({ column, read }, i) => {
    const values = (Object.hasOwn(columns, column.name) ? columns[column.name] : []) as readonly unknown[];
    const [input, index] = places.get(i) as readonly [number, number];
    const isBig = isBigArray(stack.placeOf(input).values);
    return (row) => {
      const value = read(values[row]);
      if (value === undefined || (isBig && Number.isNaN(value))) return false;
      const { values: stacked, offset } = stack.placeOf(input);
      stacked[offset + index] = isBig ? BigInt(value) : Number(value);
      return true;
    };
  });
}

function isBigArray(values: NumericArray): boolean {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}

// ── tensors ──

type GivenTensors = NonNullable<ModelInput['tensors']>;

/**
 * Problems with a tensor as a whole have paths as of a single input of tensors; the index of a bad value is that in the whole
 * tensor.
 *
 * @throws InvalidInputError if the tensors are not those of the version, or differ in their number of rows
 */
function readTensors(tensors: GivenTensors, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  const problems = new Problems(prefix);
  const { spec: open } = openSpecOf(spec);
  const message = 'rows of this model cannot be stacked: an input of its graph does not have one row for each answer';
  if (!open) problems.add([], 'WRONG_KIND', message, 'inputs');
  for (const [i, { shape }] of tensors.entries())
    if (!problems.isFull && shape.length > 0) checkCount(shape[0] as number, [String(i), 'shape', '0'], problems);
  problems.throwIfAny();
  try {
    return readWhole(checkInput(open as VersionSpec, { tensors }, []) as TensorsItem, spec);
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    const haveSameCount = new Set(tensors.map(({ shape: [count] }) => count)).size === 1;
    if (haveSameCount && error.problems.every(isOfValue)) return readOneByOne(tensors, spec, prefix);
    throw withPaths(error, ([, ...rest]) => [...prefix, ...rest]);
  }
}

/** Whether only the value of one row is not valid. */
function isOfValue({ path: [, , field, index], code }: InputProblem): boolean {
  return code !== 'WRONG_SHAPE' && index !== undefined && (field === 'data' || field === 'base64');
}

/** The spec as if it took any number of rows; null if an input does not begin with the row. */
const openSpecOf = oncePer((spec: VersionSpec): { readonly spec: VersionSpec | null } => {
  const begins = spec.inputs.every(({ shape: [first] }) => first === null || first === 1);
  if (!begins || spec.inputs.length === 0 || (spec.text && readsBags(spec.inputs))) return { spec: null };
  const inputs = spec.inputs.map((input) => ({ ...input, shape: [null, ...input.shape.slice(1)] }));
  return { spec: { ...spec, inputs, head: { kind: 'tensors' } } as unknown as VersionSpec };
});

function readWhole({ rows: count, work, tensors }: TensorsItem, spec: VersionSpec): BulkRows {
  const inputs = isNumeric(spec) ? numericInputs(spec) : null;
  const rowOf = (row: number) => tensors.map((tensor) => rowOfTensor(tensor, row));
  const input = (row: number): ModelInput => ({ tensors: rowOf(row).map(sentTensor) });
  const refused = new Map<number, InvalidInputError>();
  if (inputs) {
    const values = inputs.map(({ name }) => tensors.find((tensor) => tensor.name === name)?.data as NumericArray);
    return { count, stack: new Stack(inputs, count, values), items: new Map(), refused, input };
  }
  const workPerRow = Math.max(1, Math.ceil(work / count));
  const items = new Map<number, Item>();
  for (let row = 0; row < count; row++)
    items.set(row, { kind: 'tensors', rows: 1, work: workPerRow, preprocessingWork: 0, tensors: rowOf(row) });
  return { count, stack: null, items, refused, input };
}

/** Checks each row alone, because values of some are not valid. */
function readOneByOne(tensors: GivenTensors, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  const count = tensors[0]?.shape[0] as number;
  const input = (row: number): ModelInput => ({ tensors: tensors.map((tensor) => rowOfGiven(tensor, row, count)) });
  const items = new Map<number, Item>();
  const refused = new Map<number, InvalidInputError>();
  for (let row = 0; row < count; row++) {
    try {
      items.set(row, checkInput(spec, input(row), []));
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      const pathOf = ([, i, field, index]: readonly string[]) => {
        const perRow = valuesPerRow((tensors[Number(i)] as GivenTensors[number]).shape);
        return [...prefix, i as string, field as string, String(row * perRow + Number(index))];
      };
      refused.set(row, withPaths(error, pathOf));
    }
  }
  return { count, stack: null, items, refused, input };
}

function valuesPerRow([, ...sizes]: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function rowOfTensor({ name, datatype, shape, data }: TensorData, row: number): TensorData {
  const perRow = valuesPerRow(shape);
  const values = data.slice(row * perRow, (row + 1) * perRow) as TensorArray;
  return { name, datatype, shape: [1, ...shape.slice(1)], data: values };
}

/** As a caller would send it. */
function sentTensor({ name, datatype, shape, data }: TensorData): GivenTensors[number] {
  if (Array.isArray(data)) return { name, datatype, shape, data };
  return { name, datatype, shape, base64: bytesOf(data).toString('base64') };
}

function bytesOf({ buffer, byteOffset, byteLength }: NumericArray): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function rowOfGiven({ name, datatype, shape, data, base64 }: GivenTensors[number], row: number, count: number) {
  const one = { name, datatype, shape: [1, ...shape.slice(1)] };
  if (base64 != null) {
    const bytes = Buffer.from(base64, 'base64');
    const perRow = bytes.length / count;
    return { ...one, base64: bytes.subarray(row * perRow, (row + 1) * perRow).toString('base64') };
  }
  const list = data as readonly unknown[];
  const perRow = list.length === count && list.some(Array.isArray) ? 1 : valuesPerRow(shape);
  return { ...one, data: list.slice(row * perRow, (row + 1) * perRow) };
}

function withPaths(
  { problems }: InvalidInputError,
  pathOf: (path: readonly string[]) => readonly string[],
): InvalidInputError {
  return new InvalidInputError(problems.map((problem) => ({ ...problem, path: pathOf(problem.path) })));
}
