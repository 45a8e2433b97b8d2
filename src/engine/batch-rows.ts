/**
 * How many rows a batch of one version should have, learned from every batch: up to the knee of the throughput, by the number
 * of rows. Beyond it, inputs wait longer for nothing.
 *
 * What a size achieves depends on the load of the machine and on the inputs, and sizes are measured at different times. That
 * corrects itself: the size in use is measured by every batch, so a knee that is too small soon no longer reaches what the
 * larger sizes have reached. While no larger size is known, and when none was measured for 10 s, a batch has no limit: so a
 * disturbed measurement does not last, and sizes far beyond the knee are found too.
 *
 * Pure: callers pass the current time in milliseconds.
 */
import { MAX_AGE_MS } from './admission.js';
import { kneeOf } from './latency-curve.js';
import { bucketOf, MIN_SAMPLES, smoothed } from './smoothing.js';

/**
 * The share of the highest throughput that a size must reach: nearly all of it, because a large batch forms only if many
 * inputs wait. `bestBatchSize`, which is for clients that choose a size, asks for less.
 */
const SERVED_SHARE = 0.97;

/** Batches of more than half as many rows, up to a power of two. */
interface Size {
  count: number;
  /** Work per millisecond, smoothed. */
  throughput: number;
  /** When the last batch was measured; negative infinity before the server started. */
  at: number;
}

export class BatchRows {
  /** By the exponent of the power of two. */
  readonly #sizes = new Map<number, Size>();
  /** Null until it is asked for after a change. */
  #knee: { readonly exponent: number | null } | null = null;

  /** `work`: of all rows together. */
  record({ rows, work }: { readonly rows: number; readonly work: number }, ms: number, now: number): void {
    const throughput = work / Math.max(ms, 0.001);
    const exponent = bucketOf(rows);
    const size = this.#sizes.get(exponent);
    this.#knee = null;
    if (!size) this.#sizes.set(exponent, { count: 1, throughput, at: now });
    else {
      const isSecond = size.count === 1;
      size.throughput = isSecond ? Math.max(size.throughput, throughput) : smoothed(size.throughput, throughput);
      size.at = now;
      size.count++;
    }
  }

  /** The largest number of rows that the next batch should have; infinity for no limit. */
  best(now: number): number {
    this.#knee ??= { exponent: this.#findKnee() };
    const { exponent } = this.#knee;
    if (exponent === null) return Number.POSITIVE_INFINITY;
    let largerAt = Number.NEGATIVE_INFINITY;
    for (const [size, { count, at }] of this.#sizes)
      if (size > exponent && count >= MIN_SAMPLES) largerAt = Math.max(largerAt, at);
    return now - largerAt > MAX_AGE_MS ? Number.POSITIVE_INFINITY : 2 ** exponent;
  }

  #findKnee(): number | null {
    const trusted = Array.from(this.#sizes).filter(([, { count }]) => count >= MIN_SAMPLES);
    return kneeOf(
      trusted.map(([exponent, { throughput }]) => ({ size: exponent, throughput })),
      SERVED_SHARE,
    );
  }
}
