/**
 * Waiting for work until a deadline. All who wait share one timer, which stays set when their work is done: a timer for each
 * prediction costs more than its promise.
 */
import { DeadlineExceededError, type DeadlinePhase } from '../errors.js';
import { LinkedList } from '../linked-list.js';

interface Deadline {
  /** On the clock of `performance.now()`. */
  readonly at: number;
  readonly expire: () => void;
}

/** While many wait, the timer looks at all of them at most this often, so a deadline is noticed up to 10 ms late. */
const MIN_CHECK_MS = 10;

/** One for each call of `inTime` that waits. Whoever calls it bounds how many there are. */
const waiting = new LinkedList<Deadline>();
let timer: NodeJS.Timeout | undefined;
let firesAt = Number.POSITIVE_INFINITY;

/**
 * Settles as `work` does.
 *
 * @throws DeadlineExceededError if `work` does not settle before the deadline; it goes on
 */
export function inTime<T>(
  work: Promise<T>,
  { startedAt, deadlineMs }: { readonly startedAt: number; readonly deadlineMs: number },
  phase: DeadlinePhase,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const expire = () => {
      waiting.remove(link);
      reject(new DeadlineExceededError(deadlineMs, phase));
    };
    const at = startedAt + deadlineMs;
    const link = waiting.push({ at, expire });
    checkBy(at);
    work.then(
      (value) => {
        waiting.remove(link);
        resolve(value);
      },
      (error) => {
        waiting.remove(link);
        reject(error);
      },
    );
  });
}

function checkBy(at: number, earliestMs = 0): void {
  if (at >= firesAt) return;
  clearTimeout(timer);
  firesAt = at;
  timer = setTimeout(check, Math.max(earliestMs, Math.ceil(at - performance.now()))).unref();
}

function check(): void {
  firesAt = Number.POSITIVE_INFINITY;
  const now = performance.now();
  let next = Number.POSITIVE_INFINITY;
  for (const deadline of waiting) {
    if (deadline.at > now) next = Math.min(next, deadline.at);
    else deadline.expire();
  }
  if (next < Number.POSITIVE_INFINITY) checkBy(next, MIN_CHECK_MS);
}
