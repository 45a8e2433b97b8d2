/** Makes metrics of the answers to a dataset, in a thread. */
import { Worker } from 'node:worker_threads';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

/** Of objects of JavaScript; arrays of numbers are apart. */
const MAX_HEAP_MB = 1_024;
const MAX_MS = 30 * 60_000;

/** @throws Error if it takes too long or too much memory; the reason of `signal` if it is aborted */
export async function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  signal.throwIfAborted();
  const worker = new Worker(new URL('./measuring-thread.js', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const { promise, resolve, reject } = Promise.withResolvers<MeasuringReply>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop);
  const timer = setTimeout(() => reject(new Error(`the metrics take longer than ${MAX_MS / 60_000} minutes`)), MAX_MS);
  worker.on('message', resolve);
  worker.on('error', reject);
  worker.on('exit', () => reject(new Error('the thread that computes the metrics has ended')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
