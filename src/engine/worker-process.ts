/**
 * One worker as the server sees it: its state, the batches that it was given, so that a death concerns exactly those,
 * and what it has loaded.
 */
import type { Child, Purpose, StartChild } from './child.js';
import type { EngineVersion, FromWorker, ToWorker } from './messages.js';
import type { Entry } from './queue.js';
import { causeOfEnd, type EndCause, type EndedByUs, nextState, type WorkerState } from './supervision.js';

export interface OutstandingBatch {
  readonly id: number;
  readonly version: EngineVersion;
  readonly entries: readonly Entry[];
  readonly rows: number;
  /** A guess, where texts are cut into tokens. */
  readonly work: number;
  /** What there is to run, once the worker knows better. */
  runWork: number;
  readonly takenAt: number;
  startedAt: number | null;
}

export interface WorkerEvents {
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  onEnd(worker: WorkerProcess, cause: EndCause, how: string): void;
}

export class WorkerProcess {
  readonly #child: Child;
  readonly #batches: OutstandingBatch[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #state: WorkerState = 'STARTING';
  #endedByUs: EndedByUs | null = null;
  readonly loaded = new Set<string>();
  readonly loading = new Map<string, PromiseWithResolvers<void> & { readonly version: EngineVersion }>();
  readonly startedAt = performance.now();
  lastUsedAt = performance.now();
  /** It has loaded or answered something: its start did not fail. */
  hasWorked = false;
  /** Somebody else has its place already. */
  isReplaced = false;

  constructor(
    startChild: StartChild,
    public purpose: Purpose,
    /** How often the process in this place was replaced. */
    public restarts: number,
    events: WorkerEvents,
  ) {
    this.#child = startChild(purpose, {
      // What a dead process has still sent is of an older epoch: its work was given to another.
      onMessage: (message) => this.#state !== 'ENDED' && events.onMessage(this, message),
      onBroken: () => this.kill('garbled'),
      onEnd: (signal, how) => {
        this.#state = nextState(this.#state, 'ended');
        events.onEnd(this, causeOfEnd(signal, this.#endedByUs), how);
        this.#ended.resolve();
      },
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** It may be given work. */
  get isReady(): boolean {
    return this.#state === 'READY' || this.#state === 'BUSY';
  }

  /** Oldest first; the first one runs, a second one waits there prepared. */
  get batches(): readonly OutstandingBatch[] {
    return this.#batches;
  }

  noteReady(): void {
    this.#state = nextState(this.#state, 'ready');
  }

  give(batch: OutstandingBatch, message: ToWorker): void {
    this.#state = nextState(this.#state, 'given');
    this.#batches.push(batch);
    this.send(message);
  }

  /** The oldest batch was answered. */
  completeBatch(): void {
    this.#batches.shift();
    this.lastUsedAt = performance.now();
    if (this.#batches.length > 0) return;
    this.#state = nextState(this.#state, 'emptied');
    if (this.#state === 'STOPPING') this.kill('stopped');
  }

  /** It has ended: what it had is somebody else's now. */
  takeBatches(): OutstandingBatch[] {
    return this.#batches.splice(0);
  }

  send(message: ToWorker): void {
    this.#child.send(message);
  }

  /** It finishes what it has, and ends. */
  retire(): void {
    this.#state = nextState(this.#state, 'retired');
    if (this.#state === 'STOPPING') this.kill('stopped');
  }

  kill(reason: EndedByUs): void {
    this.#endedByUs ??= reason;
    this.#state = nextState(this.#state, 'killed');
    this.#child.kill();
  }

  residentBytes(): Promise<number | null> {
    return this.#child.residentBytes();
  }
}
