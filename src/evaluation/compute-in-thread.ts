/** Runs a file of this folder as a thread, which gets a task and sends one reply. */
import { Worker } from 'node:worker_threads';
import { ComputingTimeoutError } from '../errors.js';

/** Of objects of JavaScript; arrays of numbers are apart. */
const MAX_HEAP_MB = 1_024;

export interface ThreadLimits {
  readonly maxMs: number;
  readonly signal: AbortSignal;
}

/** @throws ComputingTimeoutError; Error if it fails, or takes too much memory; the reason of `signal` if it is aborted */
export async function computeInThread<Task, Reply>(
  file: string,
  task: Task,
  { maxMs, signal }: ThreadLimits,
): Promise<Reply> {
  signal.throwIfAborted();
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop);
  const timer = setTimeout(() => reject(new ComputingTimeoutError(maxMs)), maxMs);
  worker.on('message', resolve);
  worker.on('error', reject);
  worker.on('exit', () => reject(new Error('the thread that computes has ended')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
