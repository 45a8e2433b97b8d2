/** How one item can fail inside a worker. */
import type { InputProblemCode } from '../errors.js';

/**
 * `input`: the caller can correct the input, at `path`. `inference`: the model failed. `memory`: an allocation failed,
 * which another item in the same process may have caused.
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

/** The item cannot be preprocessed, which only decoding or tokenizing it tells. */
export class UnreadableItemError extends Error {
  constructor(readonly problem: UnreadableItemProblem) {
    super(problem.message);
  }
}

/** The outputs of the graph do not make an answer, for example because a score is NaN. */
export class UnusableOutputError extends Error {}
