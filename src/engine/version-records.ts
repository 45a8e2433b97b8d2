/** What the engine remembers of versions, by their keys. Those that are not in use are forgotten when there are too many. */
import type { EngineVersion } from './messages.js';

/** Versions that are remembered although they are not in use. */
export const MAX_VERSION_RECORDS = 4_000;
/** Forgotten at once, so that the cost of finding them is spread over many new ones. */
const FORGOTTEN_AT_ONCE = MAX_VERSION_RECORDS / 10;

export class VersionRecords<T extends { readonly version: EngineVersion }> {
  readonly #byKey = new Map<string, T>();
  readonly #isKept: () => (record: T) => boolean;
  readonly #rank: (record: T) => number;
  #forgetAtSize = MAX_VERSION_RECORDS;

  /** `isKept`: returns a test for records that must not be forgotten. `rank`: those with the lowest are forgotten first. */
  constructor(isKept: () => (record: T) => boolean, rank: (record: T) => number) {
    this.#isKept = isKept;
    this.#rank = rank;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  values(): Iterable<T> {
    return this.#byKey.values();
  }

  delete(key: string): void {
    this.#byKey.delete(key);
  }

  /** Makes room if there are too many. */
  add(record: T): T {
    if (this.#byKey.size >= this.#forgetAtSize) this.#forgetLowest();
    this.#byKey.set(record.version.key, record);
    return record;
  }

  #forgetLowest(): void {
    const isKept = this.#isKept();
    const candidates = [...this.#byKey.values()]
      .filter((record) => !isKept(record))
      .map((record) => ({ key: record.version.key, rank: this.#rank(record) }))
      .sort((a, b) => a.rank - b.rank);
    for (const { key } of candidates.slice(0, FORGOTTEN_AT_ONCE)) this.#byKey.delete(key);
    // If nearly all are in use, they are not looked at again for each new one.
    this.#forgetAtSize = Math.max(MAX_VERSION_RECORDS, this.#byKey.size + FORGOTTEN_AT_ONCE);
  }
}
