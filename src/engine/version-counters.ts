/**
 * What happened to inputs and loads, counted for each version, to be read as metrics.
 *
 * The versions used most have counters of their own, so that metrics have a bounded number of labels; all others share
 * one set. Counts never move from one set to another: a version that gets its own set starts at zero, and a set that is
 * given up ends. Every series is therefore a counter that only grows.
 */
import { Buckets, DURATION_BOUNDS_MS } from '../counting/buckets.js';
import { Tally } from '../counting/tally.js';
import type { ProblemCode } from '../errors.js';
import type { ItemFailure, ItemResult } from '../tasks/failures.js';
import type { BatchTiming, EngineVersion } from './messages.js';
import type { Entry } from './queue.js';
import type { OutstandingBatch } from './worker-process.js';

/** Versions with counters of their own. One has about 110 series, that is, 10 kB of each scrape. */
export const MAX_COUNTED_VERSIONS = 32;
/** After so many batches, versions that are used more take the place of those used less. */
export const BATCHES_PER_RANKING = 1_000;
/** Versions without counters of their own whose batches are counted until the next ranking. */
const MAX_CANDIDATES = 1_000;
/** Each exchange ends the metrics of one version and begins those of another, so a small difference is not worth it. */
const HYSTERESIS = 2;

/** Rows of a batch. */
const ROW_BOUNDS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024];

export class CountersOfVersion {
  /** From acceptance until the batch was sent to a worker, and until the answer was there; of answered inputs. */
  readonly queueMs = new Buckets(DURATION_BOUNDS_MS);
  readonly totalMs = new Buckets(DURATION_BOUNDS_MS);
  /** Of batches: measured in the worker, postprocessing of numbers in the server. */
  readonly preprocessMs = new Buckets(DURATION_BOUNDS_MS);
  readonly inferMs = new Buckets(DURATION_BOUNDS_MS);
  readonly postprocessMs = new Buckets(DURATION_BOUNDS_MS);
  readonly batchRows = new Buckets(ROW_BOUNDS);
  /** Inputs that were refused or failed, by the code of their error; `DISCONNECTED` if their client was gone. */
  readonly failedInputs = new Tally();
  loads = 0;
  failedLoads = 0;
  evictions = 0;
  /** The execution provider that runs it; null until it was loaded, and if versions share the counters. */
  provider: string | null = null;
  /** Batches of the recent past; halved by each ranking. */
  recentBatches = 0;

  /** `ref`: null for the counters that versions share. */
  constructor(readonly ref: string | null) {}

  addBatch({ rows }: OutstandingBatch, timing: BatchTiming): void {
    this.preprocessMs.add(timing.preprocessMs);
    this.inferMs.add(timing.inferMs);
    this.postprocessMs.add(timing.postprocessMs);
    this.batchRows.add(rows);
  }

  /** To be called before the entry is settled: an answer that nobody receives does not count. */
  addAnswer({ isSettled, enqueuedAt }: Entry, dispatchedAt: number, results: readonly ItemResult[], now: number): void {
    if (isSettled) return;
    for (const result of results) {
      this.queueMs.add(dispatchedAt - enqueuedAt);
      this.totalMs.add(now - enqueuedAt);
      if ('failure' in result) this.failedInputs.add(codeOf(result.failure));
    }
  }
}

/** As `Predictions` names it for the caller. */
function codeOf({ kind }: ItemFailure): ProblemCode {
  return kind === 'input' ? 'INVALID_INPUT' : 'INFERENCE_FAILED';
}

interface Candidate {
  readonly ref: string;
  recentBatches: number;
}

export class VersionCounters {
  readonly #own = new Map<string, CountersOfVersion>();
  readonly #shared = new CountersOfVersion(null);
  /** Versions that share counters, by key. */
  readonly #candidates = new Map<string, Candidate>();
  #batchesUntilRanking = BATCHES_PER_RANKING;

  /** All counters that are in use; the shared ones are last. */
  get all(): readonly CountersOfVersion[] {
    return [...this.#own.values(), this.#shared];
  }

  of({ key, ref }: EngineVersion): CountersOfVersion {
    const own = this.#own.get(key);
    if (own) return own;
    return this.#own.size < MAX_COUNTED_VERSIONS ? this.#give(key, ref) : this.#shared;
  }

  addBatch(batch: OutstandingBatch, timing: BatchTiming, provider: string): void {
    const { version } = batch;
    const counters = this.of(version);
    counters.addBatch(batch, timing);
    if (counters === this.#shared) this.#addCandidate(version);
    else {
      counters.provider = provider;
      counters.recentBatches++;
    }
    if (--this.#batchesUntilRanking === 0) this.#rank();
  }

  noteProvider(version: EngineVersion, provider: string): void {
    const counters = this.of(version);
    if (counters !== this.#shared) counters.provider = provider;
  }

  #addCandidate({ key, ref }: EngineVersion): void {
    const candidate = this.#candidates.get(key);
    if (candidate) candidate.recentBatches++;
    else if (this.#candidates.size < MAX_CANDIDATES) this.#candidates.set(key, { ref, recentBatches: 1 });
  }

  /** The candidates used most take the places of the versions used least. */
  #rank(): void {
    this.#batchesUntilRanking = BATCHES_PER_RANKING;
    const least = [...this.#own].sort(([, a], [, b]) => a.recentBatches - b.recentBatches);
    const most = [...this.#candidates].sort(([, a], [, b]) => b.recentBatches - a.recentBatches);
    for (const [i, [leastKey, { recentBatches }]] of least.entries()) {
      const [key, candidate] = most[i] ?? [];
      if (!key || !candidate || candidate.recentBatches <= HYSTERESIS * recentBatches) break;
      this.#own.delete(leastKey);
      this.#candidates.delete(key);
      this.#give(key, candidate.ref).recentBatches = candidate.recentBatches;
    }
    for (const counters of this.#own.values()) counters.recentBatches /= 2;
    for (const [key, candidate] of this.#candidates) {
      candidate.recentBatches /= 2;
      if (candidate.recentBatches < 1) this.#candidates.delete(key);
    }
  }

  #give(key: string, ref: string): CountersOfVersion {
    const counters = new CountersOfVersion(ref);
    this.#own.set(key, counters);
    return counters;
  }
}
