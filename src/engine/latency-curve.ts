/**
 * The latency curve of one version: how long a batch of its example takes in a worker, by the number of inputs.
 *
 * Pure: decides which batch to measure next and what the measurements say. The effects are in `idle-measurements.ts`.
 */
import type { BatchTiming } from './messages.js';

/**
 * What was measured for one batch size. Times are those in the worker: preprocessing, run and postprocessing. See
 * `undisturbedMs`.
 */
export interface LatencyPoint {
  readonly batchSize: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** The median of preprocessing alone, which is part of `p50Ms`. */
  readonly preprocessMs: number;
}

/** Threads of a process wait this long for each other, and for the processor, on a machine that does nothing else. */
const USUAL_WAIT_MS = 0.5;

/**
 * How long a batch takes while nothing else uses the processors: not counted is the time in which other processes had them.
 * `cpuMs`: CPU time of all threads of the worker; null if it computes elsewhere, on a GPU.
 */
export function undisturbedMs(wallMs: number, cpuMs: number | null): number {
  return cpuMs !== null && wallMs - cpuMs > USUAL_WAIT_MS ? cpuMs : wallMs;
}

type Sample = Pick<LatencyPoint, 'preprocessMs'> & { readonly ms: number };

/** The first batch of a size is often slow, so it is measured in addition to these, and not counted. */
const SAMPLES = 20;
/** Computing that the measurement of one version may take in all. */
const MAX_COMPUTE_MS = 2_000;
/** The share of the highest throughput that is good enough, if it comes with shorter batches. */
const KNEE_SHARE = 0.9;

export class LatencyCurve {
  readonly #firstRunMs: number;
  readonly #maxRunMs: number;
  readonly #samples = new Map<number, Sample[]>();
  /** Batch sizes that are still measured, in ascending order. */
  #sizes: number[];
  #spentMs = 0;

  /**
   * Measures batches of 1, 2, 4, 8 … and `maxBatchSize` inputs, as far as each is expected to take at most `maxRunMs`.
   * `firstRunMs` is an upper bound for one input. If even that is longer, nothing is measured, and it is the only sample.
   */
  constructor(maxBatchSize: number, firstRunMs: number, maxRunMs: number) {
    this.#firstRunMs = firstRunMs;
    this.#maxRunMs = maxRunMs;
    this.#sizes = batchSizes(maxBatchSize);
    if (firstRunMs <= maxRunMs) return;
    this.#samples.set(1, [{ ms: firstRunMs, preprocessMs: 0 }]);
    this.#sizes = [];
  }

  /**
   * The batch size to measure next; null if the curve is complete. Each size is measured twice before the next larger one,
   * whose duration is expected from it; then they take turns, so that a disturbance does not affect one of them alone.
   */
  next(): number | null {
    for (;;) {
      const unknown = this.#sizes.find((size) => this.#of(size).length < 2);
      const size = unknown ?? this.#sizes.toSorted((a, b) => this.#of(a).length - this.#of(b).length)[0];
      if (size === undefined || this.#of(size).length > SAMPLES) return null;
      const expectedMs = this.#expectedMs(size);
      if (expectedMs <= this.#maxRunMs && this.#spentMs + expectedMs <= MAX_COMPUTE_MS) return size;
      this.#sizes = this.#sizes.filter((other) => other < size);
    }
  }

  /** `cpuMs`: as for `undisturbedMs`. */
  record(size: number, { preprocessMs, inferMs, postprocessMs }: BatchTiming, cpuMs: number | null): void {
    const wallMs = preprocessMs + inferMs + postprocessMs;
    const ms = undisturbedMs(wallMs, cpuMs);
    const share = wallMs > 0 ? ms / wallMs : 1;
    this.#samples.set(size, [...this.#of(size), { ms, preprocessMs: share * preprocessMs }]);
    this.#spentMs += ms;
  }

  /** Gives up this size and all larger ones, because a batch of the size has failed. */
  fail(size: number): void {
    this.#sizes = this.#sizes.filter((other) => other < size);
    for (const other of this.#samples.keys()) if (other >= size) this.#samples.delete(other);
  }

  /** In ascending order of batch size. Empty if nothing was measured. */
  points(): LatencyPoint[] {
    const trusted = [...this.#samples].filter(([, { length }]) => length > 1);
    const known = trusted.length > 0 ? trusted : [...this.#samples].slice(0, 1);
    return known.map(([batchSize, samples]) => pointOf(batchSize, trustedOf(samples))).sort(bySize);
  }

  #of(size: number): readonly Sample[] {
    return this.#samples.get(size) ?? [];
  }

  /** If this size was not measured, each input is expected to take as long as in the next smaller one. */
  #expectedMs(size: number): number {
    const known = [...this.#samples.keys()].filter((other) => other <= size);
    const nearest = Math.max(...known, 0);
    if (nearest === 0) return this.#firstRunMs * size;
    const samples = trustedOf(this.#of(nearest)).map(({ ms }) => ms);
    return (percentile(samples, 0.5) * size) / nearest;
  }
}

/** Inputs per second that one worker answers if it runs one batch of this size after the other. */
export function itemsPerSecond({ batchSize, p50Ms }: LatencyPoint): number {
  return (1_000 * batchSize) / Math.max(p50Ms, 0.001);
}

/**
 * The knee of the curve: the smallest batch that reaches 90% of the highest throughput. Beyond it, each input waits longer
 * for a gain that is within the error of the measurement. Null without points.
 */
export function bestBatchSize(points: readonly LatencyPoint[]): number | null {
  return kneeOf(
    points.map((point) => ({ size: point.batchSize, throughput: itemsPerSecond(point) })),
    KNEE_SHARE,
  );
}

/** The smallest size that reaches this share of the highest throughput; null without sizes. */
export function kneeOf(
  measured: readonly { readonly size: number; readonly throughput: number }[],
  share: number,
): number | null {
  const highest = Math.max(...measured.map(({ throughput }) => throughput));
  const enough = measured.filter(({ throughput }) => throughput >= share * highest);
  return enough.length > 0 ? Math.min(...enough.map(({ size }) => size)) : null;
}

function batchSizes(max: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size < max; size *= 2) sizes.push(size);
  return [...sizes, max];
}

function trustedOf(samples: readonly Sample[]): readonly Sample[] {
  return samples.length > 1 ? samples.slice(1) : samples;
}

function pointOf(batchSize: number, samples: readonly Sample[]): LatencyPoint {
  const ms = samples.map((sample) => sample.ms);
  const preprocessMs = percentile(
    samples.map((sample) => sample.preprocessMs),
    0.5,
  );
  return { batchSize, p50Ms: percentile(ms, 0.5), p95Ms: percentile(ms, 0.95), preprocessMs };
}

/** The smallest sample that at least this share of the samples does not exceed (nearest rank). */
function percentile(samples: readonly number[], share: number): number {
  return samples.toSorted((a, b) => a - b)[Math.ceil(share * samples.length) - 1] ?? 0;
}

function bySize(a: LatencyPoint, b: LatencyPoint): number {
  return a.batchSize - b.batchSize;
}
