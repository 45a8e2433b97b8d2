/**
 * Every failure that a caller can act on, by name, on one page.
 *
 * Nothing here knows HTTP or GraphQL: how each code appears in the schema is decided in `graphql/problem.type.ts`,
 * and how it appears as a GraphQL error in `api/errors.ts`. Anything that is not an AppError is a bug: it is masked
 * for the caller and logged whole for us. Across the worker's boundary only `{ code, message }` travels.
 */

import path from 'node:path';

export type InputProblemCode =
  | 'UNKNOWN_NAME'
  | 'MISSING'
  | 'WRONG_TYPE'
  | 'WRONG_SHAPE'
  | 'OUT_OF_RANGE'
  | 'NOT_IN_CATEGORIES'
  | 'NOT_FINITE'
  | 'EMPTY'
  | 'TOO_LARGE'
  | 'UNREADABLE'
  | 'WRONG_KIND';

/** One thing wrong with an input: where, what was expected and what came. */
export interface InputProblem {
  readonly path: readonly string[];
  readonly code: InputProblemCode;
  readonly message: string;
  readonly expected: string | null;
  readonly received: string | null;
}

export type ProblemCode =
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'NOT_READY'
  | 'OVERLOADED'
  | 'DEADLINE_EXCEEDED'
  | 'INFERENCE_FAILED'
  | 'IDEMPOTENCY_CONFLICT'
  | 'FORBIDDEN'
  | 'STORAGE_FULL'
  | 'SHUTTING_DOWN';

export abstract class AppError extends Error {
  abstract readonly code: ProblemCode;
  readonly retryable: boolean = false;
  readonly retryAfterMs: number | null = null;
}

export class InvalidInputError extends AppError {
  readonly code = 'INVALID_INPUT';
  constructor(readonly problems: readonly InputProblem[]) {
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
    super(`${first?.path.join('.')}: ${first?.message}${more}`);
  }
}

export class NotFoundError extends AppError {
  readonly code = 'NOT_FOUND';
  constructor(
    what: string,
    readonly didYouMean: readonly string[] = [],
  ) {
    const hint = didYouMean.length > 0 ? ` Did you mean ${didYouMean.join(' or ')}?` : '';
    super(`${what} does not exist, or you may not see it.${hint}`);
  }
}

export class NotReadyError extends AppError {
  readonly code = 'NOT_READY';
  override readonly retryable: boolean;
  constructor(
    ref: string,
    readonly state: 'FAILED' | 'ARCHIVED',
    reason: string | null,
    /** When it is looked at again; null when only its owner can help. */
    override readonly retryAfterMs: number | null = null,
  ) {
    const later = retryAfterMs === null ? '' : `, or try again in ${retryAfterMs} ms`;
    super(`${ref} is ${state} and answers nothing${reason ? `: ${reason}` : ''}. Choose another version${later}.`);
    this.retryable = retryAfterMs !== null;
  }
}

export class OverloadedError extends AppError {
  readonly code = 'OVERLOADED';
  override readonly retryable = true;
  constructor(
    ref: string,
    readonly queueDepth: number,
    override readonly retryAfterMs: number,
  ) {
    super(`${ref} has ${queueDepth} inputs waiting, too many to answer in time; try again in ${retryAfterMs} ms.`);
  }
}

/** Where the time ran out: waiting for a worker, inside one, or while the answer was being recorded. */
export type DeadlinePhase = 'queue' | 'run' | 'record';

export class DeadlineExceededError extends AppError {
  readonly code = 'DEADLINE_EXCEEDED';
  override readonly retryable = true;
  constructor(
    deadlineMs: number,
    readonly phase: DeadlinePhase,
  ) {
    super(`No answer within ${deadlineMs} ms (time ran out in phase "${phase}"); raise deadlineMs or try again.`);
  }
}

export class InferenceFailedError extends AppError {
  readonly code = 'INFERENCE_FAILED';
  constructor(
    readonly reason: string,
    override readonly retryable = false,
  ) {
    super(`The model could not answer this input: ${reason}`);
  }
}

export class IdempotencyConflictError extends AppError {
  readonly code = 'IDEMPOTENCY_CONFLICT';
  constructor(
    key: string,
    readonly earlierPredictionId: string,
  ) {
    super(`The idempotency key "${key}" was used with another model or input in the last 24 h; use a new key.`);
  }
}

export class ForbiddenError extends AppError {
  readonly code = 'FORBIDDEN';
  constructor(action: string, required: string) {
    super(`${action} is for ${required}; you are not one of them.`);
  }
}

export class StorageFullError extends AppError {
  readonly code = 'STORAGE_FULL';
  override readonly retryable = true;
  override readonly retryAfterMs = 5_000;
  constructor(options?: ErrorOptions) {
    super(
      'The store cannot be written now, so no answer was given; try again in a moment, with the same idempotency key ' +
        'if there was one. A prediction is answered at once with record: false.',
      options,
    );
  }
}

export class ShuttingDownError extends AppError {
  readonly code = 'SHUTTING_DOWN';
  override readonly retryable = true;
  override readonly retryAfterMs = 2_000;
  constructor() {
    super('The server is stopping; try again in a moment.');
  }
}

/** An argument that the schema cannot check is out of range: a page size, a cursor of another list. Always the caller's mistake. */
export class BadArgumentError extends Error {}

/** It cannot start, and the message tells the operator what to change; the process exits with `exitCode`. */
export class StartupError extends Error {
  readonly exitCode: number = 1;
}

export class StoreLockedError extends StartupError {
  override readonly exitCode = 3;
  constructor(file: string, pid: number) {
    const folder = path.dirname(file);
    super(
      `STORE_LOCKED: another server (process ${pid || 'unknown'}) uses ${folder}. ` +
        'Stop it, or give this one a folder of its own by DATA_DIR.',
    );
  }
}

export class NewerSchemaError extends StartupError {
  constructor(file: string, migration: string) {
    super(
      `${file} was written by a newer Modelgraph (it knows "${migration}", this one does not). ` +
        'Start that version again, or give this one another DATA_DIR or a copy from before the upgrade.',
    );
  }
}

export class DamagedFileError extends StartupError {
  constructor(file: string, reason: string) {
    super(
      `${file} is damaged (${reason}). It was left as it is. Copy the folder first; then put back a backup, ` +
        `or save what can be read with: sqlite3 ${file} .recover. To begin anew, move ${path.basename(file)} away ` +
        'together with the files of that name that end in -wal and -shm.',
    );
  }
}

/** A file of the model store that cannot be used: which one, where in it, and what was expected. */
export class ManifestError extends Error {}
