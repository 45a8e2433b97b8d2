/** Reads a value of a column: from what the file has to what is stored, or to what is wrong with it. */
import { shortened } from '../errors.js';
import { BOOLEAN, type DatasetColumn, NUMBER } from './dataset-columns.js';
import { MAX_CATEGORIES, MAX_LEVELS } from './dataset-limits.js';
import type { RowImages } from './row-images.js';
import type { ValueProblem } from './row-problem.js';

/** `undefined` never is a value. */
type Read = { readonly value: unknown } | { readonly problem: ValueProblem };

const MAX_SHOWN_CHARACTERS = 100;
const DIGITS = /^-?\d{1,38}$/;

/** The values of one column, in the order of rows. What it has seen of them says what the column is. */
export class ColumnValues {
  readonly #column: DatasetColumn;
  readonly #images: RowImages;
  readonly #isText: boolean;
  /** The values that are accepted; those that were seen, if any are. */
  readonly #categories: Set<string>;
  readonly #isOpen: boolean;
  readonly #isInferred: boolean;
  readonly #seen = new Set<string>();
  #hasMissing = false;
  #isWhole = true;

  /** `images`: those of all columns. */
  constructor(
    column: DatasetColumn,
    images: RowImages,
    { isText, isInferred }: { isText: boolean; isInferred: boolean },
  ) {
    this.#column = column;
    this.#images = images;
    this.#isText = isText;
    this.#isInferred = isInferred;
    this.#categories = new Set(column.categories);
    this.#isOpen = column.type === 'CATEGORY' && column.categories.length === 0;
  }

  get name(): string {
    return this.#column.name;
  }

  /** How many different labels were seen; null for other types than CATEGORY. */
  get labels(): number | null {
    return this.#column.type === 'CATEGORY' ? this.#seen.size : null;
  }

  /** As it is stored: what was inferred is what was seen. */
  get column(): DatasetColumn {
    const { type, categories } = this.#column;
    const seen = this.#isOpen ? [...this.#seen].sort() : categories;
    if (!this.#isInferred) return { ...this.#column, categories: seen };
    const inferred = type === 'NUMBER' && this.#isWhole ? 'INTEGER' : type;
    return { ...this.#column, type: inferred, categories: seen, required: !this.#hasMissing };
  }

  /** `isNeeded`: whether each row must have it, whatever the column says. */
  read(value: unknown, isNeeded: boolean): Read {
    if (value === undefined || value === null || (this.#isText && value === '')) return this.#missing(isNeeded);
    const read = this.#given(this.#isText ? this.#parsed(value as string) : value);
    return read ?? { problem: this.#wrong(value) };
  }

  #missing(isNeeded: boolean): Read {
    this.#hasMissing = true;
    if (!isNeeded && (this.#isInferred || !this.#column.required)) return { value: null };
    return {
      problem: { code: 'MISSING', message: 'the value is missing', expected: this.#column.type, received: null },
    };
  }

  /** What a text of CSV stands for; the text itself if it is no such value. */
  #parsed(text: string): unknown {
    const trimmed = text.trim();
    switch (this.#column.type) {
      case 'NUMBER':
        return NUMBER.test(trimmed) ? Number(trimmed) : text;
      case 'INTEGER':
        return NUMBER.test(trimmed) ? wholeOf(trimmed) : text;
      case 'BOOLEAN':
        return BOOLEAN.test(trimmed) ? trimmed.toLowerCase() === 'true' : text;
      case 'JSON':
        return jsonOf(text);
      default:
        return text;
    }
  }

  #given(value: unknown): Read | null {
    switch (this.#column.type) {
      case 'NUMBER':
        return this.#number(typeof value === 'bigint' ? Number(value) : value);
      case 'INTEGER':
        return this.#integer(value);
      case 'BOOLEAN':
        return typeof value === 'boolean' ? { value } : null;
      case 'CATEGORY':
        return this.#category(this.#isInferred && typeof value !== 'object' ? String(value) : value);
      case 'TEXT':
        return typeof value === 'string' ? { value: value.toWellFormed() } : null;
      case 'IMAGE':
        return typeof value === 'string' ? this.#images.read(value) : null;
      case 'JSON':
        if (isShallow(value, MAX_LEVELS)) return { value };
        return problem(
          'TOO_LARGE',
          'the value is nested too deeply, or is no JSON',
          `at most ${MAX_LEVELS} levels`,
          value,
        );
    }
  }

  #number(value: unknown): Read | null {
    if (typeof value !== 'number') return null;
    if (!Number.isFinite(value)) return problem('NOT_FINITE', 'the number is not finite', 'a finite number', value);
    this.#isWhole &&= Number.isSafeInteger(value);
    return this.#ranged(value);
  }

  #integer(value: unknown): Read | null {
    const whole = typeof value === 'string' || typeof value === 'bigint' ? wholeOf(String(value)) : value;
    if (typeof whole === 'string') return DIGITS.test(whole) ? { value: whole } : null;
    return Number.isSafeInteger(whole) ? this.#ranged(whole as number) : null;
  }

  #ranged(value: number): Read {
    const { minimum, maximum } = this.#column;
    if (value >= (minimum ?? -Infinity) && value <= (maximum ?? Infinity)) return { value };
    return problem('OUT_OF_RANGE', 'the number is out of range', `${minimum ?? '-∞'} to ${maximum ?? '∞'}`, value);
  }

  #category(value: unknown): Read | null {
    if (typeof value !== 'string') return null;
    const label = value.toWellFormed();
    if (!this.#isOpen && !this.#categories.has(label)) {
      const expected = `one of ${[...this.#categories].slice(0, 20).join(', ')}`;
      return problem('NOT_IN_CATEGORIES', 'the value is not one of the categories', expected, label);
    }
    if (this.#seen.size < MAX_CATEGORIES || this.#seen.has(label)) {
      this.#seen.add(label);
      return { value: label };
    }
    return problem('TOO_LARGE', 'there are too many different labels', `at most ${MAX_CATEGORIES}`, label);
  }

  #wrong(value: unknown): ValueProblem {
    const expected = EXPECTED[this.#column.type];
    const hint = this.#isInferred ? ', as most values of the column; state its type in `columns` if it is another' : '';
    return {
      code: 'WRONG_TYPE',
      message: 'the value has another type than the column',
      expected: `${expected}${hint}`,
      received: shown(value),
    };
  }
}

const EXPECTED = {
  NUMBER: 'a number',
  INTEGER: 'a whole number',
  BOOLEAN: 'true or false',
  CATEGORY: 'a text',
  TEXT: 'a text',
  IMAGE: 'a JPEG, PNG or WebP file as base64, or sha256: and its digest',
  JSON: `JSON of at most ${MAX_LEVELS} levels`,
} as const;

function problem(code: ValueProblem['code'], message: string, expected: string, value: unknown): Read {
  return { problem: { code, message, expected, received: shown(value) } };
}

function shown(value: unknown): string {
  if (typeof value === 'string') return shortened(JSON.stringify(value), MAX_SHOWN_CHARACTERS);
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

/** A number if it is exact as one, or else the digits. */
function wholeOf(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) || !DIGITS.test(text) ? number : text;
}

/** `undefined`, which is of no type, if it is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether it can be stored as JSON, with at most this many levels. */
function isShallow(value: unknown, levels: number): boolean {
  if (value === undefined || typeof value === 'bigint') return false;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}
