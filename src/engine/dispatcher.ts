/**
 * Forms batches and gives them to workers, as soon as a worker is available, from whatever is queued: it adds no delay. Also
 * asks for versions to be loaded that inputs wait for.
 *
 * The decisions are pure, in `fair-queue.ts` and `schedule.ts`; `running-batches.ts` sends the batches.
 */
import type { AdmissionControl } from './admission-control.js';
import type { FairQueue } from './fair-queue.js';
import type { Pool } from './pool.js';
import type { Quarantine } from './quarantine.js';
import type { Entry } from './queue.js';
import { RecentCallers } from './recent-callers.js';
import type { ResidentVersions } from './resident-versions.js';
import type { RunningBatches } from './running-batches.js';
import { busyMs, limitsOfNextBatch, type ScheduledVersion, selectWorker } from './schedule.js';
import type { ServedVersions } from './served-versions.js';
import type { WorkerProcess } from './worker-process.js';

interface Parts {
  readonly pool: Pool;
  readonly queue: FairQueue;
  readonly served: ServedVersions;
  readonly quarantine: Quarantine;
  readonly running: RunningBatches;
  readonly residents: ResidentVersions;
  readonly admission: AdmissionControl;
}

export class Dispatcher {
  readonly #pool: Pool;
  readonly #queue: FairQueue;
  readonly #served: ServedVersions;
  readonly #quarantine: Quarantine;
  readonly #running: RunningBatches;
  readonly #residents: ResidentVersions;
  readonly #admission: AdmissionControl;
  readonly #recentCallers = new RecentCallers();
  #isScheduled = false;
  #timer: NodeJS.Timeout | null = null;

  constructor({ pool, queue, served, quarantine, running, residents, admission }: Parts) {
    this.#pool = pool;
    this.#queue = queue;
    this.#served = served;
    this.#quarantine = quarantine;
    this.#running = running;
    this.#residents = residents;
    this.#admission = admission;
  }

  /** Deferred with `setImmediate`, so that all inputs that arrive in this turn of the event loop can share a batch. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const now = performance.now();
    const { loaded, cold } = this.#waitingVersions();
    const blocked = new Set<string>();
    for (let next = this.#queue.next(now, loaded); next; next = this.#queue.next(now, loaded)) {
      const { key, entry } = next;
      const served = this.#served.get(key) as ScheduledVersion;
      const holders = this.#pool.ready.filter((worker) => worker.loaded.has(key));
      const { worker, waitMs } = selectWorker(holders, served, this.#served, now);
      if (worker) this.#assignNext(worker, served, entry, now);
      else {
        loaded.delete(key);
        // Another version may have taken its place meanwhile.
        if (holders.length === 0) cold.add(key);
        else {
          blocked.add(key);
          this.#awaitWorker(served, holders.length, waitMs, now);
        }
      }
    }
    this.#loadCold(cold, blocked, now);
    this.#dispatchQuarantine(now);
  }

  #waitingVersions(): { loaded: Set<string>; cold: Set<string> } {
    const inMemory = new Set(this.#pool.ready.flatMap(({ loaded }) => [...loaded.keys()]));
    const [loaded, cold] = [new Set<string>(), new Set<string>()];
    for (const key of this.#queue.versions) (inMemory.has(key) ? loaded : cold).add(key);
    return { loaded, cold };
  }

  /**
   * Loads versions that no worker has, in their turn, until there is no room for another. The load counts in the share of the
   * caller whose input is first. `blocked`: loaded versions whose inputs wait for a worker. While it is their turn, only idle
   * workers load.
   */
  #loadCold(cold: Set<string>, blocked: ReadonlySet<string>, now: number): void {
    for (let next = this.#queue.next(now, cold); next; next = this.#queue.next(now, cold)) {
      const { key, entry } = next;
      const { version } = this.#served.get(key) as ScheduledVersion;
      const isForOne = this.#recentCallers.hasOther(entry.connection.caller, now);
      const isTurn = this.#queue.next(now, blocked.union(new Set([key])))?.key === key;
      const isBegun = this.#residents.ensureLoaded(version, {
        sparingSince: isForOne ? now : null,
        mayDelay: isTurn,
        charge: (ms) => this.#queue.chargeLoad(key, entry, ms),
      });
      if (!isBegun) {
        const msUntilLoad = this.#residents.msUntilLoad(now);
        // What makes it the turn of the load is that a batch is done.
        if (isForOne && (isTurn || msUntilLoad > 1)) this.#scheduleIn(msUntilLoad);
        return;
      }
      cold.delete(key);
    }
  }

  /** Loads another copy of the version, if its inputs wait longer than that takes. */
  #awaitWorker(served: ScheduledVersion, copies: number, waitMs: number | null, now: number): void {
    served.blockedSince ??= now;
    const { version } = served;
    const expectedMs = this.#queue.queuedMsOf(version.key) / copies;
    const blockedMs = now - served.blockedSince;
    const loadMs = this.#residents.considerCopy(version, Math.max(expectedMs, blockedMs));
    this.#scheduleIn(Math.min(waitMs ?? Infinity, Math.max(1, loadMs - blockedMs)));
  }

  /** Gives the worker a batch that begins with this entry, or refuses the entry because it would come too late. */
  #assignNext(worker: WorkerProcess, served: ScheduledVersion, entry: Entry, now: number): void {
    const { version, blockedSince } = served;
    const leftMs = entry.deadlineAt - now - busyMs(worker, now);
    const refusal = this.#admission.refusalIfLate(served, entry, leftMs, now);
    if (refusal) {
      entry.fail(refusal);
      return;
    }
    this.#recentCallers.note(entry.connection.caller, now);
    this.#residents.recordUse(worker, version, blockedSince === null ? 0 : now - blockedSince);
    served.blockedSince = null;
    const limits = limitsOfNextBatch(served, leftMs, now);
    this.#running.assign(worker, { version, entries: this.#queue.take(version.key, limits, now), now });
  }

  #scheduleIn(ms: number): void {
    if (this.#timer || !Number.isFinite(ms)) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dispatch();
    }, ms);
  }

  #dispatchQuarantine(now: number): void {
    if (this.#quarantine.isEmpty) return;
    const worker = this.#pool.quarantine();
    if (!worker.isReady || worker.batches.length > 0) return;
    const next = this.#quarantine.next(now);
    if (!next) return;
    const isFresh = this.#quarantine.needsFreshWorker(next.entry, this.#residents.roomForRuns(worker));
    if (isFresh || !worker.loaded.has(next.version.key)) this.#quarantine.onLoad();
    this.#residents.loadAlone(worker, next.version, isFresh);
    this.#running.assign(worker, { version: next.version, entries: [next.entry], now });
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }
}
