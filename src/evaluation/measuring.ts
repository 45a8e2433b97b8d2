/** Makes metrics of the answers to a dataset, in a thread. */
import { computeInThread } from './compute-in-thread.js';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

const MAX_MS = 30 * 60_000;

/** @throws as `computeInThread` */
export function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  return computeInThread('./measuring-thread.js', task, { maxMs: MAX_MS, signal });
/** The answers do not fit a metric, now or later. */
export class UnmeasurableError extends Error {}

/** @throws UnmeasurableError; Error if it takes too long or too much memory; the reason of `signal` if it is aborted */
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
  worker.on('error', (error) => reject(error.name === 'RangeError' ? new UnmeasurableError(error.message) : error));
  worker.on('exit', () => reject(new Error('the thread that computes the metrics has ended')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
