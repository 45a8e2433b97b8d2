/** Makes metrics of the answers to a dataset, in a thread. */
import { computeInThread } from '../compute-in-thread.js';
import { ComputingTimeoutError } from '../errors.js';
import type { ImportanceQuestion, ImportanceReply, ImportanceTask } from './importance-thread.js';
import type { MeasuringReply, MeasuringTask } from './measuring-thread.js';

const MEASURING = new URL('./measuring-thread.js', import.meta.url);
const IMPORTANCE = new URL('./importance-thread.js', import.meta.url);
const MAX_MS = 30 * 60_000;
const timeout = () => new ComputingTimeoutError(MAX_MS);

/** The answers do not fit a metric, now or later. */
export class UnmeasurableError extends Error {}

/** @throws UnmeasurableError, ComputingTimeoutError; as `computeInThread` */
export function measureInThread(task: MeasuringTask, signal: AbortSignal): Promise<MeasuringReply> {
  return computeInThread<MeasuringTask, MeasuringReply>(MEASURING, task, { maxMs: MAX_MS, timeout, signal }).catch(
    rethrow,
  );
}

/** `answer`: as `computeInThread`. @throws UnmeasurableError, ComputingTimeoutError; as `computeInThread` */
export function importanceInThread(
  task: ImportanceTask,
  signal: AbortSignal,
  answer: (question: ImportanceQuestion) => Promise<unknown>,
): Promise<ImportanceReply> {
  return computeInThread<ImportanceTask, ImportanceReply, ImportanceQuestion>(
    IMPORTANCE,
    task,
    { maxMs: MAX_MS, timeout, signal },
    answer,
  ).catch(rethrow);
}

function rethrow(error: Error): never {
  throw error.name === 'RangeError' ? new UnmeasurableError(error.message) : error;
}
