/** Confidence intervals, and Wilson's for a proportion of independent items. */
import { normalQuantile } from './distributions.js';

/** How an interval was computed. */
export type IntervalMethod = 'wilson' | 'tango' | 'bca_bootstrap';

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** From 0 to 1, such as 0.95. */
  readonly level: number;
  readonly method: IntervalMethod;
}

export const LEVEL = 0.95;

/** Wilson's score interval. `successes` of `count` items, which are independent and at least one. */
export function wilson(successes: number, count: number, level = LEVEL): Interval {
  const z = normalQuantile((1 + level) / 2);
  const share = successes / count;
  const center = share + (z * z) / (2 * count);
  const half = z * Math.sqrt((share * (1 - share) + (z * z) / (4 * count)) / count);
  const scale = 1 + (z * z) / count;
  return {
    low: successes === 0 ? 0 : (center - half) / scale,
    high: successes === count ? 1 : (center + half) / scale,
    level,
    method: 'wilson',
  };
}
