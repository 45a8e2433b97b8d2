/**
 * The pool of worker processes: the workers that serve requests, one warm spare and the quarantine worker. It starts
 * and replaces processes, and tracks which versions each of them has loaded.
 *
 * A worker gets work only after it has sent `ready`. When one exits, the spare, which has the most valuable versions
 * loaded, takes its place and a new spare starts. If processes keep failing at startup, restarts back off exponentially
 * to one every 5 s, without a limit on their number.
 */
import { mkdir, rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { Tally } from '../counting/tally.js';
import { InferenceFailedError, StartupError } from '../errors.js';
import { isOutOfMemory } from '../tasks/failures.js';
import { childStarter, findConfinement, type Purpose, type StartChild } from './child.js';
import { deviceOf, gpuName, leastUsedGpu } from './device.js';
import { ProcessLostError, ReusableProcesses } from './disposable-worker.js';
import { type EngineVersion, type FromWorker, loadMessage } from './messages.js';
import { checkProvider, type ProviderCheck } from './provider-checks.js';
import { deviceRoom } from './residency.js';
import {
  countFailedStarts,
  decideRecycling,
  EXIT_CAUSES,
  type ExitCause,
  restartDelayMs,
  STANDBY_WORKERS,
} from './supervision.js';
import { LOWEST_PRIORITY, ThumbnailMaker } from './thumbnail-maker.js';
import { type LoadResult, WorkerProcess } from './worker-process.js';

export interface PoolOptions {
  readonly workers: number;
  readonly workerFile: string;
  readonly memoryBytes: number;
  /** Working folder of every worker; deleted and recreated at start. */
  readonly emptyFolder: string;
  /** Execution providers to try, in order of preference. */
  readonly providers: readonly string[];
  /** The GPUs over which processes are spread with CUDA, as `CUDA_VISIBLE_DEVICES` names them. Default: none is chosen. */
  readonly gpus?: readonly string[];
  /** Memory of each GPU that all processes on it may use; null if it is not limited. Default: null. */
  readonly deviceMemoryBytes?: number | null;
  readonly log: Logger;
  readonly onMessage: (worker: WorkerProcess, message: FromWorker) => void;
  readonly onExit: (worker: WorkerProcess, cause: ExitCause, how: string) => void;
  /** Starts a process; simulations pass their own. */
  readonly startChild?: StartChild;
}

/** The worker replied that it could not load a version. */
export class LoadFailedError extends Error {
  get isOutOfMemory(): boolean {
    return isOutOfMemory(this.message);
  }
}

/** What callers learn of a version that cannot be loaded. */
export function artifactError(message: string): InferenceFailedError {
  return new InferenceFailedError(`the version's artifact could not be loaded: ${message}`);
}

/** The server gives up its own startup after this many failed worker starts in a row. */
const MAX_FAILED_STARTS = 5;

const INSPECTION_INTERVAL_MS = 5_000;
/** An idle quarantine worker is stopped after this time and started again on demand. */
const QUARANTINE_IDLE_TIMEOUT_MS = 60_000;

export class Pool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<WorkerProcess>();
  #startChild: StartChild;
  #probes: ReusableProcesses | null = null;
  /** In a process that is not in `all`. */
  readonly thumbnails = new ThumbnailMaker((...args) => this.#startChild(...args), LOWEST_PRIORITY);
  /** For whoever waits for an explanation. */
  readonly hiddenPatches = new ThumbnailMaker((...args) => this.#startChild(...args), null);
  #isMemoryLimited = false;
  #failedStarts = 0;
  #isStopping = false;
  #inspection: NodeJS.Timeout | null = null;
  #firstReady = Promise.withResolvers<void>();
  /** Processes that have ended, by cause; `stopped`: because they were old, large or idle. */
  readonly restarts = new Tally<ExitCause>(EXIT_CAUSES);
  providerChecks: readonly ProviderCheck[] = [];
  /** The one in use. Graphs that only the CPU can run are run there. */
  provider = 'cpu';
  /** The names of the devices that the providers run on; null if one is unknown. */
  readonly #devices = new Map<string, string | null>();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#startChild = options.startChild ?? (() => throwNotStarted());
  }

  /** The name of the device on which the worker runs versions with this provider; null if it is unknown. */
  deviceOf({ gpu }: WorkerProcess, provider: string): string | null {
    const model = this.#devices.get(provider) ?? null;
    if (provider !== 'cuda' || gpu === undefined || this.#gpus.length === 1) return model;
    return model === null ? gpuName(gpu) : `${model} (${gpuName(gpu)})`;
  }

  /** GPU memory that versions and runs may take in one process; infinity where it is not limited. */
  get deviceRoomBytes(): number {
    const { deviceMemoryBytes, workers } = this.#options;
    if (this.provider === 'cpu' || deviceMemoryBytes == null) return Number.POSITIVE_INFINITY;
    // WebGPU uses one GPU, whatever CUDA may see.
    return deviceRoom(deviceMemoryBytes, workers, this.provider === 'cuda' ? this.#gpus.length : 1);
  }

  /** The configured number of serving workers, whether or not all of them are running. */
  get size(): number {
    return this.#options.workers;
  }

  get all(): readonly WorkerProcess[] {
    return [...this.#workers];
  }

  get ready(): readonly WorkerProcess[] {
    return this.all.filter(({ purpose, isReady }) => purpose === 'pool' && isReady);
  }

  /** The workers that stand by; at most one, unless several were killed at the same time. */
  get spares(): readonly WorkerProcess[] {
    return this.all.filter(({ purpose, isReady }) => purpose === 'spare' && isReady);
  }

  /** Combined data memory limit of all workers, spare and quarantine included; null where memory cannot be limited. */
  get memoryBudgetBytes(): number | null {
    return this.#isMemoryLimited ? (this.#options.workers + STANDBY_WORKERS) * this.#options.memoryBytes : null;
  }

  async workerStatus() {
    const executionProvider = this.provider;
    return Promise.all(
      this.all.map(async (worker) => {
        const { pid, restarts, loaded } = worker;
        const device = this.deviceOf(worker, executionProvider);
        const residentBytes = (await worker.memory())?.residentBytes ?? 0;
        const state = publicState(worker);
        return { pid, state, restarts, executionProvider, device, residentBytes, versionIds: [...loaded.keys()] };
      }),
    );
  }

  /**
   * Starts the workers. Resolves when one of them is ready and the execution provider is chosen.
   *
   * @throws StartupError if five worker starts in a row fail
   */
  async start(): Promise<void> {
    if (!this.#options.startChild) this.#startChild = await this.#createChildStarter();
    for (let i = 0; i < this.size; i++) this.#spawn('pool', 0);
    [this.providerChecks] = await Promise.all([
      Promise.all(this.#options.providers.map((name) => checkProvider(this.#startChild, name, this.#gpus))),
      this.#firstReady.promise,
    ]);
    const chosen = this.providerChecks.find(({ available }) => available);
    if (!chosen) this.#options.log.error({ providers: this.providerChecks }, 'no execution provider is available');
    this.provider = chosen?.name ?? 'none';
    for (const provider of new Set([this.provider, 'cpu'])) this.#devices.set(provider, await deviceOf(provider));
    this.#inspection = setInterval(() => this.#inspect(), INSPECTION_INTERVAL_MS).unref();
  }

  /** The quarantine worker; starts it if it is not running. */
  quarantine(): WorkerProcess {
    return this.#findActive('quarantine') ?? this.#spawn('quarantine', 0);
  }

  /**
   * Loads a version that the worker has not loaded. Resolves after the warm-up run.
   *
   * @throws LoadFailedError; ProcessLostError if the worker exits first
   */
  async load(worker: WorkerProcess, version: EngineVersion): Promise<LoadResult> {
    const already = worker.loading.get(version.key);
    if (already) return already.promise;
    const waiting = { version, ...Promise.withResolvers<LoadResult>() };
    worker.send(loadMessage(version, this.provider));
    worker.loading.set(version.key, waiting);
    return waiting.promise;
  }

  /** Releases a loaded version after the batches sent before. Resolves when it is released, or the worker has exited. */
  unload(worker: WorkerProcess, key: string): Promise<void> {
    const waiting = worker.unloading.get(key) ?? Promise.withResolvers<void>();
    worker.unloading.set(key, waiting);
    if (worker.loaded.delete(key)) worker.send({ kind: 'unload', key });
    return waiting.promise;
  }

  /** Replaces the worker immediately. The old process finishes its batches and is then killed. */
  recycle(worker: WorkerProcess, why: string): void {
    if (worker.isReplaced || this.#isStopping) return;
    this.#options.log.info({ pid: worker.pid, why }, 'recycling a worker');
    worker.isReplaced = true;
    if (worker.purpose === 'pool') this.#replace(worker.restarts + 1);
    worker.retire();
  }

  /** Whether an import examines versions in processes that are not in `all`. */
  get isProbing(): boolean {
    return this.#probes?.hasEnded === false;
  }

  /** Starts the probe processes of an import, with the memory limit of this pool. The import ends them; `stop` does too. */
  startProbes(): ReusableProcesses {
    this.#probes?.end();
    this.#probes = new ReusableProcesses(this.#startChild);
    return this.#probes;
  }

  /** Data memory that one worker may allocate, in bytes. */
  get workerMemoryBytes(): number {
    return this.#options.memoryBytes;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#inspection) clearInterval(this.#inspection);
    this.#probes?.end();
    this.thumbnails.end();
    this.hiddenPatches.end();
    const workers = this.all;
    for (const worker of workers) worker.kill('stopped');
    await Promise.all(workers.map(({ exited }) => exited));
  }

  get #gpus(): readonly string[] {
    return this.#options.gpus ?? [];
  }

  async #createChildStarter(): Promise<StartChild> {
    const { workerFile: file, memoryBytes, emptyFolder, log } = this.#options;
    await rm(emptyFolder, { recursive: true, force: true });
    await mkdir(emptyFolder, { recursive: true });
    const confinement = await findConfinement();
    this.#isMemoryLimited = confinement.prlimit !== null;
    const missing = Object.entries(confinement).flatMap(([tool, file]) => (file ? [] : [tool]));
    if (missing.length > 0)
      log.warn(
        { missing },
        'tools that confine workers are missing or not permitted; workers run without those limits',
      );
    // Until the providers have been checked, the only probes are those that check them.
    const mayUseGpu = () => this.providerChecks.length === 0 || this.provider !== 'cpu';
    return childStarter({ file, emptyFolder, memoryBytes, mayUseGpu }, confinement);
  }

  #findActive(purpose: 'spare' | 'quarantine'): WorkerProcess | undefined {
    return this.all.find((worker) => worker.purpose === purpose && !worker.isReplaced);
  }

  #spawn(purpose: Purpose, restarts: number): WorkerProcess {
    const events = {
      onMessage: (from: WorkerProcess, message: FromWorker) => this.#receive(from, message),
      onExit: (from: WorkerProcess, cause: ExitCause, how: string) => this.#onExit(from, cause, how),
    };
    const used = this.all.filter(({ isReplaced }) => !isReplaced).map(({ gpu }) => gpu);
    const gpu = leastUsedGpu(this.#gpus, used);
    const worker = new WorkerProcess(this.#startChild, purpose, restarts, events, gpu);
    this.#workers.add(worker);
    return worker;
  }

  #receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'ready') this.#onReady(worker);
    else if (message.kind === 'loaded') this.#onLoaded(worker, message);
    else if (message.kind === 'done' || message.kind === 'ran') worker.hasWorked = true;
    else if (message.kind === 'loadFailed') this.#onLoadFailed(worker, message);
    else if (message.kind === 'unloaded') {
      worker.unloading.get(message.key)?.resolve();
      worker.unloading.delete(message.key);
      if (!worker.loaded.has(message.key)) worker.providers.delete(message.key);
    }
    this.#options.onMessage(worker, message);
  }

  #onLoaded(worker: WorkerProcess, { key, ...result }: Extract<FromWorker, { kind: 'loaded' }>): void {
    worker.hasWorked = true;
    worker.providers.set(key, result.executionProvider);
    worker.lastUsedAt = performance.now();
    worker.loaded.set(key, result.residentBytes ?? 0);
    worker.loading.get(key)?.resolve(result);
    worker.loading.delete(key);
    // The first spare starts once there is a version to keep warm.
    const needsSpare = worker.purpose === 'pool' && !this.#isStopping && !this.#findActive('spare');
    if (needsSpare) this.#spawn('spare', 0);
  }

  /** The log gets the whole message of the native library; callers get it without paths. */
  #onLoadFailed(worker: WorkerProcess, { key, message }: Extract<FromWorker, { kind: 'loadFailed' }>): void {
    const { pid, purpose } = worker;
    const waiting = worker.loading.get(key);
    this.#options.log.error({ pid, purpose, ref: waiting?.version.ref, message }, 'a worker could not load a version');
    worker.lastUsedAt = performance.now();
    waiting?.reject(new LoadFailedError(message));
    worker.loading.delete(key);
  }

  #onReady(worker: WorkerProcess): void {
    worker.markReady();
    this.#firstReady.resolve();
  }

  #onExit(worker: WorkerProcess, cause: ExitCause, how: string): void {
    this.#workers.delete(worker);
    for (const waiting of worker.loading.values()) waiting.reject(new ProcessLostError(cause, how));
    for (const waiting of worker.unloading.values()) waiting.resolve();
    if (this.#isStopping) return;
    this.restarts.add(cause);
    if (worker.isReplaced && cause === 'stopped') return;
    const { pid, purpose, hasWorked } = worker;
    this.#options.log.warn({ pid, cause, how, purpose, hasWorked }, 'a worker has exited');
    this.#failedStarts = countFailedStarts(this.#failedStarts, hasWorked, cause);
    if (this.#failedStarts === MAX_FAILED_STARTS) this.#firstReady.reject(startupFailure(how));
    if (!worker.isReplaced && purpose === 'pool') this.#replace(worker.restarts + 1);
    else if (!worker.isReplaced && purpose === 'spare') this.#spawnWithBackoff('spare', 0);
    this.#options.onExit(worker, cause, how);
  }

  /** Promotes the spare if it is ready; otherwise starts a new worker. */
  #replace(restarts: number): void {
    const spare = this.#findActive('spare');
    if (spare?.isReady) {
      spare.purpose = 'pool';
      spare.restarts = restarts;
      this.#spawnWithBackoff('spare', 0);
    } else this.#spawnWithBackoff('pool', restarts);
  }

  #spawnWithBackoff(purpose: 'pool' | 'spare', restarts: number): void {
    const ms = restartDelayMs(this.#failedStarts);
    if (ms === 0) this.#spawn(purpose, restarts);
    else setTimeout(() => this.#isStopping || this.#spawn(purpose, restarts), ms).unref();
  }

  /**
   * Recycles old and large workers, at most one per inspection and only while a spare is ready. Kills workers above
   * their memory limit regardless.
   */
  async #inspect(): Promise<void> {
    const now = performance.now();
    for (const worker of this.all) {
      const dataBytes = (await worker.memory())?.dataBytes ?? null;
      const { startedAt, versionBytes, loading } = worker;
      const use = { ageMs: now - startedAt, dataBytes, versionBytes, isLoading: loading.size > 0 };
      const decision = decideRecycling(use, this.#options.memoryBytes);
      const isIdle = worker.batches.length === 0 && now - worker.lastUsedAt > QUARANTINE_IDLE_TIMEOUT_MS;
      if (decision === 'kill') worker.kill('memoryLimit');
      else if (worker.purpose === 'quarantine' && isIdle) this.recycle(worker, 'idle');
      else if (decision === 'retire' && worker.purpose === 'spare') worker.kill('stopped');
      else if (decision === 'retire' && this.#findActive('spare')?.isReady) return this.recycle(worker, 'old or large');
    }
  }
}

function startupFailure(how: string): StartupError {
  return new StartupError(
    `No inference worker can start: ${MAX_FAILED_STARTS} processes in a row exited before they were ready (${how}). ` +
      'Their error output is above. If they ran out of memory, raise WORKER_MEMORY_BYTES.',
  );
}

function throwNotStarted(): never {
  throw new Error('The pool was used before it was started. This is a bug.');
}

function publicState({ state, purpose }: WorkerProcess): 'STARTING' | 'READY' | 'BUSY' | 'QUARANTINE' | 'STOPPING' {
  if (state === 'DRAINING' || state === 'EXITED') return 'STOPPING';
  return purpose === 'quarantine' && state !== 'STOPPING' ? 'QUARANTINE' : state;
}
