/**
 * KernelSHAP: Shapley values as the solution of a weighted least squares problem over coalitions (Lundberg and Lee, 2017).
 *
 * The smallest coalitions and their complements are all used, as far as the budget goes; from the others, coalitions are
 * drawn together with their complements (Covert and Lee, "Improving KernelSHAP", 2021). That attributions add up is not
 * estimated: the last one is what the others leave. With all coalitions, the result is exact.
 */
import { Xoshiro128 } from '../statistics/random.js';
import type { Coalitions } from './coalitions.js';
import { Equations } from './equations.js';

interface Weighted {
  readonly weight: number;
  readonly coalition: Uint8Array;
  /** Part of the sample, or `CERTAIN`. */
  readonly part: number;
}

export interface Estimate {
  readonly attributions: Float64Array;
  readonly standardErrors: Float64Array;
}

/** The sample is cut into this many parts, whose spread tells the error of the whole. */
const PARTS = 10;
const LEAST_PAIRS = 2 * PARTS;
/** In place of a part: the coalition is used whatever is drawn. */
const CERTAIN = -1;

/** Between two calls of the model, so that the event loop is not held for longer than about 2 ms. */
const COALITIONS_AT_ONCE = 256;

/** With fewer coalitions than these, an estimate has no error estimate. */
export function leastCoalitions(features: number): number {
  return Math.min(2 ** features - 2, 2 * features + 2 * LEAST_PAIRS);
}

export async function estimateShapleyValues<Value>(
  coalitions: Coalitions<Value>,
  { maxCoalitions, seed }: { maxCoalitions: number; seed: string },
): Promise<Estimate> {
  const { features, base, score } = coalitions;
  const certain = new Equations(features, score - base);
  const parts = Array.from({ length: PARTS }, () => new Equations(features, score - base));
  let isSampled = false;
  const choice = choose(features, maxCoalitions, Xoshiro128.seeded(seed));
  for (let some = take(choice); some.length > 0; some = take(choice)) {
    const values = await coalitions.valuesOf(some.map(({ coalition }) => coalition));
    for (const [i, { weight, coalition, part }] of some.entries())
      (parts[part] ?? certain).add(coalition, weight, (values[i] as number) - base);
    isSampled ||= some.some(({ part }) => part !== CERTAIN);
  }
  const attributions = certain.plus(parts, 1).solve();
  if (!isSampled) return { attributions, standardErrors: new Float64Array(features) };
  const withoutOne = parts.map((left) => {
    const others = parts.filter((part) => part !== left);
    return certain.plus(others, PARTS / (PARTS - 1)).solve();
  });
  return { attributions, standardErrors: jackknifeErrors(withoutOne) };
}

function take(choice: Iterator<Weighted>): Weighted[] {
  const some: Weighted[] = [];
  while (some.length < COALITIONS_AT_ONCE) {
    const next = choice.next();
    if (next.done) break;
    some.push(next.value);
  }
  return some;
}

/** All coalitions of the sizes of which at least as many would be drawn, and a sample of the others. */
function* choose(features: number, maxCoalitions: number, random: Xoshiro128): Generator<Weighted> {
  const sizes = Array.from({ length: Math.floor(features / 2) }, (_, i) => i + 1);
  let left = maxCoalitions;
  for (let size = sizes[0]; size !== undefined; size = sizes[0]) {
    const count = combinations(features, size) * (2 * size === features ? 1 : 2);
    const share = (massOf(features, size) / massOfAll(features, sizes)) * left;
    const isCertain =
      size === 1 || (sizes.length === 1 ? count <= left : count <= Math.min(share, left - 2 * LEAST_PAIRS));
    if (!isCertain) return yield* sampled({ features, sizes, pairs: Math.floor(left / 2), random });
    const weight = massOf(features, size) / count;
    for (const members of subsetsOf(features, size)) {
      const coalition = coalitionOf(features, members);
      yield { coalition, weight, part: CERTAIN };
      if (2 * size !== features) yield { coalition: complementOf(coalition), weight, part: CERTAIN };
    }
    left -= count;
    sizes.shift();
  }
}

/** The weight of all coalitions of `size` features and of their complements, up to a factor. */
function massOf(features: number, size: number): number {
  return (2 * size === features ? 1 : 2) / (size * (features - size));
}

function massOfAll(features: number, sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + massOf(features, size), 0);
}

interface Sample {
  readonly features: number;
  readonly sizes: readonly number[];
  readonly pairs: number;
  readonly random: Xoshiro128;
}

function* sampled({ features, sizes, pairs, random }: Sample): Generator<Weighted> {
  const mass = massOfAll(features, sizes);
  const weight = mass / (2 * pairs);
  const members = Array.from({ length: features }, (_, i) => i);
  for (let pair = 0; pair < pairs; pair++) {
    const size = sizeAt(features, sizes, random.uniform() * mass);
    for (let i = 0; i < size; i++) {
      const other = i + random.below(features - i);
      [members[i], members[other]] = [members[other] as number, members[i] as number];
    }
    const coalition = coalitionOf(features, members.slice(0, size));
    const part = pair % PARTS;
    yield { coalition, weight, part };
    yield { coalition: complementOf(coalition), weight, part };
  }
}

/** The size at which the masses of the sizes up to it exceed `mass`. */
function sizeAt(features: number, sizes: readonly number[], mass: number): number {
  let upTo = 0;
  for (const size of sizes) {
    upTo += massOf(features, size);
    if (mass < upTo) return size;
  }
  return sizes.at(-1) as number;
}

function coalitionOf(features: number, members: readonly number[]): Uint8Array {
  const coalition = new Uint8Array(features);
  for (const member of members) coalition[member] = 1;
  return coalition;
}

function complementOf(coalition: Uint8Array): Uint8Array {
  return coalition.map((isIn) => 1 - isIn);
}

function combinations(count: number, size: number): number {
  let result = 1;
  for (let i = 1; i <= size; i++) result = (result * (count - size + i)) / i;
  return Math.round(result);
}

function* subsetsOf(count: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) yield [];
  else
    for (let first = from; first <= count - size; first++)
      for (const rest of subsetsOf(count, size - 1, first + 1)) yield [first, ...rest];
}

/** The jackknife over parts of equal size. */
function jackknifeErrors(withoutOne: readonly Float64Array[]): Float64Array {
  const count = withoutOne.length;
  return (withoutOne[0] as Float64Array).map((_, feature) => {
    const values = withoutOne.map((attributions) => attributions[feature] as number);
    const mean = values.reduce((sum, value) => sum + value, 0) / count;
    return Math.sqrt(((count - 1) / count) * values.reduce((sum, value) => sum + (value - mean) ** 2, 0));
  });
}
