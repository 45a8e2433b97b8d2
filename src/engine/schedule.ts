/**
 * Which version runs next, and which worker gets its batch.
 *
 * Pure: the state of queues and workers is read, never changed, and the time is an argument.
 */
import type { LatencyEstimates } from './latency.js';
import type { EngineVersion } from './messages.js';
import { type Entry, isMoreUrgent, type VersionQueue } from './queue.js';
import { msUntilNextBatch } from './supervision.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

export interface ScheduledVersion {
  version: EngineVersion;
  readonly queue: VersionQueue;
  /** Keyed by the estimated work of a batch. Predicts when a worker becomes available and how long the queue takes. */
  readonly schedulingLatency: LatencyEstimates;
  /** Keyed by the actual work of a batch, postprocessing included. Sets the watchdog's timeout. */
  readonly watchdogLatency: LatencyEstimates;
  /** Since when its inputs have waited although workers have it loaded; null while one can take them. */
  blockedSince: number | null;
}

/** The version whose next entry is most urgent: highest priority first, then longest wait. */
export function mostUrgent(versions: Iterable<ScheduledVersion>, now: number): ScheduledVersion | null {
  let best: { served: ScheduledVersion; head: Entry } | null = null;
  for (const served of versions) {
    const head = served.queue.peek(now);
    if (head && (!best || isMoreUrgent(head, best.head))) best = { served, head };
  }
  return best?.served ?? null;
}

/**
 * Prefers an idle worker that has the version loaded, then any idle worker, then a busy worker whose batch is about to
 * finish. Otherwise returns the time until such a worker is expected, in milliseconds; null if that is unknown.
 *
 * `versions`: by key, those that the batches of the workers belong to.
 */
export function selectWorker(
  workers: readonly WorkerProcess[],
  next: ScheduledVersion,
  versions: ReadonlyMap<string, ScheduledVersion>,
  now: number,
): { worker: WorkerProcess | null; waitMs: number | null } {
  const idle = workers.filter(({ batches }) => batches.length === 0);
  const best = idle.find(({ loaded }) => loaded.has(next.version.key)) ?? idle[0];
  if (best) return { worker: best, waitMs: null };
  const soonest = workers
    .filter(({ batches }) => batches.length === 1)
    .map((worker) => ({ worker, waitMs: msUntilAvailable(worker, next, versions, now) }))
    .sort((a, b) => a.waitMs - b.waitMs)[0];
  if (!soonest) return { worker: null, waitMs: null };
  return soonest.waitMs <= 0 ? soonest : { worker: null, waitMs: soonest.waitMs };
}

function msUntilAvailable(
  worker: WorkerProcess,
  next: ScheduledVersion,
  versions: ReadonlyMap<string, ScheduledVersion>,
  now: number,
): number {
  const running = worker.batches[0] as OutstandingBatch;
  const expected = versions.get(running.version.key)?.schedulingLatency.inferMs(running.work);
  if (expected == null) return Number.POSITIVE_INFINITY;
  return msUntilNextBatch(running.startedAt, expected, next.schedulingLatency.preprocessMs, now);
}
