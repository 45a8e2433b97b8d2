/** Candidates that are worse than the holder by exactly the margin of a gate, drawn again for each run. */
import type { Statistic } from '#src/statistics/bootstrap.js';
import type { Pair } from '#src/statistics/comparison.js';
import type { Xoshiro128 } from '#src/statistics/random.js';
import { exponential, f1Of, fill, meanOf, normal } from './scenarios.ts';

export interface Trial {
  readonly name: string;
  readonly items: number;
  readonly margin: number;
  readonly higherIsBetter: boolean;
  readonly draw: (
    random: Xoshiro128,
  ) => { readonly right: Pair<Uint8Array> } | { readonly metrics: Pair<Statistic>; readonly groups: string[] | null };
}

const GROUP_SIZE = 10;

export function trials(): Trial[] {
  const metrics = [50, 100, 1_000].flatMap((items) => [
    meanError(items, 0.05),
    rareErrors(items, 0.05),
    rootMeanSquare(items, 0.05),
    f1(items),
  ]);
  return [
    ...[100, 1_000, 10_000].map((items) => accuracy(items, 0.02)),
    ...metrics,
    ...[500, 1_000].map((items) => groupedAccuracy(items, 0.02)),
  ];
}

/** Both are right on 85 % of the items; the candidate alone on 4 %. */
function accuracy(items: number, margin: number): Trial {
  return {
    name: 'accuracy',
    items,
    margin,
    higherIsBetter: true,
    draw: (random) => {
      const u = fill(items, () => random.uniform());
      return {
        right: {
          candidate: Uint8Array.from(u, (value) => (value < 0.89 ? 1 : 0)),
          holder: Uint8Array.from(u, (value) => (value < 0.85 || (value >= 0.89 && value < 0.93 + margin) ? 1 : 0)),
        },
      };
    },
  };
}

/** Errors of the holder have an exponential distribution, those of the candidate differ from them by an error of both. */
function meanError(items: number, margin: number): Trial {
  return {
    name: 'mean absolute error',
    items,
    margin,
    higherIsBetter: false,
    draw: (random) => {
      const holder = fill(items, () => exponential(random));
      const candidate = holder.map((error) => error * 0.5 + exponential(random) * 0.5 + margin);
      return { metrics: { candidate: meanOf(candidate), holder: meanOf(holder) }, groups: null };
    },
  };
}

/** The candidate is better on two thirds of the items and much worse on a few, which a sample may lack: errors are log-normal. */
function rareErrors(items: number, margin: number): Trial {
  return {
    name: 'mean absolute error, rare large errors',
    items,
    margin,
    higherIsBetter: false,
    draw: (random) => {
      const candidate = fill(items, () => Math.exp(normal(random) - 0.5) + margin);
      return { metrics: { candidate: meanOf(candidate), holder: () => 1 }, groups: null };
    },
  };
}

function rootMeanSquare(items: number, margin: number): Trial {
  return {
    name: 'RMSE',
    items,
    margin,
    higherIsBetter: false,
    draw: (random) => {
      const holder = fill(items, () => normal(random));
      const candidate = holder.map((error) => (1 + margin) * (0.8 * error + 0.6 * normal(random)));
      const root = (errors: Float64Array): Statistic => {
        const mean = meanOf(errors.map((error) => error * error));
        return (chosen) => Math.sqrt(mean(chosen));
      };
      return { metrics: { candidate: root(candidate), holder: root(holder) }, groups: null };
    },
  };
}

/** The holder finds 90 % of the positives and the candidate 80 %; a third of the items are positive, a tenth of the others look it. */
function f1(items: number): Trial {
  const [positive, alarm] = [1 / 3, (2 / 3) * 0.1];
  const of = (recall: number) => (2 * positive * recall) / (2 * positive * recall + positive * (1 - recall) + alarm);
  const found = (isFound: boolean) => (isFound ? 2 : 1);
  return {
    name: 'F1',
    items,
    margin: of(0.9) - of(0.8),
    higherIsBetter: true,
    draw: (random) => {
      const outcomes = (recall: number) => (u: number, v: number) =>
        u < positive ? found(v < recall) : u < positive + alarm ? 1 : 0;
      const u = fill(items, () => random.uniform());
      const v = fill(items, () => random.uniform());
      const candidate = f1Of(u.map((value, i) => outcomes(0.8)(value, 1 - (v[i] as number))));
      const holder = f1Of(u.map((value, i) => outcomes(0.9)(value, v[i] as number)));
      return { metrics: { candidate, holder }, groups: null };
    },
  };
}

/** Accuracy of items in groups of 10, of which some are hard for the candidate and others for the holder. */
function groupedAccuracy(items: number, margin: number): Trial {
  return {
    name: `accuracy in groups of ${GROUP_SIZE}`,
    items,
    margin,
    higherIsBetter: true,
    draw: (random) => {
      const level = (mean: number) => fill(items / GROUP_SIZE, () => mean - 0.1 + 0.2 * random.uniform());
      const right = (levels: Float64Array) =>
        meanOf(fill(items, (i) => (random.uniform() < (levels[Math.floor(i / GROUP_SIZE)] as number) ? 1 : 0)));
      return {
        metrics: { candidate: right(level(0.85 - margin)), holder: right(level(0.85)) },
        groups: Array.from({ length: items }, (_, i) => `${Math.floor(i / GROUP_SIZE)}`),
      };
    },
  };
}
