/** Shapley values have the properties that define them, exactly or within the error that they state. */
import fc from 'fast-check';
import { InferenceFailedError, InvalidInputError } from '#src/errors.js';
import type { Scores } from '#src/explanation/coalitions.js';
import { leastRows, type ShapleyValues, shapleyValues } from '#src/explanation/shapley.js';
import { Xoshiro128 } from '#src/statistics/random.js';

type Model = (row: readonly number[]) => number;

const ENOUGH = 1_000_000;

interface Case {
  readonly model: Model;
  readonly row: readonly number[];
  readonly background: readonly (readonly number[])[];
}

function explain({ model, row, background }: Case, maxRows = ENOUGH, seed = 'seed'): Promise<ShapleyValues> {
  return shapleyValues({
    row,
    background,
    scores: async (rows) => rows.map(model),
    maxRows,
    seed,
    signal: new AbortController().signal,
  });
}

function rowsOf(random: Xoshiro128, count: number, features: number): number[][] {
  return Array.from({ length: count }, () => Array.from({ length: features }, () => random.uniform() * 4 - 2));
}

/** A model with interactions, of whose features the last does not matter if `hasDummy`. */
function bumpy(features: number, hasDummy = false): Model {
  return (row) => {
    let score = 1;
    const used = hasDummy ? features - 1 : features;
    for (let i = 0; i < used; i++) {
      const next = row[(i + 1) % used] as number;
      score += Math.sin(row[i] as number) * (i + 1) + Math.abs((row[i] as number) * next);
    }
    return Math.tanh(score / features);
  };
}

function caseOf(features: number, hasDummy = false, backgroundRows = 5): Case {
  const random = Xoshiro128.seeded(`case ${features}`);
  return {
    model: bumpy(features, hasDummy),
    row: rowsOf(random, 1, features)[0] as number[],
    background: rowsOf(random, backgroundRows, features),
  };
}

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
const largestGap = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] as number))));

/** The mean over all orders in which features can join, for a few features. */
function bruteForce({ model, row, background }: Case): number[] {
  const meanScoreOf = (members: ReadonlySet<number>) =>
    sum(background.map((other) => model(other.map((value, i) => (members.has(i) ? (row[i] as number) : value))))) /
    background.length;
  const attributions = row.map(() => 0);
  let orders = 0;
  const join = (members: ReadonlySet<number>, gains: readonly [number, number][]): void => {
    if (members.size === row.length) {
      orders++;
      for (const [feature, gain] of gains) (attributions[feature] as number) += gain;
      return;
    }
    for (const feature of row.keys()) {
      if (members.has(feature)) continue;
      const joined = new Set([...members, feature]);
      join(joined, [...gains, [feature, meanScoreOf(joined) - meanScoreOf(members)]]);
    }
  };
  join(new Set(), []);
  return attributions.map((gain) => gain / orders);
}

test('attributions are the mean gains over all orders of the features', async () => {
  for (const features of [1, 2, 3, 5]) {
    const one = caseOf(features, false, 3);
    const { attributions, method, standardErrors, rows } = await explain(one);

    expect(largestGap(attributions, bruteForce(one))).toBeLessThan(1e-12);
    expect(method).toBe('EXACT');
    expect(sum(standardErrors)).toBe(0);
    expect(rows).toBe((2 ** features - 1) * 3 + 1);
  }
});

test('attributions add up to the score above the base, exact or estimated', async () => {
  for (const [features, maxRows] of [
    [8, ENOUGH],
    [10, ENOUGH],
    [10, 700],
    [30, 1_500],
    [100, 1_300],
  ] as const) {
    const one = caseOf(features);
    const { attributions, base, score, rows } = await explain(one, maxRows);

    expect(sum(attributions)).toBeCloseTo(score - base, 9);
    expect(score).toBe(one.model(one.row));
    expect(base).toBeCloseTo(sum(one.background.map(one.model)) / 5, 12);
    expect(rows).toBeLessThanOrEqual(maxRows);
  }
});

test('a feature that does not matter has no attribution, and equal ones have equal attributions', async () => {
  const dummy = await explain(caseOf(8, true));
  const { row, background } = caseOf(6);
  const equal = (values: readonly number[]) => [values[0] as number, ...values.slice(0, 5)];
  const symmetric = await explain({
    model: ([a, b, ...rest]) => Math.tanh((a as number) * (b as number)) + (a as number) + (b as number) + sum(rest),
    row: equal(row),
    background: background.map(equal),
  });

  expect(Math.abs(dummy.attributions[7] as number)).toBeLessThan(1e-12);
  expect(symmetric.attributions[0]).toBeCloseTo(symmetric.attributions[1] as number, 12);
});

test('the attributions of a sum of models are the sums of theirs', async () => {
  const one = caseOf(7);
  const other: Model = (row) => (row[0] as number) * (row[6] as number) + Math.cos(row[3] as number);
  const [a, b, both] = await Promise.all([
    explain(one),
    explain({ ...one, model: other }),
    explain({ ...one, model: (row) => 2 * one.model(row) + other(row) }),
  ]);

  expect(
    largestGap(
      both.attributions,
      a.attributions.map((value, i) => 2 * value + (b.attributions[i] as number)),
    ),
  ).toBeLessThan(1e-12);
});

test('a linear model is attributed its weights times the distances from the means, by every method', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(1_000),
      async (features, backgroundRows, seed) => {
        const random = Xoshiro128.seeded(`linear ${seed}`);
        const [weights, row, ...background] = rowsOf(random, backgroundRows + 2, features) as [number[], number[]];
        const model: Model = (values) => sum(values.map((value, i) => value * (weights[i] as number)));
        const expected = row.map(
          (value, i) =>
            (weights[i] as number) * (value - sum(background.map((other) => other[i] as number)) / backgroundRows),
        );
        const result = await explain({ model, row, background }, leastRows(features, backgroundRows));

        expect(largestGap(result.attributions, expected)).toBeLessThan(1e-9);
        expect(Math.max(...result.standardErrors)).toBeLessThan(1e-9);
      },
    ),
    { numRuns: 15, seed: 1 },
  );
});

test('an estimate from all coalitions is exact', async () => {
  // Of 11 and 12 features, all coalitions fit: odd and even numbers of features.
  for (const features of [11, 12]) {
    const one = caseOf(features, true, 2);
    const { method, attributions, standardErrors, rows } = await explain(one, (2 ** features - 1) * 2 + 1);
    const first = { ...one, model: (row: readonly number[]) => one.model(row) };
    const without = await explain({
      ...first,
      model: (row) => one.model([...row, 0]),
      row: one.row.slice(0, -1),
      background: one.background.map((other) => other.slice(0, -1)),
    });

    expect(method).toBe('KERNEL_SHAP');
    expect(rows).toBe((2 ** features - 1) * 2 + 1);
    expect(sum(standardErrors)).toBe(0);
    expect(Math.abs(attributions[features - 1] as number)).toBeLessThan(1e-9);
    expect(largestGap(without.attributions, attributions.subarray(0, -1))).toBeLessThan(1e-9);
  }
});

test('an estimate approaches the exact values with the budget, within the error that it states', async () => {
  const one = caseOf(9);
  const exact = await explain(one);
  const gaps: number[] = [];
  let [within, all] = [0, 0];
  for (const maxRows of [400, 1_600, 3_200]) {
    let gap = 0;
    for (let seed = 0; seed < 6; seed++) {
      const { attributions, standardErrors } = await explain(one, maxRows, `${seed}`);
      gap += largestGap(attributions, exact.attributions) / 6;
      for (const [i, error] of standardErrors.entries()) {
        all++;
        if (Math.abs((attributions[i] as number) - (exact.attributions[i] as number)) <= 2.5 * error) within++;
      }
    }
    gaps.push(gap);
  }

  expect(gaps[1] as number).toBeLessThan((gaps[0] as number) / 1.5);
  expect(gaps[2] as number).toBeLessThan((gaps[1] as number) / 1.5);
  expect(within / all).toBeGreaterThan(0.9);
});

test('a seed decides the estimate', async () => {
  const one = caseOf(15);
  const [a, again, b] = [await explain(one, 800), await explain(one, 800), await explain(one, 800, 'other')];

  expect(a).toEqual(again);
  expect(b.attributions).not.toEqual(a.attributions);
});

test('values may be of any type, and rows are scored in batches of at most 512', async () => {
  const sizes: number[] = [];
  const scores: Scores<string | number> = async (rows) => {
    sizes.push(rows.length);
    return rows.map(([word, number]) => (word === 'yes' ? 2 : 0) + Number(number));
  };
  const result = await shapleyValues({
    row: ['yes', 3],
    background: Array.from({ length: 300 }, (_, i) => ['no', i % 2]),
    scores,
    maxRows: 901,
    seed: 's',
    signal: new AbortController().signal,
  });

  expect([...result.attributions].map((value) => value.toFixed(9))).toEqual(['2.000000000', '2.500000000']);
  expect(sizes).toEqual([301, 512, 88]);
});

test('too small a budget, too many features and too many background rows for the budget are refused', async () => {
  const problemOf = async (features: number, maxRows: number) => {
    const error = await explain(caseOf(features), maxRows).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(InvalidInputError);
    return (error as InvalidInputError).problems[0];
  };

  expect(await problemOf(20, 405)).toMatchObject({
    path: ['maxModelCalls'],
    expected: 'at least 406',
    received: '405',
  });
  expect(await problemOf(3, 35)).toMatchObject({ expected: 'at least 36' });
  expect(await problemOf(101, ENOUGH)).toMatchObject({ path: ['input'], code: 'TOO_LARGE', received: '101' });
  await expect(explain({ ...caseOf(3), background: [] })).rejects.toThrow('0 background rows');
});

test('scores that are not finite, and an abort, end the explanation', async () => {
  const one = caseOf(8);
  const controller = new AbortController();
  let calls = 0;
  const aborted = shapleyValues({
    ...one,
    scores: async (rows) => {
      if (++calls === 2) controller.abort(new Error('the caller has gone'));
      return rows.map(one.model);
    },
    maxRows: ENOUGH,
    seed: 's',
    signal: controller.signal,
  });

  await expect(explain({ ...one, model: () => Number.NaN })).rejects.toBeInstanceOf(InferenceFailedError);
  await expect(aborted).rejects.toThrow('the caller has gone');
  expect(calls).toBe(2);
});
