/**
 * The decisions about workers, as functions of what is known and `now`: no timers, processes or clocks inside.
 */

// ── states ──

export type LifecycleState = 'STARTING' | 'READY' | 'BUSY' | 'DRAINING' | 'STOPPING' | 'EXITED';
export type LifecycleEvent = 'ready' | 'assigned' | 'idle' | 'retired' | 'killed' | 'exited';

/** DRAINING: it finishes what it has and is given nothing more. STOPPING: a SIGKILL is on its way. */
const TRANSITIONS: Readonly<Record<LifecycleState, Partial<Record<LifecycleEvent, LifecycleState>>>> = {
  STARTING: { ready: 'READY', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  READY: { assigned: 'BUSY', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  BUSY: { assigned: 'BUSY', idle: 'READY', retired: 'DRAINING', killed: 'STOPPING', exited: 'EXITED' },
  DRAINING: { retired: 'DRAINING', idle: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  // What was sent before the signal arrives may still be read.
  STOPPING: { ready: 'STOPPING', idle: 'STOPPING', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  EXITED: { killed: 'EXITED', retired: 'EXITED' },
};

/** @throws Error for what cannot happen in that state: a bug of ours */
export function nextState(state: LifecycleState, event: LifecycleEvent): LifecycleState {
  const next = TRANSITIONS[state][event];
  if (!next) throw new Error(`a worker that is ${state} cannot be ${event}. This is a bug.`);
  return next;
}

// ── ends ──

/**
 * Why a process exited: we stopped it, the watchdog did, the runtime crashed, it sent what is no message, it outgrew
 * its memory, or something outside killed it.
 */
export type ExitCause = KillReason | 'crashed' | 'killed';
export type KillReason = 'stopped' | 'watchdog' | 'protocolError' | 'memoryLimit';

/** A crash of native code, and Node's own fatal errors, end with other signals. */
const EXTERNAL_SIGNALS = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);

export function exitCauseOf(signal: NodeJS.Signals | null, endedByUs: KillReason | null): ExitCause {
  if (endedByUs) return endedByUs;
  return signal && EXTERNAL_SIGNALS.has(signal) ? 'killed' : 'crashed';
}

/** What becomes of the entries of a batch whose worker has ended. */
export type Recovery = 'requeue' | 'quarantine' | 'fail';

const MAX_RETRIES = 3;

/**
 * The running batch of a crashed, stuck or outgrown worker holds the culprit: its items run singly, in quarantine. A
 * batch that was only waiting there, or whose worker was killed from outside, is done again whole, in its deadline.
 */
export function chooseRecovery(cause: ExitCause, isRunning: boolean, lostWorkers: number): Recovery {
  if (cause === 'stopped') return 'fail';
  if (isRunning && mayBeCausedByInput(cause)) return 'quarantine';
  return lostWorkers < MAX_RETRIES ? 'requeue' : 'fail';
}

/** May what was running have caused this end? Then, if it ran alone, it did. */
export function mayBeCausedByInput(cause: ExitCause): boolean {
  return cause === 'crashed' || cause === 'watchdog' || cause === 'memoryLimit';
}

/** Why an input that ran alone failed with its process, in words for its caller. */
export function poisonReason(cause: ExitCause, how: string): string {
  if (cause === 'watchdog') return 'the run did not end and was stopped';
  if (cause === 'memoryLimit') return 'it needs more memory than a worker may take';
  return `the run crashed the inference process (${how})`;
}

// ── starts ──

/** How many starts in a row have failed now. What somebody kills is not at fault, and is tried again soon. */
export function countFailedStarts(before: number, hasWorked: boolean, cause: ExitCause): number {
  if (hasWorked) return 0;
  return cause === 'killed' ? Math.min(before + 1, 2) : before + 1;
}

const INITIAL_RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;

/**
 * A worker that had done any work is replaced at once. One that ends before, as many times in a row, is tried again
 * ever more slowly.
 */
export function restartDelayMs(failedStartsInARow: number): number {
  if (failedStartsInARow <= 1) return 0;
  return Math.min(INITIAL_RESTART_DELAY_MS * 2 ** (failedStartsInARow - 2), MAX_RESTART_DELAY_MS);
}

// ── recycling ──

/** A day: long enough to cost nothing, short enough that a leak of native code stays small. */
export const MAX_WORKER_AGE_MS = 24 * 3_600_000;
const RECYCLE_MEMORY_RATIO = 0.8;

/** A worker is replaced in peace when it is old or large, and ended at once beyond its limit. */
export function decideRecycling(
  ageMs: number,
  residentBytes: number | null,
  limitBytes: number,
): 'keep' | 'retire' | 'kill' {
  if (residentBytes !== null && residentBytes > limitBytes) return 'kill';
  const isLarge = residentBytes !== null && residentBytes > RECYCLE_MEMORY_RATIO * limitBytes;
  return isLarge || ageMs > MAX_WORKER_AGE_MS ? 'retire' : 'keep';
}

// ── runs ──

const MIN_WATCHDOG_MS = 1_000;
const WATCHDOG_FACTOR = 10;

/** How long a run may take before its worker is killed: ten times what was expected, never less than a second. */
export function watchdogMs(expectedMs: number | null, maxRunMs: number): number {
  if (expectedMs === null) return maxRunMs;
  return Math.min(Math.max(MIN_WATCHDOG_MS, WATCHDOG_FACTOR * expectedMs), maxRunMs);
}

/** A run that is expected to be shorter is not announced: the message would cost more than it tells. */
const SHORT_RUN_MS = 20;

export function shouldAnnounceStart(expectedMs: number | null): boolean {
  return expectedMs === null || expectedMs > SHORT_RUN_MS;
}

/** How long before the end of the running batch the next one is formed: its way to the worker, and its preparation. */
const DISPATCH_LEAD_MS = 2;

/** 0: now; otherwise the time until a busy worker should be given its next batch; unknown until its run has begun. */
export function msUntilNextBatch(
  startedAt: number | null,
  expectedMs: number,
  preprocessMs: number,
  now: number,
): number {
  if (startedAt === null) return Number.POSITIVE_INFINITY;
  return Math.max(0, startedAt + expectedMs - preprocessMs - DISPATCH_LEAD_MS - now);
}

/** Rows of one version that may wait, whatever their deadlines: beyond, memory is at risk rather than time. */
export const MAX_QUEUED_ROWS = 20_000;

/** The wait that a new input of a version must expect, from what was measured; null when nothing was yet. */
export function expectedWaitMs(waitingWork: number, msPerUnit: number | null, workers: number): number | null {
  return msPerUnit === null ? null : (waitingWork * msPerUnit) / Math.max(1, workers);
}
