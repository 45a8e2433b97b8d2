/**
 * Worker processes outside the pool: to try an execution provider, or to load something new.
 */
import { processCpuMs } from '../process-memory.js';
import type { StartChild } from './child.js';
import type { Command, FromWorker } from './messages.js';
import type { ExitCause } from './supervision.js';
import { WorkerProcess } from './worker-process.js';

/** Sends a command to a disposable worker and resolves with its reply. */
export type SendToWorker = (command: Command) => Promise<FromWorker>;

/** The process exited before it replied. */
export class ProcessLostError extends Error {
  constructor(
    override readonly cause: ExitCause,
    how: string,
    /** False if the process exited before it was ready: the exit then says nothing about its task. */
    readonly wasReady = true,
    /** Whether its time ran out while it hardly computed, because the machine was busy. */
    readonly wasStarved = false,
  ) {
    const end = wasReady ? 'the inference process ended' : 'the inference process ended before it was ready';
    const late = `the inference process did not reply in time${wasStarved ? ', because the machine was busy,' : ''} and was killed`;
    super(cause === 'watchdog' ? late : `${end} (${how})`);
  }
}

const MAX_USE_MS = 60_000;
/** A slow disk: 50 MB/s. */
const DATA_BYTES_PER_MS = 50_000;

/** How long a use may take that reads data files of this many bytes. */
export function maxUseMs(dataBytes: number): number {
  return MAX_USE_MS + Math.ceil(dataBytes / DATA_BYTES_PER_MS);
}

/** A process that has computed for a smaller part of its time was kept from it by others. */
const LEAST_COMPUTING = 0.5;

class DisposableWorker {
  readonly #ready = Promise.withResolvers<void>();
  readonly #waiting = new Map<number, PromiseWithResolvers<FromWorker>>();
  readonly #worker: WorkerProcess;
  #isReady = false;
  #lost: ProcessLostError | null = null;
  #wasStarved = false;
  uses = 0;

  constructor(startChild: StartChild) {
    this.#worker = new WorkerProcess(startChild, 'probe', 0, {
      onMessage: (_, message) => {
        if (message.kind === 'ready') this.#ready.resolve();
        else if (message.kind !== 'started') this.#waiting.get(message.id)?.resolve(message);
      },
      onExit: (_, cause, how) => {
        this.#lost = new ProcessLostError(cause, how, this.#isReady, cause === 'watchdog' && this.#wasStarved);
        for (const { reject } of [this.#ready, ...this.#waiting.values()]) reject(this.#lost);
      },
    });
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** Runs `work` for at most `maxMs`. @throws ProcessLostError */
  async use<T>(work: (ask: SendToWorker) => Promise<T>, maxMs: number): Promise<T> {
    const before = processCpuMs(this.#worker.pid);
    const timer = setTimeout(() => void this.#timeOut(before, maxMs), maxMs);
    this.uses++;
    try {
      await this.#ready.promise;
      this.#isReady = true;
      return await work((command) => this.#ask(command));
    } finally {
      clearTimeout(timer);
    }
  }

  async #timeOut(before: Promise<number | null>, maxMs: number): Promise<void> {
    const [then, now] = [await before, await processCpuMs(this.#worker.pid)];
    this.#wasStarved = then !== null && now !== null && now - then < LEAST_COMPUTING * maxMs;
    this.#worker.kill('watchdog');
  }

  end(): void {
    this.#worker.kill('stopped');
  }

  async #ask(command: Command): Promise<FromWorker> {
    if (this.#lost) throw this.#lost;
    const reply = Promise.withResolvers<FromWorker>();
    const id = this.#worker.send(command);
    this.#waiting.set(id, reply);
    return reply.promise.finally(() => this.#waiting.delete(id));
  }
}

/**
 * Calls `work` with a fresh process and kills that process when `work` settles, or after 60 s. `ask` sends a message and
 * resolves with the reply.
 *
 * @throws ProcessLostError if the process exits before it replies
 */
export async function withDisposableWorker<T>(
  startChild: StartChild,
  work: (ask: SendToWorker) => Promise<T>,
): Promise<T> {
  const worker = new DisposableWorker(startChild);
  return worker.use(work, MAX_USE_MS).finally(() => worker.end());
}

/** After this many uses a process is replaced, so that what graphs leave behind stays small. */
export const MAX_USES_PER_PROCESS = 32;

/**
 * Processes that are used again after a use that ended without an error. What fails in a process that was used before says
 * nothing about its own work: the caller repeats it in a fresh process. There are as many processes as concurrent callers.
 */
export class ReusableProcesses {
  readonly #startChild: StartChild;
  readonly #idle: DisposableWorker[] = [];
  readonly #all = new Set<DisposableWorker>();
  #hasEnded = false;
  /** The number of processes started so far. */
  started = 0;

  constructor(startChild: StartChild) {
    this.#startChild = startChild;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Calls `work` with a process that was used before. Returns null if there is none, or if anything fails. */
  async inUsedProcess<T>(work: (ask: SendToWorker) => Promise<T>, maxMs = MAX_USE_MS): Promise<T | null> {
    const worker = this.#idle.pop();
    return worker ? this.#use(worker, work, maxMs).catch(() => null) : null;
  }

  /** Calls `work` with a fresh process. @throws ProcessLostError if it exits before it replies */
  async inFreshProcess<T>(work: (ask: SendToWorker) => Promise<T>, maxMs = MAX_USE_MS): Promise<T> {
    if (this.#hasEnded) throw new ProcessLostError('stopped', 'the server is stopping', false);
    const worker = new DisposableWorker(this.#startChild);
    this.started++;
    this.#all.add(worker);
    return this.#use(worker, work, maxMs);
  }

  /** Ends all processes, and starts no more. */
  end(): void {
    this.#hasEnded = true;
    for (const worker of this.#all) worker.end();
    this.#all.clear();
    this.#idle.length = 0;
  }

  async #use<T>(worker: DisposableWorker, work: (ask: SendToWorker) => Promise<T>, maxMs: number): Promise<T> {
    let isReusable = false;
    try {
      const result = await worker.use(work, maxMs);
      isReusable = !worker.isLost && worker.uses < MAX_USES_PER_PROCESS && this.#all.has(worker);
      return result;
    } finally {
      if (isReusable) this.#idle.push(worker);
      else this.#end(worker);
    }
  }

  #end(worker: DisposableWorker): void {
    this.#all.delete(worker);
    worker.end();
  }
}
