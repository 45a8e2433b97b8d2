/** Makes metrics of the answers to a dataset, in a thread. */
import { computeInThread } from '../compute-in-thread.js';
import { ComputingTimeoutError } from '../errors.js';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

const FILE = new URL('./measuring-thread.js', import.meta.url);
const MAX_MS = 30 * 60_000;
const timeout = () => new ComputingTimeoutError(MAX_MS);

/** The answers do not fit a metric, now or later. */
export class UnmeasurableError extends Error {}

/** @throws UnmeasurableError, ComputingTimeoutError; as `computeInThread` */
export async function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  try {
    return await computeInThread(FILE, task, { maxMs: MAX_MS, timeout, signal });
  } catch (error) {
    throw (error as Error).name === 'RangeError' ? new UnmeasurableError((error as Error).message) : error;
  }
}
