/**
 * Parts of the JSON of a signature. The first part that is not as expected is thrown, with where it is, what was expected and
 * what is there: nothing is collected, because nobody vouches for the text before its signature is verified.
 */
import { JsonScan } from '../json-scan.js';
import { signatureError } from './signature-file.js';

/** Values and keys. A signed file takes seven, and a file of the largest size has room for about 2,500. */
const MAX_VALUES = 30_000;
const MAX_LEVELS = 20;

export class JsonPart {
  readonly #value: unknown;
  readonly #place: string;

  private constructor(value: unknown, place: string) {
    this.#value = value;
    this.#place = place;
  }

  /** `place`: what the bytes are. @throws SignatureError */
  static parse(bytes: Uint8Array, place: string): JsonPart {
    const refuse = (expected: string, received: string) =>
      signatureError('UNREADABLE', `${place} is not accepted`, expected, received);
    const fault = new JsonScan({ maxBodyValues: MAX_VALUES, maxBodyDepth: MAX_LEVELS }).scan(bytes);
    if (fault === 'maxBodyValues' || fault === 'maxBodyDepth')
      throw refuse(`JSON of at most ${MAX_VALUES} values and ${MAX_LEVELS} levels`, 'more');
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      return new JsonPart(JSON.parse(text), place);
    } catch {
      throw refuse('JSON in UTF-8', `${bytes.length} other bytes`);
    }
  }

  get isThere(): boolean {
    return this.#value !== undefined && this.#value !== null;
  }

  get(key: string): JsonPart {
    const isObject = typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value);
    if (!isObject) this.refuse('an object');
    const own = Object.getOwnPropertyDescriptor(this.#value, key);
    return new JsonPart(own?.value, `${this.#place}.${key}`);
  }

  list(): JsonPart[] {
    if (!Array.isArray(this.#value)) return this.refuse('a list');
    return this.#value.map((value, i) => new JsonPart(value, `${this.#place}.${i}`));
  }

  /** Of a list that must have one element. */
  only(): JsonPart {
    const [first, ...others] = Array.isArray(this.#value) ? this.list() : [];
    if (!first || others.length > 0) return this.refuse('a list of one element');
    return first;
  }

  text(): string {
    return typeof this.#value === 'string' ? this.#value : this.refuse('a text');
  }

  is(expected: string): void {
    if (this.#value !== expected) this.refuse(JSON.stringify(expected));
  }

  /** Of the alphabet with + and /, with padding, and without anything else: each value has one text. */
  base64(): Buffer {
    const text = this.text();
    const bytes = Buffer.from(text, 'base64');
    return bytes.length > 0 && bytes.toString('base64') === text ? bytes : this.refuse('base64');
  }

  sha256(): string {
    const text = this.text();
    return /^[0-9a-f]{64}$/.test(text) ? text : this.refuse('64 hexadecimal digits in lower case');
  }

  refuse(expected: string, received = JSON.stringify(this.#value) ?? null): never {
    const code = this.isThere ? 'UNREADABLE' : 'MISSING';
    throw signatureError(code, `${this.#place} is not accepted`, expected, received);
  }
}
