/**
 * Two classifiers on the same independent items, each right or wrong: the difference of their accuracies.
 *
 * Only the items count on which exactly one of them is right.
 */
import { binomialLowerTail, normalQuantile } from './distributions.js';
import { type Interval, LEVEL } from './interval.js';

export interface PairedCounts {
  readonly count: number;
  /** Items on which only the candidate is right. */
  readonly gained: number;
  /** Items on which only the holder is right. */
  readonly lost: number;
}

/** Halvings of [−1, 1], after which the difference is exact to 16 digits. */
const HALVINGS = 60;
/** Half an item. With it, no true difference lets the bound exceed it more often than its level says. */
const CONTINUITY = 0.5;

/**
 * `candidate` and `holder`: 1 for each item that was answered right, 0 for the others, in the same order.
 *
 * @throws RangeError if one has more items than the other
 */
export function pairedCounts(candidate: Uint8Array, holder: Uint8Array): PairedCounts {
  if (candidate.length !== holder.length)
    throw new RangeError(`${candidate.length} items are compared with ${holder.length}`);
  let gained = 0;
  let lost = 0;
  for (const [i, isRight] of candidate.entries()) {
    if (isRight > (holder[i] as number)) gained++;
    if (isRight < (holder[i] as number)) lost++;
  }
  return { count: candidate.length, gained, lost };
}

/** Two-sided p-value of McNemar's exact test of "both are right equally often". */
export function mcnemar({ gained, lost }: PairedCounts): number {
  const n = gained + lost;
  const fewer = Math.min(gained, lost);
  return gained === lost ? 1 : Math.min(1, 2 * binomialLowerTail(fewer, n, 0.5));
}

/** Score interval of the difference (Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design", 1998). */
export function tango(counts: PairedCounts, level = LEVEL): Interval {
  const z = normalQuantile((1 + level) / 2);
  const { count, gained, lost } = counts;
  const low = -boundAbove({ count, gained: lost, lost: gained }, z, 0);
  return { low, high: boundAbove(counts, z, 0), level, method: 'tango' };
}

/** The one-sided lower bound of the difference, with a correction for continuity. */
export function tangoLowerBound({ count, gained, lost }: PairedCounts, level = LEVEL): number {
  return -boundAbove({ count, gained: lost, lost: gained }, normalQuantile(level), CONTINUITY);
}

/** The greatest difference at which the score is at least −z. The score decreases with the difference. */
function boundAbove(counts: PairedCounts, z: number, continuity: number): number {
  let low = (counts.gained - counts.lost) / counts.count;
  let high = 1;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (isScoreAtLeast(counts, middle, -z, continuity)) low = middle;
    else high = middle;
  }
  return high;
}

/** Compares (gained − lost − n · difference + continuity) / standard error, which may be 0, with `bound` < 0. */
function isScoreAtLeast({ count, gained, lost }: PairedCounts, difference: number, bound: number, continuity: number) {
  const b = -gained - lost + (2 * count - gained + lost) * difference;
  const c = -lost * difference * (1 - difference);
  const root = Math.sqrt(Math.max(0, b * b - 8 * count * c));
  // The likelier share of lost items if the difference is true; both forms of the root, to avoid cancellation.
  const share = b <= 0 ? (root - b) / (4 * count) : (-2 * c) / (b + root);
  const variance = count * (2 * share + difference * (1 - difference));
  return gained - lost - count * difference + continuity >= bound * Math.sqrt(Math.max(0, variance));
}
