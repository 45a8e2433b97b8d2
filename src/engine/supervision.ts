/**
 * The decisions about workers, as functions of what is known and `now`: no timers, processes or clocks inside.
 */

// ── states ──

export type WorkerState = 'STARTING' | 'READY' | 'BUSY' | 'DRAINING' | 'STOPPING' | 'ENDED';
export type WorkerEvent = 'ready' | 'given' | 'emptied' | 'retired' | 'killed' | 'ended';

/** DRAINING: it finishes what it has and is given nothing more. STOPPING: a SIGKILL is on its way. */
const TRANSITIONS: Readonly<Record<WorkerState, Partial<Record<WorkerEvent, WorkerState>>>> = {
  STARTING: { ready: 'READY', retired: 'STOPPING', killed: 'STOPPING', ended: 'ENDED' },
  READY: { given: 'BUSY', retired: 'STOPPING', killed: 'STOPPING', ended: 'ENDED' },
  BUSY: { given: 'BUSY', emptied: 'READY', retired: 'DRAINING', killed: 'STOPPING', ended: 'ENDED' },
  DRAINING: { retired: 'DRAINING', emptied: 'STOPPING', killed: 'STOPPING', ended: 'ENDED' },
  // What was sent before the signal arrives may still be read.
  STOPPING: { ready: 'STOPPING', emptied: 'STOPPING', retired: 'STOPPING', killed: 'STOPPING', ended: 'ENDED' },
  ENDED: { killed: 'ENDED', retired: 'ENDED' },
};

/** @throws Error for what cannot happen in that state: a bug of ours */
export function nextState(state: WorkerState, event: WorkerEvent): WorkerState {
  const next = TRANSITIONS[state][event];
  if (!next) throw new Error(`a worker that is ${state} cannot be ${event}. This is a bug.`);
  return next;
}

// ── ends ──

/**
 * Why a process ended: we stopped it, the watchdog did, the runtime crashed, it sent what is no message, it outgrew
 * its memory, or something outside killed it.
 */
export type EndCause = EndedByUs | 'crashed' | 'killed';
export type EndedByUs = 'stopped' | 'watchdog' | 'garbled' | 'outgrown';

/** A crash of native code, and Node's own fatal errors, end with other signals. */
const KILLED_FROM_OUTSIDE = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);

export function causeOfEnd(signal: NodeJS.Signals | null, endedByUs: EndedByUs | null): EndCause {
  if (endedByUs) return endedByUs;
  return signal && KILLED_FROM_OUTSIDE.has(signal) ? 'killed' : 'crashed';
}

/** What becomes of the entries of a batch whose worker has ended. */
export type Fate = 'retry' | 'retryAlone' | 'giveUp';

const MAX_LOST_WORKERS = 3;

/**
 * The running batch of a crashed, stuck or outgrown worker holds the culprit: its items run singly, in quarantine. A
 * batch that was only waiting there, or whose worker was killed from outside, is done again whole, in its deadline.
 */
export function fateOfEntry(cause: EndCause, isRunning: boolean, lostWorkers: number): Fate {
  if (cause === 'stopped') return 'giveUp';
  if (isRunning && isFaultOfInput(cause)) return 'retryAlone';
  return lostWorkers < MAX_LOST_WORKERS ? 'retry' : 'giveUp';
}

/** May what was running have caused this end? Then, if it ran alone, it did. */
export function isFaultOfInput(cause: EndCause): boolean {
  return cause === 'crashed' || cause === 'watchdog' || cause === 'outgrown';
}

/** Why an input that ran alone failed with its process, in words for its caller. */
export function poisonReason(cause: EndCause, how: string): string {
  if (cause === 'watchdog') return 'the run did not end and was stopped';
  if (cause === 'outgrown') return 'it needs more memory than a worker may take';
  return `the run crashed the inference process (${how})`;
}

// ── starts ──

/** How many starts in a row have failed now. What somebody kills is not at fault, and is tried again soon. */
export function failedStarts(before: number, hasWorked: boolean, cause: EndCause): number {
  if (hasWorked) return 0;
  return cause === 'killed' ? Math.min(before + 1, 2) : before + 1;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

/**
 * A worker that had done any work is replaced at once. One that ends before, as many times in a row, is tried again
 * ever more slowly.
 */
export function restartDelayMs(failedStartsInARow: number): number {
  if (failedStartsInARow <= 1) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (failedStartsInARow - 2), LONGEST_DELAY_MS);
}

// ── recycling ──

/** A day: long enough to cost nothing, short enough that a leak of native code stays small. */
export const MAX_AGE_MS = 24 * 3_600_000;
const RECYCLE_SHARE = 0.8;

/** A worker is replaced in peace when it is old or large, and ended at once beyond its limit. */
export function verdictOf(ageMs: number, residentBytes: number | null, limitBytes: number): 'keep' | 'retire' | 'kill' {
  if (residentBytes !== null && residentBytes > limitBytes) return 'kill';
  const isLarge = residentBytes !== null && residentBytes > RECYCLE_SHARE * limitBytes;
  return isLarge || ageMs > MAX_AGE_MS ? 'retire' : 'keep';
}

// ── runs ──

const SHORTEST_WATCH_MS = 1_000;
const PATIENCE = 10;

/** How long a run may take before its worker is killed: ten times what was expected, never less than a second. */
export function watchdogMs(expectedMs: number | null, maxRunMs: number): number {
  if (expectedMs === null) return maxRunMs;
  return Math.min(Math.max(SHORTEST_WATCH_MS, PATIENCE * expectedMs), maxRunMs);
}

/** A run that is expected to be shorter is not announced: the message would cost more than it tells. */
const SHORT_RUN_MS = 20;

export function shouldAnnounceStart(expectedMs: number | null): boolean {
  return expectedMs === null || expectedMs > SHORT_RUN_MS;
}

/** How long before the end of the running batch the next one is formed: its way to the worker, and its preparation. */
const LEAD_MS = 2;

/** 0: now; otherwise the time until a busy worker should be given its next batch; unknown until its run has begun. */
export function msUntilNextBatch(
  startedAt: number | null,
  expectedMs: number,
  preprocessMs: number,
  now: number,
): number {
  if (startedAt === null) return Number.POSITIVE_INFINITY;
  return Math.max(0, startedAt + expectedMs - preprocessMs - LEAD_MS - now);
}

/** Rows of one version that may wait, whatever their deadlines: beyond, memory is at risk rather than time. */
export const MAX_WAITING_ROWS = 20_000;

/** The wait that a new input of a version must expect, from what was measured; null when nothing was yet. */
export function expectedWaitMs(waitingWork: number, msPerUnit: number | null, workers: number): number | null {
  return msPerUnit === null ? null : (waitingWork * msPerUnit) / Math.max(1, workers);
}
