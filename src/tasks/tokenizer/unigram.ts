/**
 * The Unigram model: of all ways to cut a word into known tokens, the one with the highest sum of scores.
 */
import { byteToken } from './byte-level.js';
import { flagAt, idAt, type Json, listAt, numberAt, textAt, UnsupportedTokenizer } from './spec.js';
import { TokenTrie } from './token-trie.js';
import type { Model, WordTokens } from './word-tokens.js';

/** What an unknown character costs beyond the worst token. */
const UNKNOWN_PENALTY = 10;

const encoder = new TextEncoder();

export class Unigram implements Model {
  readonly vocabulary = new Map<string, number>();
  readonly unkId: number;
  readonly #scores: Float64Array;
  readonly #unknownScore: number;
  readonly #trie: TokenTrie;
  readonly #byteFallback: boolean;

  constructor(config: Json) {
    const vocab = listAt(config.vocab, 'model.vocab');
    this.#scores = new Float64Array(vocab.length);
    vocab.forEach((entry, id) => {
      const [token, score] = listAt(entry, `model.vocab[${id}]`);
      this.vocabulary.set(textAt(token, `model.vocab[${id}][0]`), id);
      this.#scores[id] = numberAt(score, `model.vocab[${id}][1]`);
    });
    this.unkId = idAt(config.unk_id, 'model.unk_id');
    if (this.unkId >= vocab.length)
      throw new UnsupportedTokenizer('tokenizer.json: model.unk_id is not in the vocabulary');
    this.#unknownScore = this.#scores.reduce((least, score) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;
    this.#trie = new TokenTrie(this.vocabulary);
    this.#byteFallback = flagAt(config.byte_fallback, 'model.byte_fallback', false);
  }

  tokenize(word: string): WordTokens {
    const found = { ids: [] as number[], tokens: [] as string[], starts: [] as number[], ends: [] as number[] };
    for (const { from, to } of this.#cut(word)) {
      const token = word.slice(from, to);
      const id = this.vocabulary.get(token);
      const bytes = id === undefined && this.#byteFallback ? this.#bytesOf(token) : null;
      for (const [part, partId] of bytes ?? [[token, id ?? this.unkId] as const]) {
        found.ids.push(partId);
        found.tokens.push(part);
        found.starts.push(from);
        found.ends.push(to);
      }
    }
    return found;
  }

  /** The best path; unknown characters beside each other become one piece. */
  #cut(word: string): { from: number; to: number }[] {
    const { cameFrom, cameBy } = this.#bestPaths(word);
    const pieces: { from: number; to: number }[] = [];
    let wasUnknown = false;
    for (let to = word.length; to > 0; ) {
      const from = cameFrom[to] as number;
      const isUnknown = cameBy[to] === this.unkId;
      const last = pieces.at(-1);
      if (isUnknown && wasUnknown && last) last.from = from;
      else pieces.push({ from, to });
      wasUnknown = isUnknown;
      to = from;
    }
    return pieces.reverse();
  }

  /** For each place, where the best path to it comes from and by which token. Of equals, the first one found stays. */
  #bestPaths(word: string): { cameFrom: Int32Array; cameBy: Int32Array } {
    const scores = new Float64Array(word.length + 1);
    const cameFrom = new Int32Array(word.length + 1).fill(-1);
    const cameBy = new Int32Array(word.length + 1);
    const offer = (from: number, to: number, id: number, score: number) => {
      const total = score + (scores[from] as number);
      if (cameFrom[to] !== -1 && total <= (scores[to] as number)) return;
      scores[to] = total;
      cameFrom[to] = from;
      cameBy[to] = id;
    };
    for (let from = 0; from < word.length; ) {
      const next = from + ((word.codePointAt(from) as number) > 0xffff ? 2 : 1);
      let isKnown = false;
      this.#trie.forEachPrefix(word, from, (to, id) => {
        offer(from, to, id, this.#scores[id] as number);
        if (to === next) isKnown = true;
      });
      if (!isKnown) offer(from, next, this.unkId, this.#unknownScore);
      from = next;
    }
    return { cameFrom, cameBy };
  }

  /** Null when a byte has no token of its own. */
  #bytesOf(token: string): (readonly [string, number])[] | null {
    const parts: (readonly [string, number])[] = [];
    for (const byte of encoder.encode(token)) {
      const part = byteToken(byte);
      const id = this.vocabulary.get(part);
      if (id === undefined) return null;
      parts.push([part, id]);
    }
    return parts;
  }
}
