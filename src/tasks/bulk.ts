/** What rows that are sent together become, whether they are sent as columns or as tensors. */
import { InvalidInputError } from '../errors.js';
import type { Block } from './block.js';
import type { NumericArray } from './datatypes.js';
import type { NumericInput } from './numeric.js';
import type { Problems } from './problems.js';
import type { Item, ModelInput } from './tasks.js';

/** Rows of one request, at most. */
export const MAX_ROWS = 1_000;

export interface BulkRows {
  /** The number of rows, at least 1. */
  readonly count: number;
  /** Null if no row can be in a block. */
  readonly stack: Stack | null;
  /** Rows that run as items of their own, by their index. */
  readonly items: ReadonlyMap<number, Item>;
  /** Rows that cannot run, by their index. */
  readonly refused: ReadonlyMap<number, InvalidInputError>;
  /** The row as it would be sent alone. */
  readonly input: (row: number) => ModelInput;
}

/** Checked rows of numbers, one after the other. */
export class Stack {
  readonly #inputs: readonly NumericInput[];
  readonly #values: readonly NumericArray[];
  readonly #rows: number[];
  /** Of one row, in the unit of the version. */
  readonly workPerRow: number;

  /** `values`: for each input; they may have room for more rows. `rows`: the rows of the request, in ascending order. */
  constructor(
    inputs: readonly NumericInput[],
    values: readonly NumericArray[],
    rows: readonly number[],
    workPerRow: number,
  ) {
    this.#inputs = inputs;
    this.#values = values;
    this.#rows = [...rows];
    this.workPerRow = workPerRow;
  }

  /** With room for so many rows. */
  static empty(inputs: readonly NumericInput[], capacity: number, workPerRow: number): Stack {
    const values = inputs.map(({ type, valuesPerRow }) => new type.array(capacity * valuesPerRow));
    return new Stack(inputs, values, [], workPerRow);
  }

  /** The rows of the request that are here. */
  get rows(): readonly number[] {
    return this.#rows;
  }

  /** Sets a value of the next row, before it is added. */
  set(input: number, index: number, value: number | bigint): void {
    const { valuesPerRow } = this.#inputs[input] as NumericInput;
    const values = this.#values[input] as NumericArray;
    values[this.#rows.length * valuesPerRow + index] = value;
  }

  /** Adds a row, whose values have all been set. */
  add(row: number): void {
    this.#rows.push(row);
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

export function checkCount(count: number, path: readonly string[], problems: Problems): void {
  const expected = `1 to ${MAX_ROWS} rows`;
  if (count === 0) problems.add(path, 'EMPTY', 'there are no rows', expected, 0);
  if (count > MAX_ROWS) problems.add(path, 'TOO_LARGE', 'there are too many rows', expected, count);
}

/** The same problems, with other paths. */
export function withPaths(
  { problems }: InvalidInputError,
  pathOf: (path: readonly string[]) => readonly string[],
): InvalidInputError {
  return new InvalidInputError(problems.map((problem) => ({ ...problem, path: pathOf(problem.path) })));
}
