/** Refuses what cannot be answered in time: reads the engine's state for the decisions of `admission.ts`. */
import { DeadlineExceededError, OverloadedError } from '../errors.js';
import type { QueuedItem } from '../tasks/block.js';
import { decideAdmission, isOverloaded, isTooLate, overloadAfter, retryAfterMs, type Waits } from './admission.js';
import type { RunOptions } from './entry.js';
import type { FairQueue } from './fair-queue.js';
import type { EngineVersion } from './messages.js';
import type { Pool } from './pool.js';
import type { Entry } from './queue.js';
import type { ResidentVersions } from './resident-versions.js';
import { busyMs, type ScheduledVersion } from './schedule.js';

const REASONS = {
  full: 'its queue, or your share of it, is full',
  overloaded: 'this input would wait too long to be answered in time',
} as const;

interface NewInput {
  readonly item: QueuedItem;
  readonly bytes: number;
  /** Predicted computing time. */
  readonly costMs: number;
  readonly now: number;
}

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
  refusal(served: ScheduledVersion, input: NewInput, { deadlineMs, priority, connection }: RunOptions): Error | null {
    const { latency, version } = served;
    const { item, bytes, now } = input;
    const { key, ref } = version;
    const { caller } = connection;
    const isIdle = served.running === 0 && this.#queue.rowsOf(key) === 0;
    const aloneMs = latency.aloneMs(item);
    const refusal = decideAdmission({
      deadlineMs,
      size: { rows: item.rows, bytes },
      queued: { rows: this.#queue.rowsOf(key), bytes: this.#queue.totals.bytes },
      ofCaller: this.#queue.totalsOf(caller),
      ...this.#waits(key, this.#queue.ahead(key, caller, priority, input.costMs), isIdle, now),
      runMs: aloneMs && Math.max(aloneMs, latency.batchMs),
      aloneMs,
      ageMs: latency.ageMs(now),
      isIdle,
      isOverloaded: isOverloaded(served.overload, deadlineMs, now),
    });
    if (!refusal) return null;
    if (refusal.kind === 'tooSlow') return new DeadlineExceededError(deadlineMs, 'queue');
    if (refusal.kind === 'overloaded') served.overload = overloadAfter(served.overload, deadlineMs, now);
    return this.#overloaded({ ref, key }, refusal.retryAfterMs, REASONS[refusal.kind]);
  }

  /** The error with which a queued input must be failed if it has only `leftMs` to run; null if that is enough. */
  refusalIfLate({ version, latency }: ScheduledVersion, { item }: Entry, leftMs: number, now: number): Error | null {
    if (!isTooLate({ leftMs, aloneMs: latency.aloneMs(item), ageMs: latency.ageMs(now) })) return null;
    const waitMs = this.#queue.totals.queuedMs / this.#pool.size;
    return this.#overloaded(version, retryAfterMs(waitMs), 'this input would be answered after its deadline');
  }

  #overloaded({ ref, key }: Pick<EngineVersion, 'ref' | 'key'>, retryMs: number, reason: string): OverloadedError {
    const waiting = this.#queue.rowsOf(key);
    return new OverloadedError(ref, waiting, retryMs, `${reason}; ${waiting} inputs are waiting`);
  }

  /** Predicted time until a worker that has the version is free, with the work of all versions before it. */
  #waits(key: string, ahead: { queuedMs: number; shareMs: number }, isIdle: boolean, now: number): Waits {
    const { ready } = this.#pool;
    const holders = ready.filter(({ loaded }) => loaded.has(key));
    const busy = (holders.length > 0 ? holders : ready).map((worker) => busyMs(worker, now));
    if (busy.length === 0) return { waitMs: 0, fairWaitMs: 0 };
    const loadMs = isIdle ? 0 : this.#residents.loadMsOf(key);
    const isEmpty = this.#queue.totals.rows === 0;
    const allBusyMs = busy.reduce((total, ms) => total + ms, 0);
    const afterMs = (ms: number) => loadMs + (isEmpty ? Math.min(...busy) : (allBusyMs + ms) / busy.length);
    return { waitMs: afterMs(ahead.queuedMs), fairWaitMs: afterMs(ahead.shareMs) };
  }
}
