/**
 * Who exists: the worker processes, their replacement when one ends, and what each has loaded.
 *
 * A worker takes work only after it said `ready`. One that dies at its start is replaced ever more slowly, for ever.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { check } from '../tasks/task.js';
import type { EngineVersion, FromWorker, ToWorker } from './messages.js';
import { type EndCause, restartDelayMs } from './supervision.js';
import { type WorkerLaunch, WorkerProcess } from './worker-process.js';

export interface PoolOptions {
  readonly workers: number;
  readonly workerFile: string;
  readonly memoryBytes: number;
  /** Working folder of every worker; made anew at start. */
  readonly emptyFolder: string;
  /** Execution providers to try, best first. */
  readonly providers: readonly string[];
  readonly log: Logger;
  readonly onMessage: (worker: WorkerProcess, message: FromWorker) => void;
  readonly onLost: (worker: WorkerProcess, cause: EndCause, how: string) => void;
}

export interface ProviderProbe {
  readonly name: string;
  readonly available: boolean;
  readonly reason: string | null;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<WorkerProcess>();
  readonly #hot = new Map<string, EngineVersion>();
  #launch: WorkerLaunch | null = null;
  #quarantine: WorkerProcess | null = null;
  #failedStarts = 0;
  #isStopping = false;
  #someoneReady = Promise.withResolvers<void>();
  probes: readonly ProviderProbe[] = [];
  provider = 'cpu';

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Slots, whether or not their process lives just now. */
  get size(): number {
    return this.#options.workers;
  }

  get all(): readonly WorkerProcess[] {
    return [...this.#workers];
  }

  get ready(): readonly WorkerProcess[] {
    return this.all.filter(({ purpose, isReady }) => purpose === 'pool' && isReady);
  }

  /** Data memory of all slots together; null where no wrapper limits it. */
  get memoryBudgetBytes(): number | null {
    const isLimited = this.#launch?.wrappers.some((wrapper) => wrapper.endsWith('prlimit'));
    return isLimited ? this.#options.workers * this.#options.memoryBytes : null;
  }

  async describeWorkers() {
    const executionProvider = this.provider;
    return Promise.all(
      this.all.map(async (worker) => {
        const { pid, state, restarts, loaded } = worker;
        const residentBytes = await worker.residentBytes();
        return { pid, state, restarts, executionProvider, device: null, residentBytes, versionIds: [...loaded] };
      }),
    );
  }

  /** Resolves when a worker is ready and the execution provider is known. */
  async start(): Promise<void> {
    const { workerFile, memoryBytes, workers, emptyFolder } = this.#options;
    await rm(emptyFolder, { recursive: true, force: true });
    await mkdir(emptyFolder, { recursive: true });
    this.#launch = { file: workerFile, emptyFolder, memoryBytes, wrappers: findWrappers() };
    for (let i = 0; i < workers; i++) this.#spawn('pool', 0);
    [this.probes] = await Promise.all([this.#probeProviders(), this.#someoneReady.promise]);
    const chosen = this.probes.find(({ available }) => available);
    if (!chosen) this.#options.log.error({ probes: this.probes }, 'no execution provider is available');
    this.provider = chosen?.name ?? 'none';
  }

  /** The worker for suspects, started when it is first needed. */
  quarantine(): WorkerProcess {
    this.#quarantine ??= this.#spawn('quarantine', 0);
    return this.#quarantine;
  }

  /** Loads the version into one worker, once; resolves when it is loaded and warm. */
  load(worker: WorkerProcess, version: EngineVersion): Promise<void> {
    if (worker.loaded.has(version.key)) return Promise.resolve();
    const already = worker.loading.get(version.key);
    if (already) return already.promise;
    const waiting = { version, ...Promise.withResolvers<void>() };
    worker.loading.set(version.key, waiting);
    worker.send(loadMessage(version, this.provider));
    return waiting.promise;
  }

  async loadEverywhere(version: EngineVersion): Promise<void> {
    await Promise.all(this.ready.map((worker) => this.load(worker, version)));
  }

  /** A disposable process for one purpose; it is killed when `work` ends, whatever came of it. */
  async inDisposableWorker<T>(work: (ask: (message: ToWorker) => Promise<FromWorker>) => Promise<T>): Promise<T> {
    let waiting = Promise.withResolvers<FromWorker>();
    const worker = new WorkerProcess(this.#launch as WorkerLaunch, 'probe', 0, {
      onMessage: (_, message) => waiting.resolve(message),
      onEnd: (_, cause, how) => waiting.reject(new Error(endedText(cause, how))),
    });
    // Between two questions nobody listens to the promise, and an end is reported by the next one.
    waiting.promise.catch(() => {});
    const timer = setTimeout(() => worker.kill('watchdog'), DISPOSABLE_WORKER_MS);
    try {
      await waiting.promise;
      return await work((message) => {
        waiting = Promise.withResolvers();
        waiting.promise.catch(() => {});
        worker.send(message);
        return waiting.promise;
      });
    } finally {
      clearTimeout(timer);
      worker.kill('stopped');
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const workers = [...this.#workers];
    for (const worker of workers) worker.kill('stopped');
    await Promise.all(workers.map(({ ended }) => ended));
  }

  #spawn(purpose: 'pool' | 'quarantine', restarts: number): WorkerProcess {
    const worker = new WorkerProcess(this.#launch as WorkerLaunch, purpose, restarts, {
      onMessage: (from, message) => this.#receive(from, message),
      onEnd: (from, cause, how) => this.#replace(from, cause, how),
    });
    this.#workers.add(worker);
    return worker;
  }

  #receive(worker: WorkerProcess, message: FromWorker): void {
    if (message.kind === 'ready') this.#welcome(worker);
    else if (message.kind === 'loaded') this.#noteLoaded(worker, message.key);
    else if (message.kind === 'done') worker.hasWorked = true;
    else if (message.kind === 'loadFailed') {
      worker.loading.get(message.key)?.reject(new Error(message.message));
      worker.loading.delete(message.key);
    }
    this.#options.onMessage(worker, message);
  }

  /** Only what was loaded once is given to replacements: a version that kills its worker must not do so for ever. */
  #noteLoaded(worker: WorkerProcess, key: string): void {
    const waiting = worker.loading.get(key);
    if (waiting) this.#hot.set(key, waiting.version);
    worker.hasWorked = true;
    worker.loaded.add(key);
    worker.loading.delete(key);
    waiting?.resolve();
  }

  /** A replacement gets what the others have before it takes work. */
  #welcome(worker: WorkerProcess): void {
    worker.isReady = true;
    if (worker.purpose === 'pool' && this.provider !== 'none') {
      for (const version of this.#hot.values()) this.load(worker, version).catch(() => {});
    }
    this.#someoneReady.resolve();
  }

  #replace(worker: WorkerProcess, cause: EndCause, how: string): void {
    this.#workers.delete(worker);
    for (const waiting of worker.loading.values()) waiting.reject(new Error(endedText(cause, how)));
    if (this.#quarantine === worker) this.#quarantine = null;
    if (this.#isStopping) return;
    const { pid, purpose, hasWorked } = worker;
    this.#options.log.warn({ pid, cause, how, purpose, hasWorked }, 'a worker has ended');
    this.#failedStarts = hasWorked ? 0 : this.#failedStarts + 1;
    if (purpose === 'pool') this.#respawnIn(restartDelayMs(this.#failedStarts), worker.restarts + 1);
    this.#options.onLost(worker, cause, how);
  }

  #respawnIn(ms: number, restarts: number): void {
    if (ms === 0) this.#spawn('pool', restarts);
    else setTimeout(() => this.#isStopping || this.#spawn('pool', restarts), ms).unref();
  }

  /** Backends that ONNX Runtime lists are those it was compiled with: only a session tells what works here. */
  async #probeProviders(): Promise<ProviderProbe[]> {
    return Promise.all(
      this.#options.providers.map(async (name) => {
        if (name === 'cpu') return { name, available: true, reason: null };
        try {
          const reply = await this.inDisposableWorker((ask) => ask({ kind: 'probeProvider', provider: name }));
          if (reply.kind !== 'probed') throw new Error('no reply');
          return { name, available: reply.available, reason: reply.reason };
        } catch (error) {
          return { name, available: false, reason: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
  }
}

const DISPOSABLE_WORKER_MS = 60_000;

function endedText(cause: EndCause, how: string): string {
  if (cause === 'watchdog') return 'it did not end in time and was stopped';
  return `the process ended (${how})`;
}

export function loadMessage({ key, spec, artifactSha256, artifactPath }: EngineVersion, provider: string): ToWorker {
  const { task, inputs, outputs, columns, labels, image, scores } = spec;
  const warmUp = check(spec, spec.example, []);
  const part = { task, inputs, outputs, columns, labels, image, scores };
  return { kind: 'load', key, spec: part, artifactSha256, artifactPath, provider, warmUp };
}

/** `setpriv` ties a child's life to ours even when we are killed; `prlimit` turns a memory bomb into an error. */
function findWrappers(): string[] {
  if (process.platform !== 'linux') return [];
  const found = ['setpriv', 'prlimit'].map((name) =>
    ['/usr/bin', '/bin'].map((folder) => `${folder}/${name}`).find(existsSync),
  );
  return found.filter((file) => file !== undefined);
}
