/** Comparisons of versions on the same items: the difference of a metric, its interval, and whether it was shown. */
import {
  type BootstrapOptions,
  type BootstrapResult,
  distributionsOf,
  intervalOf,
  pValueOf,
  RESAMPLES,
  type Statistics,
} from './bootstrap.js';
import { LEVEL } from './interval.js';
import { mcnemar, type PairedCounts, pairedCounts, tango } from './paired-proportions.js';
import type { Items } from './resampling.js';

/** What is compared: metrics of the same items. */
export interface Pair<T> {
  readonly candidate: T;
  readonly holder: T;
}

export interface Comparison extends BootstrapResult {
  /** Candidate minus holder; null if the metric of either is undefined. */
  readonly difference: number | null;
  /** Two-sided, of "there is no difference"; null if it is unknown. */
  readonly pValue: number | null;
}

export const NO_ITEMS = 'Nothing was compared.';

export type Verdict = 'BETTER' | 'WORSE' | 'NO_DIFFERENCE_SHOWN';

/** Compares shares of right answers on independent items, by McNemar's exact test and Tango's interval. */
export function compareProportions({ candidate, holder }: Pair<Uint8Array>, level = LEVEL): Comparison {
  const counts = pairedCounts(candidate, holder);
  const nothing = { resamples: 0, undefinedResamples: 0 };
  if (counts.count === 0)
    return { difference: null, pValue: null, interval: null, undefinedReason: NO_ITEMS, ...nothing };
  return {
    difference: differenceOf(counts),
    pValue: mcnemar(counts),
    interval: tango(counts, level),
    undefinedReason: null,
    ...nothing,
  };
}

export function differenceOf({ count, gained, lost }: PairedCounts): number {
  return (gained - lost) / count;
}

/**
 * Compares metrics by the bootstrap: those of both are computed from the same resamples.
 *
 * @throws RangeError if one has more metrics than the other
 */
export function compareMetrics(
  pair: Pair<Statistics>,
  items: Items,
  { level = LEVEL, ...options }: BootstrapOptions & { readonly level?: number },
): Comparison[] {
  const { resamples = RESAMPLES } = options;
  return distributionsOf(differencesOf(pair), items, options).map((distribution) => {
    const { value: difference, undefinedResamples } = distribution;
    if ('undefinedReason' in distribution) {
      const { undefinedReason } = distribution;
      const pValue = difference === 0 ? 1 : null;
      return { difference, pValue, interval: null, undefinedReason, resamples, undefinedResamples };
    }
    const interval = intervalOf(distribution, level);
    const pValue = pValueOf(distribution, 0);
    return { difference, pValue, interval, undefinedReason: null, resamples, undefinedResamples };
  });
}

function differencesOf({ candidate, holder }: Pair<Statistics>): Statistics {
  return (items) => {
    const [values, others] = [candidate(items), holder(items)];
    if (values.length !== others.length)
      throw new RangeError(`${values.length} metrics are compared with ${others.length}`);
    return values.map((value, i) => {
      const other = others[i] as number | null;
      return value === null || other === null ? null : value - other;
    });
  };
}

/**
 * Holm's adjustment for comparisons that are made together: rejecting those whose adjusted p-value is at most α rejects a
 * true "no difference" in at most a share α of families. Unknown p-values are no members.
 */
export function holm(pValues: readonly (number | null)[]): (number | null)[] {
  const ascending = pValues.flatMap((p, i) => (p === null ? [] : [{ p, i }])).sort((a, b) => a.p - b.p);
  const adjusted: (number | null)[] = pValues.map(() => null);
  let largest = 0;
  for (const [rank, { p, i }] of ascending.entries()) {
    largest = Math.max(largest, Math.min(1, p * (ascending.length - rank)));
    adjusted[i] = largest;
  }
  return adjusted;
}

/** `pValue`: adjusted for all comparisons that are made together. */
export function verdictOf(
  { difference }: Pick<Comparison, 'difference'>,
  { pValue, higherIsBetter, level = LEVEL }: { pValue: number | null; higherIsBetter: boolean; level?: number },
): Verdict {
  if (difference === null || difference === 0 || pValue === null || pValue > 1 - level) return 'NO_DIFFERENCE_SHOWN';
  return difference > 0 === higherIsBetter ? 'BETTER' : 'WORSE';
}
