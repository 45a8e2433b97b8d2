/**
 * Items in the order of a score, and what happens while a threshold moves down through them. Items with equal scores pass
 * together.
 */
import { ratio, type Sample, type Value } from './metric-set.js';

export type Floats = Float32Array | Float64Array;

/** The indices of `count` values in ascending order; those of equal values are in ascending order themselves. */
export function ascending(count: number, numberOf: (i: number) => number): Uint32Array {
  const values = new Float64Array(count);
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    values[i] = numberOf(i);
    order[i] = i;
  }
  return order.sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
}

/** The scores of one class, which may be one column of several. */
export interface ScoredClass {
  /** Rows with finite scores, highest score first. */
  readonly order: Uint32Array;
  readonly scoreOf: (row: number) => number;
  readonly isTrue: (row: number) => boolean;
}

/** The scores of a class, those that are not finite left out. */
export function scoredClassOf(
  itemCount: number,
  scoreOf: (row: number) => number,
  isTrue: (row: number) => boolean,
): ScoredClass {
  // Negated, so that rows of equal scores stay in their order.
  const order = ascending(itemCount, (row) =>
    Number.isFinite(scoreOf(row)) ? -scoreOf(row) : Number.POSITIVE_INFINITY,
  );
  return { order: order.filter((row) => Number.isFinite(scoreOf(row))), scoreOf, isTrue };
}

/** Calls `visit` at each distinct score of the sample, from the highest, with the true and false items at it or above. */
export function sweep(
  { order, scoreOf, isTrue }: ScoredClass,
  { weights }: Sample,
  visit: (hits: number, falseAlarms: number, threshold: number) => void,
): void {
  let hits = 0;
  let falseAlarms = 0;
  let threshold = Number.NaN;
  for (const row of order) {
    const weight = weights[row] as number;
    if (weight === 0) continue;
    const score = scoreOf(row);
    if (score !== threshold && hits + falseAlarms > 0) visit(hits, falseAlarms, threshold);
    threshold = score;
    if (isTrue(row)) hits += weight;
    else falseAlarms += weight;
  }
  if (hits + falseAlarms > 0) visit(hits, falseAlarms, threshold);
}

const NO_POSITIVES = 'The class does not occur.';
const NO_NEGATIVES = 'Only this class occurs.';

/**
 * The areas of one class against the others: under the ROC curve, where each tie counts half, and the average precision,
 * the sum of precision × increase of recall over the thresholds. Without interpolation, as in scikit-learn.
 */
export function areasOf(scored: ScoredClass, sample: Sample): { readonly roc: Value; readonly precision: Value } {
  let area = 0;
  let averagePrecision = 0;
  let [hits, falseAlarms] = [0, 0];
  sweep(scored, sample, (nextHits, nextFalseAlarms) => {
    area += ((nextFalseAlarms - falseAlarms) * (hits + nextHits)) / 2;
    averagePrecision += ((nextHits - hits) * nextHits) / (nextHits + nextFalseAlarms);
    [hits, falseAlarms] = [nextHits, nextFalseAlarms];
  });
  return {
    roc: hits === 0 ? NO_POSITIVES : ratio(area, hits * falseAlarms, NO_NEGATIVES),
    precision: ratio(averagePrecision, hits, NO_POSITIVES),
  };
}
