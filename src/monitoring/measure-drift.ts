/** How far recent predictions are from those of an evaluation: the measures of `statistics/drift.ts`, and a verdict. Pure. */
import { holm } from '../statistics/comparison.js';
import { chiSquare, kolmogorovSmirnov, stabilityIndex, stabilityIndexOfCounts } from '../statistics/drift.js';
import type { DriftSample, DriftSubject, Values, Watched } from './drift-sample.js';

export type DriftVerdict = 'DRIFT' | 'NO_DRIFT_SHOWN';

export interface DriftTest {
  readonly statistic: number;
  readonly pValue: number;
  /** For all tests that are made together. */
  readonly adjustedPValue: number;
}

export interface MeasuredDrift {
  readonly subject: DriftSubject;
  readonly name: string | null;
  readonly referenceCount: number;
  readonly recentCount: number;
  readonly stabilityIndex: number | null;
  /** Of numbers. */
  readonly kolmogorovSmirnov: DriftTest | null;
  /** Of categories. */
  readonly chiSquare: DriftTest | null;
  readonly verdict: DriftVerdict | null;
  readonly undefinedReason: string | null;
}

/** In each sample. With fewer, the index is large without any drift. */
const MIN_VALUES = 100;
const MAX_P_VALUE = 0.05;
/** A difference that many values show may still be too small to matter. */
const MIN_STABILITY_INDEX = 0.1;
/** The p-value of the chi-square test is rough for categories that are expected less often. */
const MIN_EXPECTED = 5;
const MAX_CATEGORIES = 50;

interface Compared {
  readonly referenceCount: number;
  readonly recentCount: number;
  /** Null if there are too few values. */
  readonly measures: {
    readonly index: number;
    readonly test: { readonly value: number; readonly pValue: number | null };
  } | null;
}

export function measureDrift(
  watched: readonly Watched[],
  reference: DriftSample,
  recent: DriftSample,
): MeasuredDrift[] {
  const compared = watched.map((_, i) => compare(reference.valuesOf(i), recent.valuesOf(i)));
  const adjusted = holm(compared.map(({ measures }) => measures?.test.pValue ?? null));
  return watched.map((one, i) => toMeasured(one, compared[i] as Compared, adjusted[i] ?? null));
}

function toMeasured(
  { subject, name, type }: Watched,
  { measures, ...counts }: Compared,
  adjustedPValue: number | null,
): MeasuredDrift {
  const nothing = { stabilityIndex: null, kolmogorovSmirnov: null, chiSquare: null, verdict: null };
  const undefinedReason = `There are fewer than ${MIN_VALUES} values to compare.`;
  if (!measures || measures.test.pValue === null || adjustedPValue === null)
    return { subject, name, ...counts, ...nothing, undefinedReason };
  const test: DriftTest = { statistic: measures.test.value, pValue: measures.test.pValue, adjustedPValue };
  const isDrift = adjustedPValue <= MAX_P_VALUE && measures.index >= MIN_STABILITY_INDEX;
  return {
    subject,
    name,
    ...counts,
    stabilityIndex: measures.index,
    kolmogorovSmirnov: type === 'NUMBER' ? test : null,
    chiSquare: type === 'CATEGORY' ? test : null,
    verdict: isDrift ? 'DRIFT' : 'NO_DRIFT_SHOWN',
    undefinedReason: null,
  };
}

function compare(reference: Values, recent: Values): Compared {
  const [referenceCount, recentCount] = [countOf(reference), countOf(recent)];
  const counts = { referenceCount, recentCount };
  if (Math.min(referenceCount, recentCount) < MIN_VALUES) return { ...counts, measures: null };
  if (reference.type === 'NUMBER' && recent.type === 'NUMBER') {
    const [before, now] = [reference.numbers, recent.numbers];
    return {
      ...counts,
      measures: { index: stabilityIndex(before, now).value, test: kolmogorovSmirnov(before, now) },
    };
  }
  const [before, now] = sharedCategories(categoriesOf(reference), categoriesOf(recent));
  return { ...counts, measures: { index: stabilityIndexOfCounts(before, now).value, test: chiSquare(before, now) } };
}

function countOf(values: Values): number {
  return values.type === 'NUMBER' ? values.numbers.length : sumOf(values.counts.values());
}

function categoriesOf(values: Values): ReadonlyMap<string, number> {
  return values.type === 'CATEGORY' ? values.counts : new Map();
}

/** Counts of the same categories. Rare ones are one category together. */
function sharedCategories(reference: ReadonlyMap<string, number>, recent: ReadonlyMap<string, number>) {
  const [n, m] = [sumOf(reference.values()), sumOf(recent.values())];
  const total = (category: string) => (reference.get(category) ?? 0) + (recent.get(category) ?? 0);
  const byCount = [...new Set([...reference.keys(), ...recent.keys()])].sort(
    (a, b) => total(b) - total(a) || (a < b ? -1 : 1),
  );
  const leastOften = (category: string) => (total(category) * Math.min(n, m)) / (n + m);
  const frequent = byCount.slice(0, MAX_CATEGORIES).filter((category) => leastOften(category) >= MIN_EXPECTED);
  const countsOf = (counts: ReadonlyMap<string, number>, all: number) => {
    const own = frequent.map((category) => counts.get(category) ?? 0);
    return [...own, all - sumOf(own)];
  };
  return [countsOf(reference, n), countsOf(recent, m)] as const;
}

function sumOf(counts: Iterable<number>): number {
  let sum = 0;
  for (const count of counts) sum += count;
  return sum;
}
