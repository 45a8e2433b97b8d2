/** Runs a file as a thread, which gets a task and sends one reply. */
import { Worker } from 'node:worker_threads';

/** Of objects of JavaScript; arrays of numbers are apart. */
const MAX_HEAP_MB = 1_024;

export interface ThreadLimits {
  /** Without the time that answers to its questions take. */
  readonly maxMs: number;
  /** What it fails with after that. */
  readonly timeout: () => Error;
  readonly maxHeapMb?: number;
  readonly signal: AbortSignal | undefined;
}

/** What a thread sends when it asks for something. It gets the answer as a message. */
export interface Asked<Question> {
  readonly question: Question;
}

/**
 * `answer`: to what the thread asks before it replies, one question at a time.
 *
 * @throws `timeout`; Error if it fails, or takes too much memory; the reason of `signal` if it is aborted; as `answer`
 */
export async function computeInThread<Task, Reply extends object, Question = never>(
  file: URL,
  task: Task,
  { maxMs, timeout, maxHeapMb = MAX_HEAP_MB, signal }: ThreadLimits,
  answer?: (question: Question) => Promise<unknown>,
): Promise<Reply> {
  signal?.throwIfAborted();
  const worker = new Worker(file, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } });
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const stop = () => reject(signal?.reason);
  signal?.addEventListener('abort', stop);
  const begin = () => setTimeout(() => reject(timeout()), maxMs);
  let timer = begin();
  let answering = Promise.resolve();
  worker.on('message', (message: Reply | Asked<Question>) => {
    if (!answer || !('question' in message)) return resolve(message as Reply);
    clearTimeout(timer);
    answering = answer(message.question).then((given) => {
      timer = begin();
      worker.postMessage(given);
    }, reject);
  });
  worker.on('error', reject);
  worker.on('exit', () => reject(new Error('the thread that computes has ended')));
  try {
    return await promise;
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
    await answering;
    clearTimeout(timer);
  }
}
