/**
 * Whose inputs have ended processes, and which inputs did. Pure: the time is handed in.
 *
 * A caller whose inputs to one version were convicted three times in ten minutes is confined: what they send to that
 * version runs alone in quarantine for ten minutes, so that they cost nobody else a worker. An input that was convicted
 * is refused for ten minutes without being run again.
 */
import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';
import type { Item } from '../tasks/tasks.js';

const STRIKE_MEMORY_MS = 600_000;
const STRIKES_TO_CONFINE = 3;
/** Beyond, the oldest are forgotten: memory must not grow with the number of attackers. */
const MAX_RECORDS = 10_000;

export class PoisonInputs {
  readonly #strikes = new Map<string, number[]>();
  readonly #inputs = new Map<string, { readonly reason: string; readonly at: number }>();

  recordStrike(caller: string, versionKey: string, digest: string, reason: string, now: number): void {
    const key = keyOf(caller, versionKey);
    const recent = (this.#strikes.get(key) ?? [])
      .filter((at) => now - at < STRIKE_MEMORY_MS)
      .slice(1 - STRIKES_TO_CONFINE);
    putBounded(this.#strikes, key, [...recent, now]);
    putBounded(this.#inputs, keyOf(digest, versionKey), { reason, at: now });
  }

  isConfined(caller: string, versionKey: string, now: number): boolean {
    const times = this.#strikes.get(keyOf(caller, versionKey));
    return times?.length === STRIKES_TO_CONFINE && now - (times[0] as number) < STRIKE_MEMORY_MS;
  }

  /** Is a digest of anything worth computing? */
  get hasAny(): boolean {
    return this.#inputs.size > 0;
  }

  /** Why this input was convicted, if it was. */
  reasonToRefuse(digest: string, versionKey: string, now: number): string | null {
    const key = keyOf(digest, versionKey);
    const known = this.#inputs.get(key);
    if (!known) return null;
    if (now - known.at < STRIKE_MEMORY_MS) return known.reason;
    this.#inputs.delete(key);
    return null;
  }
}

function keyOf(...parts: string[]): string {
  return parts.join('\n');
}

function putBounded<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_RECORDS) map.delete(map.keys().next().value as string);
}

/** Names what an input is, whoever sent it. */
export function itemDigest(item: Item): string {
  return createHash('sha256').update(serialize(item)).digest('hex');
}
