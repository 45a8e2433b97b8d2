/**
 * How long the batches of one version take, in milliseconds, learned from every batch.
 *
 * Durations are kept per amount of work, in buckets of powers of two: see `Work` for its unit. The first run of a bucket
 * is often slow, so it is not trusted: predictions begin with the second, and forget the first if it took longer. If
 * nothing was measured for a while, a run that takes less than half of what was expected replaces it.
 */
import type { Work } from '../tasks/work.js';
import { MAX_AGE_MS } from './admission.js';
import { BatchRows } from './batch-rows.js';
import type { LatencyPoint } from './latency-curve.js';
import { bucketOf, MIN_SAMPLES, smoothed } from './smoothing.js';

/** Rows of a batch whose duration cannot be predicted. */
const ROWS_OF_UNKNOWN = 8;
/**
 * How far the duration of one item is scaled up. Part of what a small run takes does not grow with its work, so farther
 * predictions are far too high, and would refuse a large input that nobody has tried yet.
 */
const MAX_SCALE_OF_ITEM = 16;

/** Means of one bucket. */
interface Bucket {
  count: number;
  work: number;
  ms: number;
}

/** Duration as a function of the amount of work. */
export class DurationsByWork {
  readonly #buckets = new Map<number, Bucket>();

  /** `isOld`: whether what is known was not confirmed for a while. */
  record(work: number, ms: number, isOld = false): void {
    const key = bucketOf(work);
    const bucket = this.#buckets.get(key);
    if (!bucket) this.#buckets.set(key, { count: 1, work, ms });
    else {
      const isSecond = bucket.count === 1;
      const isReplaced = isOld && ms < bucket.ms / 2;
      bucket.ms = isReplaced ? ms : isSecond ? Math.min(bucket.ms, ms) : smoothed(bucket.ms, ms);
      bucket.work = smoothed(bucket.work, work);
      bucket.count++;
    }
  }

  /** Mean duration of this amount of work, even of a single run; null if no run of its bucket was measured. */
  measuredMs(work: number): number | null {
    return this.#buckets.get(bucketOf(work))?.ms ?? null;
  }

  /**
   * Expected duration of this amount of work. If its bucket is not known, the duration is scaled up from the next smaller
   * one, by `maxScale` at most, or is that of the next larger one, whichever is less. Null if nothing was measured twice.
   */
  expectedMs(work: number, maxScale = Number.POSITIVE_INFINITY): number | null {
    const key = bucketOf(work);
    const known = this.#buckets.get(key);
    if (known && known.count >= MIN_SAMPLES) return known.ms;
    let smaller: { key: number; bucket: Bucket } | null = null;
    let larger: { key: number; bucket: Bucket } | null = null;
    for (const [at, bucket] of this.#buckets) {
      if (bucket.count < MIN_SAMPLES) continue;
      if (at < key && (!smaller || at > smaller.key)) smaller = { key: at, bucket };
      if (at > key && (!larger || at < larger.key)) larger = { key: at, bucket };
    }
    const scaled = smaller && smaller.bucket.ms * Math.min(maxScale, work / smaller.bucket.work);
    if (scaled === null || larger === null) return scaled ?? larger?.bucket.ms ?? null;
    return Math.min(scaled, larger.bucket.ms);
  }

  *#trusted(): Generator<Bucket> {
    for (const bucket of this.#buckets.values()) if (bucket.count >= MIN_SAMPLES) yield bucket;
  }

  /**
   * The amount of work that is expected to take at most `ms`; infinity if nothing is known. Twice the largest amount that is
   * known to take less is tried, if it takes at most `maxTrialMs` at worst: twice as many items may take hardly longer.
   */
  workWithin(ms: number, maxTrialMs = ms): number {
    let best = 0;
    let largest: Bucket | null = null;
    for (const bucket of this.#trusted()) {
      if (bucket.ms <= ms) best = Math.max(best, (bucket.work * ms) / Math.max(bucket.ms, 0.001));
      if (!largest || bucket.work > largest.work) largest = bucket;
    }
    if (!largest) return Number.POSITIVE_INFINITY;
    const isTried = largest.ms <= ms && 2 * largest.ms <= maxTrialMs;
    return isTried ? Math.max(best, 2 * largest.work) : best;
  }
}

interface BatchMeasurement {
  /** Estimated before the batch was sent. */
  readonly estimated: BatchSize;
  /** What the graph read: differs from the estimate for texts. */
  readonly runWork: number;
  readonly preprocessMs: number;
  readonly inferMs: number;
  readonly postprocessMs: number;
  /** How long the batch kept the worker from finishing other work, the load of the version included. */
  readonly occupiedMs: number;
  readonly wasLoaded: boolean;
  /** Whether the server measured it while it was idle. Then it does not say what batches are usually like. */
  readonly isMeasurement: boolean;
}

/** The rows of a batch, and its work. */
export interface BatchSize extends Work {
  readonly rows: number;
}

export class VersionLatency {
  readonly #infer = new DurationsByWork();
  readonly #preprocessing = new DurationsByWork();
  /** What a batch costs besides its preprocessing: the run, postprocessing, and the messages. */
  readonly #rest = new DurationsByWork();
  /** Preprocessing, run and postprocessing, by the work that was really done. */
  readonly #inWorker = new DurationsByWork();
  readonly #batchRows = new BatchRows();
  #preprocessMs = 0;
  #batchMs = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;

  record(measured: BatchMeasurement, now: number): void {
    const { estimated, runWork, preprocessMs, inferMs, postprocessMs, occupiedMs, wasLoaded } = measured;
    const ranMs = inferMs + postprocessMs;
    const isOld = this.ageMs(now) > MAX_AGE_MS;
    this.#infer.record(estimated.work, inferMs, isOld);
    this.#inWorker.record(runWork, preprocessMs + ranMs, isOld);
    this.#preprocessing.record(estimated.preprocessingWork, preprocessMs, isOld);
    // Preprocessing may overlap with the run of the batch before. What is left of the occupied time is the rest.
    const restMs = wasLoaded ? Math.max(0, occupiedMs - preprocessMs) : ranMs;
    this.#rest.record(estimated.work, restMs, isOld);
    this.#batchRows.record(estimated, restMs, now);
    this.#measuredAt = now;
    if (measured.isMeasurement) return;
    this.#preprocessMs = smoothed(this.#preprocessMs, preprocessMs);
    this.#batchMs = smoothed(this.#batchMs, wasLoaded ? occupiedMs : preprocessMs + ranMs);
  }

  /** Learns a duration that was measured before the server started. Until a batch confirms it, it counts as old. */
  seed({ rows, work, preprocessingWork }: BatchSize, { p50Ms, preprocessMs }: LatencyPoint): void {
    for (let i = 0; i < MIN_SAMPLES; i++) {
      this.#batchRows.record({ rows, work }, p50Ms - preprocessMs, Number.NEGATIVE_INFINITY);
      this.#infer.record(work, p50Ms - preprocessMs);
      this.#rest.record(work, p50Ms - preprocessMs);
      this.#preprocessing.record(preprocessingWork, preprocessMs);
    }
  }

  /** Mean duration of preprocessing. */
  get preprocessMs(): number {
    return this.#preprocessMs;
  }

  /** Mean time that recent batches occupied a worker. */
  get batchMs(): number {
    return this.#batchMs;
  }

  /** Mean duration of a run; null until one of its bucket was measured. */
  inferMs(work: number): number | null {
    return this.#infer.measuredMs(work);
  }

  /** Mean time in the worker, for the watchdog; null until a batch of its bucket was measured. */
  inWorkerMs(runWork: number): number | null {
    return this.#inWorker.measuredMs(runWork);
  }

  /** Expected time that a batch of this size occupies a worker; null until it can be predicted. */
  expectedMs({ work, preprocessingWork }: Work, maxScale?: number): number | null {
    const rest = this.#rest.expectedMs(work, maxScale);
    const preprocessing = this.#preprocessing.expectedMs(preprocessingWork, maxScale);
    return rest === null || preprocessing === null ? null : rest + preprocessing;
  }

  /** Expected time that an item of this size occupies a worker if it runs alone; null until it can be predicted. */
  aloneMs(item: Work): number | null {
    return this.expectedMs(item, MAX_SCALE_OF_ITEM);
  }

  /**
   * The share of one item in the duration of the largest batch of items like it, but not more than it takes alone; null
   * until it can be predicted.
   */
  costMs({ rows, work, preprocessingWork }: BatchSize, limits: BatchSize): number | null {
    const byWork = Math.min(limits.work / work, limits.preprocessingWork / Math.max(1, preprocessingWork));
    const count = Math.max(1, Math.floor(Math.min(limits.rows / rows, byWork)));
    const batch = this.expectedMs({ work: count * work, preprocessingWork: count * preprocessingWork });
    const alone = this.aloneMs({ work, preprocessingWork });
    return batch === null || alone === null ? null : Math.min(batch / count, alone);
  }

  /**
   * The limits, reduced so that neither preprocessing nor the run is expected to take longer than `ms`, or `maxTrialMs` for a size
   * that was not measured yet. A version that is not known yet gets small batches.
   */
  limitsWithin(limits: BatchSize, ms: number, maxTrialMs = ms): BatchSize {
    const work = this.#rest.workWithin(ms, maxTrialMs);
    return {
      rows: Number.isFinite(work) ? limits.rows : Math.min(limits.rows, ROWS_OF_UNKNOWN),
      work: Math.min(limits.work, work),
      preprocessingWork: Math.min(limits.preprocessingWork, this.#preprocessing.workWithin(ms)),
    };
  }

  /** The limits, reduced to as many rows as raise throughput: see `batch-rows.ts`. */
  limitsOfBestBatch(limits: BatchSize, now: number): BatchSize {
    return { ...limits, rows: Math.min(limits.rows, this.#batchRows.best(now)) };
  }

  /** When a batch was measured last; negative infinity if none was. */
  get measuredAt(): number {
    return this.#measuredAt;
  }

  /** Milliseconds since a batch was measured. */
  ageMs(now: number): number {
    return now - this.#measuredAt;
  }
}
