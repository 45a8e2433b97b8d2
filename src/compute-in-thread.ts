/** Runs a file as a thread, which gets a task and sends one reply. */
import { Worker } from 'node:worker_threads';

/** Of objects of JavaScript; arrays of numbers are apart. */
const MAX_HEAP_MB = 1_024;

export interface ThreadLimits {
  readonly maxMs: number;
  /** What it fails with after that. */
  readonly timeout: () => Error;
  readonly maxHeapMb?: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws `timeout`; Error if it fails, or takes too much memory; the reason of `signal` if it is aborted */
export async function computeInThread<Task, Reply>(
  file: URL,
  task: Task,
  { maxMs, timeout, maxHeapMb = MAX_HEAP_MB, signal }: ThreadLimits,
): Promise<Reply> {
  signal?.throwIfAborted();
  const worker = new Worker(file, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } });
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const stop = () => reject(signal?.reason);
  signal?.addEventListener('abort', stop);
  const timer = setTimeout(() => reject(timeout()), maxMs);
  worker.on('message', resolve);
  worker.on('error', reject);
  worker.on('exit', () => reject(new Error('the thread that computes has ended')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
