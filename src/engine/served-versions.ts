/** What the engine knows of each version that inputs were sent to. */
import { VersionLatency } from './latency.js';
import type { EngineVersion } from './messages.js';
import type { ScheduledVersion } from './schedule.js';

/** Versions whose durations are remembered although they are not in use. */
export const MAX_SERVED_VERSIONS = 4_000;
/** Forgotten at once, so that the cost of finding them is spread over many new ones. */
const FORGOTTEN_AT_ONCE = MAX_SERVED_VERSIONS / 10;

export class ServedVersions {
  readonly #byKey = new Map<string, ScheduledVersion>();
  readonly #keysInUse: () => ReadonlySet<string>;
  #forgetAtSize = MAX_SERVED_VERSIONS;

  /** `keysInUse`: versions that are in memory or have queued inputs. Those with batches are not forgotten either. */
  constructor(keysInUse: () => ReadonlySet<string>) {
    this.#keysInUse = keysInUse;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): ScheduledVersion | undefined {
    return this.#byKey.get(key);
  }

  values(): Iterable<ScheduledVersion> {
    return this.#byKey.values();
  }

  /** Makes room if the version is new and there are too many. */
  of(version: EngineVersion, now: number): ScheduledVersion {
    const known = this.#byKey.get(version.key);
    if (known) return known;
    if (this.#byKey.size >= this.#forgetAtSize) this.#forgetOldest(now);
    const served = { version, latency: new VersionLatency(), running: 0, blockedSince: null, overload: null };
    this.#byKey.set(version.key, served);
    return served;
  }

  /** Those that were measured longest ago, or never. */
  #forgetOldest(now: number): void {
    const inUse = this.#keysInUse();
    const forgotten = [...this.#byKey.values()]
      .filter(({ version, running }) => running === 0 && !inUse.has(version.key))
      .map(({ version: { key }, latency }) => ({ key, ageMs: Math.min(latency.ageMs(now), Number.MAX_VALUE) }))
      .sort((a, b) => b.ageMs - a.ageMs);
    for (const { key } of forgotten.slice(0, FORGOTTEN_AT_ONCE)) this.#byKey.delete(key);
    this.#forgetAtSize = Math.max(MAX_SERVED_VERSIONS, this.#byKey.size + FORGOTTEN_AT_ONCE);
  }
}
