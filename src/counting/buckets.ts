/** Counts values by size, as a Prometheus histogram does. A value costs a few comparisons and no memory. */

/** Upper bounds of durations, in milliseconds. */
export const DURATION_BOUNDS_MS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000,
];

export class Buckets {
  /** Ascending; a value that equals a bound belongs to it. */
  readonly bounds: readonly number[];
  /** One for each bound, and the last for what is above all of them. Not cumulative. */
  readonly counts: Float64Array;
  /** Of all values, in their unit. */
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    const { bounds, counts } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++;
    counts[i] = (counts[i] as number) + 1;
    this.sum += value;
  }
}
