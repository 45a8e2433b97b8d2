/**
 * Lets each caller begin only so many requests in a turn of the event loop, and all callers together do only so much of the
 * work that takes long, so that other connections are served in between. Without it, a thousand requests in one packet would all run before any
 * other connection is looked at, and so would large bodies that complete together.
 */

/** Requests of one caller that begin in one turn. */
const MAX_PER_TURN = 32;
/** Requests of one caller that wait for their turn. */
const MAX_WAITING = 1_000;

export class Turns {
  /** Requests that began in this turn. Each turn has new maps: see `LinkedList` for why they are not cleared. */
  #begun = new Map<string, number>();
  #waiting = new Map<string, (() => void)[]>();

  /** Calls `begin` now or in a later turn, in order of arrival; false if too many requests of the caller wait already. */
  take(caller: string, begin: () => void): boolean {
    const begun = this.#begun.get(caller) ?? 0;
    const waiting = this.#waiting.get(caller);
    if (waiting) {
      if (waiting.length >= MAX_WAITING) return false;
      waiting.push(begin);
    } else if (begun >= MAX_PER_TURN) this.#waiting.set(caller, [begin]);
    else {
      if (this.#begun.size === 0) setImmediate(() => this.#next());
      this.#begun.set(caller, begun + 1);
      begin();
    }
    return true;
  }

  #next(): void {
    const before = this.#waiting;
    this.#begun = new Map();
    this.#waiting = new Map();
    if (before.size === 0) return;
    setImmediate(() => this.#next());
    const next: (() => void)[] = [];
    for (const [caller, waiting] of before) {
      const begun = waiting.splice(0, MAX_PER_TURN);
      this.#begun.set(caller, begun.length);
      if (waiting.length > 0) this.#waiting.set(caller, waiting);
      next.push(...begun);
    }
    for (const begin of next) begin();
  }
}

interface Work {
  readonly amount: number;
  readonly run: () => void;
}

/** Work that takes long, in turns by caller. Whoever adds work bounds how much of it waits. */
export class WorkTurns {
  readonly #maxPerTurn: number;
  /** Whose turn is next is first. */
  readonly #waiting = new Map<string, Work[]>();
  #done = 0;

  /** @param maxPerTurn in the unit of `take`; a turn ends with the work that reaches it */
  constructor(maxPerTurn: number) {
    this.#maxPerTurn = maxPerTurn;
  }

  /** Calls `run` now or in a later turn. */
  take(caller: string, amount: number, run: () => void): void {
    this.#take(caller, { amount, run }, (waiting, work) => waiting.push(work));
  }

  /** The same, before other work of the caller that waits. */
  takeNext(caller: string, amount: number, run: () => void): void {
    this.#take(caller, { amount, run }, (waiting, work) => waiting.unshift(work));
  }

  #take(caller: string, work: Work, add: (waiting: Work[], work: Work) => void): void {
    if (this.#done === 0 && this.#waiting.size === 0) setImmediate(() => this.#next());
    if (this.#waiting.size === 0 && this.#done < this.#maxPerTurn) {
      this.#done += work.amount;
      work.run();
      return;
    }
    const waiting = this.#waiting.get(caller);
    if (waiting) add(waiting, work);
    else this.#waiting.set(caller, [work]);
  }

  #next(): void {
    this.#done = 0;
    if (this.#waiting.size === 0) return;
    setImmediate(() => this.#next());
    for (const [caller, waiting] of this.#waiting) {
      const { amount, run } = waiting.shift() as Work;
      this.#waiting.delete(caller);
      if (waiting.length > 0) this.#waiting.set(caller, waiting);
      this.#done += amount;
      run();
      if (this.#done >= this.#maxPerTurn) return;
    }
  }
}
