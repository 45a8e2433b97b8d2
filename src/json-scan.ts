/**
 * Checks JSON chunk by chunk: its syntax, how many values it has and how deeply they are nested.
 *
 * A text that would not be parsed, or is too expensive to parse, is thus known before it is parsed, and before a body has
 * arrived whole. A chunk of a body takes well under a millisecond. What passes is accepted by `JSON.parse`.
 */

export interface ScanLimits {
  /** Values and keys: each string, number, boolean, null, list, object and key. */
  readonly maxBodyValues: number;
  /** Nested lists and objects. */
  readonly maxBodyDepth: number;
}

/** `notANumber`: NaN, Infinity or -Infinity, which Python writes and JSON does not have. */
export type ScanFault = 'syntax' | 'notANumber' | keyof ScanLimits;

enum At {
  /** Expects a byte order mark or a value. */
  Start,
  ByteOrderMark,
  /** Expects a value. */
  Value,
  /** Expects a value or the end of a list. */
  FirstElement,
  /** Expects a key or the end of an object. */
  FirstKey,
  Key,
  Colon,
  /** Expects a comma or the end of the list or object; at the end of the text, nothing. */
  AfterValue,
  String,
  Escape,
  /** In the four digits of a \u escape. */
  Hex,
  /** In `true`, `false` or `null`. */
  Word,
  /** In a number, by what came before. The four that may end a number are last. */
  Minus,
  Point,
  Exponent,
  ExponentSign,
  Zero,
  Digits,
  Fraction,
  ExponentDigits,
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));
const WORDS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]));
/** Not in JSON; recognized only to say so. */
const INFINITY = Buffer.from('Infinity');
const NOT_NUMBERS = [Buffer.from('NaN'), INFINITY];
const NO_WORD = Buffer.alloc(0);
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);

export class JsonScan {
  readonly #limits: ScanLimits;
  /** For each open list or object, whether it is an object. */
  readonly #isObject: boolean[] = [];
  #at = At.Start;
  #isKey = false;
  #word = NO_WORD;
  /** Bytes of the mark or word, or digits of the escape, that have been read. */
  #read = 0;
  #values = 0;

  constructor(limits: ScanLimits) {
    this.#limits = limits;
  }

  /** The first fault in the text so far; null if there is none. After a fault, nothing more may be scanned. */
  scan(chunk: Uint8Array): ScanFault | null {
    let i = 0;
    while (i < chunk.length) {
      if (this.#at === At.String) i = this.#skipText(chunk, i);
      else if (this.#at === At.Digits || this.#at === At.Fraction) i = skipDigits(chunk, i);
      if (i === chunk.length) break;
      const fault = this.#step(chunk[i] as number);
      if (fault) return fault;
      i++;
    }
    return null;
  }

  /** Values and keys so far. */
  get values(): number {
    return this.#values;
  }

  /** Whether the text is complete. */
  get isComplete(): boolean {
    return this.#isObject.length === 0 && (this.#at === At.AfterValue || this.#at >= At.Zero);
  }

  /** Returns the index of the next byte that is not ordinary text. */
  #skipText(chunk: Uint8Array, from: number): number {
    let i = from;
    for (; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if (byte === QUOTE || byte === BACKSLASH || byte < 0x20) break;
    }
    return i;
  }

  #step(byte: number): ScanFault | null {
    switch (this.#at) {
      case At.Start:
        this.#at = byte === BYTE_ORDER_MARK[0] ? At.ByteOrderMark : At.Value;
        this.#read = 1;
        return this.#at === At.ByteOrderMark ? null : this.#step(byte);
      case At.ByteOrderMark:
        if (byte !== BYTE_ORDER_MARK[this.#read]) return 'syntax';
        if (++this.#read === BYTE_ORDER_MARK.length) this.#at = At.Value;
        return null;
      case At.String:
        return this.#endText(byte);
      case At.Escape:
        this.#at = byte === 0x75 ? At.Hex : At.String;
        this.#read = 0;
        return byte === 0x75 || ESCAPES.has(byte) ? null : 'syntax';
      case At.Hex:
        if (++this.#read === 4) this.#at = At.String;
        return isHex(byte) ? null : 'syntax';
      case At.Word:
        if (byte !== this.#word[this.#read]) return 'syntax';
        if (++this.#read < this.#word.length) return null;
        this.#at = At.AfterValue;
        return NOT_NUMBERS.includes(this.#word) ? 'notANumber' : null;
      default:
        return this.#at >= At.Minus ? this.#stepNumber(byte) : isSpace(byte) ? null : this.#stepBetween(byte);
    }
  }

  #endText(byte: number): ScanFault | null {
    if (byte === BACKSLASH) this.#at = At.Escape;
    else if (byte === QUOTE) this.#at = this.#isKey ? At.Colon : At.AfterValue;
    else return 'syntax';
    return null;
  }

  #stepBetween(byte: number): ScanFault | null {
    switch (this.#at) {
      case At.Value:
        return this.#begin(byte);
      case At.FirstElement:
        return byte === CLOSE_LIST ? this.#close(false) : this.#begin(byte);
      case At.FirstKey:
        return byte === CLOSE_OBJECT ? this.#close(true) : this.#beginText(byte, true);
      case At.Key:
        return this.#beginText(byte, true);
      case At.Colon:
        this.#at = At.Value;
        return byte === COLON ? null : 'syntax';
      default:
        return this.#afterValue(byte);
    }
  }

  #afterValue(byte: number): ScanFault | null {
    if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) return this.#close(byte === CLOSE_OBJECT);
    if (byte !== COMMA || this.#isObject.length === 0) return 'syntax';
    this.#at = this.#isObject.at(-1) ? At.Key : At.Value;
    return null;
  }

  #beginText(byte: number, isKey: boolean): ScanFault | null {
    if (byte !== QUOTE) return 'syntax';
    this.#at = At.String;
    this.#isKey = isKey;
    return this.#count();
  }

  #begin(byte: number): ScanFault | null {
    if (byte === QUOTE) return this.#beginText(byte, false);
    if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (this.#isObject.length === this.#limits.maxBodyDepth) return 'maxBodyDepth';
      this.#isObject.push(byte === OPEN_OBJECT);
      this.#at = byte === OPEN_OBJECT ? At.FirstKey : At.FirstElement;
    } else if (byte === MINUS) this.#at = At.Minus;
    else if (byte === ZERO) this.#at = At.Zero;
    else if (isDigit(byte)) this.#at = At.Digits;
    else {
      const word = WORDS.get(byte) ?? NOT_NUMBERS.find(([first]) => first === byte);
      if (!word) return 'syntax';
      this.#beginWord(word);
    }
    return this.#count();
  }

  #beginWord(word: Buffer<ArrayBuffer>): void {
    this.#at = At.Word;
    this.#word = word;
    this.#read = 1;
  }

  #count(): ScanFault | null {
    return ++this.#values > this.#limits.maxBodyValues ? 'maxBodyValues' : null;
  }

  #close(isObject: boolean): ScanFault | null {
    if (this.#isObject.pop() !== isObject) return 'syntax';
    this.#at = At.AfterValue;
    return null;
  }

  #stepNumber(byte: number): ScanFault | null {
    const next = afterInNumber(this.#at, byte);
    if (next !== null) this.#at = next;
    else if (this.#at === At.Minus && byte === INFINITY[0]) this.#beginWord(INFINITY);
    else if (this.#at < At.Zero) return 'syntax';
    else {
      this.#at = At.AfterValue;
      return isSpace(byte) ? null : this.#afterValue(byte);
    }
    return null;
  }
}

/** The state after this byte of a number; null if the byte does not continue the number. */
function afterInNumber(at: At, byte: number): At | null {
  if (isDigit(byte)) {
    if (at === At.Minus) return byte === ZERO ? At.Zero : At.Digits;
    if (at === At.Point || at === At.Fraction) return At.Fraction;
    if (at === At.Digits) return At.Digits;
    return at === At.Zero ? null : At.ExponentDigits;
  }
  if (byte === POINT) return at === At.Zero || at === At.Digits ? At.Point : null;
  if (byte === 0x65 || byte === 0x45) {
    return at === At.Zero || at === At.Digits || at === At.Fraction ? At.Exponent : null;
  }
  return (byte === MINUS || byte === 0x2b) && at === At.Exponent ? At.ExponentSign : null;
}

function skipDigits(chunk: Uint8Array, from: number): number {
  let i = from;
  while (i < chunk.length && isDigit(chunk[i] as number)) i++;
  return i;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

function isHex(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
