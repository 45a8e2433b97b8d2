/**
 * Lets each caller begin only so many requests in a turn of the event loop, so that the requests of others are read in
 * between. Without it, a thousand requests in one packet would all run before any other connection is looked at.
 */

/** Requests of one caller that begin in one turn. */
const MAX_PER_TURN = 32;
/** Requests of one caller that wait for their turn. */
const MAX_WAITING = 1_000;

export class Turns {
  /** Requests that began in this turn. */
  readonly #begun = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

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
    this.#begun.clear();
    if (this.#waiting.size === 0) return;
    setImmediate(() => this.#next());
    for (const [caller, waiting] of this.#waiting) {
      const next = waiting.splice(0, MAX_PER_TURN);
      this.#begun.set(caller, next.length);
      if (waiting.length === 0) this.#waiting.delete(caller);
      for (const begin of next) begin();
    }
  }
}
