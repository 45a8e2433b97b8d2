/**
 * What is wrong with one input: each problem with its path, what was expected and what was received.
 */
import { type InputProblem, type InputProblemCode, InvalidInputError } from '../errors.js';

const MAX_PROBLEMS = 20;

/** Collects the problems of one input. Paths start with `prefix`. */
export class Problems {
  readonly #found: InputProblem[] = [];

  constructor(readonly prefix: readonly string[]) {}

  /** Whether 20 problems were found. Further ones are dropped, and a check may stop early. */
  get isFull(): boolean {
    return this.#found.length >= MAX_PROBLEMS;
  }

  add(path: readonly string[], code: InputProblemCode, message: string, expected?: string, received?: unknown): void {
    if (this.isFull) return;
    this.#found.push({
      path: [...this.prefix, ...path],
      code,
      message,
      expected: expected ?? null,
      received: received === undefined ? null : describe(received),
    });
  }

  /** @throws InvalidInputError when a problem was added */
  throwIfAny(): void {
    if (this.#found.length > 0) throw new InvalidInputError(this.#found);
  }
}

const MAX_SHOWN_CHARACTERS = 60;

/** A short text for any JSON value, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return JSON.stringify(value.length > MAX_SHOWN_CHARACTERS ? `${value.slice(0, MAX_SHOWN_CHARACTERS)}…` : value);
  return String(value);
}
