/**
 * How far recent values have moved away from those of a reference, such as the data a version was trained on.
 *
 * Categories are counts in the same order; a category that neither has does not matter. All functions throw a RangeError for
 * an empty sample, for a value that is not finite, and for unequal numbers of categories.
 */
import { chiSquareUpperTail, kolmogorovUpperTail } from './distributions.js';

export interface DriftMeasure {
  readonly value: number;
  /** Of "both come from the same distribution"; null where there is no such test. */
  readonly pValue: number | null;
  readonly referenceCount: number;
  readonly recentCount: number;
}

/** A difference of counts in categories. */
export interface CategoryDrift extends DriftMeasure {
  readonly degreesOfFreedom: number;
  /** The p-value is rough if this is below 5. */
  readonly smallestExpected: number;
}

const BINS = 10;
/** Added to each count, so that an empty bin has a finite share in the index. */
const SMOOTHING = 0.5;

/**
 * Population stability index of numbers in bins between the deciles of the reference (fewer if values repeat).
 *
 * 0 if the shares are equal. Without any drift, about (bins − 1) · (1 / referenceCount + 1 / recentCount).
 */
export function stabilityIndex(reference: Float64Array, recent: Float64Array): DriftMeasure {
  checkNumbers(reference, recent);
  const edges = decilesOf(reference);
  return stabilityIndexOfCounts(countsBetween(edges, reference), countsBetween(edges, recent));
}

/** Population stability index of categories: Σ (recent − reference) · ln(recent / reference), of shares with half a count added. */
export function stabilityIndexOfCounts(reference: readonly number[], recent: readonly number[]): DriftMeasure {
  const [referenceCount, recentCount] = countsOf(reference, recent);
  const isKnown = (i: number) => (reference[i] as number) + (recent[i] as number) > 0;
  const smoothing = SMOOTHING * reference.filter((_, i) => isKnown(i)).length;
  let value = 0;
  for (const [i, count] of reference.entries()) {
    if (!isKnown(i)) continue;
    const before = (count + SMOOTHING) / (referenceCount + smoothing);
    const now = ((recent[i] as number) + SMOOTHING) / (recentCount + smoothing);
    value += (now - before) * Math.log(now / before);
  }
  return { value, pValue: null, referenceCount, recentCount };
}

/** Upper edges of all bins but the last, in ascending order. */
function decilesOf(values: Float64Array): number[] {
  const sorted = values.toSorted();
  const edges = Array.from({ length: BINS - 1 }, (_, i) => sorted[Math.ceil(((i + 1) * sorted.length) / BINS) - 1]);
  return [...new Set(edges as number[])];
}

/** A value equal to an edge is in the bin below it. */
function countsBetween(edges: readonly number[], values: Float64Array): number[] {
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (const value of values) {
    const bin = edges.findIndex((edge) => value <= edge);
    (counts[bin === -1 ? edges.length : bin] as number)++;
  }
  return counts;
}

/**
 * Two-sample Kolmogorov–Smirnov test: the greatest difference of the shares of values up to a number, from 0 to 1.
 *
 * Where values repeat, the p-value is too large rather than too small.
 */
export function kolmogorovSmirnov(reference: Float64Array, recent: Float64Array): DriftMeasure {
  checkNumbers(reference, recent);
  const [a, b] = [reference.toSorted(), recent.toSorted()];
  const [n, m] = [a.length, b.length];
  let [i, j, distance] = [0, 0, 0];
  while (i < n && j < m) {
    const value = Math.min(a[i] as number, b[j] as number);
    while (i < n && a[i] === value) i++;
    while (j < m && b[j] === value) j++;
    distance = Math.max(distance, Math.abs(i * m - j * n));
  }
  return {
    value: distance / n / m,
    pValue: kolmogorovUpperTail(distance, n, m),
    referenceCount: n,
    recentCount: m,
  };
}

/** Pearson's chi-square test of equal shares of categories, without a correction for continuity. */
export function chiSquare(reference: readonly number[], recent: readonly number[]): CategoryDrift {
  const [referenceCount, recentCount] = countsOf(reference, recent);
  const total = referenceCount + recentCount;
  let [value, categories, smallestExpected] = [0, 0, Number.POSITIVE_INFINITY];
  for (const [i, before] of reference.entries()) {
    const now = recent[i] as number;
    if (before + now === 0) continue;
    categories++;
    for (const [observed, count] of [
      [before, referenceCount],
      [now, recentCount],
    ] as const) {
      const expected = ((before + now) * count) / total;
      value += (observed - expected) ** 2 / expected;
      smallestExpected = Math.min(smallestExpected, expected);
    }
  }
  const degreesOfFreedom = Math.max(0, categories - 1);
  const pValue = degreesOfFreedom === 0 ? 1 : chiSquareUpperTail(value, degreesOfFreedom);
  return { value, pValue, referenceCount, recentCount, degreesOfFreedom, smallestExpected };
}

function checkNumbers(...samples: readonly Float64Array[]): void {
  for (const sample of samples) {
    if (sample.length === 0) throw new RangeError('a sample has no values');
    const at = sample.findIndex((value) => !Number.isFinite(value));
    if (at !== -1) throw new RangeError(`value ${at} of a sample is ${sample[at]}, not a finite number`);
  }
}

function countsOf(reference: readonly number[], recent: readonly number[]): [number, number] {
  if (reference.length !== recent.length)
    throw new RangeError(`${reference.length} categories are compared with ${recent.length}`);
  const [referenceCount, recentCount] = [sumOf(reference), sumOf(recent)];
  if (!(referenceCount > 0 && recentCount > 0)) throw new RangeError('a sample has no values');
  return [referenceCount, recentCount];
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
