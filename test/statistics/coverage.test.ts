/** A share of `npm run stats:coverage`. */

import { scenarios } from './coverage/scenarios.ts';
import { trials } from './coverage/trials.ts';
import { bootstrapCoverage, falsePassRate, wilsonCoverage, worstPassRate } from './coverage.ts';

const SIMULATION = { runs: 100, resamples: 200, seed: '1' };

test("Wilson's intervals of level 95 % contain the true share in 93.6 to 95.1 % of samples", () => {
  const shares = [100, 1_000, 10_000].flatMap((count) => [0.5, 0.9, 0.98].map((p) => wilsonCoverage(count, p) * 100));

  expect(Math.min(...shares).toFixed(1)).toBe('93.6');
  expect(Math.max(...shares).toFixed(1)).toBe('95.1');
});

test('a gate passes a candidate whose accuracy is lower by its margin in at most 5 % of samples', () => {
  for (const count of [10, 37, 100])
    for (const margin of [0, 0.02]) {
      const rate = worstPassRate(count, margin);
      expect(rate).toBeLessThanOrEqual(0.05);
      expect(rate).toBeGreaterThan(0.03);
    }
});

test('bootstrap intervals of 50 items contain the true value nearly as often as they say', () => {
  for (const scenario of scenarios().filter(({ items }) => items === 50)) {
    const { bca, withoutInterval } = bootstrapCoverage(scenario, SIMULATION);
    // Three standard errors of 100 runs below the coverage of 2,000 runs in README.md.
    expect(bca).toBeGreaterThan(0.86);
    // 50 items are all right in 36 % of samples if 98 % of all items are.
    expect(withoutInterval).toBeLessThan(scenario.name === 'accuracy 0.98' ? 0.5 : 0.05);
  }
});

test('a gate seldom passes a candidate that is worse by its margin in another metric', () => {
  for (const trial of trials().filter(({ items }) => items === 100))
    expect(falsePassRate(trial, SIMULATION)).toBeLessThan(0.14);
});
