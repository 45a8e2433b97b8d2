/**
 * The versions in the memory of the workers: loads them on first use, evicts the least valuable when room is needed,
 * adds copies when a queue is worth one, and keeps the spare and replaced workers warm. The decisions are in `residency.ts`
 * and `failed-loads.ts`, what has been measured is in `known-versions.ts`; this file has the effects.
 *
 * An eviction only sends a message: a worker handles messages in order, so batches that it received before are answered
 * first. Each worker loads one version at a time.
 */
import { afterFailedLoad } from './failed-loads.js';
import { type KnownVersion, KnownVersions, sizeOfVersion } from './known-versions.js';
import type { EngineVersion } from './messages.js';
import type { Pool } from './pool.js';
import {
  capacityOf,
  freeBytes,
  isCopyWorthwhile,
  isWorthEvicting,
  neededBytes,
  planEviction,
  planLoad,
  type Resident,
  roomForRuns,
  valueOfCopy,
  type WorkerMemory,
} from './residency.js';
import { LOAD_WATCHDOG_MS } from './supervision.js';
import type { LoadResult, WorkerProcess } from './worker-process.js';

type Requested = PromiseWithResolvers<void> & { readonly version: EngineVersion };

interface ResidentVersionsEvents {
  /** A version was loaded or evicted, or a load has failed: waiting inputs may have a worker now. */
  readonly onChange: () => void;
  readonly onLoadFailed: (version: EngineVersion, error: Error) => void;
  /** A worker could not read or open the files of the version. */
  readonly onUnreadable: (version: EngineVersion) => void;
  /** The process ended while it loaded nothing but this version. */
  readonly onLoadCrashed: (version: EngineVersion) => void;
  /** Called for each load that has ended, and for each version that left a worker to make room for another. */
  readonly count: (version: EngineVersion, what: 'loads' | 'failedLoads' | 'evictions') => void;
  readonly hasWaiting: (key: string) => boolean;
}

interface LoadOptions {
  readonly sparingSince?: number | null;
  readonly mayDelay?: boolean;
  readonly charge?: (ms: number) => void;
}

interface Candidate extends WorkerMemory {
  readonly process: WorkerProcess;
}

/** A copy in the spare is replaced only by one of clearly higher value, because each replacement costs a load. */
const SPARE_HYSTERESIS = 2;
/** Versions that a spare considers after each load, the most valuable first. */
const FILL_CANDIDATES = 16;

export class ResidentVersions {
  readonly #pool: Pool;
  readonly #limitBytes: number;
  readonly #events: ResidentVersionsEvents;
  readonly #known = new KnownVersions(() => this.#keysInUse());
  /** Loads that operators or the start of the server wait for. */
  readonly #requested = new Map<string, Requested>();
  /** Loaded for a waiting input that has not been assigned yet: evicting it now would load it for nothing. */
  readonly #unserved = new Map<WorkerProcess, Set<string>>();

  constructor(pool: Pool, limitBytes: number, events: ResidentVersionsEvents) {
    this.#pool = pool;
    this.#limitBytes = limitBytes;
    this.#events = events;
  }

  /** What is known of the version's memory; `residentBytes` is that of all its copies in serving workers. */
  statusOf(key: string) {
    const workers = this.#pool.all.filter(({ purpose }) => purpose === 'pool');
    const copies = workers.flatMap(({ loaded }) => loaded.get(key) ?? []);
    const provider = workers.find(({ loaded }) => loaded.has(key))?.providers.get(key);
    return {
      replicas: copies.length,
      isLoading: workers.some(({ loading }) => loading.has(key)),
      hasFailed: (this.#known.find(key)?.failure ?? null) !== null,
      executionProvider: provider ?? null,
      residentBytes: copies.length > 0 ? copies.reduce((sum, bytes) => sum + bytes, 0) : null,
    };
  }

  /** The version with this key; undefined if it was never loaded or is forgotten. */
  versionOf(key: string): EngineVersion | undefined {
    return this.#known.find(key)?.version;
  }

  /** Records that a batch of the version was sent to the worker, after its first input had waited for `blockedMs`. */
  recordUse(worker: WorkerProcess, version: EngineVersion, blockedMs: number): void {
    const known = this.#known.of(version);
    this.#known.recordUse(known);
    known.waitedMs += blockedMs;
    this.#unserved.get(worker)?.delete(version.key);
  }

  /** Why the version cannot be loaded for now; null if that is not known. */
  failureOf(key: string, now: number): Error | null {
    const failure = this.#known.find(key)?.failure;
    return failure && failure.until > now ? failure.error : null;
  }

  /**
   * Loads a version that no serving worker has. Returns false if there is no room for any load now.
   *
   * `sparingSince`: the time if other callers are served meanwhile, else null. Then the last worker without a load is
   * kept free for them, and each worker spends at most half of its time on loads. `mayDelay`: whether the load may delay
   * what a busy worker has to do. `charge` is told the expected time of the load when it begins, and later the difference.
   */
  ensureLoaded(
    version: EngineVersion,
    { sparingSince = null, mayDelay = true, charge = () => {} }: LoadOptions = {},
  ): boolean {
    const { key } = version;
    const known = this.#known.of(version);
    if (known.failure && known.failure.until > performance.now()) {
      this.#events.onLoadFailed(version, known.failure.error);
      this.#settleRequest(known);
      return true;
    }
    if (this.#pool.ready.some(({ loaded, loading }) => loaded.has(key) || loading.has(key))) return true;
    const candidates = this.#candidates(key);
    const spared = sparingSince === null ? candidates : this.#spareOthers(candidates, sparingSince);
    const allowed = mayDelay ? spared : spared.filter(({ outstandingBatches }) => outstandingBatches === 0);
    const plan = planLoad(allowed, sizeOfVersion(known));
    if (plan) this.#loadInto(plan.worker.process, known, plan.evicted, charge);
    return plan !== null;
  }

  #spareOthers(candidates: readonly Candidate[], now: number): Candidate[] {
    const free = this.#pool.ready.filter(({ loading }) => loading.size === 0);
    if (free.length < Math.min(2, this.#pool.size)) return [];
    return candidates.filter(({ process }) => process.nextLoadAt <= now);
  }

  /** How long until a worker has spent as much time on other work as on its last load; infinity if all of them load. */
  msUntilLoad(now: number): number {
    const free = this.#pool.ready.filter(({ loading }) => loading.size === 0);
    return Math.max(1, Math.min(...free.map(({ nextLoadAt }) => nextLoadAt - now)));
  }

  /** Expected time of its load; 0 if a worker has the version, or if it was never loaded: a guess must refuse nobody. */
  loadMsOf(key: string): number {
    if (this.#pool.ready.some(({ loaded }) => loaded.has(key))) return 0;
    const known = this.#known.find(key);
    return known && known.loads > 0 ? this.#known.expectedLoadMs(known) : 0;
  }

  /**
   * Adds a copy of a loaded version if its inputs wait longer than the load takes. Returns how long they must have waited
   * for a copy to pay; infinity if none can be loaded before something else happens.
   */
  considerCopy(version: EngineVersion, queueMs: number): number {
    const known = this.#known.of(version);
    const loadMs = this.#known.expectedLoadMs(known);
    if (this.#pool.all.some(({ loading }) => loading.has(version.key))) return Number.POSITIVE_INFINITY;
    const plan = planLoad(this.#candidates(version.key), sizeOfVersion(known));
    if (!plan) return Number.POSITIVE_INFINITY;
    const loadMsOf = (evicted: KnownVersion | undefined) => (evicted ? this.#known.expectedLoadMs(evicted) : 0);
    const evictedLoadMs = plan.evicted.reduce((sum, { key }) => sum + loadMsOf(this.#known.find(key)), 0);
    if (!isCopyWorthwhile(queueMs + known.waitedMs, loadMs, evictedLoadMs)) return loadMs + evictedLoadMs;
    known.waitedMs = 0;
    this.#loadInto(plan.worker.process, known, plan.evicted);
    return Number.POSITIVE_INFINITY;
  }

  /** Resolves when a serving worker has the version loaded. Rejects if it cannot be loaded. */
  load(version: EngineVersion): Promise<void> {
    const { key } = version;
    if (this.#pool.ready.some(({ loaded }) => loaded.has(key))) return Promise.resolve();
    const requested = this.#requested.get(key) ?? { version, ...Promise.withResolvers<void>() };
    this.#requested.set(key, requested);
    this.ensureLoaded(version);
    return requested.promise;
  }

  /** As `load`, and then fills every other serving worker that has room for a copy. */
  async preload(version: EngineVersion): Promise<void> {
    await this.load(version);
    const known = this.#known.of(version);
    const loads = this.#candidates(version.key).map((candidate) => {
      const evicted = planEviction(candidate, sizeOfVersion(known));
      return evicted?.length === 0 ? this.#loadInto(candidate.process, known, []) : null;
    });
    await Promise.all(loads);
  }

  /** Releases versions in every worker. Resolves when the batches that were sent before have been answered. */
  async unload(isReleased: (key: string) => boolean): Promise<void> {
    const loads = this.#pool.all.flatMap(({ loading }) => [...loading].filter(([key]) => isReleased(key)));
    await Promise.all(loads.map(([, { promise }]) => promise.catch(() => {})));
    // Otherwise the spare, and every new worker, would load them again.
    this.#known.forget(isReleased);
    await Promise.all(
      this.#pool.all.flatMap((worker) =>
        [...worker.loaded.keys()].filter(isReleased).map((key) => this.#pool.unload(worker, key)),
      ),
    );
    this.#events.onChange();
  }

  /** Prepares the quarantine worker, which holds one version at a time. `isFresh`: also loads the version anew. */
  loadAlone(worker: WorkerProcess, version: EngineVersion, isFresh: boolean): void {
    for (const key of worker.loaded.keys()) if (isFresh || key !== version.key) this.#pool.unload(worker, key);
    if (!worker.loaded.has(version.key)) this.#pool.load(worker, version).catch(() => {});
  }

  /** What the worker keeps for runs if it is full of versions, in bytes. */
  roomForRuns({ roomBytes }: WorkerProcess): number {
    return roomForRuns(roomBytes ?? this.#limitBytes);
  }

  /** Loads what is waited for, as far as there is room now. Called whenever something has changed. */
  retryRequested(): void {
    for (const { version } of this.#requested.values()) if (!this.ensureLoaded(version)) break;
  }

  /** A new worker loads the most valuable versions that fit. */
  async onReady(worker: WorkerProcess): Promise<void> {
    await this.#measureRoom(worker);
    if (worker.purpose !== 'quarantine') this.#fill(worker);
  }

  onExit(worker: WorkerProcess): void {
    this.#unserved.delete(worker);
  }

  stop(error: Error): void {
    for (const { reject } of this.#requested.values()) reject(error);
    this.#requested.clear();
  }

  // ── loads ──

  /** Also corrects for what estimates have missed, and for memory that the process never gave back. */
  async #measureRoom(worker: WorkerProcess): Promise<void> {
    const memory = await worker.memory();
    if (memory) worker.roomBytes = Math.max(0, this.#limitBytes - memory.dataBytes + worker.versionBytes);
  }

  async #loadInto(
    worker: WorkerProcess,
    known: KnownVersion,
    evicted: readonly Resident[],
    charge: (ms: number) => void = () => {},
  ): Promise<void> {
    const { version } = known;
    const expectedMs = this.#known.expectedLoadMs(known);
    charge(expectedMs);
    for (const { key } of evicted) this.#evict(worker, key);
    const watchdog = setTimeout(() => worker.kill('watchdog'), LOAD_WATCHDOG_MS);
    const isAlone = worker.loaded.size === 0;
    const begun = performance.now();
    try {
      const result = await this.#pool.load(worker, version);
      charge(result.loadMs - expectedMs);
      this.#recordLoad(worker, known, result);
      await this.#measureRoom(worker);
    } catch (error) {
      this.#recover(worker, known, error as Error, isAlone);
    } finally {
      clearTimeout(watchdog);
      const now = performance.now();
      worker.nextLoadAt = now + (now - begun);
    }
    this.#settleRequest(known);
    this.#events.onChange();
    if (worker.purpose === 'pool') for (const spare of this.#pool.spares) this.#fill(spare);
    else if (worker.isReady) this.#fill(worker);
  }

  #evict(worker: WorkerProcess, key: string): void {
    this.#pool.unload(worker, key);
    const version = this.versionOf(key);
    if (version) this.#events.count(version, 'evictions');
  }

  #recordLoad(worker: WorkerProcess, known: KnownVersion, result: LoadResult): void {
    const { key } = known.version;
    this.#known.recordLoad(known, result);
    this.#events.count(known.version, 'loads');
    worker.loaded.set(key, known.residentBytes);
    if (!this.#events.hasWaiting(key)) return;
    const unserved = this.#unserved.get(worker) ?? new Set();
    this.#unserved.set(worker, unserved.add(key));
  }

  /** Refuses the version, tries it in quarantine, or leaves it to the next attempt. */
  #recover(worker: WorkerProcess, known: KnownVersion, error: Error, isAlone: boolean): void {
    const { kind, refusal, isWorkerSpent } = afterFailedLoad(known, error, { isAlone, limitBytes: this.#limitBytes });
    this.#events.count(known.version, 'failedLoads');
    if (isWorkerSpent) this.#pool.recycle(worker, error.message);
    if (refusal) this.#fail(known, refusal.error, refusal.retryAfterMs);
    if (kind === 'unreadable') this.#events.onUnreadable(known.version);
    if (kind === 'crashed') this.#events.onLoadCrashed(known.version);
  }

  #fail(known: KnownVersion, error: Error, retryAfterMs: number): void {
    known.failure = { error, until: performance.now() + retryAfterMs };
    this.#events.onLoadFailed(known.version, error);
  }

  #settleRequest({ version: { key }, failure }: KnownVersion): void {
    const requested = this.#requested.get(key);
    if (!requested) return;
    if (failure) requested.reject(failure.error);
    else if (this.#pool.ready.some(({ loaded }) => loaded.has(key))) requested.resolve();
    else return;
    this.#requested.delete(key);
  }

  /** Loads the most valuable version that the worker lacks, if it fits or is worth much more than what it replaces. */
  #fill(worker: WorkerProcess): void {
    if (!worker.isReady || worker.isReplaced || worker.loading.size > 0) return;
    const memory = this.#memoryOf(worker);
    const isMissing = ({ version, loads, failure }: KnownVersion) =>
      loads > 0 && !failure && !worker.loaded.has(version.key);
    const free = freeBytes(memory);
    const fits = (known: KnownVersion) => neededBytes(memory, sizeOfVersion(known)) <= free;
    // The most valuable ones may all be too large for the rest of the room.
    const wanted = [
      ...this.#known.mostValuable(FILL_CANDIDATES, isMissing),
      ...this.#known.mostValuable(1, (known) => isMissing(known) && fits(known)),
    ];
    for (const known of wanted) {
      const evicted = planEviction(memory, sizeOfVersion(known));
      const worth = this.#known.worthOf(known, 1);
      const half = { ...worth, use: worth.use / SPARE_HYSTERESIS };
      if (!evicted || (evicted.length > 0 && !isWorthEvicting(half, evicted))) continue;
      this.#loadInto(worker, known, evicted);
      return;
    }
  }

  // ── what the decisions read ──

  #candidates(key: string): Candidate[] {
    return this.#pool.ready
      .filter(({ loaded, loading }) => loading.size === 0 && !loaded.has(key))
      .map((worker) => this.#memoryOf(worker));
  }

  #memoryOf(worker: WorkerProcess): Candidate {
    const copies = worker.purpose === 'pool' ? this.#copies() : null;
    const residents = Array.from(worker.loaded, ([key, bytes]): Resident => {
      const known = this.#known.find(key);
      const worth = known ? this.#known.worthOf(known, copies?.get(key) ?? 1) : null;
      return { key, bytes, value: worth ? valueOfCopy({ ...worth, bytes }) : 0, isLeased: this.#isLeased(worker, key) };
    });
    return {
      process: worker,
      capacityBytes: capacityOf(Math.min(worker.roomBytes ?? this.#limitBytes, this.#pool.deviceRoomBytes)),
      residents,
      outstandingBatches: worker.batches.length,
    };
  }

  #copies(): Map<string, number> {
    const copies = new Map<string, number>();
    for (const { loaded } of this.#pool.ready)
      for (const key of loaded.keys()) copies.set(key, (copies.get(key) ?? 0) + 1);
    return copies;
  }

  #isLeased(worker: WorkerProcess, key: string): boolean {
    return (this.#unserved.get(worker)?.has(key) ?? false) && this.#events.hasWaiting(key);
  }

  #keysInUse(): Set<string> {
    const inMemory = this.#pool.all.flatMap(({ loaded, loading }) => [...loaded.keys(), ...loading.keys()]);
    return new Set([...inMemory, ...this.#requested.keys()]);
  }
}
