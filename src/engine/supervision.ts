/**
 * The decisions of supervision, as pure functions: what state a worker is in, why it exited, whether its work is
 * retried, when it is restarted or recycled, and how long a run may take. No timers, processes or clocks.
 */

// ── states ──

export type LifecycleState = 'STARTING' | 'READY' | 'BUSY' | 'DRAINING' | 'STOPPING' | 'EXITED';
export type LifecycleEvent = 'ready' | 'assigned' | 'idle' | 'retired' | 'killed' | 'exited';

/** DRAINING: the worker finishes its batches and gets no new ones. STOPPING: SIGKILL has been sent. */
const TRANSITIONS: Readonly<Record<LifecycleState, Partial<Record<LifecycleEvent, LifecycleState>>>> = {
  STARTING: { ready: 'READY', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  READY: { assigned: 'BUSY', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  BUSY: { assigned: 'BUSY', idle: 'READY', retired: 'DRAINING', killed: 'STOPPING', exited: 'EXITED' },
  DRAINING: { retired: 'DRAINING', idle: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  // Messages that were sent before the signal took effect may still arrive.
  STOPPING: { ready: 'STOPPING', idle: 'STOPPING', retired: 'STOPPING', killed: 'STOPPING', exited: 'EXITED' },
  EXITED: { killed: 'EXITED', retired: 'EXITED' },
};

/** @throws Error if the event is impossible in that state, which is a bug */
export function nextState(state: LifecycleState, event: LifecycleEvent): LifecycleState {
  const next = TRANSITIONS[state][event];
  if (!next) throw new Error(`A worker in state ${state} received the event "${event}". This is a bug.`);
  return next;
}

// ── exits ──

/**
 * Why a process exited.
 *
 * - `stopped`: the pool stopped or recycled it.
 * - `watchdog`: its run took too long.
 * - `protocolError`: it sent invalid bytes, or a message that is not valid in its state.
 * - `memoryLimit`: its data memory exceeded the limit.
 * - `crashed`: native code or Node failed.
 * - `killed`: something outside the server killed it.
 */
export type ExitCause = (typeof EXIT_CAUSES)[number];
export type KillReason = Exclude<ExitCause, 'crashed' | 'killed'>;
export const EXIT_CAUSES = ['stopped', 'watchdog', 'protocolError', 'memoryLimit', 'crashed', 'killed'] as const;

/** Signals that are sent from outside. Crashes of native code and fatal errors of Node end with other signals. */
const EXTERNAL_SIGNALS = new Set<NodeJS.Signals>(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']);

export function exitCauseOf(signal: NodeJS.Signals | null, endedByUs: KillReason | null): ExitCause {
  if (endedByUs) return endedByUs;
  return signal && EXTERNAL_SIGNALS.has(signal) ? 'killed' : 'crashed';
}

/**
 * What happens to an entry whose worker has exited: it is queued again (`requeue`), runs alone (`quarantine`), or fails
 * (`fail`).
 */
export type Recovery = 'requeue' | 'quarantine' | 'fail';

const MAX_RETRIES = 3;

/**
 * If a worker crashed, hung or exceeded its memory, an item of the running batch is probably the cause, so its items
 * run one at a time in quarantine. In all other cases, such as a batch that had not started or a worker that was killed
 * from outside, the entry is queued again, at most three times. It fails if the server itself stopped the worker.
 */
export function chooseRecovery(cause: ExitCause, isRunning: boolean, retries: number): Recovery {
  if (cause === 'stopped') return 'fail';
  if (isRunning && mayBeCausedByInput(cause)) return 'quarantine';
  return retries < MAX_RETRIES ? 'requeue' : 'fail';
}

/** Whether an item of the running batch may have caused the exit. An item that ran alone then did cause it. */
export function mayBeCausedByInput(cause: ExitCause): boolean {
  return cause === 'crashed' || cause === 'watchdog' || cause === 'memoryLimit';
}

/** The reason that the caller of a poison input receives. */
export function poisonReason(cause: ExitCause, how: string): string {
  if (cause === 'watchdog') return 'the run did not finish in time and was stopped';
  if (cause === 'memoryLimit') return 'it needs more memory than one worker may use';
  return `the run crashed the inference process (${how})`;
}

// ── processes ──

/** The spare and the quarantine worker, which have the same memory limit as the workers that serve. */
export const STANDBY_WORKERS = 2;

// ── restarts ──

/**
 * The number of failed starts in a row, after one more process has exited. A process killed from outside raises it to
 * at most 2, so that its replacement starts within 100 ms.
 */
export function countFailedStarts(before: number, hasWorked: boolean, cause: ExitCause): number {
  if (hasWorked) return 0;
  return cause === 'killed' ? Math.min(before + 1, 2) : before + 1;
}

const INITIAL_RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;

/** Delay before the next start in milliseconds: none after the first failure, then exponential backoff up to 5 s. */
export function restartDelayMs(failedStartsInARow: number): number {
  if (failedStartsInARow <= 1) return 0;
  return Math.min(INITIAL_RESTART_DELAY_MS * 2 ** (failedStartsInARow - 2), MAX_RESTART_DELAY_MS);
}

// ── recycling ──

/** 24 hours: long enough that recycling costs nothing, short enough that memory leaks in native code stay small. */
export const MAX_WORKER_AGE_MS = 24 * 3_600_000;
const RECYCLE_MEMORY_RATIO = 0.8;

interface WorkerUse {
  readonly ageMs: number;
  /** Data memory, which is what the kernel limits; null where it cannot be read. */
  readonly dataBytes: number | null;
  /** The part of it that loaded versions take. */
  readonly versionBytes: number;
  /** A load takes about three times the memory that its version keeps. */
  readonly isLoading: boolean;
}

/**
 * `retire`: the worker is old, or has used over 80% of the memory that its versions leave. `kill`: it exceeds the limit,
 * which can happen only where the kernel does not enforce it.
 */
export function decideRecycling(use: WorkerUse, limitBytes: number): 'keep' | 'retire' | 'kill' {
  const { ageMs, dataBytes, versionBytes, isLoading } = use;
  if (dataBytes !== null && dataBytes > limitBytes) return 'kill';
  const isLarge =
    dataBytes !== null && !isLoading && dataBytes - versionBytes > RECYCLE_MEMORY_RATIO * (limitBytes - versionBytes);
  return isLarge || ageMs > MAX_WORKER_AGE_MS ? 'retire' : 'keep';
}

// ── runs ──

/** Longest time that a load may take, or a batch until its run starts. */
export const LOAD_WATCHDOG_MS = 120_000;
const MIN_WATCHDOG_MS = 1_000;
const WATCHDOG_FACTOR = 10;

/** When the watchdog kills the worker of a run: after ten times the expected time, at least 1 s, at most `maxRunMs`. */
export function watchdogMs(expectedMs: number | null, maxRunMs: number): number {
  if (expectedMs === null) return maxRunMs;
  return Math.min(Math.max(MIN_WATCHDOG_MS, WATCHDOG_FACTOR * expectedMs), maxRunMs);
}

/** For runs expected to be shorter than this, a `started` message costs more than it is worth. */
const SHORT_RUN_MS = 20;

export function shouldAnnounceStart(expectedMs: number | null): boolean {
  return expectedMs === null || expectedMs > SHORT_RUN_MS;
}

/** Time reserved for sending the next batch to the worker. */
const DISPATCH_LEAD_MS = 2;

/**
 * Time until a busy worker should get its next batch, so that preprocessing finishes just as the running batch does.
 * 0 means now; infinity means unknown, because the run has not started.
 */
export function msUntilNextBatch(
  startedAt: number | null,
  expectedMs: number,
  preprocessMs: number,
  now: number,
): number {
  if (startedAt === null) return Number.POSITIVE_INFINITY;
  return Math.max(0, startedAt + expectedMs - preprocessMs - DISPATCH_LEAD_MS - now);
}
