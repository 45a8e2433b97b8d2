/**
 * The thread of a worker process in which sessions run, and the sessions as its main thread sees them.
 *
 * `run` holds its thread until native code returns. Here that is not the thread that reads messages, decodes pictures and
 * cuts texts: the next batch is prepared while this one runs. Inputs are copied, outputs change hands.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, type Transferable, Worker } from 'node:worker_threads';
import type { TensorData } from '../../tasks/datatypes.js';
import type { TensorSpec } from '../../tasks/spec.js';
import type { Session, SessionOptions } from './session.js';

/** What a worker does with a session, wherever it runs. */
export type OpenSession = Pick<Session, 'inputs' | 'outputs' | 'run' | 'release'>;

type SessionRequest =
  | { readonly kind: 'open'; readonly session: number; readonly bytes: Uint8Array; readonly options: SessionOptions }
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly inputs: readonly TensorData[];
      readonly wanted: readonly string[] | null;
    }
  | { readonly kind: 'release'; readonly session: number };

type SessionReply =
  | { readonly kind: 'opened'; readonly inputs: readonly TensorSpec[]; readonly outputs: readonly TensorSpec[] }
  | { readonly kind: 'answered'; readonly outputs: TensorData[] }
  | { readonly kind: 'released' }
  | { readonly kind: 'failed'; readonly message: string };

export class SessionThread {
  readonly #thread = new Worker(new URL(import.meta.url));
  /** It answers in the order in which it is asked. */
  readonly #waiting: PromiseWithResolvers<SessionReply>[] = [];
  #sessions = 0;
  /** When the thread has begun: with too little memory it never does, and takes the process along. */
  readonly started = once(this.#thread, 'online');

  constructor() {
    this.#thread.on('message', (reply: SessionReply) => this.#waiting.shift()?.resolve(reply));
    // Without it nothing can be answered any more: the process ends, and its work goes to another.
    this.#thread.on('error', (error) => {
      throw error;
    });
  }

  /** @throws Error with ONNX Runtime's words when the bytes are no model it can run. */
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

  async #request<K extends SessionReply['kind']>(
    question: SessionRequest,
    expected: K,
  ): Promise<Extract<SessionReply, { kind: K }>> {
    const waiting = Promise.withResolvers<SessionReply>();
    this.#waiting.push(waiting);
    this.#thread.postMessage(question);
    const reply = await waiting.promise;
    if (reply.kind === 'failed') throw new Error(reply.message);
    if (reply.kind !== expected) throw new Error(`A session replied ${reply.kind}. This is a bug.`);
    return reply as Extract<SessionReply, { kind: K }>;
  }
}

/** The other side: one question after the other. */
async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  // Only here is the runtime loaded: the main thread never calls it.
  const { Session } = await import('./session.js');
  const sessions = new Map<number, Session>();
  const answer = async (question: SessionRequest): Promise<SessionReply> => {
    if (question.kind === 'open') {
      const session = await Session.open(question.bytes, question.options);
      sessions.set(question.session, session);
      return { kind: 'opened', inputs: session.inputs, outputs: session.outputs };
    }
    const session = sessions.get(question.session);
    if (!session) throw new Error('A session is used that is not open. This is a bug.');
    if (question.kind === 'run')
      return { kind: 'answered', outputs: await session.run(question.inputs, question.wanted) };
    sessions.delete(question.session);
    await session.release();
    return { kind: 'released' };
  };
  let turn: Promise<void> = Promise.resolve();
  port.on('message', (question: SessionRequest) => {
    turn = turn.then(async () => {
      const reply = await answer(question).catch((error: unknown) => ({
        kind: 'failed' as const,
        message: error instanceof Error ? error.message : String(error),
      }));
      port.postMessage(reply, reply.kind === 'answered' ? buffersOf(reply.outputs) : []);
    });
  });
}

/** Several outputs may lie in one buffer. */
function buffersOf(outputs: readonly TensorData[]): Transferable[] {
  const buffers = outputs.flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer]));
  return [...new Set(buffers)] as Transferable[];
}

if (!isMainThread && parentPort) await serve(parentPort);
