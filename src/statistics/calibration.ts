/** How well probabilities agree with how often they are right, in bins of equal width. */
import type { Sample } from './metric-set.js';

/** Bins (0, 1/15], (1/15, 2/15] … of probabilities; the first one contains 0, too. */
export const CALIBRATION_BINS = 15;
const BIN_WIDTH = 1 / CALIBRATION_BINS;

export interface CalibrationBin {
  readonly count: number;
  /** 0 to 1. */
  readonly meanProbability: number;
  /** The share of the items for which the event happened, 0 to 1. */
  readonly rate: number;
}

/** The bins that have items, in ascending order. */
export function calibrationBins(
  probabilities: Float64Array,
  happened: (item: number) => boolean,
  weights: Uint32Array,
): CalibrationBin[] {
  const zeros = () => new Float64Array(CALIBRATION_BINS);
  const [counts, sums, events] = [zeros(), zeros(), zeros()];
  for (let item = 0; item < probabilities.length; item++) {
    const weight = weights[item] as number;
    if (weight === 0) continue;
    const probability = probabilities[item] as number;
    const bin = binOf(probability);
    counts[bin] = (counts[bin] as number) + weight;
    sums[bin] = (sums[bin] as number) + weight * probability;
    if (happened(item)) events[bin] = (events[bin] as number) + weight;
  }
  return [...counts].flatMap((count, bin) =>
    count === 0
      ? []
      : [{ count, meanProbability: (sums[bin] as number) / count, rate: (events[bin] as number) / count }],
  );
}

function binOf(probability: number): number {
  let bin = 0;
  while (bin < CALIBRATION_BINS - 1 && probability > (bin + 1) * BIN_WIDTH) bin++;
  return bin;
}

/** The mean distance between probability and rate over the bins, by their numbers of items: 0 to 1. */
export function calibrationErrorOf(
  probabilities: Float64Array,
  happened: (item: number) => boolean,
  sample: Sample,
): number {
  return calibrationBins(probabilities, happened, sample.weights).reduce(
    (sum, { count, meanProbability, rate }) => sum + (count / sample.total) * Math.abs(meanProbability - rate),
    0,
  );
}
