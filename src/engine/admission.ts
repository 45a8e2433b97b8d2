/**
 * Whether a new input is queued: not if the queue is full, and not if its answer would come after its deadline.
 *
 * Pure: the state of the engine is passed in. The decision does not depend on the length of the queue.
 */

/** Rows that may be queued for one version, whatever their deadlines. */
export const MAX_QUEUED_ROWS = 20_000;
/** Memory of the inputs that may be queued, of all versions together. */
export const MAX_QUEUED_BYTES = 256 * 2 ** 20;

/**
 * Predictions are wrong by about this much. An input that is accepted and then comes too late has waited for nothing,
 * which is worse than an immediate refusal.
 */
const WAIT_MARGIN = 1.15;
/** A prediction that nothing has confirmed for so long is not trusted, so that a wrong one cannot shut a version out. */
const MAX_AGE_MS = 10_000;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 60_000;

export interface QueueUse {
  readonly rows: number;
  readonly bytes: number;
}

export interface Arrival {
  readonly deadlineMs: number;
  /** The item. */
  readonly size: QueueUse;
  /** What the version has queued, in rows, and all versions, in bytes. */
  readonly queued: QueueUse;
  /** The same, of this caller. */
  readonly ofCaller: QueueUse;
  /** Predicted time until a worker is free for the item. */
  readonly waitMs: number;
  /** Predicted time in the worker, together with the other items of its batch; null if unknown. */
  readonly runMs: number | null;
  /** Predicted time in the worker, alone; null if unknown. */
  readonly aloneMs: number | null;
  /** Time since a batch of the version was measured. */
  readonly ageMs: number;
  /** Whether the version has nothing queued and nothing running. */
  readonly isIdle: boolean;
}

/**
 * `overloaded`: it would have been answered in time if less were waiting; retry later. `tooSlow`: the run alone takes
 * longer than the deadline, so waiting does not help.
 */
export type Refusal = { readonly kind: 'overloaded'; readonly retryAfterMs: number } | { readonly kind: 'tooSlow' };

/** Whether a queued input can no longer be answered in time, even if it runs next and alone. */
export function isTooLate({
  leftMs,
  aloneMs,
  ageMs,
}: {
  leftMs: number;
  aloneMs: number | null;
  ageMs: number;
}): boolean {
  return aloneMs !== null && aloneMs > leftMs && ageMs <= MAX_AGE_MS;
}

/** Null if the input is queued. */
export function decideAdmission(arrival: Arrival): Refusal | null {
  const { deadlineMs, size, queued, ofCaller, waitMs, runMs, aloneMs, ageMs, isIdle } = arrival;
  const isFull =
    !fits(size.rows, queued.rows, ofCaller.rows, MAX_QUEUED_ROWS) ||
    !fits(size.bytes, queued.bytes, ofCaller.bytes, MAX_QUEUED_BYTES);
  if (isFull) return overloaded(waitMs);
  const isTrusted = !isIdle || ageMs <= MAX_AGE_MS;
  if (aloneMs !== null && aloneMs > deadlineMs && isTrusted) return { kind: 'tooSlow' };
  const finishMs = WAIT_MARGIN * waitMs + (waitMs > 0 ? (runMs ?? 0) : (aloneMs ?? 0));
  return waitMs > 0 && finishMs > deadlineMs ? overloaded(finishMs - deadlineMs) : null;
}

/**
 * A caller may fill as much of the queue as is left for all others. So one caller alone can fill half of it, and can
 * never keep others out. A single input always fits into an empty queue.
 */
function fits(size: number, queued: number, ofCaller: number, limit: number): boolean {
  return queued === 0 || (queued + size <= limit && ofCaller + size <= limit - queued);
}

/** In whole milliseconds, within limits: no client should return at once, or never. */
export function retryAfterMs(ms: number): number {
  return Math.ceil(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, ms)));
}

/** `ms`: the time in which the queue shrinks by what is too much, if nothing else arrives. */
function overloaded(ms: number): Refusal {
  return { kind: 'overloaded', retryAfterMs: retryAfterMs(ms) };
}
