/** Counts of durations in buckets that are 1 % wide, so that memory does not grow with the number of values. */
import type { Spread } from './numbers.ts';

const WIDTH = Math.log(1.01);
const SMALLEST_MS = 0.001;
/** The last bucket starts at about a day. */
const BUCKETS = 2_550;

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #max = Number.NaN;

  add(ms: number): void {
    const bucket = Math.floor(Math.log(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) / WIDTH);
    const index = Math.min(bucket, BUCKETS - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
    this.#max = Math.max(ms, this.#count === 1 ? ms : this.#max);
  }

  /** Percentiles in ms, rounded up to the end of their bucket; NaN if nothing was added. */
  get spread(): Spread {
    return { p50: this.#percentile(0.5), p99: this.#percentile(0.99), max: this.#max, count: this.#count };
  }

  #percentile(share: number): number {
    if (this.#count === 0) return Number.NaN;
    let left = Math.ceil(share * this.#count);
    const index = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return Math.min(SMALLEST_MS * Math.exp(WIDTH * (index + 1)), this.#max);
  }
}
