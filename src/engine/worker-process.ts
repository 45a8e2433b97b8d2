/**
 * One worker from the server's point of view: its lifecycle state, its outstanding batches and its loaded versions.
 * Because each worker owns its outstanding batches, an exit affects exactly those. A worker whose message breaks the
 * protocol is killed, and none of its messages is read anymore.
 */
import type { ProcessMemory } from '../process-memory.js';
import type { Child, ChildEvents, Purpose, StartChild } from './child.js';
import {
  type BatchMessage,
  type Command,
  type EngineVersion,
  type FromWorker,
  type NumericBatchMessage,
  withoutValues,
} from './messages.js';
import { Conversation } from './protocol.js';
import type { Entry } from './queue.js';
import { type ExitCause, exitCauseOf, type KillReason, type LifecycleState, nextState } from './supervision.js';

export interface OutstandingBatch {
  readonly id: number;
  readonly version: EngineVersion;
  /** Without the values of a batch of numbers: the entries have them, too. */
  readonly message: BatchMessage | NumericBatchMessage;
  readonly entries: readonly Entry[];
  readonly rows: number;
  /** Estimated before dispatch. */
  readonly work: number;
  readonly preprocessingWork: number;
  /** Predicted time in the worker; null if unknown. */
  readonly expectedMs: number | null;
  /** Whether the version was loaded when the batch was sent. Otherwise its duration includes the load. */
  readonly wasLoaded: boolean;
  /** Whether the server sent it to measure the version, and nobody waits for the answers. */
  readonly isMeasurement: boolean;
  /** The actual work once the worker has reported it with `started`; the estimate until then. */
  runWork: number;
  readonly dispatchedAt: number;
  startedAt: number | null;
}

export type LoadResult = Pick<Extract<FromWorker, { kind: 'loaded' }>, 'loadMs' | 'residentBytes'>;

interface WorkerEvents {
  /** Only messages that are valid in the worker's state. */
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  onExit(worker: WorkerProcess, cause: ExitCause, how: string): void;
}

export class WorkerProcess {
  readonly #child: Child;
  readonly #batches: OutstandingBatch[] = [];
  readonly #exited = Promise.withResolvers<void>();
  #state: LifecycleState = 'STARTING';
  #killReason: KillReason | null = null;
  readonly #conversation = new Conversation();
  #lastId = 0;
  /** Why its messages are no longer read; null while they are valid. */
  #protocolError: string | null = null;
  /** Data memory that the versions may take together, as last measured; null where it cannot be measured. */
  roomBytes: number | null = null;
  /** The memory of each loaded version in bytes. */
  readonly loaded = new Map<string, number>();
  /** The execution provider of each loaded version. An entry stays until the worker has released the version. */
  readonly providers = new Map<string, string>();
  readonly loading = new Map<string, PromiseWithResolvers<LoadResult> & { readonly version: EngineVersion }>();
  readonly unloading = new Map<string, PromiseWithResolvers<void>>();
  readonly startedAt = performance.now();
  /** When it last finished a batch or a load. */
  lastUsedAt = performance.now();
  /** When its next load may begin, if it keeps the worker from other callers. */
  nextLoadAt = 0;
  /** Whether it has loaded a version or answered a batch. If it has, its start does not count as failed. */
  hasWorked = false;
  /** Whether another process has already taken its place in the pool. */
  isReplaced = false;

  constructor(
    startChild: StartChild,
    public purpose: Purpose,
    /** How often the process in this slot was replaced. */
    public restarts: number,
    events: WorkerEvents,
    /** The only GPU that CUDA sees in the process; undefined if none was chosen for it. */
    readonly gpu?: string,
  ) {
    const childEvents: ChildEvents = {
      onMessage: (message) => this.#receive(message, events),
      onProtocolError: (reason) => this.#endForProtocolError(reason),
      onExit: (signal, how) => {
        this.#state = nextState(this.#state, 'exited');
        const why = this.#protocolError === null ? how : `${how}; ${this.#protocolError}`;
        events.onExit(this, exitCauseOf(signal, this.#killReason), why);
        this.#exited.resolve();
      },
    };
    this.#child = startChild(purpose, childEvents, gpu);
  }

  #receive(message: unknown, events: WorkerEvents): void {
    // Messages that arrive after the exit are ignored: the work was already assigned to another worker.
    if (this.#state === 'EXITED' || this.#protocolError !== null) return;
    const problem = this.#conversation.receive(message, performance.now());
    if (problem === null) events.onMessage(this, message as FromWorker);
    else this.#endForProtocolError(problem);
  }

  #endForProtocolError(reason: string): void {
    this.#protocolError ??= reason;
    this.kill('protocolError');
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when the process has exited. */
  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  /** Data memory that the loaded versions take. */
  get versionBytes(): number {
    return this.loaded.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Whether the worker accepts batches. */
  get isReady(): boolean {
    return this.#state === 'READY' || this.#state === 'BUSY';
  }

  /** Oldest first. The first batch is running; a second one is preprocessed and waits for it. */
  get batches(): readonly OutstandingBatch[] {
    return this.#batches;
  }

  markReady(): void {
    this.#state = nextState(this.#state, 'ready');
  }

  /** @throws Error if the message cannot be sent; nothing is assigned then */
  assign(content: Omit<OutstandingBatch, 'id'>): OutstandingBatch {
    const batch = { ...content, id: this.send(content.message), message: withoutValues(content.message) };
    this.#state = nextState(this.#state, 'assigned');
    this.#batches.push(batch);
    return batch;
  }

  /** Removes the oldest batch, which was answered. */
  completeBatch(): void {
    this.#batches.shift();
    this.lastUsedAt = performance.now();
    if (this.#batches.length > 0) return;
    this.#state = nextState(this.#state, 'idle');
    if (this.#state === 'STOPPING') this.kill('stopped');
  }

  /** Removes and returns the outstanding batches after the exit, so that they can be retried elsewhere. */
  takeBatches(): OutstandingBatch[] {
    return this.#batches.splice(0);
  }

  /**
   * Sends a command and returns its number, which the replies repeat.
   *
   * @throws Error if the message cannot be cloned or is too long; nothing is sent then
   */
  send(command: Command): number {
    const id = ++this.#lastId;
    // Taken before sending: the worker may begin before this process goes on.
    const sentAt = performance.now();
    const numbered = { ...command, id };
    this.#child.send(numbered);
    this.#conversation.ask(numbered, sentAt);
    return id;
  }

  /** Lets the worker finish its batches, then kills it. */
  retire(): void {
    this.#state = nextState(this.#state, 'retired');
    if (this.#state === 'STOPPING') this.kill('stopped');
  }

  kill(reason: KillReason): void {
    this.#killReason ??= reason;
    this.#state = nextState(this.#state, 'killed');
    this.#child.kill();
  }

  memory(): Promise<ProcessMemory | null> {
    return this.#child.memory();
  }
}
