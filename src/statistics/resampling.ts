/**
 * Which items a resample has: groups of items drawn with replacement, as many as there are.
 *
 * An item is what a metric counts once: a row, an image, a document. Items of one group, such as the pages of a document,
 * are drawn together, because they are not independent of each other.
 */
import { Xoshiro128 } from './random.js';

export interface Items {
  readonly count: number;
  /** The group of each item; null if items are independent. */
  readonly groups: readonly string[] | null;
}

/** Indices of items by group: those of group g are `items[starts[g]]` up to, but not including, `items[starts[g + 1]]`. */
interface Grouped {
  readonly starts: Uint32Array;
  readonly items: Uint32Array;
}

export class Resampler {
  readonly groupCount: number;
  readonly #grouped: Grouped | null;
  readonly #random: Xoshiro128;
  readonly #drawn: Uint32Array;
  /** Groups in a random order, so that blocks of them are alike whatever the order of the items. */
  readonly #shuffled: Uint32Array;
  #chosen: Uint32Array;

  /** @throws RangeError if there is not one group for each item */
  constructor({ count, groups }: Items, seed: string) {
    if (groups && groups.length !== count) throw new RangeError(`${count} items have ${groups.length} groups`);
    this.#grouped = groups && groupedBy(groups);
    this.groupCount = this.#grouped ? this.#grouped.starts.length - 1 : count;
    this.#random = Xoshiro128.seeded(seed);
    this.#drawn = new Uint32Array(this.groupCount);
    this.#shuffled = Xoshiro128.seeded(`${seed} shuffled`).permutation(this.groupCount);
    this.#chosen = new Uint32Array(count);
  }

  /** The items of the next resample, which are valid until the next call. An item is listed as often as it was drawn. */
  draw(): Uint32Array {
    this.#random.fillBelow(this.#drawn, this.groupCount);
    return this.#itemsOf(this.#drawn);
  }

  /** The items of all groups but those of a block, from 0 to `blocks` − 1. Valid until the next call. */
  without(block: number, blocks: number): Uint32Array {
    let kept = 0;
    for (let i = 0; i < this.groupCount; i++)
      if (i % blocks !== block) this.#drawn[kept++] = this.#shuffled[i] as number;
    return this.#itemsOf(this.#drawn.subarray(0, kept));
  }

  #itemsOf(groups: Uint32Array): Uint32Array {
    if (!this.#grouped) return groups;
    const { starts, items } = this.#grouped;
    let count = 0;
    for (const group of groups) count += (starts[group + 1] as number) - (starts[group] as number);
    if (count > this.#chosen.length) this.#chosen = new Uint32Array(count * 2);
    let at = 0;
    for (const group of groups) {
      const end = starts[group + 1] as number;
      for (let i = starts[group] as number; i < end; i++) this.#chosen[at++] = items[i] as number;
    }
    return this.#chosen.subarray(0, count);
  }
}

/** Null if each item is a group of its own. */
function groupedBy(groups: readonly string[]): Grouped | null {
  const numbers = new Map<string, number>();
  const groupOf = Uint32Array.from(groups, (name) => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return number;
  });
  if (numbers.size === groups.length) return null;
  const starts = new Uint32Array(numbers.size + 1);
  for (const group of groupOf) (starts[group + 1] as number)++;
  for (let group = 0; group < numbers.size; group++) (starts[group + 1] as number) += starts[group] as number;
  const next = starts.slice();
  const items = new Uint32Array(groups.length);
  for (const [item, group] of groupOf.entries()) items[(next[group] as number)++] = item;
  return { starts, items };
}
