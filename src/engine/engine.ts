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
 * This file holds the effects (timers, processes, promises). The decisions are pure, in
 * `fair-queue.ts`, `admission.ts`, `schedule.ts` and `supervision.ts`. The engine knows neither GraphQL nor SQL.
 */

import { DeadlineExceededError, InferenceFailedError, OverloadedError, ShuttingDownError } from '../errors.js';
import type { ItemFailure } from '../tasks/failures.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import type { Item } from '../tasks/tasks.js';
import { maxBatchWork } from '../tasks/work.js';
import { waitAtMost } from '../wait-at-most.js';
import { type Arrival, decideAdmission, isTooLate, retryAfterMs } from './admission.js';
import { Cancellations } from './cancellations.js';
import type { ProbeProcesses } from './disposable-worker.js';
import { createEntry, type RunOptions } from './entry.js';
import { FairQueue } from './fair-queue.js';
import { type BatchSize, VersionLatency } from './latency.js';
import type { BatchTiming, EngineVersion, FromWorker, ItemResult } from './messages.js';
import { Pool, type PoolOptions } from './pool.js';
import { Quarantine } from './quarantine.js';
import { type Entry, NO_LIMITS, type Outcome, type PriorityName, sizeOf, sum } from './queue.js';
import { ResidentVersions } from './resident-versions.js';
import { busyMs, type ScheduledVersion, selectWorker } from './schedule.js';
import {
  chooseRecovery,
  type ExitCause,
  mayBeCausedByInput,
  poisonReason,
  shouldAnnounceStart,
  watchdogMs,
} from './supervision.js';
import { Watchdogs } from './watchdogs.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

const LOAD_WATCHDOG_MS = 120_000;
/**
 * Longest time that the run of a batch is planned to take. A run cannot be interrupted, so longer work is split into
 * several batches: between them, other versions get their turn, and inputs that nobody waits for are dropped.
 */
const MAX_RUN_MS = 200;
/** What an input of a version that was never measured counts in the shares of its caller. */
const UNKNOWN_COST_MS = 1;

export class Engine {
  readonly #pool: Pool;
  readonly #served = new Map<string, ScheduledVersion>();
  readonly #quarantine = new Quarantine((version, error) => this.#failQueued(version, error));
  readonly #watchdogs = new Watchdogs();
  readonly #residents: ResidentVersions;
  readonly #queue = new FairQueue();
  readonly #cancellations = new Cancellations();
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
      hasWaiting: (key) => this.#queue.rowsOf(key) > 0,
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
    if (options.connection.isClosed)
      return Promise.reject(new InferenceFailedError('the client has disconnected', true));
    const now = performance.now();
    const { caller } = options.connection;
    const served = this.#ensureServed(version);
    const refusal =
      this.#quarantine.refusal(version, item, caller, now) ?? this.#refusalForLoad(served, item, options, now);
    if (refusal) return Promise.reject(refusal);
    const { entry, answered } = createEntry(item, options, (settled) => this.#onSettled(settled));
    this.#outstanding++;
    if (this.#quarantine.isConfined(version, caller, now)) this.#quarantine.addConfined({ version, entry });
    else {
      entry.costMs = served.latency.costMs(sizeOf(entry), batchLimits(version)) ?? UNKNOWN_COST_MS;
      this.#queue.push(version.key, entry);
    }
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
    const served = { version, latency: new VersionLatency(), running: 0, blockedSince: null };
    this.#served.set(version.key, served);
    return served;
  }

  #refusalForLoad(
    { version, ...served }: ScheduledVersion,
    item: Item,
    options: RunOptions,
    now: number,
  ): Error | null {
    const { key, ref } = version;
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

  #onSettled(entry: Entry): void {
    if (!this.#queue.remove(entry)) this.#cancellations.cancel(entry);
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
    const blocked = new Set<string>();
    for (let next = this.#queue.next(now, blocked); next; next = this.#queue.next(now, blocked)) {
      const { key, entry } = next;
      const served = this.#served.get(key) as ScheduledVersion;
      const holders = this.#pool.ready.filter(({ loaded }) => loaded.has(key));
      const { worker, waitMs } = selectWorker(holders, served, this.#served, now);
      if (!worker) {
        blocked.add(key);
        this.#awaitWorker(served, holders.length, waitMs, now);
        continue;
      }
      this.#assignNext(worker, served, entry, now);
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
    if (isTooLate({ leftMs, aloneMs: latency.expectedMs(entry.item), ageMs: latency.ageMs(now) })) {
      const { key, ref } = version;
      entry.fail(
        new OverloadedError(ref, this.#queue.rowsOf(key), retryAfterMs(this.#queue.totals.queuedMs / this.#pool.size)),
      );
      return;
    }
    this.#residents.recordUse(worker, version, blockedSince === null ? 0 : now - blockedSince);
    served.blockedSince = null;
    const limits = latency.limitsWithin(batchLimits(version), Math.min(MAX_RUN_MS, leftMs));
    this.#assign(worker, version, this.#queue.take(version.key, limits, now), now);
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
    const { rows, work, preprocessingWork } = entries.map(sizeOf).reduce(sum);
    const served = this.#ensureServed(version);
    const wasLoaded = worker.loaded.has(version.key);
    const expectedMs = served.latency.expectedMs({ work, preprocessingWork });
    // The cost of decoding an image or tokenizing a text is unknown until it is done.
    const hasUnknownCost = version.spec.text !== null || version.spec.image !== null;
    const announceStart = hasUnknownCost || shouldAnnounceStart(wasLoaded ? this.#expectedRunMs(version, work) : null);
    for (const entry of entries) entry.phase = 'run';
    const message = { kind: 'batch', key: version.key, items: entries.map(({ item }) => item), announceStart } as const;
    const size = { rows, work, preprocessingWork, runWork: work, expectedMs, wasLoaded };
    const startedAt = announceStart ? null : now;
    try {
      const batch = worker.assign({ version, entries, ...size, dispatchedAt: now, startedAt }, message);
      this.#cancellations.track(worker, batch);
      served.running++;
    } catch (error) {
      // The message cannot be cloned or is too long. No other worker could be sent it either.
      for (const entry of entries) entry.fail(error as Error);
    }
    if (worker.batches.length === 1) this.#resetWatchdog(worker);
  }

  #expectedRunMs(version: EngineVersion, work: number): number | null {
    return this.#served.get(version.key)?.latency.inWorkerMs(work) ?? null;
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
    const now = performance.now();
    const occupiedMs = now - Math.max(batch.dispatchedAt, worker.lastUsedAt);
    worker.completeBatch();
    this.#release(batch);
    this.#resetWatchdog(worker);
    // Items that were cancelled did not run, so the duration says nothing.
    const isWhole = batch.entries.every(({ isSettled }, i) => !isSettled || 'answer' in (results[i] as ItemResult));
    if (isWhole) this.#learn(batch, timing, occupiedMs, now);
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

  #learn(batch: OutstandingBatch, timing: BatchTiming, occupiedMs: number, now: number): void {
    const { version, entries, runWork, wasLoaded } = batch;
    this.#ensureServed(version).latency.record({ estimated: batch, runWork, ...timing, occupiedMs, wasLoaded }, now);
    const predictedMs = entries.reduce((total, { costMs }) => total + costMs, 0);
    const actualMs = wasLoaded ? occupiedMs : timing.preprocessMs + timing.inferMs + timing.postprocessMs;
    for (const entry of entries)
      this.#queue.correct(version.key, entry, (actualMs * entry.costMs) / Math.max(predictedMs, Number.MIN_VALUE));
  }

  #release(batch: OutstandingBatch): void {
    this.#cancellations.forget(batch);
    this.#ensureServed(batch.version).running--;
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
      this.#release(batch);
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
      if (entry.isSettled) continue;
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
    if (worker.purpose !== 'quarantine') this.#queue.requeue(version.key, retried);
    else for (const entry of retried) this.#quarantine.requeue({ version, entry });
  }

  #failQueued({ key }: EngineVersion, error: Error): void {
    for (const entry of this.#queue.take(key, NO_LIMITS, performance.now())) entry.fail(error);
  }

  #quarantineQueued(version: EngineVersion): void {
    for (const entry of this.#queue.take(version.key, NO_LIMITS, performance.now()))
      this.#quarantine.addSuspect({ version, entry });
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

function batchLimits({ spec }: EngineVersion): BatchSize {
  return { rows: spec.maxBatch, ...maxBatchWork(spec) };
}
