/**
 * Reading a tokenizer.json: unknown at the edge, narrowed here, and every complaint names its key.
 */
export type Json = Readonly<Record<string, unknown>>;

export class UnsupportedTokenizer extends Error {}

/** A pattern of tokenizer.json as an expression of this engine, global and with the flag `u`; the worker lends it. */
export type CompilePattern = (pattern: Json, key: string) => RegExp;

export function objectAt(value: unknown, key: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(key, 'an object', value);
  return value as Json;
}

export function listAt(value: unknown, key: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(key, 'a list', value);
  return value;
}

export function textAt(value: unknown, key: string): string {
  if (typeof value !== 'string') throw wrong(key, 'a text', value);
  return value;
}

export function numberAt(value: unknown, key: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(key, 'a number', value);
  return value;
}

/** Far beyond any vocabulary; what is built from ids stays small. */
const MAX_ID = 2 ** 24;

/** An id: a whole number from 0 up. */
export function idAt(value: unknown, key: string): number {
  const id = numberAt(value, key);
  if (!Number.isSafeInteger(id) || id < 0 || id >= MAX_ID) throw wrong(key, 'an id', value);
  return id;
}

export function flagAt(value: unknown, key: string, fallback: boolean): boolean {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'boolean') throw wrong(key, 'true or false', value);
  return value;
}

export function unsupported(key: string, what: string): UnsupportedTokenizer {
  return new UnsupportedTokenizer(`tokenizer.json: ${key}: ${what} is not supported`);
}

function wrong(key: string, expected: string, found: unknown): UnsupportedTokenizer {
  const shown = found === undefined ? 'nothing' : (JSON.stringify(found)?.slice(0, 80) ?? typeof found);
  return new UnsupportedTokenizer(`tokenizer.json: ${key}: expected ${expected}, found ${shown}`);
}
