/**
 * Items that wait, of several callers: callers take turns, and the items of one caller keep their order. So a caller waits
 * for one item of each other caller, however many those have. Pure.
 */
export class RoundRobin<T> {
  readonly #max: number;
  /** Those whose items wait, in the order of their turns. */
  readonly #callers = new Map<string, T[]>();
  #size = 0;

  /** At most `max` items wait. */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** If more than `max` items wait, removes and returns the newest item of the caller with the most items. */
  add(caller: string, item: T): T | undefined {
    const items = this.#callers.get(caller) ?? [];
    this.#callers.set(caller, items);
    items.push(item);
    if (++this.#size <= this.#max) return undefined;
    const [most, longest] = this.#most(caller, items);
    return this.#taken(most, longest, longest.pop());
  }

  next(): T | undefined {
    const [first] = this.#callers;
    if (!first) return undefined;
    const [caller, items] = first;
    // To the end.
    this.#callers.delete(caller);
    this.#callers.set(caller, items);
    return this.#taken(caller, items, items.shift());
  }

  #taken(caller: string, left: T[], item: T | undefined): T | undefined {
    if (left.length === 0) this.#callers.delete(caller);
    this.#size--;
    return item;
  }

  /** The newest caller, unless another has more. */
  #most(newest: string, items: T[]): [caller: string, items: T[]] {
    let most: [string, T[]] = [newest, items];
    for (const other of this.#callers) if (other[1].length > most[1].length) most = other;
    return most;
  }
}
