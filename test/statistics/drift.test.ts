/** Drift measures, compared with SciPy. */
import { readFileSync } from 'node:fs';
import { chiSquare, kolmogorovSmirnov, stabilityIndex, stabilityIndexOfCounts } from '#src/statistics/drift.js';
import { Xoshiro128 } from '#src/statistics/random.js';

const GOLDENS: {
  readonly kolmogorov: readonly [number[], number[], number, number][];
  readonly chi_square: readonly [number[], number[], number, number, number, number][];
} = JSON.parse(readFileSync('test/statistics/goldens/intervals.json', 'utf8'));

test('the Kolmogorov–Smirnov test is that of SciPy, with values that repeat too', () => {
  for (const [reference, recent, value, p] of GOLDENS.kolmogorov) {
    const measure = kolmogorovSmirnov(Float64Array.from(reference), Float64Array.from(recent));
    expect(measure.value).toBeCloseTo(value, 12);
    expect(Math.abs((measure.pValue as number) / p - 1)).toBeLessThan(1e-9);
    expect(measure).toMatchObject({ referenceCount: reference.length, recentCount: recent.length });
  }
});

test('the chi-square test is that of SciPy, and categories that nobody has do not matter', () => {
  for (const [reference, recent, value, degreesOfFreedom, p, smallest] of GOLDENS.chi_square) {
    const measure = chiSquare(reference, recent);
    expect(measure.value).toBeCloseTo(value, 9);
    expect(Math.abs((measure.pValue as number) / p - 1)).toBeLessThan(1e-9);
    expect(measure.smallestExpected).toBeCloseTo(smallest, 9);
    expect(measure.degreesOfFreedom).toBe(degreesOfFreedom);
  }
  expect(chiSquare([5], [9])).toMatchObject({ value: 0, pValue: 1, degreesOfFreedom: 0 });
});

test('the population stability index is 0 for equal shares, and as written for others', () => {
  const index = (reference: number[], recent: number[]) => stabilityIndexOfCounts(reference, recent).value;
  const [before, now] = [(60 + 0.5) / 101, (20 + 0.5) / 41];

  expect(index([10, 20, 30], [10, 20, 30])).toBe(0);
  expect(index([60, 40], [20, 20])).toBeCloseTo(
    (now - before) * Math.log(now / before) + (before - now) * Math.log((1 - now) / (1 - before)),
    12,
  );
  expect(index([100, 0], [0, 100])).toBeGreaterThan(5);
});

test('numbers are compared in the deciles of the reference', () => {
  const random = Xoshiro128.seeded('drift');
  const uniform = (count: number, shift: number) =>
    Float64Array.from({ length: count }, () => random.uniform() + shift);
  const reference = uniform(5_000, 0);

  // 9 bins more than one, times 1/5,000 + 1/2,000.
  expect(stabilityIndex(reference, uniform(2_000, 0)).value).toBeLessThan(0.015);
  expect(stabilityIndex(reference, uniform(2_000, 0.3)).value).toBeGreaterThan(0.5);
  expect(stabilityIndex(Float64Array.of(1, 1, 1, 1, 2), Float64Array.of(1, 2, 2)).value).toBeGreaterThan(0);
  expect(stabilityIndex(Float64Array.of(1, 1), Float64Array.of(1)).value).toBe(0);
});

test('empty samples, values that are not finite and unequal numbers of categories are refused', () => {
  const one = Float64Array.of(1);

  for (const measure of [kolmogorovSmirnov, stabilityIndex]) {
    expect(() => measure(one, new Float64Array())).toThrow('a sample has no values');
    expect(() => measure(Float64Array.of(1, Number.NaN), one)).toThrow(
      'value 1 of a sample is NaN, not a finite number',
    );
  }
  for (const measure of [chiSquare, stabilityIndexOfCounts]) {
    expect(() => measure([0, 0], [1, 2])).toThrow('a sample has no values');
    expect(() => measure([1, 2], [1])).toThrow('2 categories are compared with 1');
  }
});
