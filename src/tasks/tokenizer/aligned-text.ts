/**
 * A text that was changed, and for each of its UTF-16 units the span of the original text that it stands for.
 *
 * Each change follows the rules of the reference tokenizers, odd ones included: a replaced character keeps the span of
 * the one it replaces, an added one takes the span of the character before it, a removed one leaves no trace.
 */

export class AlignedText {
  readonly text: string;
  /** Null while nothing has moved: unit i then is unit `base + i` of the original. */
  readonly starts: Int32Array | null;
  readonly ends: Int32Array | null;
  readonly base: number;

  constructor(text: string, base: number, starts: Int32Array | null = null, ends: Int32Array | null = null) {
    this.text = text;
    this.base = base;
    this.starts = starts;
    this.ends = ends;
  }

  /** Start, in the original, of the character that unit `index` belongs to. */
  startOf(index: number): number {
    if (this.starts) return this.starts[index] ?? 0;
    return this.base + (isLow(this.text.charCodeAt(index)) ? index - 1 : index);
  }

  endOf(index: number): number {
    if (this.ends) return this.ends[index] ?? 0;
    return this.base + (isHigh(this.text.charCodeAt(index)) ? index + 2 : index + 1);
  }

  slice(from: number, to: number): AlignedText {
    if (from === 0 && to === this.text.length) return this;
    const text = this.text.slice(from, to);
    if (!this.starts) return new AlignedText(text, this.base + from);
    return new AlignedText(text, 0, this.starts.subarray(from, to), this.ends?.subarray(from, to) ?? null);
  }

  /** Other units in the same places. */
  withText(text: string): AlignedText {
    return text === this.text ? this : new AlignedText(text, this.base, this.starts, this.ends);
  }
}

/** Writes a new text while it walks through an old one. Every character is kept, skipped or replaced, in order. */
export class Rewriter {
  readonly #source: AlignedText;
  readonly #parts: string[] = [];
  #starts: Int32Array;
  #ends: Int32Array;
  #length = 0;
  #at = 0;

  constructor(source: AlignedText) {
    this.#source = source;
    this.#starts = new Int32Array(source.text.length + 16);
    this.#ends = new Int32Array(source.text.length + 16);
  }

  /** How long the new text is so far. */
  get length(): number {
    return this.#length;
  }

  /** Keeps everything up to unit `to` as it is. */
  keepUntil(to: number): void {
    if (to <= this.#at) return;
    this.#reserve(to - this.#at);
    for (let i = this.#at; i < to; i++) {
      this.#starts[this.#length] = this.#source.startOf(i);
      this.#ends[this.#length++] = this.#source.endOf(i);
    }
    this.#parts.push(this.#source.text.slice(this.#at, to));
    this.#at = to;
  }

  skip(characters: number): void {
    for (let i = 0; i < characters && this.#at < this.#source.text.length; i++) {
      this.#at += (this.#source.text.codePointAt(this.#at) as number) > 0xffff ? 2 : 1;
    }
  }

  skipUntil(to: number): void {
    this.#at = Math.max(this.#at, to);
  }

  /** Adds characters with the span of the one just before this place. */
  insert(content: string): void {
    this.#write(content, Math.max(this.#at - 1, 0));
  }

  /** Adds characters with the span of the next one. */
  insertBefore(content: string): void {
    this.#write(content, Math.min(this.#at, this.#source.text.length - 1));
  }

  /** Puts one character in the place of the next one. */
  replace(char: string): void {
    this.#write(char, Math.min(this.#at, this.#source.text.length - 1));
    this.skip(1);
  }

  /** One step in the reference's terms: 1 adds, 0 replaces, −n replaces and then removes n. */
  change(char: string, by: number): void {
    if (by > 0) {
      this.insert(char);
    } else {
      this.replace(char);
      this.skip(-by);
    }
  }

  finish(): AlignedText {
    this.keepUntil(this.#source.text.length);
    return this.end();
  }

  /** The text written so far; what was not reached is gone. */
  end(): AlignedText {
    const { text } = this.#source;
    if (text === '') return this.#source;
    return new AlignedText(
      this.#parts.join(''),
      0,
      this.#starts.subarray(0, this.#length),
      this.#ends.subarray(0, this.#length),
    );
  }

  #write(content: string, place: number): void {
    this.#reserve(content.length);
    this.#starts.fill(this.#source.startOf(place), this.#length, this.#length + content.length);
    this.#ends.fill(this.#source.endOf(place), this.#length, this.#length + content.length);
    this.#length += content.length;
    this.#parts.push(content);
  }

  #reserve(units: number): void {
    if (this.#length + units <= this.#starts.length) return;
    const size = 2 * (this.#length + units);
    this.#starts = grown(this.#starts, size);
    this.#ends = grown(this.#ends, size);
  }
}

function grown(old: Int32Array, size: number): Int32Array {
  const larger = new Int32Array(size);
  larger.set(old);
  return larger;
}

/** Replaces each match of a global pattern of single characters; everything else keeps its place. */
export function rewriteMatches(
  source: AlignedText,
  pattern: RegExp,
  change: (rewriter: Rewriter, match: string) => void,
): AlignedText {
  let rewriter: Rewriter | null = null;
  for (const match of source.text.matchAll(pattern)) {
    rewriter ??= new Rewriter(source);
    rewriter.keepUntil(match.index);
    change(rewriter, match[0]);
  }
  return rewriter?.finish() ?? source;
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;
