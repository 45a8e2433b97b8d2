/**
 * The `precompiled_charsmap` of sentencepiece: a double-array trie over UTF-8, and the texts it leads to.
 */
import { type AlignedText, Rewriter } from './aligned-text.js';
import { UnsupportedTokenizer } from './spec.js';

const encoder = new TextEncoder();
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

export class Charsmap {
  readonly #trie: Uint32Array;
  readonly #texts: Uint8Array;
  readonly #known = new Map<string, string | null>();

  /** @throws UnsupportedTokenizer when the bytes are no such map */
  constructor(bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = bytes.byteLength >= 4 ? view.getUint32(0, true) : 0;
    if (size === 0 || size % 4 !== 0 || 4 + size > bytes.byteLength) {
      throw new UnsupportedTokenizer('tokenizer.json: normalizer.precompiled_charsmap: these bytes are no charsmap');
    }
    this.#trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.#texts = bytes.subarray(4 + size);
  }

  /**
   * Grapheme by grapheme: a short one is looked up as a whole, else each of its characters. A look-up takes the
   * first entry that the chunk begins with, and what follows in the chunk is lost; the models are used to it.
   */
  apply(source: AlignedText): AlignedText {
    const steps = new Steps();
    for (const grapheme of graphemesOf(source.text)) {
      const whole = grapheme.length < 6 ? this.#lookUp(grapheme) : null;
      if (whole !== null) steps.replace(lengthOf(grapheme), whole);
      else for (const char of grapheme) steps.replaceOne(char, this.#lookUp(char));
    }
    return steps.isChange ? steps.applyTo(source) : source;
  }

  #lookUp(chunk: string): string | null {
    const known = this.#known.get(chunk);
    if (known !== undefined) return known;
    const bytes = encoder.encode(chunk);
    const found = bytes.length < 6 ? this.#firstEntry(bytes) : null;
    if (this.#known.size >= 20_000) this.#known.clear();
    this.#known.set(chunk, found);
    return found;
  }

  #firstEntry(key: Uint8Array): string | null {
    const unitAt = (node: number) => this.#trie[node] ?? 0;
    const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
    let node = offsetOf(unitAt(0));
    for (const byte of key) {
      if (byte === 0) return null;
      node ^= byte;
      const unit = unitAt(node);
      if ((unit & 0x800000ff) >>> 0 !== byte) return null;
      node ^= offsetOf(unit);
      if ((unit >>> 8) & 1) return this.#textAt(unitAt(node) & 0x7fffffff);
    }
    return null;
  }

  #textAt(start: number): string {
    const end = this.#texts.indexOf(0, start);
    return Buffer.from(this.#texts.subarray(start, end < 0 ? undefined : end)).toString('utf8');
  }
}

/** Changes in the reference's terms; see `Rewriter.change`. */
class Steps {
  readonly #chars: string[] = [];
  readonly #by: number[] = [];
  isChange = false;

  /** A removal is written onto the step before it; at the very beginning there is none, and the places slip. */
  replace(oldLength: number, content: string): void {
    this.isChange = true;
    const before = this.#chars.length;
    for (const char of content) {
      this.#by.push(this.#chars.length - before < oldLength ? 0 : 1);
      this.#chars.push(char);
    }
    const missing = oldLength - (this.#chars.length - before);
    const last = this.#by.length - 1;
    if (missing > 0 && last >= 0) this.#by[last] = (this.#by[last] as number) - missing;
  }

  replaceOne(char: string, content: string | null): void {
    if (content === null) {
      this.#chars.push(char);
      this.#by.push(0);
    } else {
      this.replace(1, content);
    }
  }

  applyTo(source: AlignedText): AlignedText {
    const rewriter = new Rewriter(source);
    for (const [i, char] of this.#chars.entries()) rewriter.change(char, this.#by[i] as number);
    return rewriter.end();
  }
}

/** ASCII needs no segmenter: only a line end of two characters is one grapheme there. */
function* graphemesOf(text: string): Iterable<string> {
  if (/[\x80-\uffff]/.test(text)) for (const { segment } of graphemes.segment(text)) yield segment;
  else for (const match of text.matchAll(/\r\n|[\s\S]/g)) yield match[0];
}

const lengthOf = (text: string) => [...text].length;
