/**
 * Precision, recall and F1 of each class and over all classes, from counts.
 *
 * Like scikit-learn with `zero_division=nan`: precision is undefined for a class that was never predicted, recall for one
 * that never occurs, and F1 for one that neither occurs nor was predicted. Macro and weighted averages leave such classes out.
 * So a class that never occurs lowers macro precision and macro F1 only if it was predicted, always wrongly then. Weighted
 * precision is undefined if no class that occurs was predicted, where scikit-learn ignores the weights.
 */
import { type Definition, meanOfDefined, metric, ratio, type Sample, type Value } from './metric-set.js';

/** Per class: predictions that are right, all predictions, and true occurrences. */
export interface ClassCounts {
  readonly hits: Float64Array;
  readonly predicted: Float64Array;
  readonly occurring: Float64Array;
}

export type CountedSample = Sample & { readonly counts: ClassCounts };

export function emptyCounts(classes: number): ClassCounts {
  const zeros = () => new Float64Array(classes);
  return { hits: zeros(), predicted: zeros(), occurring: zeros() };
}

const NEVER_PREDICTED = 'The class was never predicted.';
const NEVER_OCCURS = 'The class does not occur.';
const NEITHER = 'The class neither occurs nor was predicted.';

export function precisionOf({ hits, predicted }: ClassCounts, i: number): Value {
  return ratio(hits[i] as number, predicted[i] as number, NEVER_PREDICTED);
}

export function recallOf({ hits, occurring }: ClassCounts, i: number): Value {
  return ratio(hits[i] as number, occurring[i] as number, NEVER_OCCURS);
}

export function f1Of({ hits, predicted, occurring }: ClassCounts, i: number): Value {
  return ratio(2 * (hits[i] as number), (predicted[i] as number) + (occurring[i] as number), NEITHER);
}

const FORMULAS: readonly {
  readonly name: string;
  readonly formula: (counts: ClassCounts, i: number) => Value;
  /** Why it is undefined over all classes. */
  readonly missing: string;
}[] = [
  { name: 'precision', formula: precisionOf, missing: 'Nothing was predicted.' },
  { name: 'recall', formula: recallOf, missing: 'No class occurs.' },
  { name: 'f1', formula: f1Of, missing: 'No class occurs, and nothing was predicted.' },
];

/** Per class and with the averages `macro`, `micro` and `weighted` (by occurrences). */
export function countMetrics<S extends CountedSample>(labels: readonly string[]): Definition<S>[] {
  return FORMULAS.flatMap(({ name, formula, missing }) => {
    const ofClasses = ({ counts }: S) => labels.map((_, i) => formula(counts, i));
    const ofAll = ({ counts }: S) => {
      const value = formula(totalsOf(counts), 0);
      return typeof value === 'string' ? missing : value;
    };
    return [
      metric<S>(name, (sample) => meanOfDefined(ofClasses(sample)), { average: 'macro' }),
      metric<S>(name, ofAll, { average: 'micro' }),
      metric<S>(name, (sample) => meanOfDefined(ofClasses(sample), sample.counts.occurring), { average: 'weighted' }),
      ...labels.map((label, i) => metric<S>(name, ({ counts }) => formula(counts, i), { label })),
    ];
  });
}

/** The counts of all classes together, as those of one class. */
function totalsOf({ hits, predicted, occurring }: ClassCounts): ClassCounts {
  const sum = (values: Float64Array) => Float64Array.of(values.reduce((all, value) => all + value, 0));
  return { hits: sum(hits), predicted: sum(predicted), occurring: sum(occurring) };
}
