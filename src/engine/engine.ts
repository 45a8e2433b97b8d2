/**
 * The inference engine: it takes items, batches them, runs them in worker processes and returns answers.
 *
 * The engine guarantees:
 * - Every input is answered, or fails with one named error, within its deadline.
 * - An invalid or poison input fails alone. Other items of the batch are answered.
 * - If a worker dies, its unfinished work is retried within the deadline.
 * - If an input cannot be answered in time, it is refused immediately instead of being queued.
 * - An input is not run if its caller has disconnected or its deadline has passed.
 *
 * A batch is formed as soon as a worker is available, from whatever is queued: the engine adds no batching delay.
 * This file accepts inputs and dispatches them; `running-batches.ts` sends batches and learns from them, and
 * `recovery.ts` handles failures. The decisions are pure, in `fair-queue.ts`, `admission.ts`, `schedule.ts` and
 * `supervision.ts`. The engine knows neither GraphQL nor SQL.
 */

import type { Logger } from 'pino';
import { ShuttingDownError } from '../errors.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import type { Item } from '../tasks/tasks.js';
import { waitAtMost } from '../wait-at-most.js';
import { AdmissionControl } from './admission-control.js';
import type { ProbeProcesses } from './disposable-worker.js';
import { createEntry, disconnected, type RunOptions } from './entry.js';
import { FairQueue } from './fair-queue.js';
import { IdleMeasurements, type LatencyStore } from './idle-measurements.js';
import { type EngineVersion, type FromWorker, type ItemResult, MAX_RUN_MS } from './messages.js';
import { Pool, type PoolOptions } from './pool.js';
import { Quarantine } from './quarantine.js';
import type { Entry, Outcome } from './queue.js';
import { RecentCallers } from './recent-callers.js';
import { Recovery } from './recovery.js';
import { ResidentVersions } from './resident-versions.js';
import { RunningBatches } from './running-batches.js';
import { batchLimits, busyMs, type ScheduledVersion, selectWorker } from './schedule.js';
import { ServedVersions } from './served-versions.js';
import type { ExitCause } from './supervision.js';
import type { WorkerProcess } from './worker-process.js';

/** What an input of a version that was never measured counts in the shares of its caller. */
const UNKNOWN_COST_MS = 1;

export interface EngineOptions extends Omit<PoolOptions, 'onMessage' | 'onExit'> {
  /** Called after each load that failed because a file of the version is missing or damaged, or cannot be opened. */
  readonly onUnreadable?: (version: EngineVersion) => void;
  /** Where latency curves are kept. Without it, nothing is measured while the engine is idle. */
  readonly latencies?: LatencyStore | null;
}

export class Engine {
  readonly #pool: Pool;
  readonly #served = new ServedVersions(() => new Set([...this.#queue.versions, ...this.#loadedKeys(this.#pool.all)]));
  readonly #queue = new FairQueue();
  readonly #quarantine = new Quarantine((version, error) => this.#recovery.failQueued(version, error));
  readonly #recovery = new Recovery(this.#queue, this.#quarantine);
  readonly #running = new RunningBatches(this.#queue, (version) => this.#served.of(version));
  readonly #residents: ResidentVersions;
  readonly #admission: AdmissionControl;
  readonly #measurements: IdleMeasurements | null;
  readonly #recentCallers = new RecentCallers();
  #outstanding = 0;
  /** Whether a version has been loaded since the start. */
  #hasLoaded = false;
  #isDispatchScheduled = false;
  #dispatchTimer: NodeJS.Timeout | null = null;
  #isStopping = false;
  #drained: (() => void) | null = null;

  constructor(options: EngineOptions) {
    this.#pool = new Pool({
      ...options,
      onMessage: (worker, message) => this.#receive(worker, message),
      onExit: (worker, cause, how) => this.#onExit(worker, cause, how),
    });
    this.#residents = new ResidentVersions(this.#pool, options.memoryBytes, {
      onChange: () => this.#onResidentsChanged(),
      onLoadFailed: (version, error) => this.#recovery.failQueued(version, error),
      onUnreadable: (version) => options.onUnreadable?.(version),
      onLoadCrashed: (version) => this.#recovery.quarantineQueued(version),
      hasWaiting: (key) => this.#queue.rowsOf(key) > 0,
    });
    this.#admission = new AdmissionControl(this.#queue, this.#pool, this.#residents);
    this.#measurements = options.latencies ? this.#createMeasurements(options.latencies, options.log) : null;
  }

  /** Every inference process: those that serve, the spare and the quarantine. */
  get workers(): readonly WorkerProcess[] {
    return this.#pool.all;
  }

  /** The execution provider in use. */
  get provider(): string {
    return this.#pool.provider;
  }

  /**
   * Null when a worker is ready, on the required provider if one is named, and a version has been loaded; else what
   * is missing.
   */
  notReadyReason(requireProvider: string | null): string | null {
    const { provider, providerChecks, ready } = this.#pool;
    if (requireProvider !== null && provider !== requireProvider) {
      const check = providerChecks.find(({ name }) => name === requireProvider);
      return `REQUIRE_PROVIDER=${requireProvider}, but ${provider} is in use: ${check?.reason ?? 'it is not among EXECUTION_PROVIDERS'}`;
    }
    if (ready.length === 0) return 'no inference worker is ready';
    return this.#hasLoaded ? null : 'no model can answer: the model store has no READY version that can be loaded';
  }

  /** As `Pool.startProbes`. */
  startProbes(): ProbeProcesses {
    return this.#pool.startProbes();
  }

  /** Data memory that one worker may allocate, in bytes. */
  get workerMemoryBytes(): number {
    return this.#pool.workerMemoryBytes;
  }

  get queueDepth(): number {
    return this.#queue.totals.rows + this.#quarantine.length;
  }

  /** Whether the version is loaded, in how many workers, and how many of its rows are queued. */
  servingStatus(key: string) {
    const { replicas, isLoading, hasFailed, residentBytes } = this.#residents.statusOf(key);
    const servingState = servingStateOf(replicas, isLoading, hasFailed);
    const executionProvider = replicas > 0 ? this.#pool.provider : null;
    return { servingState, replicas, executionProvider, residentBytes, queueDepth: this.#queue.rowsOf(key) };
  }

  async status() {
    return {
      workers: await this.#pool.workerStatus(),
      providers: [...this.#pool.providerChecks],
      memoryBudgetBytes: this.#pool.memoryBudgetBytes,
      queueDepth: this.queueDepth,
    };
  }

  start(): Promise<void> {
    return this.#pool.start();
  }

  /**
   * Runs one item. A failure caused by the input itself, such as a damaged image, is returned in `Outcome.result`.
   *
   * @throws OverloadedError if the queue is full, or too long to answer within the deadline
   * @throws DeadlineExceededError if the deadline passes in the queue or during the run, or is shorter than a run
   * @throws InferenceFailedError if the input crashed its worker, timed out, ran out of memory, was refused as a known
   *   poison input, or its client has disconnected
   * @throws NotReadyError while the version's circuit breaker is open
   * @throws ShuttingDownError after `stop` was called
   */
  run(version: EngineVersion, item: Item, options: RunOptions): Promise<Outcome> {
    if (this.#isStopping) return Promise.reject(new ShuttingDownError());
    // A connection that has closed does not tell its listeners again, so the entry would settle only at its deadline.
    if (options.connection.isClosed) return Promise.reject(disconnected());
    const now = performance.now();
    this.#measurements?.noteRequest(now);
    const { caller } = options.connection;
    const served = this.#served.of(version);
    const costMs = served.latency.costMs(item, batchLimits(version)) ?? UNKNOWN_COST_MS;
    const input = { item, bytes: bytesOfItem(item), costMs, now };
    const refusal =
      this.#quarantine.refusal(version, item, caller, now) ??
      this.#residents.failureOf(version.key, now) ??
      this.#admission.refusal(served, input, options);
    if (refusal) return Promise.reject(refusal);
    const { entry, answered } = createEntry(input, options, (settled) => this.#onSettled(settled));
    this.#outstanding++;
    if (this.#quarantine.isConfined(version, caller, now)) this.#quarantine.addConfined({ version, entry });
    else this.#queue.push(version.key, entry);
    this.#scheduleDispatch();
    return answered;
  }

  /** Loads a version into one worker, and into the others as far as they have room, so that no request waits for it. */
  preload(version: EngineVersion): Promise<void> {
    return this.#residents.preload(version);
  }

  /**
   * Loads a version into one worker unless it is loaded.
   *
   * @throws InferenceFailedError if it cannot be loaded
   * @throws ShuttingDownError
   */
  load(version: EngineVersion): Promise<void> {
    return this.#isStopping ? Promise.reject(new ShuttingDownError()) : this.#residents.load(version);
  }

  /** Releases versions in all workers, after the batches that use them. The next input loads its version again. */
  unload(isReleased: (key: string) => boolean): Promise<void> {
    return this.#residents.unload(isReleased);
  }

  /** Stops accepting inputs, waits up to `graceMs` for the accepted ones, then fails the rest and kills the workers. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#outstanding > 0) {
      const drained = new Promise<void>((resolve) => (this.#drained = resolve));
      await waitAtMost(graceMs, drained);
    }
    this.#running.stop();
    const curvesStored = this.#measurements?.stop();
    if (this.#dispatchTimer) clearTimeout(this.#dispatchTimer);
    this.#failAll(new ShuttingDownError());
    this.#residents.stop(new ShuttingDownError());
    await Promise.all([this.#pool.stop(), curvesStored]);
  }

  /** To be called for each request to the server that may not run a version, so that nothing is measured beside it. */
  noteRequest(): void {
    this.#measurements?.noteRequest(performance.now());
  }

  #createMeasurements(store: LatencyStore, log: Logger): IdleMeasurements {
    return new IdleMeasurements({
      store,
      log,
      pool: this.#pool,
      running: this.#running,
      servedOf: (version) => this.#served.of(version),
      hasQueued: () => this.queueDepth > 0,
    });
  }

  #onSettled(entry: Entry): void {
    if (!this.#queue.remove(entry)) this.#running.cancel(entry);
    // A version that was kept in memory for this entry may be evicted for the inputs of another.
    if (entry.phase === 'queue' && this.#queue.totals.rows > 0) this.#scheduleDispatch();
    this.#outstanding--;
    if (this.#outstanding === 0) this.#drained?.();
  }

  // ── forming batches ──

  /** Deferred with `setImmediate`, so that all inputs that arrive in this turn of the event loop can share a batch. */
  #scheduleDispatch(): void {
    if (this.#isDispatchScheduled) return;
    this.#isDispatchScheduled = true;
    setImmediate(() => {
      this.#isDispatchScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const now = performance.now();
    const { loaded, cold } = this.#waitingVersions();
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
        else this.#awaitWorker(served, holders.length, waitMs, now);
      }
    }
    this.#loadCold(cold, now);
    this.#dispatchQuarantine(now);
  }

  #loadedKeys(workers: readonly WorkerProcess[]): string[] {
    return workers.flatMap(({ loaded }) => [...loaded.keys()]);
  }

  #waitingVersions(): { loaded: Set<string>; cold: Set<string> } {
    const inMemory = new Set(this.#loadedKeys(this.#pool.ready));
    const [loaded, cold] = [new Set<string>(), new Set<string>()];
    for (const key of this.#queue.versions) (inMemory.has(key) ? loaded : cold).add(key);
    return { loaded, cold };
  }

  /** Loads versions that no worker has, in their turn, until there is no room for another. */
  #loadCold(cold: Set<string>, now: number): void {
    for (let next = this.#queue.next(now, cold); next; next = this.#queue.next(now, cold)) {
      const { version } = this.#served.get(next.key) as ScheduledVersion;
      const isForOne = this.#recentCallers.hasOther(next.entry.connection.caller, now);
      if (!this.#residents.ensureLoaded(version, isForOne ? now : null)) {
        if (isForOne) this.#scheduleDispatchIn(this.#residents.msUntilLoad(now));
        return;
      }
      cold.delete(next.key);
    }
  }

  /** Loads another copy of the version, if its inputs wait longer than that takes. */
  #awaitWorker(served: ScheduledVersion, copies: number, waitMs: number | null, now: number): void {
    served.blockedSince ??= now;
    const { version } = served;
    const expectedMs = this.#queue.queuedMsOf(version.key) / copies;
    const blockedMs = now - served.blockedSince;
    const loadMs = this.#residents.considerCopy(version, Math.max(expectedMs, blockedMs));
    this.#scheduleDispatchIn(Math.min(waitMs ?? Infinity, Math.max(1, loadMs - blockedMs)));
  }

  #onResidentsChanged(): void {
    this.#residents.retryRequested();
    this.#scheduleDispatch();
  }

  /** Gives the worker a batch that begins with this entry, or refuses the entry because it would come too late. */
  #assignNext(worker: WorkerProcess, served: ScheduledVersion, entry: Entry, now: number): void {
    const { version, latency, blockedSince } = served;
    const leftMs = entry.deadlineAt - now - busyMs(worker, now);
    const refusal = this.#admission.refusalIfLate(served, entry, leftMs, now);
    if (refusal) {
      entry.fail(refusal);
      return;
    }
    this.#recentCallers.note(entry.connection.caller, now);
    this.#residents.recordUse(worker, version, blockedSince === null ? 0 : now - blockedSince);
    served.blockedSince = null;
    const limits = latency.limitsWithin(batchLimits(version), Math.min(MAX_RUN_MS, leftMs));
    this.#running.assign(worker, { version, entries: this.#queue.take(version.key, limits, now), now });
  }

  #scheduleDispatchIn(ms: number): void {
    if (this.#dispatchTimer || !Number.isFinite(ms)) return;
    this.#dispatchTimer = setTimeout(() => {
      this.#dispatchTimer = null;
      this.#dispatch();
    }, ms);
  }

  #dispatchQuarantine(now: number): void {
    if (this.#quarantine.length === 0) return;
    const worker = this.#pool.quarantine();
    if (!worker.isReady || worker.batches.length > 0) return;
    const next = this.#quarantine.next(now);
    if (!next) return;
    this.#residents.loadAlone(worker, next.version);
    this.#running.assign(worker, { version: next.version, entries: [next.entry], now });
  }

  // ── answers ──

  #receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'started') this.#onStarted(worker, message);
    else if (message.kind === 'done') this.#deliver(worker, message);
    else if (message.kind === 'loaded') this.#onLoaded(worker, message);
    else if (message.kind === 'ready') this.#onWorkerReady(worker);
    else if (message.kind === 'loadFailed') this.#recovery.afterFailedLoad(worker, message.key, message.message);
  }

  #onLoaded({ purpose }: WorkerProcess, { key, warmUpMs }: Extract<FromWorker, { kind: 'loaded' }>): void {
    this.#hasLoaded = true;
    const version = this.#residents.versionOf(key);
    if (version && purpose === 'pool') this.#measurements?.onLoaded(version, warmUpMs);
  }

  #onStarted(worker: WorkerProcess, message: Extract<FromWorker, { kind: 'started' }>): void {
    this.#running.recordStart(worker, message);
    this.#scheduleDispatch();
  }

  #onWorkerReady(worker: WorkerProcess): void {
    this.#residents.onReady(worker);
    this.#onResidentsChanged();
  }

  #deliver(worker: WorkerProcess, done: Extract<FromWorker, { kind: 'done' }>): void {
    const { results, timing } = done;
    const batch = this.#running.complete(worker, done);
    if (!batch) return;
    if (batch.isMeasurement) this.#measurements?.onDone(done);
    const { version, rows: batchSize, dispatchedAt } = batch;
    const { provider: executionProvider } = this.#pool;
    for (const [i, entry] of batch.entries.entries()) {
      const result = results[i] as ItemResult;
      if ('failure' in result && result.failure.kind === 'memory') {
        const { message } = result.failure;
        if (!entry.isSettled) this.#recovery.afterFailedAllocation(worker, version, entry, message);
        // After a failed allocation the answers of the process are unreliable.
        this.#pool.recycle(worker, message);
      } else entry.succeed({ result, timing, batchSize, executionProvider, dispatchedAt });
    }
    this.#scheduleDispatch();
  }

  #onExit(worker: WorkerProcess, cause: ExitCause, how: string): void {
    this.#residents.onExit(worker);
    this.#measurements?.onExit(worker, cause);
    this.#recovery.afterExit(worker, this.#running.takeFrom(worker), cause, how);
    this.#scheduleDispatch();
  }

  #failAll(error: Error): void {
    for (const { version } of this.#served.values()) this.#recovery.failQueued(version, error);
    this.#quarantine.failAll(error);
    for (const { batches } of this.#pool.all)
      for (const { entries } of batches) for (const entry of entries) entry.fail(error);
  }
}

function servingStateOf(replicas: number, isLoading: boolean, hasFailed: boolean) {
  if (replicas > 0) return 'WARM' as const;
  if (isLoading) return 'LOADING' as const;
  return hasFailed ? ('FAILED' as const) : ('COLD' as const);
}
