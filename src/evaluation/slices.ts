/** Parts of a dataset that are measured apart: rows with a value, with a number in a range, or with each value of a column. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import type { Answers } from './answers-file.js';
import type { MeasuredMetric } from './measure.js';
import type { PlannedDataset, Row } from './plan.js';

/** What is asked for, with all keys, so that the same slices are the same JSON. */
export interface Slice {
  readonly column: string;
  /** Rows with this value; absent for others. */
  readonly equals?: string | number | boolean;
  /** Rows whose number is in this range; null for no limit. Both are null for each value. */
  readonly minimum: number | null;
  readonly maximum: number | null;
}

export interface WantedSlice {
  readonly column: string;
  readonly equals?: unknown;
  readonly minimum?: number | null;
  readonly maximum?: number | null;
}

export interface MeasuredSlice {
  readonly column: string;
  /** Null for a range, and for rows without a value. */
  readonly value: string | number | boolean | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly rows: number;
  readonly metrics: readonly MeasuredMetric[];
}

export const MAX_SLICES = 20;
/** Rows × classes × slices: their intervals take a few minutes. */
export const MAX_SLICED_SCORES = 20_000_000;
/** Of a column of which each value is a slice, those that most rows have. */
export const MAX_VALUES = 50;
/** More different values are not counted. */
const MAX_COUNTED_VALUES = 10_000;
export const MAX_TEXT_CHARACTERS = 200;
const WITH_VALUES = ['CATEGORY', 'TEXT', 'BOOLEAN', 'INTEGER'];
const WITH_NUMBERS = ['NUMBER', 'INTEGER'];
const TOO_MANY = 'its values are too many: choose one with equals, or a range of numbers with minimum and maximum';

/**
 * `scores`: rows × classes of the dataset.
 *
 * @throws InvalidInputError that names every slice that cannot be measured
 */
export function checkSlices(
  wanted: readonly WantedSlice[],
  columns: PlannedDataset['columns'],
  scores: number,
): Slice[] {
  const problems: InputProblem[] = [];
  const most = Math.min(MAX_SLICES, Math.floor(MAX_SLICED_SCORES / Math.max(1, scores)));
  if (wanted.length > most)
    throw new InvalidInputError([
      {
        path: ['input', 'slices'],
        code: 'TOO_LARGE',
        message: 'there are too many slices, for so many rows and classes',
        expected: `at most ${most}`,
        received: String(wanted.length),
      },
    ]);
  const slices = wanted.map(({ column, equals, minimum = null, maximum = null }, i): Slice => {
    const add = (field: string, code: InputProblem['code'], message: string, expected: string, received: string) =>
      problems.push({ path: ['input', 'slices', String(i), field], code, message, expected, received });
    const type = columns.find(({ name }) => name === column)?.type;
    const hasRange = minimum !== null || maximum !== null;
    // It would be stored as null.
    const infinite = Object.entries({ equals, minimum, maximum }).find(
      ([, value]) => typeof value === 'number' && !Number.isFinite(value),
    );
    if (type === undefined)
      add('column', 'UNKNOWN_NAME', 'the dataset has no such column', namesOf(columns), column.slice(0, 100));
    else if (infinite)
      add(infinite[0], 'NOT_FINITE', 'the number is not finite', 'a finite number', String(infinite[1]));
    else if (equals != null && hasRange)
      add('equals', 'WRONG_KIND', 'a slice has a value or a range', 'one of them', 'both');
    else if (hasRange && !WITH_NUMBERS.includes(type))
      add(
        'column',
        'WRONG_KIND',
        'only numbers have ranges',
        `a column of the type ${WITH_NUMBERS.join(' or ')}`,
        type,
      );
    else if (!hasRange && equals == null && !WITH_VALUES.includes(type))
      add('column', 'WRONG_KIND', TOO_MANY, `a column of the type ${WITH_VALUES.join(', ')}`, type);
    else if (equals != null && !isValue(equals))
      add(
        'equals',
        'WRONG_TYPE',
        'the value is not accepted',
        `a text of up to ${MAX_TEXT_CHARACTERS} characters, a number or a boolean`,
        typeof equals,
      );
    else if (minimum !== null && maximum !== null && minimum > maximum)
      add('minimum', 'OUT_OF_RANGE', 'the range is empty', `at most ${maximum}`, String(minimum));
    return { column, ...(isValue(equals) && { equals }), minimum, maximum };
  });
  if (problems.length > 0) throw new InvalidInputError(problems);
  return slices;
}

function namesOf(columns: PlannedDataset['columns']): string {
  return columns
    .slice(0, MAX_SLICES)
    .map(({ name }) => name)
    .join(', ');
}

function isValue(value: unknown): value is string | number | boolean {
  return typeof value === 'string' ? value.length <= MAX_TEXT_CHARACTERS : ['number', 'boolean'].includes(typeof value);
}

/** The rows of a slice, as indices of the answers. */
export interface Members extends Omit<MeasuredSlice, 'rows' | 'metrics'> {
  readonly items: number[];
}

/** Collects the rows of one slice, or of each value of its column. */
export class SliceMembers {
  readonly #slice: Slice;
  readonly #byValue = new Map<string, number[]>();
  readonly #chosen: number[] = [];

  constructor(slice: Slice) {
    this.#slice = slice;
  }

  add(item: number, row: Row): void {
    const { column, equals, minimum, maximum } = this.#slice;
    const value = row[column] ?? null;
    if (equals !== undefined) {
      if (value === equals) this.#chosen.push(item);
    } else if (minimum !== null || maximum !== null) {
      if (typeof value === 'number' && value >= (minimum ?? value) && value <= (maximum ?? value))
        this.#chosen.push(item);
    } else {
      // Free text: each would be a slice of one row, and in memory.
      if (typeof value === 'string' && value.length > MAX_TEXT_CHARACTERS) return;
      const key = JSON.stringify(value);
      const known = this.#byValue.get(key);
      if (known) known.push(item);
      else if (this.#byValue.size < MAX_COUNTED_VALUES) this.#byValue.set(key, [item]);
    }
  }

  result(): Members[] {
    const { column, equals, minimum, maximum } = this.#slice;
    if (equals !== undefined || minimum !== null || maximum !== null)
      return [{ column, value: equals ?? null, minimum, maximum, items: this.#chosen }];
    return [...this.#byValue]
      .sort(([a, rows], [b, others]) => others.length - rows.length || (a < b ? -1 : 1))
      .slice(0, MAX_VALUES)
      .map(([key, items]) => ({ column, value: JSON.parse(key), minimum, maximum, items }));
  }
}

/** The answers with these indices. */
export function answersAt(answers: Answers, indices: readonly number[]): Answers {
  const { rows, truth, predicted, scores, items } = answers;
  const chosenRows = Uint32Array.from(indices, (index) => rows[index] as number);
  if (items) {
    const lines = indices.map((index) => items.lines[index] as string);
    return { ...answers, rows: chosenRows, items: { kind: items.kind, lines } };
  }
  const width = scores && rows.length > 0 ? scores.length / rows.length : 0;
  const chosen = scores && new Float64Array(indices.length * width);
  for (const [at, index] of indices.entries())
    if (scores) chosen?.set(scores.subarray(index * width, (index + 1) * width), at * width);
  return {
    rows: chosenRows,
    truth: Float64Array.from(indices, (index) => truth[index] as number),
    predicted: Float64Array.from(indices, (index) => predicted[index] as number),
    scores: chosen,
    items: null,
  };
}
