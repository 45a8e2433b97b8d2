/** Data with a known true value of a metric, drawn again for each run. */
import type { Statistic } from '#src/statistics/bootstrap.js';
import type { Xoshiro128 } from '#src/statistics/random.js';

export interface Scenario {
  readonly name: string;
  readonly items: number;
  readonly truth: number;
  readonly draw: (random: Xoshiro128) => { statistic: Statistic; groups: string[] | null };
}

/** Chance that an item is a hit, a false alarm and a miss; the others are right rejections. */
const [HIT, FALSE_ALARM, MISS] = [0.24, 0.06, 0.06];
const GROUP_SIZE = 10;

export function scenarios(): Scenario[] {
  const independentItems = [20, 50, 100, 1_000].flatMap((items) => [
    proportion(items, 0.9),
    proportion(items, 0.98),
    meanError(items),
    rootMeanSquare(items),
    f1(items),
    rocAuc(items),
  ]);
  return [...independentItems, ...[200, 500, 1_000].map(groupedAccuracy)];
}

function proportion(items: number, p: number): Scenario {
  return {
    name: `accuracy ${p}`,
    items,
    truth: p,
    draw: (random) => independent(meanOf(fill(items, () => (random.uniform() < p ? 1 : 0)))),
  };
}

/** Absolute errors with an exponential distribution. */
function meanError(items: number): Scenario {
  return {
    name: 'mean absolute error',
    items,
    truth: 1,
    draw: (random) => independent(meanOf(fill(items, () => exponential(random)))),
  };
}

function rootMeanSquare(items: number): Scenario {
  return {
    name: 'RMSE',
    items,
    truth: 1,
    draw: (random) => {
      const mean = meanOf(fill(items, () => normal(random) ** 2));
      return independent((chosen) => Math.sqrt(mean(chosen)));
    },
  };
}

function f1(items: number): Scenario {
  return {
    name: 'F1',
    items,
    truth: (2 * HIT) / (2 * HIT + FALSE_ALARM + MISS),
    draw: (random) => {
      const u = fill(items, () => random.uniform());
      return independent(f1Of(u.map((value) => (value < HIT ? 2 : value < HIT + FALSE_ALARM + MISS ? 1 : 0))));
    },
  };
}

/** Scores of a third of positives with mean 1.19 and of negatives with mean 0, both with deviation 1. */
function rocAuc(items: number): Scenario {
  return {
    name: 'ROC-AUC',
    items,
    truth: 0.8,
    draw: (random) => {
      const isPositive = fill(items, () => (random.uniform() < 1 / 3 ? 1 : 0));
      // Φ(1.190232 / √2) = 0.8.
      const scores = isPositive.map((one) => normal(random) + one * 1.1902321);
      return independent(rocAucOf(isPositive, scores));
    },
  };
}

/** Accuracy 0.8 of items in groups of 10, whose own accuracies are between 0.6 and 1. */
function groupedAccuracy(items: number): Scenario {
  return {
    name: `accuracy 0.8 in groups of ${GROUP_SIZE}`,
    items,
    truth: 0.8,
    draw: (random) => {
      const levels = fill(items / GROUP_SIZE, () => 0.6 + 0.4 * random.uniform());
      const right = fill(items, (i) => (random.uniform() < (levels[Math.floor(i / GROUP_SIZE)] as number) ? 1 : 0));
      return { statistic: meanOf(right), groups: Array.from(right, (_, i) => `${Math.floor(i / GROUP_SIZE)}`) };
    },
  };
}

function independent(statistic: Statistic) {
  return { statistic, groups: null };
}

export function fill(count: number, make: (i: number) => number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => make(i));
}

export function exponential(random: Xoshiro128): number {
  return -Math.log(1 - random.uniform());
}

export function normal(random: Xoshiro128): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random.uniform());
}

export function meanOf(values: Float64Array): (chosen: Uint32Array) => number {
  return (chosen) => {
    let sum = 0;
    for (let i = 0; i < chosen.length; i++) sum += values[chosen[i] as number] as number;
    return sum / chosen.length;
  };
}

/** `outcomes`: 2 for a hit, 1 for a false alarm or a miss, 0 for a right rejection. */
export function f1Of(outcomes: Float64Array): Statistic {
  return (chosen) => {
    let [hits, errors] = [0, 0];
    for (let i = 0; i < chosen.length; i++) {
      const outcome = outcomes[chosen[i] as number] as number;
      if (outcome === 2) hits++;
      else if (outcome === 1) errors++;
    }
    return hits + errors === 0 ? null : (2 * hits) / (2 * hits + errors);
  };
}

/** By one pass over the items in the order of their scores, counted as often as they were chosen. Scores have no ties. */
function rocAucOf(isPositive: Float64Array, scores: Float64Array): Statistic {
  const order = Uint32Array.from(scores, (_, i) => i).sort((a, b) => (scores[a] as number) - (scores[b] as number));
  const times = new Uint32Array(scores.length);
  return (chosen) => {
    times.fill(0);
    for (let i = 0; i < chosen.length; i++) (times[chosen[i] as number] as number)++;
    let [negatives, positives, pairs] = [0, 0, 0];
    for (const item of order) {
      const count = times[item] as number;
      if (isPositive[item]) {
        positives += count;
        pairs += count * negatives;
      } else negatives += count;
    }
    return negatives * positives === 0 ? null : pairs / negatives / positives;
  };
}
