/**
 * The rule by which a candidate may take the place of the present holder: it is shown to be worse by no more than a margin.
 *
 * What counts is the one-sided lower bound of the gain, not the gain itself, so that a candidate whose true gain is just
 * −margin passes in at most 5 % of cases at level 0.95, and few items do not let it pass. `npm run stats:coverage` prints
 * the shares.
 */
import { type BootstrapOptions, distributionOf, lowerBoundOf, type Statistic } from './bootstrap.js';
import { differenceOf, NO_ITEMS, type Pair } from './comparison.js';
import { type IntervalMethod, LEVEL } from './interval.js';
import { pairedCounts, tangoLowerBound } from './paired-proportions.js';
import type { Items } from './resampling.js';

export interface Gain {
  /** How much better the candidate is than the holder, positive if it is better also for metrics of which lower is better; null if unknown. */
  readonly gain: number | null;
  /** One-sided lower bound of the true gain; null if there is none. */
  readonly lowerBound: number | null;
  readonly level: number;
  readonly method: IntervalMethod;
  /** Why there is no lower bound. */
  readonly undefinedReason: string | null;
}

/** The gain in the share of right answers on independent items. */
export function gainOfProportions({ candidate, holder }: Pair<Uint8Array>, level = LEVEL): Gain {
  const counts = pairedCounts(candidate, holder);
  const method = 'tango';
  if (counts.count === 0) return { gain: null, lowerBound: null, level, method, undefinedReason: NO_ITEMS };
  return {
    gain: differenceOf(counts),
    lowerBound: tangoLowerBound(counts, level),
    level,
    method,
    undefinedReason: null,
  };
}

/** The gain in any other metric, and for items in groups, by the bootstrap. */
export function gainOfMetric(
  { candidate, holder }: Pair<Statistic>,
  items: Items,
  { level = LEVEL, higherIsBetter, ...options }: BootstrapOptions & { higherIsBetter: boolean; level?: number },
): Gain {
  const gainOf: Statistic = (chosen) => {
    const [a, b] = [candidate(chosen), holder(chosen)];
    if (a === null || b === null) return null;
    return higherIsBetter ? a - b : b - a;
  };
  const distribution = distributionOf(gainOf, items, options);
  const isKnown = !('undefinedReason' in distribution);
  return {
    gain: distribution.value,
    lowerBound: isKnown ? lowerBoundOf(distribution, level) : null,
    level,
    method: 'bca_bootstrap',
    undefinedReason: isKnown ? null : distribution.undefinedReason,
  };
}

/** Whether the candidate is shown to be worse by no more than `margin` ≥ 0, in the unit of the metric. */
export function isNoWorse({ lowerBound }: Gain, margin: number): boolean {
  return lowerBound !== null && lowerBound > -margin;
}
