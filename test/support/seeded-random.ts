/** Seeded random numbers: the same seed gives the same cases. */

export type Random = () => number;

/** mulberry32, which is good enough to choose test cases. Returns numbers from 0 up to, but not including, 1. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An integer from 0 to `count` − 1. */
export function below(random: Random, count: number): number {
  return Math.floor(random() * count);
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[below(random, list.length)] as T;
}

export function list<T>(random: Random, longest: number, make: () => T): T[] {
  return Array.from({ length: below(random, longest + 1) }, make);
}
