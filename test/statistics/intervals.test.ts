/** Random numbers, distributions, intervals and the bootstrap, compared with SciPy and statsmodels by goldens/intervals.json. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  type BootstrapOptions,
  type BootstrapResult,
  bootstrapIntervals,
  boundOf,
  type Distribution,
  distributionOf,
  intervalOf,
  lowerBoundOf,
  pValueOf,
  type Statistic,
} from '#src/statistics/bootstrap.js';
import {
  binomialLowerTail,
  binomialProbability,
  chiSquareUpperTail,
  kolmogorovUpperTail,
  normalCdf,
  normalOfStudent,
  normalQuantile,
  studentOfNormal,
} from '#src/statistics/distributions.js';
import { wilson } from '#src/statistics/interval.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { type Items, Resampler } from '#src/statistics/resampling.js';
import { meanOf as meanOfItems } from './coverage/scenarios.ts';

type Numbers = readonly number[];

interface BootstrapGolden {
  readonly statistic: keyof typeof STATISTICS;
  readonly x: Numbers;
  readonly y: Numbers;
  readonly seed: string;
  readonly groups: readonly string[] | null;
  readonly low: number;
  readonly high: number;
}

const GOLDENS: {
  readonly wilson: readonly [number, number, number, number, number][];
  readonly normal: readonly [number, number, number][];
  readonly student: readonly [number, number, number][];
  readonly binomial: readonly [number, number, number, number][];
  readonly chi_square_tail: readonly [number, number, number][];
  readonly kolmogorov_limit: readonly [number, number, number, number][];
  readonly bootstrap: readonly BootstrapGolden[];
  readonly random: { readonly next: Numbers; readonly below: readonly [number, Numbers][] };
} = JSON.parse(readFileSync('test/statistics/goldens/intervals.json', 'utf8'));

const mean = (values: Numbers) => values.reduce((sum, value) => sum + value, 0) / values.length;

const STATISTICS = {
  mean,
  median: (x: Numbers) => {
    const sorted = x.toSorted((a, b) => a - b);
    const half = sorted.length / 2;
    return ((sorted[Math.ceil(half) - 1] as number) + (sorted[Math.floor(half)] as number)) / 2;
  },
  deviation: (x: Numbers) => Math.sqrt(covariance(x, x)),
  ratio: (x: Numbers, y: Numbers) => mean(x) / mean(y),
  correlation: (x: Numbers, y: Numbers) => covariance(x, y) / Math.sqrt(covariance(x, x) * covariance(y, y)),
};

function covariance(x: Numbers, y: Numbers): number {
  const [meanX, meanY] = [mean(x), mean(y)];
  return mean(x.map((value, i) => (value - meanX) * ((y[i] as number) - meanY)));
}

function expectRatio(found: number, expected: number, tolerance: number): void {
  expect(Math.abs(found - expected)).toBeLessThanOrEqual(tolerance * Math.abs(expected));
}

/** Of one metric. */
function bootstrapInterval(statistic: Statistic, of: Items, options: BootstrapOptions & { level?: number }) {
  return bootstrapIntervals((chosen) => [statistic(chosen)], of, options)[0] as BootstrapResult;
}

const items = (count: number) => ({ count, groups: null });
const meanOf = (values: Numbers) => meanOfItems(Float64Array.from(values));

/** By the C code of the authors from the state 1, 2, 3, 4. */
const PUBLISHED = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];

test('there are goldens of every kind, so that no test below passes because it compares nothing', () => {
  const { random, ...lists } = GOLDENS;
  const all = Object.entries({ ...lists, ...random });

  expect(all.length).toBeGreaterThan(9);
  expect(all.filter(([, list]) => list.length === 0)).toEqual([]);
});

test('random numbers are those of the published generator', () => {
  const published = new Xoshiro128([1, 2, 3, 4]);
  const seeded = Xoshiro128.seeded('seed');

  expect(PUBLISHED.map(() => published.next())).toEqual(PUBLISHED);
  expect(GOLDENS.random.next.map(() => seeded.next())).toEqual(GOLDENS.random.next);
  for (const [count, numbers] of GOLDENS.random.below) expect(numbers.map(() => seeded.below(count))).toEqual(numbers);
});

test('integers below a bound are equally likely, also where the bound does not divide 2³²', () => {
  const random = Xoshiro128.seeded('bias');
  // Without rejection, every second third would be half as likely.
  const bound = 3 * 2 ** 30;
  const thirds = [0, 0, 0];
  for (let i = 0; i < 30_000; i++) (thirds[Math.floor(random.below(bound) / 2 ** 30)] as number)++;

  for (const count of thirds) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  expect(mean(Array.from({ length: 10_000 }, () => random.uniform()))).toBeCloseTo(0.5, 1);
});

test("Wilson's interval is that of statsmodels", () => {
  for (const [successes, count, level, low, high] of GOLDENS.wilson) {
    const interval = wilson(successes, count, level);
    expect(interval.low).toBeCloseTo(low, 11);
    expect(interval.high).toBeCloseTo(high, 11);
  }
});

test('distribution functions are those of SciPy, in their tails too', () => {
  for (const [p, z, cdf] of GOLDENS.normal) {
    expectRatio(normalCdf(z), cdf, 1e-12);
    expect(normalQuantile(p)).toBeCloseTo(z, 11);
  }
  for (const [degrees, z, t] of GOLDENS.student) {
    expectRatio(studentOfNormal(z, degrees), t, 0.005);
    expect(normalOfStudent(studentOfNormal(z, degrees), degrees)).toBeCloseTo(z, 9);
  }
  for (const [k, n, p, tail] of GOLDENS.binomial) {
    const upper = k >= n * p ? 1 - binomialLowerTail(n - k - 1, n, 1 - p) : binomialLowerTail(k, n, p);
    expectRatio(upper, tail, 1e-11);
  }
  for (const [x, degrees, tail] of GOLDENS.chi_square_tail) expectRatio(chiSquareUpperTail(x, degrees), tail, 1e-11);
  for (const [distance, n, m, tail] of GOLDENS.kolmogorov_limit)
    expectRatio(kolmogorovUpperTail(distance, n, m), tail, 1e-11);
  expect([normalQuantile(0), normalQuantile(1), normalCdf(0)]).toEqual([-Infinity, Infinity, 0.5]);
});

test('the probabilities of a binomial add up to 1', () => {
  for (const [n, p] of [
    [0, 0.5],
    [1, 0],
    [7, 1],
    [50, 0.98],
    [1_000, 0.3],
  ] as const) {
    const sum = Array.from({ length: n + 1 }, (_, k) => binomialProbability(k, n, p)).reduce((a, b) => a + b);
    expect(sum).toBeCloseTo(1, 12);
  }
});

test('bootstrap intervals are those of SciPy for the same resamples, of items and of groups', () => {
  for (const { statistic, x, y, seed, groups, low, high } of GOLDENS.bootstrap) {
    const chosen = (values: Numbers, from: Uint32Array) => Array.from(from, (i) => values[i] as number);
    const ofItems = (from: Uint32Array) => STATISTICS[statistic](chosen(x, from), chosen(y, from));
    const distribution = distributionOf(ofItems, { count: x.length, groups }, { seed, resamples: 400 }) as Distribution;
    const asInSciPy = intervalOf({ ...distribution, groups: 1e15 }, 0.9);
    const interval = intervalOf(distribution, 0.9);

    expect(asInSciPy.low).toBeCloseTo(low, 9);
    expect(asInSciPy.high).toBeCloseTo(high, 9);
    // Wider for few items.
    expect(interval.low).toBeLessThanOrEqual(low + 1e-12);
    expect(interval.high).toBeGreaterThanOrEqual(high - 1e-12);
    expect(lowerBoundOf(distribution, 0.95)).toBeLessThanOrEqual(interval.low + 1e-12);
  }
});

test('a seed decides the result, and groups of one item are independent items', () => {
  const values = Array.from({ length: 40 }, (_, i) => (i * i) % 17);
  const resultOf = (seed: string, groups: readonly string[] | null) =>
    bootstrapInterval(meanOf(values), { count: 40, groups }, { seed, resamples: 200 });

  expect(resultOf('a', null)).toEqual(resultOf('a', null));
  expect(
    resultOf(
      'a',
      values.map((_, i) => `${i}`),
    ),
  ).toEqual(resultOf('a', null));
  expect(resultOf('b', null)).not.toEqual(resultOf('a', null));
});

test('groups are drawn as a whole, and as many as there are', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 40 }), (numbers) => {
      const groups = numbers.map((number) => `group ${number}`);
      const sizes = Map.groupBy(groups, (name) => name);
      const resampler = new Resampler({ count: groups.length, groups }, 'seed');
      const drawn = Map.groupBy(resampler.draw(), (item) => item);
      let draws = 0;
      for (const [name, members] of sizes) {
        const times = groups.flatMap((group, item) => (group === name ? [drawn.get(item)?.length ?? 0] : []));
        expect(new Set(times).size).toBe(1);
        expect(times).toHaveLength(members.length);
        draws += times[0] as number;
      }

      expect(draws).toBe(sizes.size);
      expect(resampler.groupCount).toBe(sizes.size);
    }),
    { numRuns: 50, seed: 1 },
  );
});

test('groups that are not one for each item are refused', () => {
  expect(() => new Resampler({ count: 3, groups: ['a', 'b'] }, 's')).toThrow('3 items have 2 groups');
});

test('items that belong together make the interval wider', () => {
  const values = Array.from({ length: 400 }, (_, i) => Math.floor(i / 20) % 2);
  const groups = values.map((_, i) => `${Math.floor(i / 20)}`);
  const width = ({ interval }: BootstrapResult) => (interval?.high ?? 0) - (interval?.low ?? 0);
  const resultOf = (of: readonly string[] | null) =>
    width(bootstrapInterval(meanOf(values), { count: 400, groups: of }, { seed: 's' }));

  // Twenty groups of 20 equal values are 20 values: √20 times as wide.
  expect(resultOf(groups) / resultOf(null)).toBeGreaterThan(3.5);
});

test('resamples for which a metric is undefined are counted, and too many leave no interval', () => {
  // As for ROC-AUC, where a resample without positives has no value.
  const positives = (count: number) => (chosen: Uint32Array) => {
    let found = 0;
    for (const i of chosen) if (i < count) found++;
    return found === 0 ? null : found / chosen.length;
  };
  const few = bootstrapInterval(positives(1), items(50), { seed: 's', resamples: 1_000 });
  const some = bootstrapInterval(positives(5), items(50), { seed: 's', resamples: 1_000 });

  expect(few.interval).toBeNull();
  expect(few.undefinedReason).toBe(`The metric is undefined for ${few.undefinedResamples} of 1000 resamples.`);
  expect(few.undefinedResamples).toBeGreaterThan(300);
  expect(some.interval).not.toBeNull();
  expect(some.undefinedResamples).toBeGreaterThan(0);
});

test('there is no interval for an undefined metric, for few items, and where resamples do not differ', () => {
  const reasonOf = (
    statistic: (chosen: Uint32Array) => number | null,
    of: { count: number; groups: string[] | null },
  ) => bootstrapInterval(statistic, of, { seed: 's', resamples: 100 });

  expect(reasonOf(() => null, items(20))).toMatchObject({
    interval: null,
    undefinedReason: 'The metric is undefined.',
  });
  expect(reasonOf(() => 1, items(20)).undefinedReason).toBe('The metric is the same for every resample.');
  expect(reasonOf(() => 1, items(0)).undefinedReason).toMatch(/^There are fewer than 10/);
  expect(reasonOf(() => 1, { count: 20, groups: Array.from({ length: 20 }, () => 'one') }).undefinedReason).toMatch(
    /^There are fewer than 10/,
  );
});

test('metrics that are measured together have the intervals of each alone', () => {
  const values = Array.from({ length: 30 }, (_, i) => (i * i) % 11);
  const first = (chosen: Uint32Array) => (chosen.includes(0) ? 1 + mean([...chosen]) : null);
  const options = { seed: 's', resamples: 200 };
  const together = bootstrapIntervals(
    (chosen) => [meanOf(values)(chosen), null, first(chosen), mean([...chosen])],
    items(30),
    options,
  );

  expect(together[0]).toEqual(bootstrapInterval(meanOf(values), items(30), options));
  expect(together[1]).toMatchObject({ interval: null, undefinedResamples: 200 });
  expect(together[2]).toEqual(bootstrapInterval(first, items(30), options));
  expect(together[3]?.interval).not.toBeNull();
});

test('a p-value is one minus the level of the interval that ends at the value', () => {
  const values = Array.from({ length: 60 }, (_, i) => ((i * 37) % 60) ** 2 / 1_000);
  const distribution = distributionOf(meanOf(values), items(60), { seed: 's' }) as Distribution;
  for (const value of [0.9, 1.1, 1.3, 1.5]) {
    const p = pValueOf(distribution, value);
    const bound = boundOf(distribution, value < distribution.value ? p / 2 : 1 - p / 2);
    expect(bound).toBeCloseTo(value, 2);
  }
  expect(pValueOf(distribution, -100)).toBeLessThan(0.001);
});

test('the acceleration of many items, by blocks, is close to that of single items', () => {
  const values = Array.from({ length: 1_500 }, (_, i) => Math.exp(((i * 7919) % 1_500) / 300));
  const { acceleration } = distributionOf(meanOf(values), items(1_500), { seed: 's', resamples: 100 }) as Distribution;
  const deviations = values.map((value) => value - mean(values));
  const cubes = mean(deviations.map((value) => value ** 3));
  const squares = mean(deviations.map((value) => value ** 2));

  expectRatio(acceleration, cubes / squares ** 1.5 / Math.sqrt(1_500) / 6, 0.3);
});
