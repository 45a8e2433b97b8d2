/**
 * The real engine and the real worker body with simulated processes between them, under a virtual clock.
 *
 * A simulated runtime answers y = 2x + 1 for every row of x; some values have their own ways. Messages of one process
 * keep their order; which process is heard next is up to a fast-check scheduler, or simply first come, first served.
 */
import { jest } from '@jest/globals';
import type { Scheduler } from 'fast-check';
import { pino } from 'pino';
import type { Child, ChildEvents, Purpose, StartChild } from '#src/engine/child.js';
import { Engine } from '#src/engine/engine.js';
import type { EngineVersion } from '#src/engine/messages.js';
import type { TensorData } from '#src/tasks/datatypes.js';
import type { Item } from '#src/tasks/tasks.js';
import { type Runtime, WorkerBody } from '#src/worker/body.js';

/** Values with which a run does not go well. */
export const CRASHES = 666;
export const HANGS = 777;
export const OUT_OF_MEMORY = 888;
export const GRAPH_ERROR = 999;

type Deliver = (label: string) => Promise<void>;

class SimulatedChild implements Child {
  static #count = 0;
  readonly pid = ++SimulatedChild.#count;
  readonly #body: WorkerBody;
  readonly #deliver: Deliver;
  #toChild: Promise<void> = Promise.resolve();
  #fromChild: Promise<void> = Promise.resolve();
  memoryBytes = 50_000_000;
  isDead = false;

  constructor(
    readonly purpose: Purpose,
    readonly events: ChildEvents,
    deliver: Deliver,
  ) {
    this.#deliver = deliver;
    this.#body = new WorkerBody(this.#runtime(), (message) => {
      const copy = structuredClone(message);
      // What was written before the end still comes, late.
      if (!this.isDead) this.#say(`${this.pid} says ${message.kind}`, () => events.onMessage(copy));
    });
    this.#say(`${this.pid} starts`, () => this.isDead || events.onMessage({ kind: 'ready' }));
  }

  send(message: Parameters<Child['send']>[0]): void {
    const copy = structuredClone(message);
    this.#toChild = this.#toChild
      .then(() => this.#deliver(`${this.pid} hears ${message.kind}`))
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
    // The end of a process may be known before its last words are read.
    this.#deliver(`${this.pid} ends`).then(() => this.events.onExit(signal, `signal ${signal}`));
  }

  async residentBytes(): Promise<number> {
    return this.memoryBytes;
  }

  #say(label: string, act: () => void): void {
    this.#fromChild = this.#fromChild.then(() => this.#deliver(label)).then(act);
  }

  #runtime(): Runtime {
    const run = async (inputs: readonly TensorData[]): Promise<TensorData[]> => {
      const { data, shape } = inputs[0] as TensorData;
      const values = Array.from(data as Float32Array);
      if (values.includes(CRASHES)) this.die('SIGSEGV');
      if (values.includes(CRASHES) || values.includes(HANGS)) return new Promise(() => {});
      if (values.includes(OUT_OF_MEMORY)) throw new Error('std::bad_alloc');
      if (values.includes(GRAPH_ERROR)) throw new Error('Non-zero status code returned while running Div node.');
      return [{ name: 'y', datatype: 'FP32', shape, data: Float32Array.from(values, (x) => 2 * x + 1) }];
    };
    return {
      tools: { imageToFloats: () => Promise.reject(new Error('there are no pictures here')) },
      readArtifact: async () => new Uint8Array(),
      openSession: async () => ({ run, release: async () => {}, inputs: [], outputs: [] }) as never,
      openTokenizer: () => {
        throw new Error('there are no texts here');
      },
    };
  }
}

export class Simulation {
  /** While it is true, processes end before they can take messages. */
  startsFail = false;
  readonly children: SimulatedChild[] = [];
  readonly engine: Engine;

  constructor(options: { workers: number; scheduler?: Scheduler }) {
    const deliver: Deliver = (label) =>
      options.scheduler ? options.scheduler.schedule(Promise.resolve(), label) : Promise.resolve();
    const startChild: StartChild = (purpose, events) => {
      const child = new SimulatedChild(purpose, events, deliver);
      this.children.push(child);
      if (this.startsFail) child.die('SIGABRT');
      return child;
    };
    this.engine = new Engine({
      workers: options.workers,
      workerFile: '',
      memoryBytes: 1_000_000_000,
      emptyFolder: '',
      providers: ['cpu'],
      log: pino({ level: 'silent' }),
      startChild,
    });
  }

  get living(): SimulatedChild[] {
    return this.children.filter(({ isDead }) => !isDead);
  }

  run(
    value: number,
    more: { version?: EngineVersion; caller?: string; deadlineMs?: number; isClosed?: () => boolean } = {},
  ) {
    const { version = simulatedVersion(), caller = 'somebody', deadlineMs = 10_000, isClosed = () => false } = more;
    const connection = {
      caller,
      get isClosed() {
        return isClosed();
      },
    };
    return this.engine.run(version, itemOf(value), { deadlineMs, priority: 'NORMAL', connection });
  }
}

export function itemOf(value: number): Item {
  return {
    kind: 'tensors',
    rows: 1,
    work: 1,
    tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(value) }],
  };
}

export function simulatedVersion(key = 'v', maxBatch = 32, exampleValue = 1): EngineVersion {
  const tensor = { name: 'x', datatype: 'FP32', shape: [null] };
  return {
    key,
    ref: `${key}:1`,
    artifactSha256: '',
    artifactPath: '',
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

/** The number that came back, or the code and reason of the failure. */
export async function settled(answer: ReturnType<Simulation['run']>): Promise<number | string> {
  try {
    const { result } = await answer;
    if ('failure' in result) return `FAILURE ${result.failure.message}`;
    return result.answer.kind === 'tensors' ? Number(result.answer.tensors[0]?.data[0]) : 'no tensors';
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code} ${message}`;
  }
}

/** Lets virtual time pass until the promise settles. */
export async function inVirtualTime<T>(work: Promise<T>, scheduler?: Scheduler): Promise<T> {
  let isOver = false;
  const noted = work.finally(() => (isOver = true));
  noted.catch(() => {});
  for (let step = 0; !isOver; step++) {
    if (step > MAX_STEPS) throw new Error('nothing happens any more, and not everything is settled');
    if (scheduler && scheduler.count() > 0) await scheduler.waitNext(1);
    else await jest.advanceTimersByTimeAsync(STEP_MS);
  }
  return noted;
}

const STEP_MS = 10;
const MAX_STEPS = 100_000;
