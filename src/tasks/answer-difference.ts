/** How two answers to the same input differ. */
import type { Answer } from './answer.js';

export interface AnswerDifference {
  /**
   * The largest difference of two numbers: absolute for values up to 1, relative to the first answer's value above. Null if
   * the answers have no numbers in common places.
   */
  readonly largest: number | null;
  /** The first place where they differ by more than the tolerance, or otherwise than by numbers; null if there is none. */
  readonly first: string | null;
}

/** Compares two answers of one version to one input: every number, label, text and position. */
export function answerDifference(earlier: Answer, later: Answer, tolerance: number): AnswerDifference {
  const comparison = new Comparison(tolerance);
  comparison.add('', earlier, later);
  return comparison;
}

class Comparison implements AnswerDifference {
  largest: number | null = null;
  first: string | null = null;

  constructor(readonly tolerance: number) {}

  add(place: string, a: unknown, b: unknown): void {
    if (typeof a === 'number' && typeof b === 'number') this.#addNumbers(place, a, b);
    else if (isList(a) && isList(b)) this.#addLists(place, a, b);
    else if (isRecord(a) && isRecord(b)) this.#addRecords(place, a, b);
    else if (a !== b) this.#differ(place, a, b);
  }

  #addNumbers(place: string, a: number, b: number): void {
    const isSame = a === b || Object.is(a, b);
    const difference = isSame ? 0 : Math.abs(a - b) / Math.max(1, Math.abs(a));
    // NaN and infinite values only equal themselves.
    if (Number.isFinite(difference)) this.largest = Math.max(this.largest ?? 0, difference);
    if (!(difference <= this.tolerance)) this.#differ(place, a, b);
  }

  #addLists(place: string, a: ArrayLike<unknown>, b: ArrayLike<unknown>): void {
    if (a.length !== b.length) this.#differ(`${place}.length`, a.length, b.length);
    for (let i = 0; i < Math.min(a.length, b.length); i++) this.add(`${place}[${i}]`, a[i], b[i]);
  }

  #addRecords(place: string, a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): void {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      this.add(place === '' ? key : `${place}.${key}`, a[key], b[key]);
  }

  #differ(place: string, a: unknown, b: unknown): void {
    this.first ??= `${place} was ${shown(a)} and is ${shown(b)}`;
  }
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

const MAX_SHOWN_CHARACTERS = 60;

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = typeof value === 'string' ? JSON.stringify(value) : isRecord(value) ? 'something else' : String(value);
  return text.length <= MAX_SHOWN_CHARACTERS ? text : `${text.slice(0, MAX_SHOWN_CHARACTERS)}…`;
}
