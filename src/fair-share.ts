/** How callers share what is limited, such as places, bytes and connections: nobody takes what others need. */

/**
 * Whether a caller may take this much more: at most as much in all as is left for all others. So one caller alone can
 * take half of the limit, and can never keep others out.
 */
export function fitsShare(more: number, ofAll: number, ofCaller: number, limit: number): boolean {
  return ofAll + more <= limit && ofCaller + more <= limit - ofAll;
}

/** What callers have taken, in any unit. */
export class Shares {
  /** Callers who have taken nothing have no entry. */
  readonly #byCaller = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(caller: string): number {
    return this.#byCaller.get(caller) ?? 0;
  }

  /** The caller who has taken most; null if nobody has taken anything. Looks at every caller. */
  get greatest(): string | null {
    let greatest: string | null = null;
    for (const [caller, taken] of this.#byCaller) if (!greatest || taken > this.of(greatest)) greatest = caller;
    return greatest;
  }

  add(caller: string, more: number): void {
    this.#total += more;
    this.#byCaller.set(caller, this.of(caller) + more);
  }

  giveBack(caller: string, taken: number): void {
    const left = this.of(caller) - taken;
    this.#total -= taken;
    if (left > 0) this.#byCaller.set(caller, left);
    else this.#byCaller.delete(caller);
  }
}

/** Work that is done one at a time, in the order in which it came. */
export class OneAtATime {
  readonly #max: number;
  readonly #waiting = new Shares();
  #last: Promise<unknown> = Promise.resolve();

  /** `max`: pieces of work that wait or are done; of one caller, as many as are left for all others. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Of all callers, with the one that is done. */
  get waiting(): number {
    return this.#waiting.total;
  }

  /** Whether more work of the caller may wait. */
  hasRoomFor(caller: string): boolean {
    return fitsShare(1, this.#waiting.total, this.#waiting.of(caller), this.#max);
  }

  /** To be asked first: `hasRoomFor`. @throws as `work` */
  async run<T>(caller: string, work: () => T | Promise<T>): Promise<T> {
    this.#waiting.add(caller, 1);
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    try {
      return await done;
    } finally {
      this.#waiting.giveBack(caller, 1);
    }
  }
}
