/**
 * Creates the queue entry of an accepted input, with its promise and its deadline timer. An entry settles exactly once.
 */
import { DeadlineExceededError, InferenceFailedError } from '../errors.js';
import type { QueuedItem } from '../tasks/block.js';
import type { CallerConnection, Entry, Outcome, PriorityName } from './queue.js';

export interface RunOptions {
  readonly deadlineMs: number;
  readonly priority: PriorityName;
  readonly connection: CallerConnection;
}

/**
 * Calls `onSettled` once, with the error if there is one, just before the promise `answered` settles. That is at the
 * latest when the deadline passes or the connection closes, so that an input which nobody waits for takes no memory.
 */
export function createEntry(
  { item, bytes, costMs, meteredMs }: Pick<Entry, 'item' | 'bytes' | 'costMs' | 'meteredMs'>,
  { deadlineMs, priority, connection }: RunOptions,
  onSettled: (entry: Entry, error: Error | null) => void,
): { entry: Entry; answered: Promise<Outcome> } {
  const answer = Promise.withResolvers<Outcome>();
  const now = performance.now();
  const settle = (error: Error | null, settlePromise: () => void) => {
    if (entry.isSettled) return;
    entry.isSettled = true;
    clearTimeout(timer);
    stopWatching?.();
    onSettled(entry, error);
    settlePromise();
  };
  const entry: Entry = {
    item,
    priority,
    connection,
    bytes,
    costMs,
    meteredMs,
    enqueuedAt: now,
    deadlineAt: now + deadlineMs,
    isSettled: false,
    retries: 0,
    place: null,
    run: null,
    phase: 'queue',
    succeed: (outcome) => settle(null, () => answer.resolve(outcome)),
    fail: (error) => settle(error, () => answer.reject(error)),
  };
  const timer = setTimeout(() => entry.fail(new DeadlineExceededError(deadlineMs, entry.phase)), deadlineMs);
  const stopWatching = connection.onClose?.(() => entry.fail(disconnected()));
  return { entry, answered: answer.promise };
}

/** An input that nobody waits for: it counts as settled, so that nothing retries it or tells it the outcome. */
export function createSettledEntry(item: QueuedItem, now: number): Entry {
  return {
    item,
    priority: 'LOW',
    connection: { isClosed: true, caller: '' },
    bytes: 0,
    costMs: 0,
    meteredMs: 0,
    enqueuedAt: now,
    deadlineAt: now,
    isSettled: true,
    retries: 0,
    place: null,
    run: null,
    phase: 'run',
    succeed: () => {},
    fail: () => {},
  };
}

/** Nobody receives this error, unless another request shares the run. */
export function disconnected(): InferenceFailedError {
  return new InferenceFailedError('the client has disconnected', true);
}
