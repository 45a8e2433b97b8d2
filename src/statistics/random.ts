/**
 * Random numbers that a seed decides, the same on every machine.
 *
 * The generator is xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021;
 * https://prng.di.unimi.it/xoshiro128starstar.c), with a period of 2¹²⁸ − 1. Its state is the first half of the SHA-256
 * of the seed, so that similar seeds have unrelated numbers. Not for secrets.
 */
import { createHash } from 'node:crypto';

const TWO_32 = 2 ** 32;
const { imul } = Math;

export class Xoshiro128 {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `state`: four numbers of 32 bits, not all zero. */
  constructor(state: readonly [number, number, number, number]) {
    [this.#a, this.#b, this.#c, this.#d] = state;
  }

  static seeded(seed: string): Xoshiro128 {
    const digest = createHash('sha256').update(seed).digest();
    return new Xoshiro128([0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [number, number, number, number]);
  }

  /** An integer from 0 to 2³² − 1. */
  next(): number {
    const scrambled = imul(this.#b, 5);
    const result = imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** An integer from 0 to `count` − 1, each as likely as the others. `count`: from 1 to 2³². */
  below(count: number): number {
    const end = TWO_32 - (TWO_32 % count);
    for (;;) {
      const drawn = this.next();
      if (drawn < end) return drawn % count;
    }
  }

  /** Fills `target` with integers from 0 to `count` − 1. */
  fillBelow(target: Uint32Array, count: number): void {
    const end = TWO_32 - (TWO_32 % count);
    for (let i = 0; i < target.length; ) {
      const drawn = this.next();
      if (drawn < end) target[i++] = drawn % count;
    }
  }

  /** A multiple of 2⁻⁵³ from 0 up to, but not including, 1. */
  uniform(): number {
    return ((this.next() >>> 5) * 2 ** 26 + (this.next() >>> 6)) / 2 ** 53;
  }

  /** The integers from 0 to `count` − 1 in a random order, each order as likely as the others. */
  permutation(count: number): Uint32Array {
    const shuffled = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const other = this.below(i + 1);
      const value = shuffled[i] as number;
      shuffled[i] = shuffled[other] as number;
      shuffled[other] = value;
    }
    return shuffled;
  }
}
