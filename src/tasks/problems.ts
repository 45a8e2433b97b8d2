/**
 * Collects everything that is wrong with an input: where, what was expected and what was received.
 *
 * A request can have a thousand inputs with twenty problems each. So a check stops when its list of problems is full, and
 * texts are built of names with `quoted` and `listed`: model.yaml, graphs and callers can make names and lists very long.
 */
import { type InputProblem, type InputProblemCode, InvalidInputError, shortened } from '../errors.js';

const MAX_PROBLEMS = 20;

/** Where a value is: its place in the list of a tensor, whose rows have `perRow` values each. */
export interface ValuePlace {
  readonly path: readonly string[];
  readonly index: number;
  readonly perRow: number;
}
export type ValueProblem = readonly [code: InputProblemCode, message: string, expected: string, received: unknown];

/** The problems of one input, at most 20. Their paths start with `prefix`. */
export class Problems {
  readonly #problems: InputProblem[] = [];

  constructor(readonly prefix: readonly string[]) {}

  /** Whether the limit of 20 is reached. Further problems are dropped, so a check can stop. */
  get isFull(): boolean {
    return this.#problems.length >= MAX_PROBLEMS;
  }

  /** Adds a problem. `received` can be any JSON value; long values are shortened. */
  add(path: readonly string[], code: InputProblemCode, message: string, expected?: string, received?: unknown): void {
    if (this.isFull) return;
    this.#problems.push({
      path: [...this.prefix, ...path],
      code,
      message,
      expected: expected ?? null,
      received: received === undefined ? null : describe(received),
    });
  }

  /** Adds a problem with one value of a tensor. Returns the index of the next value to check; infinity for none. */
  addOfValue({ path, index }: ValuePlace, ...problem: ValueProblem): number {
    this.add([...path, String(index)], ...problem);
    return Number.POSITIVE_INFINITY;
  }

  /** Null if there are no problems. */
  get error(): InvalidInputError | null {
    return this.#problems.length > 0 ? new InvalidInputError(this.#problems) : null;
  }

  /** @throws InvalidInputError if there are problems */
  throwIfAny(): void {
    const { error } = this;
    if (error) throw error;
  }
}

/** The problems of tensors whose first dimension counts rows: a bad value is a problem of its row only. */
export class RowProblems extends Problems {
  readonly #byRow = new Map<number, Problems>();

  /** Of each tensor, the first bad value of a row counts: so the number of problems does not grow with the tensor. */
  override addOfValue({ path, index, perRow }: ValuePlace, ...problem: ValueProblem): number {
    const row = Math.floor(index / perRow);
    const ofRow = this.#byRow.get(row) ?? new Problems(this.prefix);
    this.#byRow.set(row, ofRow);
    ofRow.add([...path, String(index)], ...problem);
    return (row + 1) * perRow;
  }

  /** The errors of rows that cannot run. */
  get refused(): Map<number, InvalidInputError> {
    const refused = new Map<number, InvalidInputError>();
    for (const [row, { error }] of this.#byRow) if (error) refused.set(row, error);
    return refused;
  }
}

const MAX_SHOWN_CHARACTERS = 60;
const MAX_LISTED = 20;
/** Leaves room for the longest name and the number of names in the 500 characters that a problem repeats. */
const MAX_LISTED_CHARACTERS = 360;

/** The first 60 characters of a name. */
export function quoted(name: string): string {
  return shortened(name, MAX_SHOWN_CHARACTERS);
}

/** The first names of a list, at most 20 and about 400 characters, and how many there are if there are more. */
export function listed<T>(list: readonly T[], nameOf: (one: T) => string = String): string {
  let text = '';
  for (const [i, one] of list.entries()) {
    if (i === MAX_LISTED || text.length > MAX_LISTED_CHARACTERS) return `${text} … (${list.length} in all)`;
    text += `${i === 0 ? '' : ', '}${quoted(nameOf(one))}`;
  }
  return text;
}

/** Describes a JSON value in a few words, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1 element' : `a list of ${value.length} elements`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return JSON.stringify(quoted(value));
  return String(value);
}
