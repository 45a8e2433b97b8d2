/**
 * The bootstrap: how far a metric would vary between samples like the one at hand.
 *
 * Intervals are bias-corrected and accelerated (BCa; Efron, "Better bootstrap confidence intervals", 1987), as in
 * `scipy.stats.bootstrap`, and a little wider for few items, because resamples vary less than samples (Hesterberg, "What
 * teachers should know about the bootstrap", 2015). `npm run stats:coverage` prints how often they contain the true value.
 */
import { normalCdf, normalOfStudent, normalQuantile, studentOfNormal } from './distributions.js';
import { type Interval, LEVEL } from './interval.js';
import { type Items, Resampler } from './resampling.js';

/**
 * Metrics of some items, by their indices, such as those that a `MetricSet` measures. An item that is listed twice counts twice.
 *
 * @returns null for each metric that is undefined for these items. The indices are not valid after the call.
 */
export type Statistics = (items: Uint32Array) => readonly (number | null)[];

/** One metric. */
export type Statistic = (items: Uint32Array) => number | null;

export interface BootstrapOptions {
  /** The same seed gives the same result. */
  readonly seed: string;
  readonly resamples?: number;
}

/** How a metric varies between resamples. */
export interface Distribution {
  /** How many independent items or groups there are. */
  readonly groups: number;
  /** The metric of all items. */
  readonly value: number;
  /** The metric of each resample for which it is defined, in ascending order. */
  readonly resampled: Float64Array;
  readonly undefinedResamples: number;
  /** The bias correction z₀ and the acceleration a of BCa. */
  readonly bias: number;
  readonly acceleration: number;
}

export interface NoDistribution {
  readonly value: number | null;
  readonly undefinedResamples: number;
  readonly undefinedReason: string;
}

export interface BootstrapResult {
  readonly interval: Interval | null;
  /** Why there is no interval. */
  readonly undefinedReason: string | null;
  readonly resamples: number;
  /** For how many resamples the metric was undefined. They are left out. */
  readonly undefinedResamples: number;
}

export const RESAMPLES = 2_000;
/** With fewer groups, resamples vary too little. */
const MIN_GROUPS = 10;
/** An interval that leaves out more resamples than this share describes another metric. */
const MAX_UNDEFINED_SHARE = 0.05;
/** The jackknife leaves out this many blocks of groups, or single groups if there are not more. */
const MAX_BLOCKS = 200;

/** An interval for each metric, from the same resamples. */
export function bootstrapIntervals(
  statistics: Statistics,
  items: Items,
  { level = LEVEL, ...options }: BootstrapOptions & { readonly level?: number },
): BootstrapResult[] {
  return distributionsOf(statistics, items, options).map((distribution) => ({
    interval: 'undefinedReason' in distribution ? null : intervalOf(distribution, level),
    undefinedReason: 'undefinedReason' in distribution ? distribution.undefinedReason : null,
    resamples: options.resamples ?? RESAMPLES,
    undefinedResamples: distribution.undefinedResamples,
  }));
}

export function distributionOf(
  statistic: Statistic,
  items: Items,
  options: BootstrapOptions,
): Distribution | NoDistribution {
  const [distribution] = distributionsOf((chosen) => [statistic(chosen)], items, options);
  return distribution as Distribution | NoDistribution;
}

/** How each metric varies between resamples, or why that tells nothing. */
export function distributionsOf(
  statistics: Statistics,
  items: Items,
  { seed, resamples = RESAMPLES }: BootstrapOptions,
): (Distribution | NoDistribution)[] {
  const resampler = new Resampler(items, seed);
  const groups = resampler.groupCount;
  const values = statistics(Uint32Array.from({ length: items.count }, (_, i) => i));
  if (groups < MIN_GROUPS) {
    const undefinedReason = `There are fewer than ${MIN_GROUPS} independent items or groups.`;
    return values.map((value) => ({ value, undefinedResamples: 0, undefinedReason }));
  }
  const resampled = values.map(() => new Float64Array(resamples));
  const defined = fillDefined(resampled, statistics, () => resampler.draw());
  const blocks = Math.min(groups, MAX_BLOCKS);
  const left = values.map(() => new Float64Array(blocks));
  const leftDefined = fillDefined(left, statistics, (block) => resampler.without(block, blocks));
  return values.map((value, i) => {
    const sorted = (resampled[i] as Float64Array).subarray(0, defined[i]).sort();
    const undefinedResamples = resamples - sorted.length;
    if (value === null) return { value, undefinedResamples, undefinedReason: 'The metric is undefined.' };
    const undefinedReason = reasonAgainst(sorted, resamples);
    if (undefinedReason !== null) return { value, undefinedResamples, undefinedReason };
    const acceleration = accelerationOf((left[i] as Float64Array).subarray(0, leftDefined[i]));
    return { groups, value, resampled: sorted, undefinedResamples, bias: biasOf(sorted, value), acceleration };
  });
}

/** Fills the array of each metric with its values for the items of each draw, as far as they are defined. */
function fillDefined(
  targets: readonly Float64Array[],
  statistics: Statistics,
  draw: (i: number) => Uint32Array,
): number[] {
  const defined = targets.map(() => 0);
  for (let i = 0; i < (targets[0]?.length ?? 0); i++)
    for (const [metric, value] of statistics(draw(i)).entries())
      if (value !== null) (targets[metric] as Float64Array)[(defined[metric] as number)++] = value;
  return defined;
}

function reasonAgainst(sorted: Float64Array, resamples: number): string | null {
  const undefinedResamples = resamples - sorted.length;
  if (undefinedResamples > MAX_UNDEFINED_SHARE * resamples)
    return `The metric is undefined for ${undefinedResamples} of ${resamples} resamples.`;
  return sorted[0] === sorted.at(-1) ? 'The metric is the same for every resample.' : null;
}

/** z₀: where the metric lies among the resampled ones. Resamples with the same value count half. */
function biasOf(sorted: Float64Array, value: number): number {
  return normalQuantile(shareBelow(sorted, value));
}

/** The share of the values below `value`, those equal to it counted half; between 0 and 1, but neither. */
function shareBelow(sorted: Float64Array, value: number): number {
  let below = 0;
  for (const one of sorted) {
    if (one > value) break;
    below += one < value ? 1 : 0.5;
  }
  return Math.min(Math.max(below, 0.5), sorted.length - 0.5) / sorted.length;
}

/** A sixth of the skewness of the metric over all groups but one, or over all but a block of them. */
function accelerationOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let squares = 0;
  let cubes = 0;
  for (const value of values) {
    squares += (mean - value) ** 2;
    cubes += (mean - value) ** 3;
  }
  return squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
}

export function intervalOf(distribution: Distribution, level: number): Interval {
  const low = boundOf(distribution, (1 - level) / 2);
  const high = boundOf(distribution, (1 + level) / 2);
  return { low, high, level, method: 'bca_bootstrap' };
}

/** The one-sided bound that the true value is below with probability `p`. */
export function boundOf({ groups, resampled, bias, acceleration }: Distribution, p: number): number {
  const shifted = bias + widened(normalQuantile(p), groups);
  const scale = 1 - acceleration * shifted;
  // The transformation is increasing where the scale is positive.
  const corrected = scale > 0 ? normalCdf(bias + shifted / scale) : p < 0.5 ? 0 : 1;
  return quantileOf(resampled, corrected);
}

/** A quantile in place of the normal one z, for values whose spread is estimated from these groups. */
function widened(z: number, groups: number): number {
  return studentOfNormal(z, groups - 1) * Math.sqrt(groups / (groups - 1));
}

/**
 * A lower bound that the true value is below with probability `1 - level` or less often: the lower of the BCa bound and of
 * the one by the standard error, each of which is too high for some metrics of few items.
 */
export function lowerBoundOf(distribution: Distribution, level: number): number {
  const { value, resampled, groups } = distribution;
  const mean = resampled.reduce((sum, one) => sum + one, 0) / resampled.length;
  const squares = resampled.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  const standardError = Math.sqrt(squares / (resampled.length - 1));
  const byError = value + widened(normalQuantile(1 - level), groups) * standardError;
  return Math.min(byError, boundOf(distribution, 1 - level));
}

/** Linear between neighbours, as in NumPy. */
function quantileOf(sorted: Float64Array, p: number): number {
  const at = p * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (at - below);
}

/**
 * The two-sided p-value of "the true value is `value`": one minus the level of the interval that ends there, which inverts
 * `boundOf`. Not below 1 / the number of resamples.
 */
export function pValueOf({ groups, resampled, bias, acceleration }: Distribution, value: number): number {
  const shifted = normalQuantile(shareBelow(resampled, value)) - bias;
  const scale = 1 + acceleration * shifted;
  if (scale <= 0) return 1 / resampled.length;
  const z = (shifted / scale - bias) / Math.sqrt(groups / (groups - 1));
  return Math.max(1 / resampled.length, 2 * normalCdf(-Math.abs(normalOfStudent(z, groups - 1))));
}
