/**
 * The real engine and the real worker body, connected by simulated processes under a virtual clock.
 *
 * The simulated runtime answers y = 2x + 1 for every row of x, except for the values below, which make a run fail.
 * Messages of one process keep their order. The order between processes is chosen by a fast-check scheduler, or is the
 * order of arrival if there is none.
 */
import { jest } from '@jest/globals';
import type { Scheduler } from 'fast-check';
import { pino } from 'pino';
import type { Child, ChildEvents, Purpose, StartChild } from '#src/engine/child.js';
import { Engine } from '#src/engine/engine.js';
import type { LatencyStore } from '#src/engine/idle-measurements.js';
import type { EngineVersion } from '#src/engine/messages.js';
import type { CallerConnection, PriorityName } from '#src/engine/queue.js';
import { SplitBlockError } from '#src/errors.js';
import type { Block, QueuedItem } from '#src/tasks/block.js';
import type { TensorData } from '#src/tasks/datatypes.js';
import type { ItemResult } from '#src/tasks/failures.js';
import type { Item } from '#src/tasks/tasks.js';
import { WorkerBody } from '#src/worker/body.js';
import type { WorkerRuntime } from '#src/worker/load.js';

/** Values that make a run fail, each in its own way. */
export const CRASHES = 666;
export const HANGS = 777;
export const OUT_OF_MEMORY = 888;
export const GRAPH_ERROR = 999;
/** Take `LARGE_BYTES`: fails where other versions are in memory, or ends the process there. */
export const LARGE = 555;
export const LARGE_ABORTS = 556;
export const LARGE_BYTES = 400_000_000;

type Deliver = (label: string) => Promise<void>;
/** The duration of a run in milliseconds; infinity for one that never ends. */
type RunMs = (values: readonly number[]) => number;

interface SimulatedRuns {
  readonly deliver: Deliver;
  readonly runMs: RunMs;
  readonly onRun: (values: readonly number[]) => void;
  /** By how much other processes slow runs down. */
  readonly slowdown: () => number;
}

class SimulatedChild implements Child {
  static #count = 0;
  readonly pid = ++SimulatedChild.#count;
  readonly #body: WorkerBody;
  readonly #deliver: Deliver;
  readonly #runMs: RunMs;
  readonly #onRun: (values: readonly number[]) => void;
  readonly #slowdown: () => number;
  /** Since its start. */
  #cpuMs = 0;
  #grownBytes = 0;
  #toChild: Promise<void> = Promise.resolve();
  #fromChild: Promise<void> = Promise.resolve();
  memoryBytes = 50_000_000;
  isDead = false;

  constructor(
    readonly purpose: Purpose,
    readonly events: ChildEvents,
    { deliver, runMs, onRun, slowdown }: SimulatedRuns,
  ) {
    this.#deliver = deliver;
    this.#runMs = runMs;
    this.#onRun = onRun;
    this.#slowdown = slowdown;
    this.#body = new WorkerBody(this.#runtime(), (message) => {
      const copy = structuredClone(message);
      // Messages sent before the exit still arrive, after a delay.
      if (!this.isDead) this.#deliverInOrder(`${this.pid} sends ${message.kind}`, () => events.onMessage(copy));
    });
    this.#deliverInOrder(`${this.pid} starts`, () => this.isDead || events.onMessage({ kind: 'ready' }));
  }

  send(message: Parameters<Child['send']>[0]): void {
    const copy = structuredClone(message);
    this.#toChild = this.#toChild
      .then(() => this.#deliver(`${this.pid} receives ${message.kind}`))
      .then(() => {
        if (!this.isDead) this.#body.receive(copy);
      });
  }

  kill(): void {
    this.die('SIGKILL');
  }

  die(signal: NodeJS.Signals): void {
    if (this.isDead) return;
    this.isDead = true;
    // The server may learn of the exit before it has read the last messages.
    this.#deliver(`${this.pid} exits`).then(() => this.events.onExit(signal, `signal ${signal}`));
  }

  async memory() {
    const { memoryBytes } = this;
    return { residentBytes: memoryBytes, peakResidentBytes: memoryBytes, dataBytes: memoryBytes };
  }

  #deliverInOrder(label: string, act: () => void): void {
    this.#fromChild = this.#fromChild.then(() => this.#deliver(label)).then(act);
  }

  #runtime(): WorkerRuntime {
    const run = async (inputs: readonly TensorData[]): Promise<TensorData[]> => {
      const { data, shape } = inputs[0] as TensorData;
      const values = Array.from(data as Float32Array);
      this.#onRun(values);
      const ms = this.#runMs(values);
      if (ms === Number.POSITIVE_INFINITY) return new Promise(() => {});
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms * this.#slowdown()));
      this.#cpuMs += ms;
      if (values.includes(CRASHES)) this.die('SIGSEGV');
      if (values.includes(CRASHES) || values.includes(HANGS)) return new Promise(() => {});
      if (values.includes(OUT_OF_MEMORY)) throw new Error('std::bad_alloc');
      if (values.includes(LARGE) && this.purpose !== 'quarantine') throw new Error('std::bad_alloc');
      if (values.includes(LARGE_ABORTS) && this.purpose !== 'quarantine') {
        this.die('SIGABRT');
        return new Promise(() => {});
      }
      if (values.includes(LARGE) || values.includes(LARGE_ABORTS)) this.#grownBytes = LARGE_BYTES;
      if (values.includes(GRAPH_ERROR)) throw new Error('Non-zero status code returned while running Div node.');
      return [{ name: 'y', datatype: 'FP32', shape, data: Float32Array.from(values, (x) => 2 * x + 1) }];
    };
    return {
      tools: { imageToFloats: () => Promise.reject(new Error('the simulation has no image models')) },
      readArtifact: async () => new Uint8Array(),
      makeThumbnail: () => Promise.reject(new Error('the simulation has no image models')),
      hidePatches: () => Promise.reject(new Error('the simulation has no image models')),
      verifyFile: async () => {},
      openSession: async () => {
        const release = async () => {
          this.#grownBytes = 0;
        };
        return { run, release, inputs: [], outputs: [] } as never;
      },
      messagesRead: async () => {},
      openTokenizer: () => {
        throw new Error('the simulation has no text models');
      },
      dataBytes: async () => null,
      freeNativeMemory: async () => {},
      cpuMs: () => this.#cpuMs,
      watchMemory: async () => {
        const before = this.#grownBytes;
        return async () => this.#grownBytes - before;
      },
    };
  }
}

export class Simulation {
  /** While true, new processes exit before they are ready. */
  startsFail = false;
  readonly children: SimulatedChild[] = [];
  readonly engine: Engine;

  /** The values of every run, in order. */
  readonly runs: (readonly number[])[] = [];

  /** By how much other processes of the machine slow runs down. */
  slowdown = 1;

  constructor(options: {
    workers: number;
    scheduler?: Scheduler;
    runMs?: RunMs;
    latencies?: LatencyStore;
    /** Default: the CPU. All of them work. */
    providers?: readonly string[];
    gpus?: readonly string[];
    /** The process that tries it cannot be started. */
    brokenGpu?: string;
    deviceMemoryBytes?: number | null;
  }) {
    const deliver: Deliver = (label) =>
      options.scheduler ? options.scheduler.schedule(Promise.resolve(), label) : Promise.resolve();
    const { providers = ['cpu'], gpus = [], brokenGpu, deviceMemoryBytes = null } = options;
    const startChild: StartChild = (purpose, events, gpu) => {
      const runMs = options.runMs ?? (() => 0);
      const onRun = (values: readonly number[]) => this.runs.push(values);
      const child = new SimulatedChild(purpose, events, { deliver, runMs, onRun, slowdown: () => this.slowdown });
      this.children.push(child);
      if (this.startsFail || (purpose === 'probe' && gpu !== undefined && gpu === brokenGpu)) child.die('SIGABRT');
      return child;
    };
    this.engine = new Engine({
      workers: options.workers,
      workerFile: '',
      memoryBytes: 1_000_000_000,
      emptyFolder: '',
      providers,
      gpus,
      deviceMemoryBytes,
      log: pino({ level: 'silent' }),
      startChild,
      latencies: options.latencies ?? null,
    });
  }

  get living(): SimulatedChild[] {
    return this.children.filter(({ isDead }) => !isDead);
  }

  run(
    value: number,
    more: {
      version?: EngineVersion;
      caller?: string;
      connection?: CallerConnection;
      deadlineMs?: number;
      priority?: PriorityName;
      item?: QueuedItem;
    } = {},
  ) {
    const {
      version = simulatedVersion(),
      caller = 'default caller',
      connection = simulatedConnection(caller),
      deadlineMs = 10_000,
      priority = 'NORMAL',
      item = itemOf(value),
    } = more;
    return this.engine.run(version, item, { deadlineMs, priority, connection });
  }
}

export function simulatedConnection(caller: string): CallerConnection & { close(): void } {
  const listeners = new Set<() => void>();
  return {
    caller,
    isClosed: false,
    onClose: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      Object.assign(this, { isClosed: true });
      for (const listener of listeners) listener();
    },
  };
}

export function itemOf(value: number): Item {
  return {
    kind: 'tensors',
    rows: 1,
    work: 1,
    preprocessingWork: 0,
    tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(value) }],
  };
}

export function blockOf(values: readonly number[]): Block {
  const rows = values.length;
  return { kind: 'block', rows, work: rows, preprocessingWork: 0, inputs: [Float32Array.from(values)] };
}

export function simulatedVersion(key = 'v', maxBatch = 32, exampleValue = 1): EngineVersion {
  const tensor = { name: 'x', datatype: 'FP32', shape: [null] };
  return {
    key,
    ref: `${key}:1`,
    artifactSha256: '',
    artifactPath: '',
    artifactBytes: 100,
    dataBlobs: { folder: '', paths: [] },
    tokenizerPath: null,
    spec: {
      task: 'TENSOR',
      inputKind: 'TENSORS',
      inputs: [tensor],
      outputs: [{ ...tensor, name: 'y' }],
      columns: [],
      labels: [],
      image: null,
      text: null,
      head: { kind: 'tensors' },
      example: { tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: [exampleValue] }] },
      maxBatch,
      maxBatchReason: '',
      maxRunMs: 5_000,
    },
  };
}

/** The number that was answered, or the error code and message. */
export async function settled(answer: ReturnType<Simulation['run']>): Promise<number | string> {
  const [first] = await settledRows(answer, 1);
  return first as number | string;
}

/** The same for each row of a block. Null if it has to be split. */
export async function settledRows(
  answer: ReturnType<Simulation['run']>,
  rows: number,
): Promise<(number | string | null)[]> {
  try {
    return (await answer).results.map(numberOf);
  } catch (error) {
    return new Array(rows).fill(error instanceof SplitBlockError ? null : reasonOf(error));
  }
}

function numberOf(result: ItemResult): number | string {
  if ('failure' in result) return `FAILURE ${result.failure.message}`;
  return result.answer.kind === 'tensors' ? Number(result.answer.tensors[0]?.data[0]) : 'no tensors';
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return `${code} ${message}`;
}

/** Advances virtual time until the promise settles. */
export async function inVirtualTime<T>(work: Promise<T>, scheduler?: Scheduler): Promise<T> {
  let isSettled = false;
  const noted = work.finally(() => (isSettled = true));
  noted.catch(() => {});
  for (let step = 0; !isSettled; step++) {
    if (step > MAX_STEPS)
      throw new Error(`the promise did not settle within ${(MAX_STEPS * STEP_MS) / 1000} s of virtual time`);
    if (scheduler && scheduler.count() > 0) await scheduler.waitNext(1);
    else await jest.advanceTimersByTimeAsync(STEP_MS);
  }
  return noted;
}

const STEP_MS = 10;
const MAX_STEPS = 100_000;
