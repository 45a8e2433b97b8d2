/**
 * The models of a tokenizer.json: from one word to its tokens.
 */
import { Bpe } from './bpe.js';
import { idAt, type Json, numberAt, objectAt, textAt, UnsupportedTokenizer, unsupported } from './spec.js';
import { Unigram } from './unigram.js';
import type { Model, WordTokens } from './word-tokens.js';

const KEY = 'model';

/** @throws UnsupportedTokenizer that names the key */
export function createModel(spec: unknown): Model {
  const config = objectAt(spec, KEY);
  switch (typeOfModel(config)) {
    case 'WordPiece':
      return new WordPiece(config);
    case 'WordLevel':
      return new WordLevel(config);
    case 'BPE':
      return new Bpe(config, vocabularyOf(config));
    case 'Unigram':
      return new Unigram(config);
    default:
      throw unsupported(KEY, `the model ${String(config.type)}`);
  }
}

/** Files from before the key `type` tell their model by their other keys. */
function typeOfModel(config: Json): unknown {
  if (config.type !== undefined) return config.type;
  if (Array.isArray(config.vocab)) return 'Unigram';
  if (config.merges !== undefined) return 'BPE';
  return config.continuing_subword_prefix === undefined ? 'WordLevel' : 'WordPiece';
}

function vocabularyOf(config: Json): Map<string, number> {
  const entries = Object.entries(objectAt(config.vocab, `${KEY}.vocab`));
  return new Map(entries.map(([token, id]) => [token, idAt(id, `${KEY}.vocab: ${JSON.stringify(token)}`)]));
}

/** The token for words that the model does not know, which these models cannot be without. */
function unknownOf(config: Json, vocabulary: ReadonlyMap<string, number>): { token: string; id: number } {
  const token = textAt(config.unk_token, `${KEY}.unk_token`);
  const id = vocabulary.get(token);
  if (id === undefined)
    throw new UnsupportedTokenizer(`tokenizer.json: ${KEY}.unk_token: ${token} is not in the vocabulary`);
  return { token, id };
}

class WordLevel implements Model {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unkId: number;
  readonly #unkToken: string;

  constructor(config: Json) {
    this.vocabulary = vocabularyOf(config);
    const unknown = unknownOf(config, this.vocabulary);
    this.unkId = unknown.id;
    this.#unkToken = unknown.token;
  }

  tokenize(word: string): WordTokens {
    const id = this.vocabulary.get(word);
    return oneToken(id ?? this.unkId, id === undefined ? this.#unkToken : word, word.length);
  }
}

class WordPiece implements Model {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly unkId: number;
  readonly #unkToken: string;
  readonly #prefix: string;
  readonly #maxCharacters: number;
  #longest = 0;

  constructor(config: Json) {
    this.vocabulary = vocabularyOf(config);
    const unknown = unknownOf(config, this.vocabulary);
    this.unkId = unknown.id;
    this.#unkToken = unknown.token;
    this.#prefix = textAt(config.continuing_subword_prefix, `${KEY}.continuing_subword_prefix`);
    this.#maxCharacters = numberAt(config.max_input_chars_per_word ?? 100, `${KEY}.max_input_chars_per_word`);
    for (const token of this.vocabulary.keys()) this.#longest = Math.max(this.#longest, token.length);
  }

  /** The longest piece that is known, then the longest from there on; one gap makes the whole word unknown. */
  tokenize(word: string): WordTokens {
    const unknown = () => oneToken(this.unkId, this.#unkToken, word.length);
    if (word.length > this.#maxCharacters && [...word].length > this.#maxCharacters) return unknown();
    const found = { ids: [] as number[], tokens: [] as string[], starts: [] as number[], ends: [] as number[] };
    for (let start = 0; start < word.length; ) {
      let end = Math.min(word.length, start + this.#longest);
      for (; end > start; end--) {
        const token = start > 0 ? this.#prefix + word.slice(start, end) : word.slice(start, end);
        const id = this.vocabulary.get(token);
        if (id === undefined) continue;
        found.ids.push(id);
        found.tokens.push(token);
        found.starts.push(start);
        found.ends.push(end);
        break;
      }
      if (end === start) return unknown();
      start = end;
    }
    return found;
  }
}

function oneToken(id: number, token: string, length: number): WordTokens {
  return { ids: [id], tokens: [token], starts: [0], ends: [length] };
}
