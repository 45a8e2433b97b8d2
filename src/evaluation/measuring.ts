/** Makes metrics of the answers to a dataset, in a thread. */
import { computeInThread } from './compute-in-thread.js';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

const MAX_MS = 30 * 60_000;

/** @throws as `computeInThread` */
export function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  return computeInThread('./measuring-thread.js', task, { maxMs: MAX_MS, signal });
}
