/** Makes metrics of the answers to a dataset, in a thread. */
import { computeInThread } from './compute-in-thread.js';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

const MAX_MS = 30 * 60_000;

/** The answers do not fit a metric, now or later. */
export class UnmeasurableError extends Error {}

/** @throws UnmeasurableError; as `computeInThread` */
export async function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  try {
    return await computeInThread('./measuring-thread.js', task, { maxMs: MAX_MS, signal });
  } catch (error) {
    throw (error as Error).name === 'RangeError' ? new UnmeasurableError((error as Error).message) : error;
  }
}
