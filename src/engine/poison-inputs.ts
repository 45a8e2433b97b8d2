/**
 * Remembers poison inputs and the callers who sent them.
 *
 * A poison input is one that ended its process while it ran alone in quarantine. It counts as a strike against its
 * caller and is refused for 10 minutes without being run again. An input that is answered alone, but for which a worker
 * had too little memory beside other versions, counts as a strike too. Three strikes within 10 minutes, for one caller and
 * one version, confine the caller: that caller's inputs to that version run in quarantine until the oldest strike is
 * 10 minutes old, so they cannot kill workers that serve others.
 *
 * Pure: callers pass the current time in milliseconds.
 */
import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';
import type { Item } from '../tasks/tasks.js';

const STRIKE_MEMORY_MS = 600_000;
const STRIKES_TO_CONFINE = 3;
/** The oldest records beyond this number are dropped, so memory does not grow with the number of attackers. */
const MAX_RECORDS = 10_000;

export class PoisonInputs {
  readonly #strikes = new Map<string, number[]>();
  readonly #inputs = new Map<string, { readonly reason: string; readonly at: number }>();
  /** When a version had its last poison input. */
  readonly #lastAt = new Map<string, number>();

  recordPoisonInput(caller: string, versionKey: string, digest: string, reason: string, now: number): void {
    this.recordStrike(caller, versionKey, now);
    putBounded(this.#inputs, keyOf(digest, versionKey), { reason, at: now });
    putBounded(this.#lastAt, versionKey, now);
  }

  recordStrike(caller: string, versionKey: string, now: number): void {
    const key = keyOf(caller, versionKey);
    const recent = (this.#strikes.get(key) ?? [])
      .filter((at) => now - at < STRIKE_MEMORY_MS)
      .slice(1 - STRIKES_TO_CONFINE);
    putBounded(this.#strikes, key, [...recent, now]);
  }

  isConfined(caller: string, versionKey: string, now: number): boolean {
    const times = this.#strikes.get(keyOf(caller, versionKey));
    return times?.length === STRIKES_TO_CONFINE && now - (times[0] as number) < STRIKE_MEMORY_MS;
  }

  /** Whether a poison input of the version is known. If not, callers can skip computing a digest. */
  hasFor(versionKey: string, now: number): boolean {
    const at = this.#lastAt.get(versionKey);
    return at !== undefined && now - at < STRIKE_MEMORY_MS;
  }

  /** Why the input with this digest failed in quarantine; null if it is not a known poison input. */
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

/** SHA-256 of an input's content in hex, the same for every caller. */
export function itemDigest(item: Item): string {
  return createHash('sha256').update(serialize(item)).digest('hex');
}
