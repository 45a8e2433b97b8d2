/**
 * How often intervals contain the true value, and how often a gate passes a candidate that is worse by exactly its margin.
 *
 * `node test/statistics/coverage.ts [runs] [seed]` prints both as tables: by enumeration where an outcome is one or two
 * counts, by simulation elsewhere. README.md has the results.
 */
import { type Distribution, distributionOf, intervalOf } from '#src/statistics/bootstrap.js';
import { binomialProbability } from '#src/statistics/distributions.js';
import { gainOfMetric, gainOfProportions, isNoWorse } from '#src/statistics/gate.js';
import { wilson } from '#src/statistics/interval.js';
import { tangoLowerBound } from '#src/statistics/paired-proportions.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { type Scenario, scenarios } from './coverage/scenarios.ts';
import { type Trial, trials } from './coverage/trials.ts';

export interface Simulation {
  readonly runs: number;
  readonly resamples: number;
  readonly seed: string;
}

/** The probability that Wilson's interval contains `p`, over all outcomes of `count` items. */
export function wilsonCoverage(count: number, p: number): number {
  let covered = 0;
  for (let k = 0; k <= count; k++) {
    const { low, high } = wilson(k, count);
    if (low <= p && p <= high) covered += binomialProbability(k, count, p);
  }
  return covered;
}

/**
 * The greatest probability that a gate passes a candidate whose accuracy is below that of the holder by exactly `margin`,
 * over all outcomes of `count` items, and over shares from 0 to 0.45 of items on which only the candidate is right.
 */
export function worstPassRate(count: number, margin: number): number {
  const passing = passingOutcomes(count, margin);
  const rates = [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.45].map((gained) =>
    passRate(passing, count, gained, gained + margin),
  );
  return Math.max(...rates);
}

/** By number of items on which the versions differ: the least number gained with which the candidate passes. */
function passingOutcomes(count: number, margin: number): number[] {
  return Array.from({ length: count + 1 }, (_, differing) => {
    let [low, high] = [0, differing + 1];
    while (low < high) {
      const gained = (low + high) >> 1;
      if (tangoLowerBound({ count, gained, lost: differing - gained }) > -margin) high = gained;
      else low = gained + 1;
    }
    return low;
  });
}

function passRate(passing: readonly number[], count: number, gained: number, lost: number): number {
  const share = gained + lost === 0 ? 0 : gained / (gained + lost);
  let rate = 0;
  for (const [differing, least] of passing.entries()) {
    const probability = binomialProbability(differing, count, gained + lost);
    if (probability < 1e-12) continue;
    for (let k = least; k <= differing; k++) rate += probability * binomialProbability(k, differing, share);
  }
  return rate;
}

export interface Coverage {
  /** Shares of the runs whose interval contains the true value. */
  readonly percentile: number;
  readonly bca: number;
  /** Share of the runs without an interval, which count neither way. */
  readonly withoutInterval: number;
}

export function bootstrapCoverage(scenario: Scenario, { runs, resamples, seed }: Simulation): Coverage {
  const random = Xoshiro128.seeded(`${seed} ${scenario.name} ${scenario.items}`);
  let [percentile, bca, judged] = [0, 0, 0];
  for (let run = 0; run < runs; run++) {
    const { statistic, groups } = scenario.draw(random);
    const items = { count: scenario.items, groups };
    const distribution = distributionOf(statistic, items, { seed: `${seed} ${run}`, resamples });
    if ('undefinedReason' in distribution) continue;
    judged++;
    if (contains(distribution, scenario.truth)) bca++;
    if (contains({ ...distribution, groups: 1e15, bias: 0, acceleration: 0 }, scenario.truth)) percentile++;
  }
  return { percentile: percentile / judged, bca: bca / judged, withoutInterval: 1 - judged / runs };
}

function contains(distribution: Distribution, truth: number): boolean {
  const { low, high } = intervalOf(distribution, 0.95);
  return low <= truth && truth <= high;
}

/** How often a gate passes the candidate of a trial, which is worse by exactly the trial's margin. */
export function falsePassRate(trial: Trial, { runs, resamples, seed }: Simulation): number {
  const random = Xoshiro128.seeded(`${seed} ${trial.name} ${trial.items}`);
  let passed = 0;
  for (let run = 0; run < runs; run++) {
    const drawn = trial.draw(random);
    const gain =
      'right' in drawn
        ? gainOfProportions(drawn.right)
        : gainOfMetric(
            drawn.metrics,
            { count: trial.items, groups: drawn.groups },
            { seed: `${seed} ${run}`, resamples, higherIsBetter: trial.higherIsBetter },
          );
    if (isNoWorse(gain, trial.margin)) passed++;
  }
  return passed / runs;
}

const percent = (share: number) => (share * 100).toFixed(1).padStart(5);

function printWilson(): void {
  console.log(
    '\nCoverage of Wilson intervals at level 95 %, by enumeration\n\n| items | p | coverage % |\n|--:|--:|--:|',
  );
  for (const count of [100, 1_000, 10_000])
    for (const p of [0.5, 0.9, 0.98]) console.log(`| ${count} | ${p} | ${percent(wilsonCoverage(count, p))} |`);
}

function printBootstrap(simulation: Simulation): void {
  console.log(`\nCoverage of bootstrap intervals at level 95 %, ${simulation.runs} runs\n`);
  console.log(
    '| metric | items | percentile % | BCa % | shortfall of BCa | no interval % |\n|---|--:|--:|--:|--:|--:|',
  );
  for (const scenario of scenarios()) {
    const { percentile, bca, withoutInterval } = bootstrapCoverage(scenario, simulation);
    const shortfall = bca < 0.94 ? (95 - bca * 100).toFixed(1) : '';
    const cells = [percent(percentile), percent(bca), shortfall, percent(withoutInterval)];
    console.log(`| ${scenario.name} | ${scenario.items} | ${cells.join(' | ')} |`);
  }
}

function printGate(simulation: Simulation): void {
  console.log('\nWhat gates pass at level 95 % although it is worse by exactly the margin: accuracy, by enumeration\n');
  console.log('| items | margin | passed at most % |\n|--:|--:|--:|');
  for (const count of [10, 20, 50, 100, 200, 500, 1_000])
    for (const margin of [0, 0.01, 0.02, 0.05])
      console.log(`| ${count} | ${margin} | ${percent(worstPassRate(count, margin))} |`);
  console.log(`\nThe same by simulation, ${simulation.runs} runs\n`);
  console.log('| metric | items | margin | passed % | excess |\n|---|--:|--:|--:|--:|');
  for (const trial of trials()) {
    const rate = falsePassRate(trial, simulation);
    const excess = rate > 0.06 ? (rate * 100 - 5).toFixed(1) : '';
    console.log(`| ${trial.name} | ${trial.items} | ${trial.margin.toFixed(3)} | ${percent(rate)} | ${excess} |`);
  }
}

if (process.argv[1] === import.meta.filename) {
  const [runs = '2000', seed = '1'] = process.argv.slice(2);
  const simulation = { runs: Number(runs), resamples: 2_000, seed };
  printWilson();
  printBootstrap(simulation);
  printGate(simulation);
}
