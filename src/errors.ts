/**
 * Every failure that callers and operators can act on, by name.
 *
 * Nothing here knows HTTP or GraphQL: `graphql/problem.type.ts` decides how a code appears in the schema, `api/errors.ts`
 * how it appears as a GraphQL error. Any other error is a bug: it is masked for the caller and logged in full. Workers
 * send only `{ code, message }`.
 */

import path from 'node:path';
import { withoutPaths } from './without-paths.js';

export const INPUT_PROBLEM_CODES = [
  'UNKNOWN_NAME',
  'MISSING',
  'WRONG_TYPE',
  'WRONG_SHAPE',
  'OUT_OF_RANGE',
  'NOT_IN_CATEGORIES',
  'NOT_FINITE',
  'EMPTY',
  'TOO_LARGE',
  'UNREADABLE',
  'WRONG_KIND',
] as const;
export type InputProblemCode = (typeof INPUT_PROBLEM_CODES)[number];

/** One thing that is wrong with an input: where, what was expected and what was received. */
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
  | 'CONFLICT'
  | 'GATE_NOT_PASSED'
  | 'FORBIDDEN'
  | 'QUOTA_EXCEEDED'
  | 'STORAGE_FULL'
  | 'SHUTTING_DOWN';

/** What the holder of a key may use. */
export const QUOTAS = [
  'OPERATIONS_PER_SECOND',
  'OPERATIONS_PER_DAY',
  'COMPUTE_MS_PER_SECOND',
  'COMPUTE_MS_PER_DAY',
  'BYTES_PER_SECOND',
  'BYTES_PER_DAY',
] as const;
export type QuotaName = (typeof QUOTAS)[number];

/** In UTF-16 code units. A problem repeats at most this much of a key, of a text, and of both in a message. */
const MAX_PATH_CHARACTERS = 80;
const MAX_TEXT_CHARACTERS = 500;
const MAX_MESSAGE_CHARACTERS = 4_000;

/** At most `max` UTF-16 code units of a text, none of them half of a character, and "…" if there are more. */
export function shortened(text: string, max: number): string {
  if (text.length <= max) return text;
  const isCutOff = (text.codePointAt(max - 1) ?? 0) > 0xffff;
  return `${text.slice(0, isCutOff ? max - 1 : max)}…`;
}

export abstract class AppError extends Error {
  abstract readonly code: ProblemCode;
  readonly retryable: boolean = false;
  readonly retryAfterMs: number | null = null;

  /** Without a stack: nobody reads it, and under overload, capturing it is a large part of what a refusal costs. */
  constructor(message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(shortened(message, MAX_MESSAGE_CHARACTERS), options);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** One input can appear in a thousand places of a request, so its problems repeat little of what was sent. */
export class InvalidInputError extends AppError {
  readonly code = 'INVALID_INPUT';
  readonly problems: readonly InputProblem[];
  constructor(problems: readonly InputProblem[]) {
    const short = problems.map(shortenedProblem);
    const [first] = short;
    const more = short.length > 1 ? ` (and ${short.length - 1} more)` : '';
    super(`${first?.path.join('.')}: ${first?.message}${more}`);
    this.problems = short;
  }
}

function shortenedProblem({ path, code, message, expected, received }: InputProblem): InputProblem {
  return {
    path: path.map((key) => shortened(key, MAX_PATH_CHARACTERS)),
    code,
    message: shortened(message, MAX_TEXT_CHARACTERS),
    expected: expected && shortened(expected, MAX_TEXT_CHARACTERS),
    received: received && shortened(received, MAX_TEXT_CHARACTERS),
  };
}

/** A problem as a line of a command's output. */
export function lineOfProblem({ path, message, expected, received }: InputProblem): string {
  return `${path.join('.')}: ${message}; expected ${expected}, received ${received ?? 'nothing'}`;
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
    /** When the server checks it again; null if only its owner can fix it. */
    override readonly retryAfterMs: number | null = null,
  ) {
    const later = retryAfterMs === null ? '' : `, or try again in ${retryAfterMs} ms`;
    super(
      `${ref} is ${state} and cannot answer${reason ? `: ${withoutStop(withoutPaths(shortened(reason, MAX_MESSAGE_CHARACTERS)))}` : ''}. Use another version${later}.`,
    );
    this.retryable = retryAfterMs !== null;
  }
}

/** Removes the final period, so that the sentence can be continued. */
function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
}

export class OverloadedError extends AppError {
  readonly code = 'OVERLOADED';
  override readonly retryable = true;
  constructor(
    ref: string,
    readonly queueDepth: number,
    override readonly retryAfterMs: number,
    reason: string,
  ) {
    super(`${ref} is busy: ${reason}. Try again in ${retryAfterMs} ms.`);
  }
}

/** Where the deadline passed: in the queue, in a worker, or while the answer was being recorded. */
export type DeadlinePhase = 'queue' | 'run' | 'record';

export class DeadlineExceededError extends AppError {
  readonly code = 'DEADLINE_EXCEEDED';
  override readonly retryable = true;
  constructor(
    deadlineMs: number,
    readonly phase: DeadlinePhase,
  ) {
    super(`The deadline of ${deadlineMs} ms passed in phase "${phase}". Increase deadlineMs or try again.`);
  }
}

/** A read of the catalog or the history that took too long. */
export class ReadTimeoutError extends DeadlineExceededError {
  override readonly retryAfterMs = 1_000;
  constructor(limitMs: number) {
    super(limitMs, 'run');
    this.message = `Reading the data took longer than ${limitMs} ms and was stopped. Narrow the filter or the search, or try again.`;
  }
}

/** Metrics of stored answers that took too long. */
export class ComputingTimeoutError extends DeadlineExceededError {
  constructor(limitMs: number) {
    super(limitMs, 'run');
    this.message = `Computing metrics took longer than ${limitMs} ms and was stopped. Ask for fewer metrics, or for fewer versions at once.`;
  }
}

/** Too many reads of the catalog or the history are waiting. */
export class TooManyReadsError extends AppError {
  readonly code = 'OVERLOADED';
  override readonly retryable = true;
  override readonly retryAfterMs = 1_000;
  constructor(readonly queueDepth: number) {
    super(`${queueDepth} reads are already waiting. Try again in 1000 ms.`);
  }
}

/** No more uploads are kept, received or checked at the moment. */
export class UploadLimitError extends AppError {
  readonly code = 'OVERLOADED';
  override readonly retryable = true;
  override readonly retryAfterMs = 5_000;
  constructor(
    reason: string,
    readonly queueDepth = 0,
  ) {
    super(`${reason} Try again later.`);
  }
}

export class InferenceFailedError extends AppError {
  readonly code = 'INFERENCE_FAILED';
  readonly reason: string;
  constructor(
    reason: string,
    override readonly retryable = false,
  ) {
    const shown = withoutPaths(reason);
    super(`The model failed on this input: ${shown}`);
    this.reason = shown;
  }
}

export class IdempotencyConflictError extends AppError {
  readonly code = 'IDEMPOTENCY_CONFLICT';
  constructor(
    key: string,
    readonly earlierPredictionId: string,
  ) {
    super(
      `The idempotency key "${key}" was used for another reference, variant or input in the last 24 hours. Use a new key.`,
    );
  }
}

/** Something was changed since the request was decided on. */
export class ConflictError extends AppError {
  readonly code = 'CONFLICT';
}

export type GateReasonCode =
  | 'NOT_EVALUATED'
  | 'OTHER_ROWS'
  | 'ON_TRAINING_DATA'
  | 'THRESHOLD_MISSED'
  | 'METRIC_UNDEFINED'
  | 'MAY_BE_WORSE'
  | 'HOLDER_NOT_EVALUATED'
  | 'HOLDER_ON_TRAINING_DATA'
  | 'NOT_COMPARED';

/** Why a version has not passed a gate. */
export interface GateReason {
  readonly code: GateReasonCode;
  readonly message: string;
}

export class GateNotPassedError extends AppError {
  readonly code = 'GATE_NOT_PASSED';
  constructor(
    ref: string,
    readonly reasons: readonly GateReason[],
    readonly attempts: number,
  ) {
    super(`The version has not passed the gate of ${ref}: ${reasons.map(({ message }) => message).join('; ')}.`);
  }
}

export class ForbiddenError extends AppError {
  readonly code = 'FORBIDDEN';
  constructor(action: string, required: string) {
    super(`${action} is for ${required} only.`);
  }
}

/** Where a quota stands, in operations, milliseconds or bytes. */
export interface QuotaState {
  readonly quota: QuotaName;
  readonly limit: number;
  readonly used: number;
}

export class QuotaExceededError extends AppError {
  readonly code = 'QUOTA_EXCEEDED';
  override readonly retryable: boolean;
  readonly quota: QuotaName;
  readonly limit: number;
  readonly used: number;
  constructor(
    { quota, limit, used }: QuotaState,
    /** Null if this needs more than the quota allows in a whole day. */
    override readonly retryAfterMs: number | null,
  ) {
    const advice = retryAfterMs === null ? 'Send less at a time.' : `Try again in ${retryAfterMs} ms.`;
    super(`The quota ${quota} is ${limit}, of which ${used} are used, and this needs more. ${advice}`);
    this.retryable = retryAfterMs !== null;
    this.quota = quota;
    this.limit = limit;
    this.used = used;
  }
}

/** The caller's own key or token has ended while the request ran. */
export class EndedKeyError extends AppError {
  readonly code = 'FORBIDDEN';
  constructor() {
    super('The API key or token of this request is no longer accepted, so nothing was changed.');
  }
}

export class StorageFullError extends AppError {
  readonly code = 'STORAGE_FULL';
  override readonly retryable = true;
  override readonly retryAfterMs = 5_000;
  constructor(options?: ErrorOptions) {
    super(
      'The server cannot write to its disk, so it withheld the answer. Try again in a few seconds, with the same ' +
        'idempotency key if you sent one. To predict without recording, send record: false.',
      options,
    );
  }
}

export class ShuttingDownError extends AppError {
  readonly code = 'SHUTTING_DOWN';
  override readonly retryable = true;
  override readonly retryAfterMs = 2_000;
  constructor() {
    super('The server is shutting down. Try again in a few seconds.');
  }
}

/** An invalid argument that the schema cannot detect, such as a page size out of range or a cursor of another list. */
export class BadArgumentError extends Error {}

/** A stored prediction whose contents cannot be decrypted. */
export class UnreadableRecordError extends Error {
  constructor(id: string, reason: string) {
    super(`The contents of ${id} cannot be read: ${reason}.`);
  }
}

/** The server cannot start. The message tells the operator what to change; the process exits with `exitCode`. */
export class StartupError extends Error {
  readonly exitCode: number = 1;
}

export class StoreLockedError extends StartupError {
  override readonly exitCode = 3;
  constructor(file: string, pid: number) {
    const folder = path.dirname(file);
    super(
      `STORE_LOCKED: another server (${pid ? `process ${pid}` : 'process id unknown'}) is using ${folder}. ` +
        'Stop it, or set DATA_DIR to another folder.',
    );
  }
}

export class NewerSchemaError extends StartupError {
  constructor(file: string, migration: string) {
    super(
      `${file} was written by a newer version of Modelgraph (migration "${migration}" is unknown to this version). ` +
        'Start the newer version, or set DATA_DIR to another folder or to a backup from before the upgrade.',
    );
  }
}

export class DamagedFileError extends StartupError {
  constructor(file: string, reason: string) {
    super(
      `${file} is damaged (${reason}). It was not changed. Copy the folder first. Then restore a backup, ` +
        `or recover the readable rows with: sqlite3 ${file} .recover. To start with an empty database, move ` +
        `${path.basename(file)} and its -wal and -shm files out of the folder.`,
    );
  }
}

/**
 * A file of the model store that cannot be used: which one, where in it, and what was expected. Its message is recorded and
 * part of lists, so it is as short as those of other errors.
 */
export class ManifestError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(shortened(message, MAX_MESSAGE_CHARACTERS), options);
  }
}

/** Files that no accepted key has signed as they are. A problem has the path of its file. */
export class SignatureError extends ManifestError {
  constructor(readonly problems: readonly InputProblem[]) {
    super(problems.map(lineOfProblem).join('; '));
  }
}

/** An import that failed for a reason that may pass, although the files stay as they are. It is retried. */
export class RetriedImportError extends ManifestError {}

/** The rows of a block have to be run as items of their own, because one of them may end its process. Not shown to callers. */
export class SplitBlockError extends Error {
  constructor() {
    super('The rows of this block have to be run one by one.');
  }
}
