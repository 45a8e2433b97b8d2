/**
 * One worker as the server sees it: its state, the batches that it was given, so that a death concerns exactly those,
 * and what it has loaded.
 */
import type { Child, Purpose, StartChild } from './child.js';
import type { EngineVersion, FromWorker, ToWorker } from './messages.js';
import type { Entry } from './queue.js';
import { type ExitCause, exitCauseOf, type KillReason, type LifecycleState, nextState } from './supervision.js';

export interface OutstandingBatch {
  readonly id: number;
  readonly version: EngineVersion;
  readonly entries: readonly Entry[];
  readonly rows: number;
  /** A guess, where texts are cut into tokens. */
  readonly work: number;
  /** What there is to run, once the worker knows better. */
  runWork: number;
  readonly dispatchedAt: number;
  startedAt: number | null;
}

export interface WorkerEvents {
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  onExit(worker: WorkerProcess, cause: ExitCause, how: string): void;
}

export class WorkerProcess {
  readonly #child: Child;
  readonly #batches: OutstandingBatch[] = [];
  readonly #exited = Promise.withResolvers<void>();
  #state: LifecycleState = 'STARTING';
  #killReason: KillReason | null = null;
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
      onMessage: (message) => this.#state !== 'EXITED' && events.onMessage(this, message),
      onProtocolError: () => this.kill('protocolError'),
      onExit: (signal, how) => {
        this.#state = nextState(this.#state, 'exited');
        events.onExit(this, exitCauseOf(signal, this.#killReason), how);
        this.#exited.resolve();
      },
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the process has ended. */
  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  get state(): LifecycleState {
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

  markReady(): void {
    this.#state = nextState(this.#state, 'ready');
  }

  assign(batch: OutstandingBatch, message: ToWorker): void {
    this.#state = nextState(this.#state, 'assigned');
    this.#batches.push(batch);
    this.send(message);
  }

  /** The oldest batch was answered. */
  completeBatch(): void {
    this.#batches.shift();
    this.lastUsedAt = performance.now();
    if (this.#batches.length > 0) return;
    this.#state = nextState(this.#state, 'idle');
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

  kill(reason: KillReason): void {
    this.#killReason ??= reason;
    this.#state = nextState(this.#state, 'killed');
    this.#child.kill();
  }

  residentBytes(): Promise<number | null> {
    return this.#child.residentBytes();
  }
}
