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
 * This file accepts inputs and delivers answers; `dispatcher.ts` forms batches, `running-batches.ts` sends them and learns
 * from them, and `recovery.ts` handles failures. The decisions are pure, in `fair-queue.ts`, `admission.ts`, `schedule.ts`
 * and `supervision.ts`. The engine knows neither GraphQL nor SQL.
 */

import type { Logger } from 'pino';
import type { Tally } from '../counting/tally.js';
import { AppError, ShuttingDownError, SplitBlockError } from '../errors.js';
import { isBlock, placesOf, type QueuedItem } from '../tasks/block.js';
import type { ItemResult } from '../tasks/failures.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import { waitAtMost } from '../wait-at-most.js';
import { AdmissionControl } from './admission-control.js';
import { Dispatcher } from './dispatcher.js';
import type { ReusableProcesses } from './disposable-worker.js';
import { createEntry, disconnected, type RunOptions } from './entry.js';
import { FairQueue } from './fair-queue.js';
import { IdleMeasurements, type LatencyStore } from './idle-measurements.js';
import { type BatchReply, type EngineVersion, type FromWorker, MAX_RUN_MS } from './messages.js';
import { Pool, type PoolOptions } from './pool.js';
import { Quarantine } from './quarantine.js';
import type { Entry, Outcome } from './queue.js';
import { Recovery } from './recovery.js';
import { ResidentVersions } from './resident-versions.js';
import { type CompletedBatch, RunningBatches } from './running-batches.js';
import { batchLimits, limitsOfNextBatch } from './schedule.js';
import { ServedVersions } from './served-versions.js';
import type { ExitCause } from './supervision.js';
import type { ThumbnailMaker } from './thumbnail-maker.js';
import { VersionCounters } from './version-counters.js';
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
  /** What happened to inputs and loads since the start. */
  readonly counters = new VersionCounters();
  readonly #pool: Pool;
  readonly #served = new ServedVersions(() => {
    const loaded = this.#pool.all.flatMap(({ loaded }) => [...loaded.keys()]);
    return new Set([...this.#queue.versions, ...loaded]);
  });
  readonly #queue = new FairQueue();
  readonly #quarantine = new Quarantine((version, error) => this.#recovery.failQueued(version, error));
  readonly #recovery = new Recovery(this.#queue, this.#quarantine);
  readonly #running: RunningBatches;
  readonly #residents: ResidentVersions;
  readonly #admission: AdmissionControl;
  readonly #dispatcher: Dispatcher;
  readonly #measurements: IdleMeasurements | null;
  #outstanding = 0;
  /** Whether a version has been loaded since the start. */
  #hasLoaded = false;
  #isStopping = false;
  #drained: (() => void) | null = null;

  constructor(options: EngineOptions) {
    const report = (bug: unknown, ref: string) =>
      options.log.error({ err: bug, version: ref }, 'an answer could not be computed');
    this.#running = new RunningBatches(this.#queue, (version) => this.#served.of(version), report);
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
      count: (version, what) => this.counters.of(version)[what]++,
      hasWaiting: (key) => this.#queue.rowsOf(key) > 0,
    });
    this.#admission = new AdmissionControl(this.#queue, this.#pool, this.#residents);
    this.#dispatcher = new Dispatcher({
      pool: this.#pool,
      queue: this.#queue,
      served: this.#served,
      quarantine: this.#quarantine,
      running: this.#running,
      residents: this.#residents,
      admission: this.#admission,
    });
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
  startProbes(): ReusableProcesses {
    return this.#pool.startProbes();
  }

  get thumbnails(): Pick<ThumbnailMaker, 'make'> {
    return this.#pool.thumbnails;
  }

  /** Makes images with hidden patches. */
  get hiddenPatches(): Pick<ThumbnailMaker, 'hide'> {
    return this.#pool.hiddenPatches;
  }

  /** Data memory that one worker may allocate, in bytes. */
  get workerMemoryBytes(): number {
    return this.#pool.workerMemoryBytes;
  }

  /** Processes that have ended or were replaced since the start, by cause. */
  get restarts(): Tally<ExitCause> {
    return this.#pool.restarts;
  }

  /** Inputs that wait, over all versions, in rows. */
  get queueDepth(): number {
    return this.#queue.totals.rows + this.#quarantine.length;
  }

  /** Whether the version is loaded, in how many workers, and how many of its rows are queued. */
  servingStatus(key: string) {
    const { replicas, isLoading, hasFailed, residentBytes, executionProvider } = this.#residents.statusOf(key);
    const servingState = servingStateOf(replicas, isLoading, hasFailed);
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
   * Runs one item, or the rows of a block. A failure caused by an input itself, such as a damaged image, is returned in
   * `Outcome.results`.
   *
   * @throws the error of the meter of the connection, if it refuses
   * @throws OverloadedError if the queue is full, or too long to answer within the deadline
   * @throws DeadlineExceededError if the deadline passes in the queue or during the run, or is shorter than a run
   * @throws InferenceFailedError if the input crashed its worker, timed out, ran out of memory, was refused as a known
   *   poison input, or its client has disconnected
   * @throws NotReadyError while the version's circuit breaker is open
   * @throws SplitBlockError if the rows of the block have to be run as items of their own
   * @throws ShuttingDownError after `stop` was called
   */
  run(version: EngineVersion, item: QueuedItem, options: RunOptions): Promise<Outcome> {
    if (this.#isStopping) return Promise.reject(new ShuttingDownError());
    // A connection that has closed does not tell its listeners again, so the entry would settle only at its deadline.
    if (options.connection.isClosed) return Promise.reject(disconnected());
    const now = performance.now();
    this.#measurements?.noteRequest(now);
    const { caller } = options.connection;
    const served = this.#served.of(version);
    const limits = served.latency.limitsOfBestBatch(batchLimits(version), now);
    const learnedMs = served.latency.costMs(item, limits);
    const meter = options.connection.meter ?? null;
    const meteredMs = meter ? (learnedMs ?? meter.unknownMs * placesOf(item)) : 0;
    const input = { item, bytes: bytesOfItem(item), costMs: learnedMs ?? UNKNOWN_COST_MS, meteredMs, now };
    const refusal =
      this.#quarantine.refusal(version, item, caller, now) ??
      this.#residents.failureOf(version.key, now) ??
      this.#admission.refusal(served, input, options) ??
      meter?.take(meteredMs);
    if (refusal) {
      this.#countFailure(version, item, refusal, false);
      return Promise.reject(refusal);
    }
    const { entry, answered } = createEntry(input, options, (settled, error) =>
      this.#onSettled(version, settled, error),
    );
    this.#outstanding++;
    if (this.#quarantine.isConfined(version, caller, now)) this.#quarantine.addConfined({ version, entry });
    else this.#queue.push(version.key, entry);
    this.#dispatcher.schedule();
    return answered;
  }

  /** How many rows of this much work a block should have: as many as a batch may have. */
  rowsPerBlock(version: EngineVersion, workPerRow: number): number {
    const { rows, work } = limitsOfNextBatch(this.#served.of(version), MAX_RUN_MS, performance.now());
    return Math.max(1, Math.floor(Math.min(rows, work / workPerRow)));
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
    this.#dispatcher.stop();
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

  #countFailure(version: EngineVersion, item: QueuedItem, error: Error, hasDisconnected: boolean): void {
    // Its rows are counted when they run.
    if (error instanceof SplitBlockError) return;
    const code = error instanceof AppError ? error.code : 'INTERNAL_SERVER_ERROR';
    this.counters.of(version).failedInputs.add(hasDisconnected ? 'DISCONNECTED' : code, placesOf(item));
  }

  #onSettled(version: EngineVersion, entry: Entry, error: Error | null): void {
    if (error) {
      this.#countFailure(version, entry.item, error, entry.connection.isClosed);
      // What is running is computed to its end, whoever waits for it.
      if (entry.phase === 'queue' || error instanceof SplitBlockError)
        entry.connection.meter?.correct(entry.meteredMs, 0);
    }
    if (!this.#queue.remove(entry)) this.#running.cancel(entry);
    this.#quarantine.remove(entry);
    // A version that was kept in memory for this entry may be evicted for the inputs of another.
    if (entry.phase === 'queue' && this.#queue.totals.rows > 0) this.#dispatcher.schedule();
    this.#outstanding--;
    if (this.#outstanding === 0) this.#drained?.();
  }

  #onResidentsChanged(): void {
    this.#residents.retryRequested();
    this.#dispatcher.schedule();
  }

  // ── answers ──

  #receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'started') this.#onStarted(worker, message);
    else if (message.kind === 'done' || message.kind === 'ran') this.#deliver(worker, message);
    else if (message.kind === 'loaded') this.#onLoaded(worker, message);
    else if (message.kind === 'ready') this.#onWorkerReady(worker);
    else if (message.kind === 'loadFailed') this.#recovery.afterFailedLoad(worker, message.key, message.message);
  }

  #onLoaded({ purpose }: WorkerProcess, loaded: Extract<FromWorker, { kind: 'loaded' }>): void {
    this.#hasLoaded = true;
    const version = this.#residents.versionOf(loaded.key);
    if (version) this.counters.noteProvider(version, loaded.executionProvider);
    if (version && purpose === 'pool') this.#measurements?.onLoaded(version, loaded);
  }

  #onStarted(worker: WorkerProcess, message: Extract<FromWorker, { kind: 'started' }>): void {
    this.#running.recordStart(worker, message);
    this.#dispatcher.schedule();
  }

  #onWorkerReady(worker: WorkerProcess): void {
    this.#residents.onReady(worker);
    this.#onResidentsChanged();
  }

  #deliver(worker: WorkerProcess, reply: BatchReply): void {
    const completed = this.#running.complete(worker, reply);
    if (!completed) return;
    if (completed.batch.isMeasurement) this.#measurements?.onDone(completed.done);
    this.#deliverResults(worker, completed);
    this.#dispatcher.schedule();
  }

  #deliverResults(worker: WorkerProcess, completed: CompletedBatch): void {
    const { batch, answered, computeMsPerPredictedMs } = completed;
    const { timing, use } = completed.done;
    const { version, rows, dispatchedAt } = batch;
    const executionProvider = worker.providers.get(version.key) ?? this.#pool.provider;
    const device = this.#pool.deviceOf(worker, executionProvider);
    if (!batch.isMeasurement) this.counters.addBatch(batch, timing, executionProvider);
    const counters = this.counters.of(version);
    const now = performance.now();
    const lackedMemory: Entry[] = [];
    let message = '';
    for (const { entry, results } of answered) {
      const failedAllocation = results.map(failedAllocationOf).find((text) => text !== null);
      if (failedAllocation != null) {
        lackedMemory.push(entry);
        message = failedAllocation;
        continue;
      }
      if (worker.purpose === 'quarantine')
        this.#quarantine.afterAnswer(version, entry, use?.grownBytes ?? null, this.#residents.roomForRuns(worker));
      // Rows of a graph that does not batch share a message only. Those of a tensor run together.
      const together = isBlock(entry.item) ? 1 : entry.item.rows;
      const batchSize = Math.max(together, Math.min(rows, version.spec.maxBatch));
      counters.addAnswer(entry, dispatchedAt, results, now);
      if (!entry.isSettled) entry.connection.meter?.correct(entry.meteredMs, entry.costMs * computeMsPerPredictedMs);
      entry.succeed({ results, timing, batchSize, executionProvider, device, dispatchedAt });
    }
    if (lackedMemory.length === 0) return;
    if (!batch.isMeasurement) this.#recovery.afterFailedAllocation(worker, version, lackedMemory, message);
    // After a failed allocation the answers of the process are unreliable.
    this.#pool.recycle(worker, message);
  }

  #onExit(worker: WorkerProcess, cause: ExitCause, how: string): void {
    this.#residents.onExit(worker);
    this.#measurements?.onExit(worker, cause);
    this.#recovery.afterExit(worker, this.#running.takeFrom(worker), cause, how);
    this.#dispatcher.schedule();
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

/** What the runtime says of an allocation that failed; null if none did. */
function failedAllocationOf(result: ItemResult): string | null {
  return 'failure' in result && result.failure.kind === 'memory' ? result.failure.message : null;
}
