/** Refuses what cannot be answered in time: reads the engine's state for the decisions of `admission.ts`. */
import { DeadlineExceededError, OverloadedError } from '../errors.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import type { Item } from '../tasks/tasks.js';
import { type Arrival, decideAdmission, isTooLate, retryAfterMs } from './admission.js';
import type { RunOptions } from './entry.js';
import type { FairQueue } from './fair-queue.js';
import type { Pool } from './pool.js';
import type { Entry, PriorityName } from './queue.js';
import type { ResidentVersions } from './resident-versions.js';
import { busyMs, type ScheduledVersion } from './schedule.js';

export class AdmissionControl {
  readonly #queue: FairQueue;
  readonly #pool: Pool;
  readonly #residents: ResidentVersions;

  constructor(queue: FairQueue, pool: Pool, residents: ResidentVersions) {
    this.#queue = queue;
    this.#pool = pool;
    this.#residents = residents;
  }

  /** The error with which a new input must be refused; null if it may be queued. */
  refusal(served: ScheduledVersion, item: Item, options: RunOptions, now: number): Error | null {
    const { key, ref } = served.version;
    const { deadlineMs, priority, connection } = options;
    const { latency } = served;
    const isIdle = served.running === 0 && this.#queue.rowsOf(key) === 0;
    const aloneMs = latency.expectedMs(item);
    const refusal = decideAdmission({
      deadlineMs,
      ...this.#sizesOf(key, item, connection.caller),
      waitMs: this.#waitMs(key, connection.caller, priority, now) + (isIdle ? 0 : this.#residents.loadMsOf(key)),
      runMs: aloneMs && Math.max(aloneMs, latency.batchMs),
      aloneMs,
      ageMs: latency.ageMs(now),
      isIdle,
    });
    if (!refusal) return null;
    if (refusal.kind === 'tooSlow') return new DeadlineExceededError(deadlineMs, 'queue');
    return new OverloadedError(ref, this.#queue.rowsOf(key), refusal.retryAfterMs);
  }

  /** The error with which a queued input must be failed if it has only `leftMs` to run; null if that is enough. */
  refusalIfLate({ version, latency }: ScheduledVersion, { item }: Entry, leftMs: number, now: number): Error | null {
    if (!isTooLate({ leftMs, aloneMs: latency.expectedMs(item), ageMs: latency.ageMs(now) })) return null;
    const waitMs = this.#queue.totals.queuedMs / this.#pool.size;
    return new OverloadedError(version.ref, this.#queue.rowsOf(version.key), retryAfterMs(waitMs));
  }

  #sizesOf(key: string, item: Item, caller: string): Pick<Arrival, 'size' | 'queued' | 'ofCaller'> {
    return {
      size: { rows: item.rows, bytes: bytesOfItem(item) },
      queued: { rows: this.#queue.rowsOf(key), bytes: this.#queue.totals.bytes },
      ofCaller: this.#queue.totalsOf(caller),
    };
  }

  /** Predicted time until a worker that has the version is free, with the work of all versions before it. */
  #waitMs(key: string, caller: string, priority: PriorityName, now: number): number {
    const { ready } = this.#pool;
    const holders = ready.filter(({ loaded }) => loaded.has(key));
    const busy = (holders.length > 0 ? holders : ready).map((worker) => busyMs(worker, now));
    if (busy.length === 0) return 0;
    if (this.#queue.totals.rows === 0) return Math.min(...busy);
    return busy.reduce((total, ms) => total + ms, this.#queue.aheadMs(key, caller, priority)) / busy.length;
  }
}
