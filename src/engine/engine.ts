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
 * This file holds the effects (timers, processes, promises). The decisions are pure functions in `queue.ts`,
 * `schedule.ts` and `supervision.ts`. The engine knows neither GraphQL nor SQL.
 */

import { InferenceFailedError, OverloadedError, ShuttingDownError } from '../errors.js';
import type { ItemFailure } from '../tasks/failures.js';
import type { Item } from '../tasks/tasks.js';
import { maxBatchWork } from '../tasks/work.js';
import { waitAtMost } from '../wait-at-most.js';
import type { ProbeProcesses } from './disposable-worker.js';
import { createEntry, type RunOptions } from './entry.js';
import { LatencyEstimates } from './latency.js';
import type { BatchTiming, EngineVersion, FromWorker, ItemResult } from './messages.js';
import { Pool, type PoolOptions } from './pool.js';
import { Quarantine } from './quarantine.js';
import { type Entry, NO_LIMITS, type Outcome, VersionQueue } from './queue.js';
import { ResidentVersions } from './resident-versions.js';
import { mostUrgent, type ScheduledVersion, selectWorker } from './schedule.js';
import {
  chooseRecovery,
  type ExitCause,
  expectedWaitMs,
  MAX_QUEUED_ROWS,
  mayBeCausedByInput,
  poisonReason,
  shouldAnnounceStart,
  watchdogMs,
} from './supervision.js';
import { Watchdogs } from './watchdogs.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

const LOAD_WATCHDOG_MS = 120_000;

export class Engine {
  readonly #pool: Pool;
  readonly #served = new Map<string, ScheduledVersion>();
  readonly #quarantine = new Quarantine((version, error) => this.#failQueued(version, error));
  readonly #watchdogs = new Watchdogs();
  readonly #residents: ResidentVersions;
  #outstanding = 0;
  /** Whether a version has been loaded since the start. */
  #hasLoaded = false;
  #isDispatchScheduled = false;
  #dispatchTimer: NodeJS.Timeout | null = null;
  #isStopping = false;
  #drained: (() => void) | null = null;

  constructor(options: Omit<PoolOptions, 'onMessage' | 'onExit'>) {
    this.#pool = new Pool({
      ...options,
      onMessage: (worker, message) => this.#receive(worker, message),
      onExit: (worker, cause, how) => this.#recover(worker, cause, how),
    });
    this.#residents = new ResidentVersions(this.#pool, options.memoryBytes, {
      onChange: () => this.#onResidentsChanged(),
      onLoadFailed: (version, error) => this.#failQueued(version, error),
      onLoadCrashed: (version) => this.#quarantineQueued(version),
      hasWaiting: (key) => (this.#served.get(key)?.queue.peek(performance.now()) ?? null) !== null,
    });
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
    return this.#served.values().reduce((sum, { queue }) => sum + queue.rows, this.#quarantine.length);
  }

  /** Whether the version is loaded, in how many workers, and how many of its rows are queued. */
  servingStatus(key: string) {
    const { replicas, isLoading, hasFailed, residentBytes } = this.#residents.statusOf(key);
    const servingState = servingStateOf(replicas, isLoading, hasFailed);
    const executionProvider = replicas > 0 ? this.#pool.provider : null;
    const queueDepth = this.#served.get(key)?.queue.rows ?? 0;
    return { servingState, replicas, executionProvider, residentBytes, queueDepth };
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
   * @throws OverloadedError if the queue is too long to answer within the deadline
   * @throws DeadlineExceededError if the deadline passes in the queue or during the run
   * @throws InferenceFailedError if the input crashed its worker, timed out, ran out of memory, or was refused as a
   *   known poison input
   * @throws NotReadyError while the version's circuit breaker is open
   * @throws ShuttingDownError after `stop` was called
   */
  run(version: EngineVersion, item: Item, options: RunOptions): Promise<Outcome> {
    if (this.#isStopping) return Promise.reject(new ShuttingDownError());
    const now = performance.now();
    const { caller } = options.connection;
    const served = this.#ensureServed(version);
    const refusal =
      this.#quarantine.refusal(version, item, caller, now) ?? this.#checkCapacity(served, item, options.deadlineMs);
    if (refusal) return Promise.reject(refusal);
    const { entry, answered } = createEntry(item, options, () => this.#onSettled());
    this.#outstanding++;
    if (this.#quarantine.isConfined(version, caller, now)) this.#quarantine.addConfined({ version, entry });
    else served.queue.push(entry);
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
    this.#watchdogs.stop();
    if (this.#dispatchTimer) clearTimeout(this.#dispatchTimer);
    this.#failAll(new ShuttingDownError());
    this.#residents.stop(new ShuttingDownError());
    await this.#pool.stop();
  }

  #ensureServed(version: EngineVersion): ScheduledVersion {
    const known = this.#served.get(version.key);
    if (known) return known;
    const served = {
      version,
      queue: new VersionQueue(),
      schedulingLatency: new LatencyEstimates(),
      watchdogLatency: new LatencyEstimates(),
      blockedSince: null,
    };
    this.#served.set(version.key, served);
    return served;
  }

  #checkCapacity(
    { version, queue, schedulingLatency }: ScheduledVersion,
    item: Item,
    deadlineMs: number,
  ): Error | null {
    const waitMs = expectedWaitMs(queue.work, schedulingLatency.msPerWorkUnit, this.#pool.size) ?? 0;
    const isFull = queue.rows > 0 && queue.rows + item.rows > MAX_QUEUED_ROWS;
    if (!isFull && waitMs <= deadlineMs) return null;
    return new OverloadedError(version.ref, queue.rows, Math.ceil(Math.max(100, waitMs - deadlineMs)));
  }

  #onSettled(): void {
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
    const blocked = new Set<ScheduledVersion>();
    const next = () =>
      mostUrgent(
        this.#served.values().filter((served) => !blocked.has(served)),
        now,
      );
    for (let served = next(); served; served = next()) {
      const { key, spec } = served.version;
      const holders = this.#pool.ready.filter(({ loaded }) => loaded.has(key));
      const { worker, waitMs } = selectWorker(holders, served, this.#served, now);
      if (!worker) {
        blocked.add(served);
        this.#awaitWorker(served, holders.length, waitMs, now);
        continue;
      }
      this.#residents.recordUse(worker, served.version, served.blockedSince === null ? 0 : now - served.blockedSince);
      served.blockedSince = null;
      const limits = { rows: spec.maxBatch, ...maxBatchWork(spec) };
      this.#assign(worker, served.version, served.queue.take(limits, now), now);
    }
    this.#dispatchQuarantine(now);
  }

  /** Loads the version, or another copy of it, if that is what its inputs wait for. */
  #awaitWorker(served: ScheduledVersion, copies: number, waitMs: number | null, now: number): void {
    if (copies === 0) {
      this.#residents.ensureLoaded(served.version);
      return;
    }
    served.blockedSince ??= now;
    const { queue, schedulingLatency, version } = served;
    const expectedMs = expectedWaitMs(queue.work, schedulingLatency.msPerWorkUnit, copies) ?? 0;
    const blockedMs = now - served.blockedSince;
    const loadMs = this.#residents.considerCopy(version, Math.max(expectedMs, blockedMs));
    this.#scheduleDispatchIn(Math.min(waitMs ?? Infinity, Math.max(1, loadMs - blockedMs)));
  }

  #onResidentsChanged(): void {
    this.#residents.retryRequested();
    this.#scheduleDispatch();
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
    this.#assign(worker, next.version, [next.entry], now);
  }

  #assign(worker: WorkerProcess, version: EngineVersion, entries: readonly Entry[], now: number): void {
    if (entries.length === 0) return;
    const rows = entries.reduce((sum, { item }) => sum + item.rows, 0);
    const work = entries.reduce((sum, { item }) => sum + item.work, 0);
    const expectedMs = worker.loaded.has(version.key) ? this.#expectedRunMs(version, work) : null;
    // The cost of decoding an image or tokenizing a text is unknown until it is done.
    const hasUnknownCost = version.spec.text !== null || version.spec.image !== null;
    const announceStart = hasUnknownCost || shouldAnnounceStart(expectedMs);
    for (const entry of entries) entry.phase = 'run';
    const message = { kind: 'batch', key: version.key, items: entries.map(({ item }) => item), announceStart } as const;
    const startedAt = announceStart ? null : now;
    try {
      worker.assign({ version, entries, rows, work, runWork: work, dispatchedAt: now, startedAt }, message);
    } catch (error) {
      // The message cannot be cloned or is too long. No other worker could be sent it either.
      for (const entry of entries) entry.fail(error as Error);
    }
    if (worker.batches.length === 1) this.#resetWatchdog(worker);
  }

  #expectedRunMs(version: EngineVersion, work: number): number | null {
    return this.#served.get(version.key)?.watchdogLatency.totalMs(work) ?? null;
  }

  /** Watches the oldest batch. Until its run has started, the timeout covers loading and preprocessing. */
  #resetWatchdog(worker: WorkerProcess): void {
    const [oldest] = worker.batches;
    if (!oldest) this.#watchdogs.set(worker, null);
    else if (oldest.startedAt === null) this.#watchdogs.set(worker, LOAD_WATCHDOG_MS);
    else {
      const { version, runWork } = oldest;
      this.#watchdogs.set(worker, watchdogMs(this.#expectedRunMs(version, runWork), version.spec.maxRunMs));
    }
  }

  // ── answers ──

  #receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'started') this.#recordStart(worker, message);
    else if (message.kind === 'done') this.#deliver(worker, message);
    else if (message.kind === 'loaded') this.#hasLoaded = true;
    else if (message.kind === 'ready') this.#onWorkerReady(worker);
    else if (message.kind === 'loadFailed') this.#failLoad(worker, message.key, message.message);
  }

  #onWorkerReady(worker: WorkerProcess): void {
    this.#residents.onReady(worker);
    this.#onResidentsChanged();
  }

  #recordStart(worker: WorkerProcess, { id, tokens }: Extract<FromWorker, { kind: 'started' }>): void {
    const batch = worker.batches[0];
    if (batch?.id !== id) return;
    batch.startedAt = performance.now();
    batch.runWork = tokens ?? batch.work;
    this.#resetWatchdog(worker);
    this.#scheduleDispatch();
  }

  #deliver(worker: WorkerProcess, { id, results, timing }: Extract<FromWorker, { kind: 'done' }>): void {
    const batch = worker.batches[0];
    if (batch?.id !== id) return;
    worker.completeBatch();
    this.#resetWatchdog(worker);
    this.#recordLatency(batch, timing);
    const { provider: executionProvider } = this.#pool;
    for (const [i, entry] of batch.entries.entries()) {
      const result = results[i] as ItemResult;
      if ('failure' in result && result.failure.kind === 'memory')
        this.#handleAllocationFailure(worker, batch, entry, result.failure);
      else
        entry.succeed({ result, timing, batchSize: batch.rows, executionProvider, dispatchedAt: batch.dispatchedAt });
    }
    this.#scheduleDispatch();
  }

  #recordLatency(
    { version, work, runWork }: OutstandingBatch,
    { preprocessMs, inferMs, postprocessMs }: BatchTiming,
  ): void {
    const served = this.#served.get(version.key);
    served?.schedulingLatency.record(work, { preprocessMs, inferMs });
    served?.watchdogLatency.record(runWork, { preprocessMs, inferMs: inferMs + postprocessMs });
  }

  /** Retries the input in quarantine and recycles the worker: after a failed allocation its answers are unreliable. */
  #handleAllocationFailure(
    worker: WorkerProcess,
    { version }: OutstandingBatch,
    entry: Entry,
    { message }: ItemFailure,
  ): void {
    if (worker.purpose === 'quarantine')
      this.#quarantine.failPoisonInput({ version, entry }, `it needs more memory than one worker may use: ${message}`);
    else this.#quarantine.addSuspect({ version, entry });
    this.#pool.recycle(worker, message);
  }

  #failLoad(worker: WorkerProcess, key: string, message: string): void {
    const failed = worker.batches.filter(({ version }) => version.key === key).flatMap(({ entries }) => entries);
    for (const entry of failed)
      entry.fail(new InferenceFailedError(`the version's artifact could not be loaded: ${message}`));
  }

  // ── recovery after a worker has exited ──

  #recover(worker: WorkerProcess, cause: ExitCause, how: string): void {
    this.#watchdogs.set(worker, null);
    this.#residents.onExit(worker);
    for (const [i, batch] of worker.takeBatches().entries()) {
      const [entry] = batch.entries;
      if (worker.purpose === 'quarantine' && entry && mayBeCausedByInput(cause))
        this.#quarantine.failPoisonInput({ version: batch.version, entry }, poisonReason(cause, how));
      else this.#recoverBatch(worker, batch, cause, i === 0, how);
    }
    this.#scheduleDispatch();
  }

  #recoverBatch(
    worker: WorkerProcess,
    batch: OutstandingBatch,
    cause: ExitCause,
    isRunning: boolean,
    how: string,
  ): void {
    const { version } = batch;
    const retried: Entry[] = [];
    for (const entry of batch.entries) {
      const recovery = chooseRecovery(cause, isRunning, entry.retries);
      entry.phase = 'queue';
      if (recovery === 'fail')
        entry.fail(new InferenceFailedError(`the inference process ended (${how}); try again`, true));
      else if (recovery === 'quarantine') this.#quarantine.addSuspect({ version, entry });
      else {
        entry.retries++;
        retried.push(entry);
      }
    }
    if (worker.purpose !== 'quarantine') this.#ensureServed(version).queue.requeue(retried);
    else for (const entry of retried) this.#quarantine.requeue({ version, entry });
  }

  #failQueued({ key }: EngineVersion, error: Error): void {
    const now = performance.now();
    for (const entry of this.#served.get(key)?.queue.take(NO_LIMITS, now) ?? []) entry.fail(error);
  }

  #quarantineQueued(version: EngineVersion): void {
    const queued = this.#served.get(version.key)?.queue.take(NO_LIMITS, performance.now()) ?? [];
    for (const entry of queued) this.#quarantine.addSuspect({ version, entry });
  }

  #failAll(error: Error): void {
    for (const { version } of this.#served.values()) this.#failQueued(version, error);
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
