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
  /** Of one row, in the unit of the version. */
  readonly workPerRow: number;
  readonly #inputs: readonly NumericInput[];
  readonly #values: readonly NumericArray[];

  /** `most`: how many rows it may get. `values`: those of all rows, if they have been read. */
  constructor(
    inputs: readonly NumericInput[],
    { most, workPerRow, values }: { most: number; workPerRow: number; values?: readonly NumericArray[] },
  ) {
    this.#inputs = inputs;
    this.workPerRow = workPerRow;
    this.#values = values ?? inputs.map(({ type, valuesPerRow }) => new type.array(most * valuesPerRow));
    if (values) for (let row = 0; row < most; row++) this.rows.push(row);
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
