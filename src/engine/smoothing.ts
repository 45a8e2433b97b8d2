/** Means of durations and throughputs that are learned by size, from every batch. */

/** The weight of a new sample. */
const SMOOTHING_FACTOR = 0.2;
/** The first run of a size is often slow, so it is not trusted. */
export const MIN_SAMPLES = 2;

export function smoothed(mean: number, sample: number): number {
  return mean + SMOOTHING_FACTOR * (sample - mean);
}

/** The sizes above `2 ** (bucket - 1)`, up to `2 ** bucket`. */
export function bucketOf(size: number): number {
  return Math.ceil(Math.log2(Math.max(1, size)));
}
