/** Counts events by name. */

/** Names are words of this server's code, so this is never reached; what is beyond it is counted as `OTHER`. */
const MAX_NAMES = 100;

export class Tally<Name extends string = string> {
  readonly #counts: Map<Name | 'OTHER', number>;

  /** `names`: those that are shown before they are first counted. A rate cannot see the step from nothing to 1. */
  constructor(names: readonly Name[] = []) {
    this.#counts = new Map(names.map((name) => [name, 0]));
  }

  add(name: Name, count = 1): void {
    const counted = this.#counts.has(name) || this.#counts.size < MAX_NAMES ? name : 'OTHER';
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + count);
  }

  get entries(): Iterable<[string, number]> {
    return this.#counts;
  }
}
