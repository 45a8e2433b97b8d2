/** Comparisons of two versions and the rule of gates, compared with statsmodels and with likelihoods maximized by SciPy. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Statistics } from '#src/statistics/bootstrap.js';
import { classificationMetrics } from '#src/statistics/classification.js';
import { compareMetrics, compareProportions, holm, type Verdict, verdictOf } from '#src/statistics/comparison.js';
import { gainOfMetric, gainOfProportions, isNoWorse } from '#src/statistics/gate.js';
import type { MetricSet } from '#src/statistics/metric-set.js';
import { mcnemar, pairedCounts, tango, tangoLowerBound } from '#src/statistics/paired-proportions.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { meanOf } from './coverage/scenarios.ts';

const GOLDENS: {
  readonly paired: readonly [number, number, number, number, number, number][];
  readonly holm: readonly [number[], number[]][];
} = JSON.parse(readFileSync('test/statistics/goldens/intervals.json', 'utf8'));

/** Answers of two versions: `gained` items only the candidate has right, `lost` only the holder, the others both. */
function answers(count: number, gained: number, lost: number): { candidate: Uint8Array; holder: Uint8Array } {
  return {
    candidate: Uint8Array.from({ length: count }, (_, i) => (i < lost ? 0 : 1)),
    holder: Uint8Array.from({ length: count }, (_, i) => (i < count - gained ? 1 : 0)),
  };
}

const items = (count: number) => ({ count, groups: null });
const accuracyOf = (right: Uint8Array) => {
  const mean = meanOf(Float64Array.from(right));
  return (chosen: Uint32Array) => [mean(chosen)];
};

test("McNemar's exact test is that of statsmodels, and Tango's interval ends where the likelihood does", () => {
  for (const [count, gained, lost, p, low, high] of GOLDENS.paired) {
    const interval = tango({ count, gained, lost });
    expect(mcnemar({ count, gained, lost })).toBeCloseTo(p, 11);
    expect(interval.low).toBeCloseTo(low, 6);
    expect(interval.high).toBeCloseTo(high, 6);
  }
});

test("Tango's interval is the published one", () => {
  // Fagerland, Lydersen and Laake, "Recommended tests and confidence intervals for paired binomial proportions", 2014.
  const { low, high } = tango({ count: 21, gained: 1, lost: 7 });

  expect([low.toFixed(3), high.toFixed(3)]).toEqual(['-0.517', '-0.026']);
});

test("Tango's interval mirrors when versions change places, contains the difference, and grows with the level", () => {
  const counts = fc
    .tuple(fc.nat(300), fc.nat(300), fc.integer({ min: 0, max: 2_000 }))
    .filter(([gained, lost, same]) => gained + lost + same > 0)
    .map(([gained, lost, same]) => ({ count: gained + lost + same, gained, lost }));
  fc.assert(
    fc.property(counts, (one) => {
      const interval = tango(one);
      const other = tango({ ...one, gained: one.lost, lost: one.gained });
      const difference = (one.gained - one.lost) / one.count;
      const wide = tango(one, 0.99);

      expect(interval.low).toBeCloseTo(-other.high, 12);
      expect(interval.low).toBeLessThanOrEqual(difference);
      expect(interval.high).toBeGreaterThanOrEqual(difference);
      expect(wide.low).toBeLessThanOrEqual(interval.low);
      expect(wide.high).toBeGreaterThanOrEqual(interval.high);
      expect(interval.low).toBeGreaterThanOrEqual(-1);
      // Half an item more careful than the interval of level 0.9.
      expect(tangoLowerBound(one)).toBeLessThanOrEqual(tango(one, 0.9).low);
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('items on which versions differ are counted, and unequal lists are refused', () => {
  expect(pairedCounts(Uint8Array.of(1, 1, 0, 0, 1), Uint8Array.of(1, 0, 1, 0, 0))).toEqual({
    count: 5,
    gained: 2,
    lost: 1,
  });
  expect(() => pairedCounts(Uint8Array.of(1), Uint8Array.of(1, 0))).toThrow('1 items are compared with 2');
});

test("Holm's adjustment is that of statsmodels, and leaves unknown p-values out", () => {
  for (const [values, adjusted] of GOLDENS.holm)
    for (const [i, p] of holm(values).entries()) expect(p).toBeCloseTo(adjusted[i] as number, 12);
  expect(holm([0.01, null, 0.04])).toEqual([0.02, null, 0.04]);
});

test('a difference is shown where its adjusted p-value is small, in the direction of the metric', () => {
  const verdicts: [number | null, number | null, boolean, Verdict][] = [
    [0.1, 0.01, true, 'BETTER'],
    [0.1, 0.01, false, 'WORSE'],
    [-0.1, 0.01, true, 'WORSE'],
    [-0.1, 0.05, false, 'BETTER'],
    [0.1, 0.051, true, 'NO_DIFFERENCE_SHOWN'],
    [0.1, null, true, 'NO_DIFFERENCE_SHOWN'],
    [null, null, true, 'NO_DIFFERENCE_SHOWN'],
  ];
  for (const [difference, pValue, higherIsBetter, verdict] of verdicts)
    expect(verdictOf({ difference }, { pValue, higherIsBetter })).toBe(verdict);
});

test('the bootstrap and the exact methods agree on proportions', () => {
  const pair = answers(500, 40, 15);
  const exact = compareProportions(pair);
  const [resampled] = compareMetrics(
    { candidate: accuracyOf(pair.candidate), holder: accuracyOf(pair.holder) },
    items(500),
    { seed: 's' },
  );

  expect(resampled?.difference).toBeCloseTo(0.05, 12);
  expect(exact.difference).toBeCloseTo(0.05, 12);
  expect(resampled?.interval?.low).toBeCloseTo(exact.interval?.low as number, 2);
  expect(resampled?.interval?.high).toBeCloseTo(exact.interval?.high as number, 2);
  expect(Math.max(resampled?.pValue as number, exact.pValue as number)).toBeLessThan(0.003);
});

test('versions that answer alike have no difference, and no items no comparison', () => {
  const { candidate, holder } = answers(100, 0, 0);
  const statistic = accuracyOf(holder);

  expect(compareProportions({ candidate, holder })).toMatchObject({ difference: 0, pValue: 1 });
  expect(compareMetrics({ candidate: statistic, holder: statistic }, items(100), { seed: 's' })).toMatchObject([
    {
      difference: 0,
      pValue: 1,
      interval: null,
      undefinedReason: 'The metric is the same for every resample.',
    },
  ]);
  expect(compareProportions(answers(0, 0, 0))).toMatchObject({ difference: null, pValue: null, interval: null });
});

test('a gate passes a candidate that is shown to be no worse than the margin, and not one that may be', () => {
  const passes = (count: number, gained: number, lost: number, margin: number) =>
    isNoWorse(gainOfProportions(answers(count, gained, lost)), margin);

  expect(passes(1_000, 20, 20, 0.02)).toBe(true);
  expect(passes(1_000, 20, 20, 0.01)).toBe(false);
  expect(passes(50, 1, 1, 0.02)).toBe(false);
  expect(passes(50, 0, 0, 0.02)).toBe(false);
  expect(passes(0, 0, 0, 0.5)).toBe(false);
  expect(passes(1_000, 60, 20, 0)).toBe(true);
  expect(passes(1_000, 20, 60, 0.02)).toBe(false);
});

test('a gate on an error that must be low counts less error as a gain', () => {
  const errors = Float64Array.from({ length: 300 }, (_, i) => 1 + ((i * 31) % 100) / 100);
  const gainOf = (scale: number, higherIsBetter: boolean) =>
    gainOfMetric({ candidate: meanOf(errors.map((error) => error * scale)), holder: meanOf(errors) }, items(300), {
      seed: 's',
      higherIsBetter,
    });

  expect(gainOf(0.9, false).gain).toBeCloseTo(0.15, 1);
  expect(isNoWorse(gainOf(0.9, false), 0)).toBe(true);
  expect(isNoWorse(gainOf(0.9, true), 0.1)).toBe(false);
  expect(gainOf(0.9, false).lowerBound as number).toBeLessThan(gainOf(0.9, false).gain as number);
  expect(isNoWorse(gainOf(1, false), 0.1)).toBe(false);
});

test('all metrics of two classifiers are compared from the same resamples', () => {
  const random = Xoshiro128.seeded('classifiers');
  const truth = Int32Array.from({ length: 200 }, () => random.below(3));
  const labels = ['a', 'b', 'c'];
  const setOf = (accuracy: number) =>
    classificationMetrics({
      labels,
      truth,
      predicted: truth.map((label) => (random.uniform() < accuracy ? label : (label + 1) % 3)),
      scores: null,
    });
  const statisticsOf =
    (set: MetricSet): Statistics =>
    (chosen) =>
      set.measure(chosen).map(({ value }) => value);
  const [candidate, holder] = [setOf(0.9), setOf(0.7)];
  const names = candidate.measure().map(({ name, average, label }) => `${name} ${average ?? label}`);
  const compared = compareMetrics({ candidate: statisticsOf(candidate), holder: statisticsOf(holder) }, items(200), {
    seed: 's',
    resamples: 200,
  });

  expect(compared).toHaveLength(names.length);
  expect(names).toContain('f1 macro');
  for (const [i, { difference, interval, undefinedReason }] of compared.entries()) {
    if (difference === null) expect(undefinedReason).toBe('The metric is undefined.');
    else {
      expect(interval?.low as number).toBeLessThanOrEqual(difference);
      expect(interval?.high as number).toBeGreaterThanOrEqual(difference);
    }
    if (names[i] === 'f1 macro')
      expect(verdictOf({ difference }, { pValue: 0.01, higherIsBetter: true })).toBe('BETTER');
  }
  expect(() =>
    compareMetrics({ candidate: statisticsOf(candidate), holder: () => [1] }, items(200), { seed: 's' }),
  ).toThrow(`${names.length} metrics are compared with 1`);
});
