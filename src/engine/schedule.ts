/**
 * Which worker gets the next batch, and how long the workers are busy.
 *
 * Pure: the state of the workers is read, never changed, and the time is an argument.
 */
import { numericInputs } from '../tasks/numeric.js';
import { maxBatchWork } from '../tasks/work.js';
import type { Overload } from './admission.js';
import type { BatchSize, VersionLatency } from './latency.js';
import { type EngineVersion, MAX_RUN_MS } from './messages.js';
import { msUntilNextBatch } from './supervision.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

/** What a batch of the version may hold at most. */
export function batchLimits({ spec }: EngineVersion): BatchSize {
  return { rows: spec.maxBatch, ...maxBatchWork(spec) };
}

/** Rows in a message to a worker that runs them one after the other. */
const MAX_ROWS_IN_TURN = 64;
/** Runs in such a message, together. Longer ones cost more than a message, and keep others from their turn. */
const MAX_MS_IN_TURN = 2;

/**
 * Limits of a version's next batch: no larger than raises throughput, and at most `leftMs`, of which a run takes 200 ms, or 400 ms
 * while a size is tried. If the graph does not batch, short inputs of a fixed size share a message, and the worker runs them one
 * after the other.
 */
export function limitsOfNextBatch({ version, latency }: ScheduledVersion, leftMs: number, now: number): BatchSize {
  const limits = batchLimits(version);
  const maxMs = Math.min(MAX_RUN_MS, leftMs);
  if (limits.rows === 1 && numericInputs(version.spec)) {
    const inTurn = latency.limitsWithin({ ...limits, rows: MAX_ROWS_IN_TURN }, Math.min(maxMs, MAX_MS_IN_TURN));
    if (inTurn.rows === MAX_ROWS_IN_TURN) return inTurn;
  }
  return latency.limitsWithin(latency.limitsOfBestBatch(limits, now), maxMs, Math.min(2 * MAX_RUN_MS, leftMs));
}

export interface ScheduledVersion {
  version: EngineVersion;
  readonly latency: VersionLatency;
  /** Batches that workers have not answered yet. */
  running: number;
  /** Since when its inputs have waited although workers have it loaded; null while one can take them. */
  blockedSince: number | null;
  /** Its last refusal because of too long a wait. */
  overload: Overload | null;
}

/**
 * Prefers an idle worker, then a busy one whose batch is about to finish. Otherwise returns the time until such a worker
 * is expected, in milliseconds; null if that is unknown. A worker that is loading a version would start the batch only
 * after the load, so it is chosen only if all of them are.
 *
 * `workers` have the version loaded. `versions`: by key, those that the batches of the workers belong to.
 */
export function selectWorker(
  workers: readonly WorkerProcess[],
  next: ScheduledVersion,
  versions: Pick<ReadonlyMap<string, ScheduledVersion>, 'get'>,
  now: number,
): { worker: WorkerProcess | null; waitMs: number | null } {
  const notLoading = workers.filter(({ loading }) => loading.size === 0);
  const available = notLoading.length > 0 ? notLoading : workers;
  const idle = available.find(({ batches }) => batches.length === 0);
  if (idle) return { worker: idle, waitMs: null };
  const soonest = available
    .filter(({ batches }) => batches.length === 1)
    .map((worker) => ({ worker, waitMs: msUntilAvailable(worker, next, versions, now) }))
    .sort((a, b) => a.waitMs - b.waitMs)[0];
  if (!soonest) return { worker: null, waitMs: null };
  return soonest.waitMs <= 0 ? soonest : { worker: null, waitMs: soonest.waitMs };
}

function msUntilAvailable(
  worker: WorkerProcess,
  next: ScheduledVersion,
  versions: Pick<ReadonlyMap<string, ScheduledVersion>, 'get'>,
  now: number,
): number {
  const running = worker.batches[0] as OutstandingBatch;
  const expected = versions.get(running.version.key)?.latency.inferMs(running.work);
  if (expected == null) return Number.POSITIVE_INFINITY;
  return msUntilNextBatch(running.startedAt, expected, next.latency.preprocessMs, now);
}

/** Predicted time until the worker has finished its batches; batches of unknown duration count as finished. */
export function busyMs({ batches }: Pick<WorkerProcess, 'batches'>, now: number): number {
  return batches.reduce((total, { expectedMs, startedAt }, i) => {
    const elapsedMs = i === 0 && startedAt !== null ? now - startedAt : 0;
    return total + Math.max(0, (expectedMs ?? 0) - elapsedMs);
  }, 0);
}
