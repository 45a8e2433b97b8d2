/** The ways in which an item can fail in a worker. */
import type { InputProblemCode } from '../errors.js';

/**
 * `input`: the input is not valid at `path`, and the caller can correct it. `inference`: the model failed. `memory`: an
 * allocation failed, possibly because of another item in the same process.
 */
export type ItemFailure =
  | ({ readonly kind: 'input' } & UnreadableItemProblem)
  | { readonly kind: 'inference' | 'memory'; readonly message: string };

export interface UnreadableItemProblem {
  readonly code: InputProblemCode;
  readonly path: readonly string[];
  readonly message: string;
  readonly expected: string;
}

/** Thrown if decoding or tokenizing shows that an item is not valid. */
export class UnreadableItemError extends Error {
  constructor(readonly problem: UnreadableItemProblem) {
    super(problem.message);
  }
}

/** Thrown if the graph's outputs do not yield an answer, for example because a score is NaN. */
export class UnusableOutputError extends Error {}
