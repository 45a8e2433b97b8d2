/** A thread that decrypts and computes, so that the event loop does not. It gets one message at a time, and answers each. */
import { Worker } from 'node:worker_threads';
import { OverloadedError, ShuttingDownError } from '../errors.js';

/** Of objects of JavaScript, in a thread. Typed arrays are outside of it. */
const MAX_HEAP_MB = 256;
const MAX_THREAD_MS = 180_000;
const RETRY_AFTER_MS = 60_000;

interface Options {
  /** File of the thread, in this folder. */
  readonly file: string;
  readonly workerData: object;
  /** Of the version, for messages. */
  readonly ref: string;
  readonly signal: AbortSignal;
}

export class AskedThread<Message> {
  readonly #worker: Worker;
  /** Rejected when no reply comes anymore. */
  readonly #failed = Promise.withResolvers<never>();
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #stop = () => this.#failed.reject(new ShuttingDownError());
  #reply = Promise.withResolvers<unknown>();

  constructor({ file, workerData, ref, signal }: Options) {
    if (signal.aborted) throw new ShuttingDownError();
    this.#worker = new Worker(new URL(`./${file}`, import.meta.url), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    this.#failed.promise.catch(() => {});
    this.#worker.on('message', (reply) => this.#reply.resolve(reply));
    this.#worker.on('error', this.#failed.reject);
    this.#worker.on('exit', () => this.#failed.reject(new Error(`${file} has ended`)));
    const tooLong = `measuring takes more than ${MAX_THREAD_MS} ms`;
    const late = () => this.#failed.reject(new OverloadedError(ref, 0, RETRY_AFTER_MS, tooLong));
    this.#timer = setTimeout(late, MAX_THREAD_MS);
    this.#signal = signal;
    signal.addEventListener('abort', this.#stop);
  }

  /** One at a time. @throws OverloadedError if the thread takes too long, ShuttingDownError after `signal` */
  async ask<Reply>(message: Message): Promise<Reply> {
    this.#reply = Promise.withResolvers();
    this.#worker.postMessage(message);
    return (await Promise.race([this.#reply.promise, this.#failed.promise])) as Reply;
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#stop);
    await this.#worker.terminate();
  }
}
