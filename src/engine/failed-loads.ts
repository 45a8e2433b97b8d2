/**
 * What a failed load says of its version: whether it is refused from now on, and whether it is tried elsewhere.
 *
 * After a crash or a failed allocation, the next attempt evicts everything else in its worker. Only if the version fails
 * alone, twice, is it too large. If it crashes alone, its inputs are tried in quarantine, as after any crash.
 *
 * No processes, and no effects beyond the record of the version.
 */
import { InferenceFailedError } from '../errors.js';
import { ProcessLostError } from './disposable-worker.js';
import type { KnownVersion } from './known-versions.js';
import type { EngineVersion } from './messages.js';
import { artifactError, LoadFailedError } from './pool.js';
import { mayBeCausedByInput } from './supervision.js';

/** A version that did not fit into an empty worker is not tried again for this long. */
const OVERSIZE_RETRY_MS = 600_000;
/** After this many lost loads in a row, the version is not loaded for a while: 10 s, then 20 s, and so on. */
const MAX_LOST_LOADS = 3;
const LOST_RETRY_MS = 10_000;
/** Failed loads for lack of memory, in a row and in an empty worker, after which a version counts as too large. */
const MAX_FAILED_LOADS = 2;

export interface FailedLoad {
  /** `unreadable`: its files could not be read or opened. `crashed`: the process ended, and had nothing else loaded. */
  readonly kind: 'unreadable' | 'crashed' | 'other';
  /** The error for all who wait, and how long the version is not loaded again; null if it is. */
  readonly refusal: { readonly error: Error; readonly retryAfterMs: number } | null;
  /** Whether the worker has to be replaced: its memory may be fragmented, so the next attempt gets another process. */
  readonly isWorkerSpent: boolean;
}

const RETRIED: FailedLoad = { kind: 'other', refusal: null, isWorkerSpent: false };

/** Corrects `known`. `isAlone`: the worker had nothing else loaded. `limitBytes`: what one worker may use. */
export function afterFailedLoad(
  known: KnownVersion,
  error: Error,
  { isAlone, limitBytes }: { isAlone: boolean; limitBytes: number },
): FailedLoad {
  const isCrash = error instanceof ProcessLostError && mayBeCausedByInput(error.cause);
  const isOutOfMemory = error instanceof LoadFailedError && error.isOutOfMemory;
  if (error instanceof ProcessLostError && !isCrash)
    return error.cause === 'stopped' ? RETRIED : { ...RETRIED, refusal: afterLostLoad(known, error) };
  if (!isCrash && !isOutOfMemory) {
    const refusal = { error: artifactError(error.message), retryAfterMs: 0 };
    return { kind: 'unreadable', refusal, isWorkerSpent: false };
  }
  if (!isAlone) {
    known.needsEmptyWorker = true;
    return RETRIED;
  }
  if (isCrash) {
    known.failure = { error: artifactError(error.message), until: 0 };
    return { ...RETRIED, kind: 'crashed' };
  }
  if (++known.failedLoads < MAX_FAILED_LOADS) return { ...RETRIED, isWorkerSpent: true };
  known.failedLoads = 0;
  const refusal = { error: tooLargeError(known.version, limitBytes, error), retryAfterMs: OVERSIZE_RETRY_MS };
  return { kind: 'other', refusal, isWorkerSpent: true };
}

/** Something outside, such as the kernel when memory runs out, may end the process at each load. */
function afterLostLoad(known: KnownVersion, error: Error): FailedLoad['refusal'] {
  known.needsEmptyWorker = true;
  if (++known.lostLoads % MAX_LOST_LOADS > 0) return null;
  const rounds = known.lostLoads / MAX_LOST_LOADS;
  const retryAfterMs = Math.min(LOST_RETRY_MS * 2 ** (rounds - 1), OVERSIZE_RETRY_MS);
  return { error: lostError(error, retryAfterMs), retryAfterMs };
}

function lostError({ message }: Error, retryAfterMs: number): InferenceFailedError {
  const reason = `${MAX_LOST_LOADS} processes ended while they loaded the version, which is tried again in ${retryAfterMs / 1_000} s`;
  return new InferenceFailedError(`${reason}: ${message}`, true);
}

function tooLargeError({ artifactBytes }: EngineVersion, limitBytes: number, { message }: Error): InferenceFailedError {
  return new InferenceFailedError(
    `the version does not fit into the memory of an empty worker: its artifact has ${artifactBytes} bytes, and a worker ` +
      `may use ${limitBytes} bytes in total (${message}). Raise WORKER_MEMORY_BYTES and MEMORY_BUDGET, or use a smaller version`,
  );
}
