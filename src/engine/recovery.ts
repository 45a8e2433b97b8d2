/**
 * What happens to inputs whose batch or version failed: they are retried, run alone in quarantine, or fail. Which of the
 * three is decided in `supervision.ts`.
 */
import { InferenceFailedError } from '../errors.js';
import type { FairQueue } from './fair-queue.js';
import type { EngineVersion } from './messages.js';
import { artifactError } from './pool.js';
import type { Quarantine } from './quarantine.js';
import { type Entry, NO_LIMITS } from './queue.js';
import { chooseRecovery, type ExitCause, mayBeCausedByInput, poisonReason } from './supervision.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

export class Recovery {
  readonly #queue: FairQueue;
  readonly #quarantine: Quarantine;

  constructor(queue: FairQueue, quarantine: Quarantine) {
    this.#queue = queue;
    this.#quarantine = quarantine;
  }

  /** `batches`: those that the worker had not answered when it exited, oldest first. */
  afterExit(worker: WorkerProcess, batches: readonly OutstandingBatch[], cause: ExitCause, how: string): void {
    for (const [i, batch] of batches.entries()) {
      const [entry] = batch.entries;
      if (worker.purpose === 'quarantine' && entry && mayBeCausedByInput(cause))
        this.#quarantine.failPoisonInput({ version: batch.version, entry }, poisonReason(cause, how));
      else this.#recoverBatch(worker, batch, cause, i === 0, how);
    }
  }

  /** Inputs of a batch for which the worker could not allocate memory run again in quarantine; if they ran there, they fail. */
  afterFailedAllocation(
    { purpose }: WorkerProcess,
    version: EngineVersion,
    entries: readonly Entry[],
    message: string,
  ): void {
    if (purpose !== 'quarantine') this.#quarantine.addSuspects(version, entries);
    else
      for (const entry of entries)
        this.#quarantine.failPoisonInput(
          { version, entry },
          `it needs more memory than one worker may use: ${message}`,
        );
  }

  /** Fails the inputs that were sent to the worker for a version that it cannot load. */
  afterFailedLoad({ batches }: WorkerProcess, key: string, message: string): void {
    const failed = batches.filter(({ version }) => version.key === key).flatMap(({ entries }) => entries);
    for (const entry of failed) entry.fail(artifactError(message));
  }

  failQueued({ key }: EngineVersion, error: Error): void {
    for (const entry of this.#queue.take(key, NO_LIMITS, performance.now())) entry.fail(error);
  }

  quarantineQueued(version: EngineVersion): void {
    for (const entry of this.#queue.take(version.key, NO_LIMITS, performance.now()))
      this.#quarantine.addWaiting({ version, entry });
  }

  #recoverBatch(
    worker: WorkerProcess,
    batch: OutstandingBatch,
    cause: ExitCause,
    isRunning: boolean,
    how: string,
  ): void {
    const { version, isMeasurement } = batch;
    const retried: Entry[] = [];
    const suspects: Entry[] = [];
    if (isMeasurement) return;
    for (const entry of batch.entries) {
      const recovery = chooseRecovery(cause, isRunning, entry.retries);
      entry.phase = 'queue';
      if (recovery === 'quarantine') suspects.push(entry);
      else if (recovery === 'fail')
        entry.fail(new InferenceFailedError(`the inference process ended (${how}); try again`, true));
      else if (!entry.isSettled) {
        entry.retries++;
        retried.push(entry);
      }
    }
    this.#quarantine.addSuspects(version, suspects);
    if (worker.purpose !== 'quarantine') this.#queue.requeue(version.key, retried);
    else for (const entry of retried) this.#quarantine.requeue({ version, entry });
  }
}
