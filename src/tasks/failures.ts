/** The ways in which an item can fail in a worker. */
import { INPUT_PROBLEM_CODES, type InputProblemCode } from '../errors.js';
import type { Answer } from './answer.js';
import { isText, listOf, oneOf, record } from './check-shape.js';

/**
 * `input`: the input is not valid at `path`, and the caller can correct it. `inference`: the model failed. `memory`: an
 * allocation failed, possibly because of another item in the same process.
 */
export type ItemFailure = ({ readonly kind: 'input' } & UnreadableItemProblem) | RunFailure;

export interface RunFailure {
  readonly kind: 'inference' | 'memory';
  readonly message: string;
}

interface UnreadableItemProblem {
  readonly code: InputProblemCode;
  readonly path: readonly string[];
  readonly message: string;
  readonly expected: string;
}

/** What a run makes of an item. */
export type ItemResult = { readonly answer: Answer } | { readonly failure: ItemFailure };

/** Thrown if decoding or tokenizing shows that an item is not valid. */
export class UnreadableItemError extends Error {
  constructor(readonly problem: UnreadableItemProblem) {
    super(problem.message);
  }
}

/** Thrown if the graph's outputs do not yield an answer, for example because a score is NaN. */
export class UnusableOutputError extends Error {}

const isInputFailure = record({
  kind: oneOf(['input']),
  code: oneOf(INPUT_PROBLEM_CODES),
  path: listOf(isText),
  message: isText,
  expected: isText,
});
const isOtherFailure = record({ kind: oneOf(['inference', 'memory']), message: isText });

/** Whether a value from another process is the failure of a run. */
export function isRunFailure(value: unknown): value is RunFailure {
  return isOtherFailure(value);
}

/** Whether a value from another process is a failure of an item. */
export function isItemFailure(value: unknown): value is ItemFailure {
  return isOtherFailure(value) || isInputFailure(value);
}

/** Begins the message of a load that failed because the graph cannot run the example. The rest says why. */
export const EXAMPLE_FAILED = 'the graph cannot run the example: ';

/** Matches the messages of ONNX Runtime, libvips, V8 and Rust for a failed allocation. */
const NO_MEMORY =
  /bad_alloc|failed to allocate|out of memory|allocation failed|cannot allocate|memory allocation of \d+ bytes failed/i;

/** Whether the message of an error says that there was not enough memory. */
export function isOutOfMemory(message: string): boolean {
  return NO_MEMORY.test(message);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
