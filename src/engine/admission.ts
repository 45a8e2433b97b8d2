/**
 * Whether a new input is queued: not if the queue is full, and not if its answer would come after its deadline.
 *
 * Pure: the state of the engine is passed in. The decision does not depend on the length of the queue.
 */
import { fitsShare } from '../fair-share.js';

/** Rows that may be queued for one version, whatever their deadlines. */
export const MAX_QUEUED_ROWS = 20_000;
/** Memory of the inputs that may be queued, of all versions together. */
export const MAX_QUEUED_BYTES = 256 * 2 ** 20;

/**
 * Predictions are wrong by about this much. An input that is accepted and then comes too late has waited for nothing,
 * which is worse than an immediate refusal.
 */
const WAIT_MARGIN = 1.15;
/**
 * A wait of this length keeps the workers busy: one batch runs while the next one is formed, and a run is planned to take
 * 200 ms at most. A longer queue helps only to absorb a burst. During an overload, a longer queue delays every answer,
 * answers no additional input, and lasts for a whole deadline after the overload ends.
 */
const SHORT_WAIT_MS = 400;
/** After its last refusal, a version counts as overloaded for this long. */
const OVERLOAD_MS = 1_000;
/** A prediction that nothing has confirmed for so long is not trusted, so that a wrong one cannot shut a version out. */
export const MAX_AGE_MS = 10_000;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 60_000;

interface QueueUse {
  readonly rows: number;
  readonly bytes: number;
}

/** Predicted time until a worker is free for the item. */
export interface Waits {
  /** With what is queued now. */
  readonly waitMs: number;
  /** If every other caller who waits uses their whole share meanwhile. */
  readonly fairWaitMs: number;
}

export interface Arrival extends Waits {
  readonly deadlineMs: number;
  /** The item. */
  readonly size: QueueUse;
  /** What the version has queued, in rows, and all versions, in bytes. */
  readonly queued: QueueUse;
  /** The same, of this caller. */
  readonly ofCaller: QueueUse;
  /** Predicted time in the worker, together with the other items of its batch; null if unknown. */
  readonly runMs: number | null;
  /** Predicted time in the worker, alone; null if unknown. */
  readonly aloneMs: number | null;
  /** Time since a batch of the version was measured. */
  readonly ageMs: number;
  /** Whether the version has nothing queued and nothing running. */
  readonly isIdle: boolean;
  readonly isOverloaded: boolean;
}

/**
 * `full`: the queue has no room for it. `overloaded`: it would have been answered in time if less were waiting. Retry both
 * later. `tooSlow`: the run alone takes longer than the deadline, so waiting does not help.
 */
export type AdmissionRefusal =
  | { readonly kind: 'full' | 'overloaded'; readonly retryAfterMs: number }
  | { readonly kind: 'tooSlow' };

/** The last refusal of a version that was overloaded. */
export interface Overload {
  readonly at: number;
  /** Of the input that was refused. A queue that is too long for it may be short enough for longer deadlines. */
  readonly deadlineMs: number;
}

/** Whether a version refuses what an input with this deadline competes with. */
export function isOverloaded(overload: Overload | null, deadlineMs: number, now: number): boolean {
  return overload !== null && now - overload.at <= OVERLOAD_MS && deadlineMs <= overload.deadlineMs;
}

/** The state after another refusal. */
export function overloadAfter(overload: Overload | null, deadlineMs: number, now: number): Overload {
  const isOver = overload === null || now - overload.at > OVERLOAD_MS;
  return isOver || deadlineMs >= overload.deadlineMs ? { at: now, deadlineMs } : overload;
}

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
export function decideAdmission(arrival: Arrival): AdmissionRefusal | null {
  const { deadlineMs, size, queued, ofCaller, waitMs, aloneMs, ageMs, isIdle } = arrival;
  const isFull =
    !fits(size.rows, queued.rows, ofCaller.rows, MAX_QUEUED_ROWS) ||
    !fits(size.bytes, queued.bytes, ofCaller.bytes, MAX_QUEUED_BYTES);
  if (isFull) return { kind: 'full', retryAfterMs: retryAfterMs(waitMs) };
  const isTrusted = !isIdle || ageMs <= MAX_AGE_MS;
  if (aloneMs !== null && aloneMs > deadlineMs && isTrusted) return { kind: 'tooSlow' };
  // How long the queue takes to shrink enough, if nothing else arrives.
  const tooLongMs = waitMs > 0 ? waitTooLongMs(arrival) : 0;
  return tooLongMs > 0 ? { kind: 'overloaded', retryAfterMs: retryAfterMs(tooLongMs) } : null;
}

/** By how much the wait is too long; 0 or less if it is not. */
function waitTooLongMs({ deadlineMs, waitMs, fairWaitMs, runMs, isOverloaded }: Arrival): number {
  const ranMs = runMs ?? 0;
  const shortMs = Math.max(SHORT_WAIT_MS, 2 * ranMs);
  const lateByMs = (ms: number) => WAIT_MARGIN * ms + ranMs - deadlineMs;
  if (isOverloaded) return Math.max(fairWaitMs - shortMs, lateByMs(waitMs));
  // Callers with little queued pass the others. An input that accepts a long wait must still be in time if they do.
  return lateByMs(waitMs > shortMs ? fairWaitMs : waitMs);
}

/** A single input always fits into an empty queue. */
function fits(size: number, queued: number, ofCaller: number, limit: number): boolean {
  return queued === 0 || fitsShare(size, queued, ofCaller, limit);
}

/** In whole milliseconds, within limits: no client should return at once, or never. */
export function retryAfterMs(ms: number): number {
  return Math.ceil(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, ms)));
}
