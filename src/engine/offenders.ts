/**
 * Whose inputs have ended processes, and which inputs did. Pure: the time is handed in.
 *
 * A caller whose inputs to one version were convicted three times in ten minutes is confined: what they send to that
 * version runs alone in quarantine for ten minutes, so that they cost nobody else a worker. An input that was convicted
 * is refused for ten minutes without being run again.
 */
import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';
import type { Item } from '../tasks/input.js';

const WINDOW_MS = 600_000;
const CONVICTIONS_TO_CONFINE = 3;
/** Beyond, the oldest are forgotten: memory must not grow with the number of attackers. */
const MAX_KEPT = 10_000;

export class Offenders {
  readonly #times = new Map<string, number[]>();
  readonly #culprits = new Map<string, { readonly reason: string; readonly at: number }>();

  convict(caller: string, versionKey: string, digest: string, reason: string, now: number): void {
    const key = keyOf(caller, versionKey);
    const recent = (this.#times.get(key) ?? []).filter((at) => now - at < WINDOW_MS).slice(1 - CONVICTIONS_TO_CONFINE);
    put(this.#times, key, [...recent, now]);
    put(this.#culprits, keyOf(digest, versionKey), { reason, at: now });
  }

  isConfined(caller: string, versionKey: string, now: number): boolean {
    const times = this.#times.get(keyOf(caller, versionKey));
    return times?.length === CONVICTIONS_TO_CONFINE && now - (times[0] as number) < WINDOW_MS;
  }

  /** Is a digest of anything worth computing? */
  get hasCulprits(): boolean {
    return this.#culprits.size > 0;
  }

  /** Why this input was convicted, if it was. */
  reasonAgainst(digest: string, versionKey: string, now: number): string | null {
    const key = keyOf(digest, versionKey);
    const known = this.#culprits.get(key);
    if (!known) return null;
    if (now - known.at < WINDOW_MS) return known.reason;
    this.#culprits.delete(key);
    return null;
  }
}

function keyOf(...parts: string[]): string {
  return parts.join('\n');
}

function put<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_KEPT) map.delete(map.keys().next().value as string);
}

/** Names what an input is, whoever sent it. */
export function digestOf(item: Item): string {
  return createHash('sha256').update(serialize(item)).digest('hex');
}
