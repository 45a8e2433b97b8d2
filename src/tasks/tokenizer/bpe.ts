/**
 * Byte-pair encoding: a word's characters, joined pair by pair in the order in which the pairs were learnt.
 */
import { byteToken } from './byte-level.js';
import { flagAt, type Json, listAt, textAt, UnsupportedTokenizer, unsupported } from './spec.js';
import type { Model, WordTokens } from './word-tokens.js';

const encoder = new TextEncoder();

/** Ranks and places share one number in the queue. */
const PLACES = 2 ** 24;

export class Bpe implements Model {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unkId: number | null;
  readonly #tokens: readonly string[];
  /** Rank of each pair, under `left × width + right`. */
  readonly #ranks = new Map<number, number>();
  readonly #joined: number[] = [];
  readonly #width: number;
  readonly #prefix: string;
  readonly #suffix: string;
  readonly #fuseUnknown: boolean;
  readonly #byteFallback: boolean;
  readonly #ignoreMerges: boolean;

  constructor(config: Json, vocabulary: ReadonlyMap<string, number>) {
    if (config.dropout) throw unsupported('model.dropout', String(config.dropout));
    this.vocabulary = vocabulary;
    this.#tokens = tokensOf(vocabulary);
    this.#width = this.#tokens.length;
    this.#prefix = textAt(config.continuing_subword_prefix ?? '', 'model.continuing_subword_prefix');
    this.#suffix = textAt(config.end_of_word_suffix ?? '', 'model.end_of_word_suffix');
    this.#fuseUnknown = flagAt(config.fuse_unk, 'model.fuse_unk', false);
    this.#byteFallback = flagAt(config.byte_fallback, 'model.byte_fallback', false);
    this.#ignoreMerges = flagAt(config.ignore_merges, 'model.ignore_merges', false);
    if (this.#byteFallback && this.#prefix + this.#suffix !== '') {
      throw unsupported('model.byte_fallback', 'a prefix or suffix of words beside it');
    }
    this.unkId = this.#findUnknown(config);
    for (const [rank, merge] of listAt(config.merges, 'model.merges').entries()) this.#learn(merge, rank);
  }

  tokenize(word: string): WordTokens {
    const whole = this.#ignoreMerges ? this.vocabulary.get(word) : undefined;
    if (whole !== undefined) return { ids: [whole], tokens: [word], starts: [0], ends: [word.length] };
    const { ids, lengths } = this.#join(this.#symbolsOf(word));
    return { ids, tokens: ids.map((id) => this.#tokens[id] as string), ...placesOf(word, lengths) };
  }

  #findUnknown(config: Json): number | null {
    if (config.unk_token === null || config.unk_token === undefined) return null;
    const token = textAt(config.unk_token, 'model.unk_token');
    const id = this.vocabulary.get(token);
    if (id === undefined)
      throw new UnsupportedTokenizer(`tokenizer.json: model.unk_token: ${token} is not in the vocabulary`);
    return id;
  }

  #learn(merge: unknown, rank: number): void {
    const [left, right] = typeof merge === 'string' ? merge.split(' ') : (listAt(merge, 'model.merges') as string[]);
    const joined = `${left}${right?.slice(this.#prefix.length)}`;
    const [a, b, c] = [left, right, joined].map((token) => this.vocabulary.get(token as string));
    if (a === undefined || b === undefined || c === undefined) {
      throw new UnsupportedTokenizer(`tokenizer.json: model.merges[${rank}] joins what is not in the vocabulary`);
    }
    // Of two equal pairs the later one counts.
    this.#ranks.set(a * this.#width + b, rank);
    this.#joined[rank] = c;
  }

  /** One symbol a character; lengths are in bytes, because unknown characters without a token drop out of the count. */
  #symbolsOf(word: string): Symbols {
    const symbols = { ids: [] as number[], lengths: [] as number[] };
    const add = (id: number, length: number) => {
      symbols.ids.push(id);
      symbols.lengths.push(length);
    };
    let unknown = 0;
    const flush = () => {
      if (unknown > 0) add(this.unkId as number, unknown);
      unknown = 0;
    };
    for (let at = 0; at < word.length; ) {
      const char = String.fromCodePoint(word.codePointAt(at) as number);
      const symbol = this.#decorate(char, at === 0, at + char.length === word.length);
      at += char.length;
      const id = this.vocabulary.get(symbol);
      const bytes = id === undefined && this.#byteFallback ? this.#byteIdsOf(symbol) : null;
      if (id !== undefined) {
        flush();
        add(id, byteLength(char));
      } else if (bytes) {
        // The reference leaves an unknown character before these waiting, and so it comes after them.
        for (const byte of bytes) add(byte, 1);
      } else if (this.unkId !== null) {
        if (!this.#fuseUnknown) flush();
        unknown += byteLength(char);
      }
    }
    flush();
    return symbols;
  }

  #decorate(char: string, isFirst: boolean, isLast: boolean): string {
    return (isFirst ? '' : this.#prefix) + char + (isLast ? this.#suffix : '');
  }

  #byteIdsOf(symbol: string): number[] | null {
    const ids: number[] = [];
    for (const byte of encoder.encode(symbol)) {
      const id = this.vocabulary.get(byteToken(byte));
      if (id === undefined) return null;
      ids.push(id);
    }
    return ids;
  }

  /** Always the pair of the lowest rank, the leftmost of equals; the queue makes n symbols cost n log n. */
  #join({ ids, lengths }: Symbols): Symbols {
    const count = ids.length;
    const next = Int32Array.from({ length: count }, (_, i) => (i + 1 < count ? i + 1 : -1));
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const queue = new Queue();
    const rankAt = (left: number) => {
      const right = next[left] as number;
      return right < 0 ? undefined : this.#ranks.get((ids[left] as number) * this.#width + (ids[right] as number));
    };
    const offer = (left: number) => {
      const rank = left < 0 ? undefined : rankAt(left);
      if (rank !== undefined) queue.push(rank * PLACES + left);
    };
    for (let i = 0; i < count - 1; i++) offer(i);
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      const left = key % PLACES;
      const rank = (key - left) / PLACES;
      const rankNow = lengths[left] === 0 ? undefined : rankAt(left);
      if (rankNow === undefined || this.#joined[rankNow] !== this.#joined[rank]) continue;
      const right = next[left] as number;
      ids[left] = this.#joined[rank] as number;
      lengths[left] = (lengths[left] as number) + (lengths[right] as number);
      lengths[right] = 0;
      next[left] = next[right] as number;
      if ((next[left] as number) >= 0) previous[next[left] as number] = left;
      offer(previous[left] as number);
      offer(left);
    }
    return { ids: ids.filter((_, i) => lengths[i] !== 0), lengths: lengths.filter((length) => length !== 0) };
  }
}

interface Symbols {
  readonly ids: number[];
  readonly lengths: number[];
}

/** From lengths in bytes to units of the word, each widened to whole characters. */
function placesOf(word: string, lengths: readonly number[]): { starts: number[]; ends: number[] } {
  const [starts, ends]: [number[], number[]] = [[], []];
  const isAscii = !/[\x80-\uffff]/.test(word);
  const unitOf = isAscii ? null : unitsOfBytes(word);
  let at = 0;
  for (const length of lengths) {
    const last = at + length - 1;
    starts.push(unitOf ? (unitOf.starts[at] as number) : at);
    ends.push(unitOf ? (unitOf.ends[last] as number) : last + 1);
    at += length;
  }
  return { starts, ends };
}

/** For each byte of a word, the units between which its character lies. */
function unitsOfBytes(word: string): { starts: number[]; ends: number[] } {
  const [starts, ends]: [number[], number[]] = [[], []];
  let at = 0;
  for (const char of word) {
    for (let i = byteLength(char); i > 0; i--) {
      starts.push(at);
      ends.push(at + char.length);
    }
    at += char.length;
  }
  return { starts, ends };
}

function byteLength(char: string): number {
  const code = char.codePointAt(0) as number;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}

function tokensOf(vocabulary: ReadonlyMap<string, number>): string[] {
  let largest = -1;
  for (const id of vocabulary.values()) largest = Math.max(largest, id);
  const tokens = new Array<string>(largest + 1);
  for (const [token, id] of vocabulary) tokens[id] = token;
  return tokens;
}

/** A binary heap of numbers, least first. */
class Queue {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as number) <= value) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const least = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last !== undefined) this.#sink(last);
    return least;
  }

  #sink(value: number): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if (child >= heap.length || (heap[child] as number) >= value) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = value;
  }
}
