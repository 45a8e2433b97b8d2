/**
 * A worker process for one purpose: to load something new, or to try an execution provider.
 */
import type { StartChild } from './child.js';
import type { Command, FromWorker } from './messages.js';
import type { ExitCause } from './supervision.js';
import { WorkerProcess } from './worker-process.js';

/** Sends a message to a disposable worker and resolves with its reply. */
export type SendToWorker = (command: Command) => Promise<FromWorker>;

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
  const ready = Promise.withResolvers<void>();
  const waiting = new Map<number, PromiseWithResolvers<FromWorker>>();
  let isReady = false;
  let lost: ProcessLostError | null = null;
  const worker = new WorkerProcess(startChild, 'probe', 0, {
    onMessage: (_, message) => {
      if (message.kind === 'ready') ready.resolve();
      else if (message.kind !== 'started') waiting.get(message.id)?.resolve(message);
    },
    onExit: (_, cause, how) => {
      lost = new ProcessLostError(cause, how, isReady);
      for (const { reject } of [ready, ...waiting.values()]) reject(lost);
    },
  });
  const ask = async (command: Command): Promise<FromWorker> => {
    if (lost) throw lost;
    const reply = Promise.withResolvers<FromWorker>();
    const id = worker.send(command);
    waiting.set(id, reply);
    return reply.promise.finally(() => waiting.delete(id));
  };
  const timer = setTimeout(() => worker.kill('watchdog'), DISPOSABLE_WORKER_TIMEOUT_MS);
  try {
    await ready.promise;
    isReady = true;
    return await work(ask);
  } finally {
    clearTimeout(timer);
    worker.kill('stopped');
  }
}
