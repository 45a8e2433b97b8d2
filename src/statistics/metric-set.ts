/**
 * Metrics of items that were predicted and whose truth is known: rows, texts, images, documents or queries.
 *
 * A metric set is prepared once, in O(n log n), and then measures any sample of its items in O(n): all of them, a slice,
 * or a bootstrap sample, in which an item may occur several times. Samples become weights of the items, so the order of
 * their indices does not matter. Pure. A value that is undefined is null, with the reason, and never NaN.
 */

export interface MetricIdentity {
  readonly name: string;
  /** `macro`, `micro` or `weighted`; null if the metric does not average over classes. */
  readonly average: string | null;
  /** The class that the metric is about; null if it covers all classes. */
  readonly label: string | null;
  readonly higherIsBetter: boolean;
}

export interface Measured extends MetricIdentity {
  /** A finite number; null if undefined. */
  readonly value: number | null;
  /** Why `value` is null; null if there is a value. */
  readonly undefinedReason: string | null;
}

export interface MetricSet {
  readonly itemCount: number;
  /**
   * The metrics of the items with these indices, by default of all items; only those that are `wanted`. An index counts as
   * often as it occurs.
   *
   * @throws RangeError if an index is not that of an item
   */
  measure(items?: ArrayLike<number>, wanted?: (metric: MetricIdentity) => boolean): Measured[];
}

/** How often each item is in a sample. */
export interface Sample {
  readonly weights: Uint32Array;
  /** The sum of the weights. Definitions get samples of at least 1. */
  readonly total: number;
}

/** A number, or why there is none. */
export type Value = number | string;

export interface Definition<S extends Sample> extends MetricIdentity {
  readonly of: (sample: S) => Value;
}

const NO_ITEMS = 'Nothing was evaluated.';
const NOT_FINITE = 'A prediction or a true value is not a finite number, or the result is too large.';
const NO_CLASS = 'It is undefined for each class.';
const NO_OCCURRING_CLASS = 'It is undefined for each class that occurs.';

/** A metric without average and label, of which more is better. */
export function metric<S extends Sample>(
  name: string,
  of: (sample: S) => Value,
  more: Partial<MetricIdentity> = {},
): Definition<S> {
  return { name, average: null, label: null, higherIsBetter: true, ...more, of };
}

/** `prepare` computes what several of the definitions need of a sample. */
export function metricSet<S extends Sample>(
  itemCount: number,
  definitions: readonly Definition<S>[],
  prepare: (sample: Sample) => S,
): MetricSet {
  return {
    itemCount,
    measure(items, wanted = () => true) {
      const all = sampleOf(itemCount, items);
      const sample = all.total === 0 ? null : prepare(all);
      return definitions.filter(wanted).map((definition) => measured(definition, sample));
    },
  };
}

function measured<S extends Sample>({ of, ...identity }: Definition<S>, sample: S | null): Measured {
  const value = sample === null ? NO_ITEMS : of(sample);
  if (typeof value === 'string') return { ...identity, value: null, undefinedReason: value };
  return Number.isFinite(value)
    ? { ...identity, value, undefinedReason: null }
    : { ...identity, value: null, undefinedReason: NOT_FINITE };
}

/** The items with these indices, as often as they occur; without indices, each item once. @throws RangeError */
export function sampleOf(itemCount: number, items?: ArrayLike<number>): Sample {
  if (items === undefined) return { weights: new Uint32Array(itemCount).fill(1), total: itemCount };
  const weights = new Uint32Array(itemCount);
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as number;
    if (!(item >= 0 && item < itemCount && Number.isInteger(item)))
      throw new RangeError(`index ${item} is not that of one of ${itemCount} items`);
    weights[item] = (weights[item] as number) + 1;
  }
  return { weights, total: items.length };
}

export function ratio(numerator: number, denominator: number, undefinedReason: string): Value {
  return denominator === 0 ? undefinedReason : numerator / denominator;
}

/** The mean of a number of each item. */
export function meanOf(values: Float64Array, { weights, total }: Sample): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = weights[i] as number;
    if (weight > 0) sum += weight * (values[i] as number);
  }
  return sum / total;
}

/** The mean over the classes for which there is a value: the others are left out, with their weights. */
export function meanOfDefined(values: readonly Value[], weights?: ArrayLike<number>): Value {
  let sum = 0;
  let total = 0;
  for (const [i, value] of values.entries()) {
    if (typeof value === 'string') continue;
    const weight = weights === undefined ? 1 : (weights[i] as number);
    sum += weight * value;
    total += weight;
  }
  return ratio(sum, total, weights === undefined ? NO_CLASS : NO_OCCURRING_CLASS);
}

/** @throws RangeError if arrays that belong together differ in length */
export function checkLengths(lengths: Readonly<Record<string, number>>, expected: number): void {
  for (const [name, length] of Object.entries(lengths)) {
    if (length !== expected) throw new RangeError(`${name} has ${length} values where ${expected} are expected`);
  }
}
