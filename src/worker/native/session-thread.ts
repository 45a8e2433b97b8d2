/**
 * The thread in which sessions of a worker process run, and the proxies by which the main thread uses them.
 *
 * `run` blocks its thread until native code returns. Because these sessions have a thread of their own, the main thread can
 * read messages, decode images and tokenize texts for the next batch meanwhile. Inputs are copied to the thread; the
 * buffers of outputs are transferred back.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, type Transferable, Worker } from 'node:worker_threads';
import { LinkedList } from '../../linked-list.js';
import type { TensorData } from '../../tasks/datatypes.js';
import type { TensorSpec } from '../../tasks/spec.js';
import type { Session, SessionOptions } from './session.js';

/** A session as the worker uses it, in whichever thread it runs. */
export type OpenSession = Pick<Session, 'inputs' | 'outputs' | 'run' | 'release'>;

type SessionQuestion =
  | { readonly kind: 'open'; readonly session: number; readonly bytes: Uint8Array; readonly options: SessionOptions }
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly inputs: readonly TensorData[];
      readonly wanted: readonly string[] | null;
    }
  | { readonly kind: 'release'; readonly session: number };

type SessionAnswer =
  | { readonly kind: 'opened'; readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] }
  | { readonly kind: 'answered'; readonly outputs: TensorData[] }
  | { readonly kind: 'released' }
  | { readonly kind: 'failed'; readonly message: string };

/** A reply has the number of its request, so that a request that could not be sent does not shift the later ones. */
type SessionRequest = SessionQuestion & { readonly id: number };
type SessionReply = SessionAnswer & { readonly id: number };

interface Waiting {
  readonly id: number;
  readonly resolve: (reply: SessionReply) => void;
}

/** The thread runs little JavaScript. V8 would reserve 512 MiB, which the kernel counts as data memory. */
const CODE_RANGE_MIB = 32;

export class SessionThread {
  readonly #thread = new Worker(new URL(import.meta.url), { resourceLimits: { codeRangeSizeMb: CODE_RANGE_MIB } });
  readonly #waiting = new LinkedList<Waiting>();
  #requests = 0;
  #sessions = 0;
  /** Resolves when the thread runs. With too little memory it never starts, and the process aborts. */
  readonly started = once(this.#thread, 'online');

  constructor() {
    this.#thread.on('message', (reply: SessionReply) => {
      this.#waiting.find(({ id }) => id === reply.id)?.value.resolve(reply);
    });
    // Without this thread the worker is useless. The uncaught error ends the process, and its work is retried elsewhere.
    this.#thread.on('error', (error) => {
      throw error;
    });
  }

  /**
   * Takes `bytes` over: the caller cannot read them afterwards.
   *
   * @throws Error with ONNX Runtime's message if it cannot load the model
   */
  async open(bytes: Uint8Array, options: SessionOptions): Promise<OpenSession> {
    const session = ++this.#sessions;
    const { inputs, outputs } = await this.#request({ kind: 'open', session, bytes, options }, 'opened');
    return {
      inputs,
      outputs,
      run: async (inputs, wanted = null) =>
        (await this.#request({ kind: 'run', session, inputs, wanted }, 'answered')).outputs,
      release: async () => {
        await this.#request({ kind: 'release', session }, 'released');
      },
    };
  }

  /** @throws Error if the question cannot be cloned; it is not sent then */
  async #request<K extends SessionReply['kind']>(
    question: SessionQuestion,
    expected: K,
  ): Promise<Extract<SessionReply, { kind: K }>> {
    const id = ++this.#requests;
    const { promise, resolve } = Promise.withResolvers<SessionReply>();
    this.#thread.postMessage({ ...question, id }, question.kind === 'open' ? ownBuffer(question.bytes) : []);
    const link = this.#waiting.push({ id, resolve });
    const reply = await promise;
    this.#waiting.remove(link);
    if (reply.kind === 'failed') throw new Error(reply.message);
    if (reply.kind !== expected) throw new Error(`A session replied ${reply.kind}. This is a bug.`);
    return reply as Extract<SessionReply, { kind: K }>;
  }
}

/** The thread's side: handles one request after the other. */
async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  // Imported here, so that the main thread does not load ONNX Runtime before it needs it.
  const { Session } = await import('./session.js');
  const sessions = new Map<number, Session>();
  const answer = async (question: SessionQuestion): Promise<SessionAnswer> => {
    if (question.kind === 'open') {
      const session = await Session.open(question.bytes, question.options).finally(() => release(question.bytes));
      sessions.set(question.session, session);
      return { kind: 'opened', inputs: session.inputs, outputs: session.outputs };
    }
    const session = sessions.get(question.session);
    if (!session) throw new Error('The session is not open. This is a bug.');
    if (question.kind === 'run')
      return { kind: 'answered', outputs: await session.run(question.inputs, question.wanted) };
    sessions.delete(question.session);
    await session.release();
    return { kind: 'released' };
  };
  endWithParent();
  let turn: Promise<void> = Promise.resolve();
  port.on('message', (request: SessionRequest) => {
    turn = turn.then(async () => {
      const { id } = request;
      try {
        const reply = await answer(request);
        port.postMessage({ ...reply, id }, reply.kind === 'answered' ? buffersOf(reply.outputs) : []);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        port.postMessage({ kind: 'failed', message, id } satisfies SessionReply);
      }
    });
  });
}

const PARENT_INTERVAL_MS = 1_000;

/** While a run blocks the main thread, it does not see that the server has gone, which Linux alone can tell by a signal. */
function endWithParent(): void {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), PARENT_INTERVAL_MS);
}

/** The buffer behind the bytes, unless it also holds something else. */
function ownBuffer({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

/** Opens a session in the thread of the caller. Takes `bytes` over. @throws Error as `SessionThread.open` */
export async function openSessionHere(bytes: Uint8Array, options: SessionOptions): Promise<OpenSession> {
  const { Session } = await import('./session.js');
  return Session.open(bytes, options).finally(() => release(bytes));
}

/** Frees the bytes now. The garbage collector, which sees only a small object, would free them much later. */
function release(bytes: Uint8Array): void {
  for (const buffer of ownBuffer(bytes)) buffer.transfer(0);
}

/** The distinct buffers to transfer: several outputs may share one. */
function buffersOf(outputs: readonly TensorData[]): Transferable[] {
  const buffers = outputs.flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer]));
  return [...new Set(buffers)] as Transferable[];
}

if (!isMainThread && parentPort) await serve(parentPort);
