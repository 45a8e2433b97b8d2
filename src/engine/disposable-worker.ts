/**
 * A worker process for one purpose: to load something new, or to try an execution provider.
 */
import type { StartChild } from './child.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { ExitCause } from './supervision.js';
import { WorkerProcess } from './worker-process.js';

/** Sends a message to a disposable worker and resolves with its reply. */
export type SendToWorker = (message: ToWorker) => Promise<FromWorker>;

/** The process exited before it replied. */
export class ProcessLostError extends Error {
  constructor(
    override readonly cause: ExitCause,
    how: string,
    /** False if the process exited before it was ready: the exit then says nothing about its task. */
    readonly wasReady = true,
  ) {
    const end = wasReady ? 'the inference process ended' : 'the inference process ended before it was ready';
    super(cause === 'watchdog' ? 'the inference process did not reply in time and was killed' : `${end} (${how})`);
  }
}

const DISPOSABLE_WORKER_TIMEOUT_MS = 60_000;

/**
 * Calls `work` with a fresh process and kills that process when `work` settles, or after 60 s. `ask` sends a message and
 * resolves with the reply.
 *
 * @throws ProcessLostError if the process exits before it replies
 */
export async function withDisposableWorker<T>(
  startChild: StartChild,
  work: (ask: SendToWorker) => Promise<T>,
): Promise<T> {
  let waiting = Promise.withResolvers<FromWorker>();
  let isReady = false;
  const worker = new WorkerProcess(startChild, 'probe', 0, {
    onMessage: (_, message) => waiting.resolve(message),
    onExit: (_, cause, how) => waiting.reject(new ProcessLostError(cause, how, isReady)),
  });
  // Between two messages the promise has no listener. An exit is then reported by the next call of `ask`.
  waiting.promise.catch(() => {});
  const timer = setTimeout(() => worker.kill('watchdog'), DISPOSABLE_WORKER_TIMEOUT_MS);
  try {
    await waiting.promise;
    isReady = true;
    return await work((message) => {
      if (worker.state === 'EXITED') return waiting.promise;
      waiting = Promise.withResolvers();
      waiting.promise.catch(() => {});
      worker.send(message);
      return waiting.promise;
    });
  } finally {
    clearTimeout(timer);
    worker.kill('stopped');
  }
}
