/**
 * The batches that workers have not answered: sends them, watches how long they take, and passes on cancellations. What
 * a batch took corrects the predictions for its version and the shares of its callers.
 */
import { placesOf } from '../tasks/block.js';
import type { ItemResult } from '../tasks/failures.js';
import { Cancellations } from './cancellations.js';
import type { FairQueue } from './fair-queue.js';
import {
  answered,
  type BatchReply,
  type BatchTiming,
  batchMessage,
  type DoneMessage,
  type EngineVersion,
  type FromWorker,
} from './messages.js';
import { type Entry, sizeOf, sum } from './queue.js';
import type { ScheduledVersion } from './schedule.js';
import { LOAD_WATCHDOG_MS, shouldAnnounceStart, watchdogMs } from './supervision.js';
import { Watchdogs } from './watchdogs.js';
import type { OutstandingBatch, WorkerProcess } from './worker-process.js';

interface Assignment {
  readonly version: EngineVersion;
  readonly entries: readonly Entry[];
  readonly now: number;
  /** Whether the batch only measures the version. */
  readonly isMeasurement?: boolean;
}

export interface CompletedBatch {
  readonly batch: OutstandingBatch;
  readonly answered: readonly AnsweredEntry[];
  readonly done: DoneMessage;
  /** What the batch took in the worker, for each millisecond that its entries were predicted to cost. */
  readonly computeMsPerPredictedMs: number;
}

interface AnsweredEntry {
  readonly entry: Entry;
  /** One, or one for each row of a block. */
  readonly results: readonly ItemResult[];
}

export class RunningBatches {
  readonly #queue: FairQueue;
  readonly #servedOf: (version: EngineVersion) => ScheduledVersion;
  readonly #report: (bug: unknown, ref: string) => void;
  readonly #watchdogs = new Watchdogs();
  readonly #cancellations = new Cancellations();

  /** `report` is called with errors that are bugs. */
  constructor(
    queue: FairQueue,
    servedOf: (version: EngineVersion) => ScheduledVersion,
    report: (bug: unknown, ref: string) => void,
  ) {
    this.#queue = queue;
    this.#servedOf = servedOf;
    this.#report = report;
  }

  assign(worker: WorkerProcess, { version, entries, now, isMeasurement = false }: Assignment): void {
    if (entries.length === 0) return;
    const { rows, work, preprocessingWork } = entries.map(sizeOf).reduce(sum);
    const served = this.#servedOf(version);
    const wasLoaded = worker.loaded.has(version.key);
    const size = { rows, work, preprocessingWork };
    const expectedMs = entries.length === 1 ? served.latency.aloneMs(size) : served.latency.expectedMs(size);
    // The cost of decoding an image or tokenizing a text is unknown until it is done.
    const hasUnknownCost = version.spec.text !== null || version.spec.image !== null;
    const announceStart = hasUnknownCost || shouldAnnounceStart(wasLoaded ? served.latency.inWorkerMs(work) : null);
    for (const entry of entries) entry.phase = 'run';
    const measureUse = isMeasurement || worker.purpose === 'quarantine';
    const items = entries.map(({ item }) => item);
    const message = batchMessage(version.spec, items, { key: version.key, announceStart, measureUse });
    const startedAt = announceStart ? null : now;
    try {
      const expected = { ...size, runWork: work, expectedMs, wasLoaded, isMeasurement, dispatchedAt: now, startedAt };
      const batch = worker.assign({ version, message, entries, ...expected });
      this.#cancellations.track(worker, batch);
      served.running++;
    } catch (error) {
      // The message cannot be cloned or is too long. No other worker could be sent it either.
      for (const entry of entries) entry.fail(error as Error);
    }
    if (worker.batches.length === 1) this.#resetWatchdog(worker);
  }

  /** Has no effect on an entry that is not in a worker. */
  cancel(entry: Entry): void {
    this.#cancellations.cancel(entry);
  }

  recordStart(worker: WorkerProcess, { id, tokens }: Extract<FromWorker, { kind: 'started' }>): void {
    const batch = worker.batches[0];
    if (batch?.id !== id) return;
    batch.startedAt = performance.now();
    batch.runWork = tokens ?? batch.work;
    this.#resetWatchdog(worker);
  }

  /** Removes and returns the batch that was answered, with its results; null if it is not the worker's oldest. */
  complete(worker: WorkerProcess, reply: BatchReply): CompletedBatch | null {
    const batch = worker.batches[0];
    if (batch?.id !== reply.id) return null;
    const { ref, spec } = batch.version;
    const done = answered(reply, batch.message, spec, (bug) => this.#report(bug, ref));
    const { results, timing } = done;
    const now = performance.now();
    const occupiedMs = now - Math.max(batch.dispatchedAt, worker.lastUsedAt);
    worker.completeBatch();
    this.#release(batch);
    this.#resetWatchdog(worker);
    // Items that were cancelled did not run, so the duration says nothing.
    const answeredEntries = resultsOfEntries(batch.entries, results);
    const isWhole = answeredEntries.every(({ entry, results }) => !entry.isSettled || results.every(isAnswered));
    if (isWhole) this.#learn(batch, timing, occupiedMs, now);
    const predictedMs = Math.max(predictedMsOf(batch.entries), Number.MIN_VALUE);
    return { batch, answered: answeredEntries, done, computeMsPerPredictedMs: computeMsOf(timing) / predictedMs };
  }

  /** Removes and returns the batches of a worker that has exited, oldest first. */
  takeFrom(worker: WorkerProcess): readonly OutstandingBatch[] {
    this.#watchdogs.forget(worker);
    const batches = worker.takeBatches();
    for (const batch of batches) this.#release(batch);
    return batches;
  }

  stop(): void {
    this.#watchdogs.stop();
  }

  /** Watches the oldest batch. Until its run has started, the timeout covers loading and preprocessing. */
  #resetWatchdog(worker: WorkerProcess): void {
    const [oldest] = worker.batches;
    if (!oldest) this.#watchdogs.set(worker, null);
    else if (oldest.startedAt === null) this.#watchdogs.set(worker, LOAD_WATCHDOG_MS);
    else {
      const { version, runWork } = oldest;
      const expectedMs = this.#servedOf(version).latency.inWorkerMs(runWork);
      this.#watchdogs.set(worker, watchdogMs(expectedMs, version.spec.maxRunMs));
    }
  }

  #learn(batch: OutstandingBatch, timing: BatchTiming, occupiedMs: number, now: number): void {
    const { version, entries, runWork, wasLoaded, isMeasurement } = batch;
    const measured = { estimated: batch, runWork, ...timing, occupiedMs, wasLoaded, isMeasurement };
    this.#servedOf(version).latency.record(measured, now);
    const predictedMs = Math.max(predictedMsOf(entries), Number.MIN_VALUE);
    const actualMs = wasLoaded ? occupiedMs : computeMsOf(timing);
    for (const entry of entries) this.#queue.correct(version.key, entry, (actualMs * entry.costMs) / predictedMs);
  }

  #release(batch: OutstandingBatch): void {
    this.#cancellations.forget(batch);
    this.#servedOf(batch.version).running--;
  }
}

function resultsOfEntries(entries: readonly Entry[], results: readonly ItemResult[]): AnsweredEntry[] {
  let place = 0;
  return entries.map((entry) => {
    const begin = place;
    place += placesOf(entry.item);
    return { entry, results: results.slice(begin, place) };
  });
}

function predictedMsOf(entries: readonly Entry[]): number {
  return entries.reduce((total, { costMs }) => total + costMs, 0);
}

function computeMsOf({ preprocessMs, inferMs, postprocessMs }: BatchTiming): number {
  return preprocessMs + inferMs + postprocessMs;
}

function isAnswered(result: ItemResult): boolean {
  return 'answer' in result;
}
