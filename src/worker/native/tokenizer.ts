/**
 * A Hugging Face tokenizer.json as a tokenizer that also tells where each token stands in the text.
 *
 * Ids and places are those of the Rust library that models were trained with. `@huggingface/tokenizers` tells no
 * places and differs for some models, so the steps are written here (`tasks/tokenizer/`); the library translates the
 * regular expressions of Oniguruma, in which these files are written.
 *
 * It does not truncate, pad or add special tokens: `single` and `pair` say what belongs around a text.
 */
import * as library from '@huggingface/tokenizers';
import type { Encoded, TemplatePart } from '../../tasks/sequences.js';
import { type AddedToken, AddedTokenSplitter, readAddedTokens } from '../../tasks/tokenizer/added-tokens.js';
import { AlignedText } from '../../tasks/tokenizer/aligned-text.js';
import { createDecoder, type Decoder } from '../../tasks/tokenizer/decoders.js';
import { createModel } from '../../tasks/tokenizer/models.js';
import { createNormalizer, type Normalizer } from '../../tasks/tokenizer/normalizers.js';
import { type PostProcessor, readPostProcessor, trimPlaces } from '../../tasks/tokenizer/post-processor.js';
import { createPreTokenizer, type Piece, type PreTokenizer } from '../../tasks/tokenizer/pre-tokenizers.js';
import { unprovenReason } from '../../tasks/tokenizer/proven.js';
import { type Json, objectAt, UnsupportedTokenizer } from '../../tasks/tokenizer/spec.js';
import type { Model, WordTokens } from '../../tasks/tokenizer/word-tokens.js';

/** What is known of the tokens beyond what the tasks read. */
interface Tokenized extends Encoded {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly words: readonly number[];
}

/** The library's own types are not found by its import paths. */
const { SplitPreTokenizer } = library as unknown as {
  SplitPreTokenizer: new (config: { type: 'Split'; pattern: Json; invert: boolean }) => { pattern: RegExp | null };
};

/** Words are remembered up to this length and number. */
const LONGEST_REMEMBERED = 64;
const MOST_REMEMBERED = 10_000;

export class TextTokenizer {
  readonly #model: Model;
  readonly #normalise: Normalizer;
  readonly #preTokenise: PreTokenizer;
  readonly #post: PostProcessor;
  readonly #decode: Decoder;
  readonly #inText: AddedTokenSplitter;
  readonly #inNormalised: AddedTokenSplitter;
  readonly #tokenOf: readonly (string | undefined)[];
  readonly #special: ReadonlySet<number>;
  readonly #remembered = new Map<string, WordTokens>();

  readonly padId: number;
  readonly padTypeId: number;
  readonly maskId: number | null;
  readonly maskToken: string | null;
  readonly unkId: number | null;
  /** Do tokens that go on with a word say so, as "##ing" does? */
  readonly marksContinuation: boolean;
  /** Why its ids were not compared with the reference's; null when tokenizers of its kind were. */
  readonly unproven: string | null;
  /** The largest id, plus one. */
  readonly vocabularySize: number;

  /** @throws UnsupportedTokenizer that names the key which is wrong or not supported */
  constructor(tokenizerJson: unknown, tokenizerConfigJson: unknown) {
    const spec = objectAt(tokenizerJson, 'the file');
    const config = objectAt(tokenizerConfigJson ?? {}, 'tokenizer_config.json');
    this.#model = createModel(spec.model);
    this.#normalise = createNormalizer(spec.normalizer, compilePattern);
    this.#preTokenise = createPreTokenizer(spec.pre_tokenizer, compilePattern);
    this.#post = readPostProcessor(spec.post_processor);

    const added = withOneTokenAnId(readAddedTokens(spec.added_tokens, this.#model.vocabulary));
    const normalised = (token: AddedToken) => this.#normalise(new AlignedText(token.content, 0)).text;
    const shown = added.map((token) => ({ token, content: token.isNormalised ? normalised(token) : token.content }));
    this.#inText = new AddedTokenSplitter(added.filter((t) => !t.isNormalised).map((t) => [t.content, t]));
    this.#inNormalised = new AddedTokenSplitter(
      shown.filter(({ token }) => token.isNormalised).map(({ token, content }) => [content, token]),
    );
    this.#special = new Set(added.filter(({ isSpecial }) => isSpecial).map(({ id }) => id));
    this.#tokenOf = listById(this.#model.vocabulary, shown);
    this.#decode = createDecoder(spec.decoder, compilePattern);
    this.vocabularySize = this.#tokenOf.length;

    const model = objectAt(spec.model, 'model');
    this.marksContinuation = Boolean(model.continuing_subword_prefix ?? (model.type === 'WordPiece' && '##'));
    this.unproven = unprovenReason(tokenizerJson);

    const idOf = (token: string | null) =>
      token === null ? null : (added.find((t) => t.content === token)?.id ?? this.#model.vocabulary.get(token) ?? null);
    const padding = objectAt(spec.padding ?? {}, 'padding');
    this.unkId = this.#model.unkId ?? idOf(tokenNamed(config, 'unk_token'));
    this.maskToken = tokenNamed(config, 'mask_token');
    this.maskId = idOf(this.maskToken);
    this.padId = idOf(tokenNamed(config, 'pad_token')) ?? numberOr(padding.pad_id, 0);
    this.padTypeId = numberOr(padding.pad_type_id, 0);
  }

  get single(): readonly TemplatePart[] {
    return this.#post.single;
  }

  get pair(): readonly TemplatePart[] {
    return this.#post.pair;
  }

  encode(text: string): Tokenized {
    const collected = new Tokens();
    for (const { from, to, token } of this.#inText.split(text)) {
      if (token) collected.addToken(token.id, text.slice(from, to), from, to);
      else this.#encodeSection(new AlignedText(text.slice(from, to), from), collected);
    }
    const encoded = collected.finish();
    for (const trim of this.#post.trims) trimPlaces(trim, text, encoded.tokens, encoded.starts, encoded.ends);
    return encoded;
  }

  /** Special tokens are left out. */
  decode(ids: readonly number[]): string {
    const tokens = ids.filter((id) => !this.#special.has(id)).flatMap((id) => this.#tokenOf[id] ?? []);
    return this.#decode(tokens).join('');
  }

  decodeToken(id: number): string {
    return this.#decode([this.#tokenOf[id] ?? '']).join('');
  }

  #encodeSection(section: AlignedText, collected: Tokens): void {
    const text = this.#normalise(section);
    const pieces: Piece[] = [];
    // Words are numbered across the whole text, so nothing may be tokenised before its neighbours are cut.
    for (const { from, to, token } of this.#inNormalised.split(text.text)) {
      if (!token) {
        pieces.push({ text, from, to });
        continue;
      }
      this.#encodePieces(pieces.splice(0), collected);
      collected.addToken(token.id, text.text.slice(from, to), text.startOf(from), text.endOf(to - 1));
    }
    this.#encodePieces(pieces, collected);
  }

  #encodePieces(pieces: readonly Piece[], collected: Tokens): void {
    for (const { text, from, to } of this.#preTokenise(pieces)) {
      collected.addWord(this.#tokenise(text.text.slice(from, to)), text, from);
    }
  }

  #tokenise(word: string): WordTokens {
    const known = this.#remembered.get(word);
    if (known) return known;
    const found = this.#model.tokenize(word);
    if (word.length <= LONGEST_REMEMBERED) {
      if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(word, found);
    }
    return found;
  }
}

/** Collects the tokens of one text, in order. */
class Tokens {
  readonly #ids: number[] = [];
  readonly #tokens: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #words: number[] = [];
  #word = 0;

  addToken(id: number, token: string, start: number, end: number): void {
    this.#push(id, token, start, end, -1);
    this.#word++;
  }

  addWord({ ids, tokens, starts, ends }: WordTokens, text: AlignedText, from: number): void {
    for (let i = 0; i < ids.length; i++) {
      const start = text.startOf(from + (starts[i] as number));
      this.#push(ids[i] as number, tokens[i] as string, start, text.endOf(from + (ends[i] as number) - 1), this.#word);
    }
    this.#word++;
  }

  finish(): Tokenized {
    return {
      ids: this.#ids,
      tokens: this.#tokens,
      starts: Int32Array.from(this.#starts),
      ends: Int32Array.from(this.#ends),
      words: this.#words,
    };
  }

  #push(id: number, token: string, start: number, end: number, word: number): void {
    this.#ids.push(id);
    this.#tokens.push(token);
    this.#starts.push(start);
    this.#ends.push(end);
    this.#words.push(word);
  }
}

function compilePattern(pattern: Json, key: string): RegExp {
  if (typeof pattern.String === 'string') {
    if (pattern.String === '') throw new UnsupportedTokenizer(`tokenizer.json: ${key}.String is empty`);
    return new RegExp(pattern.String.replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  }
  try {
    const compiled = new SplitPreTokenizer({ type: 'Split', pattern, invert: true }).pattern;
    if (compiled) return compiled;
  } catch (error) {
    throw new UnsupportedTokenizer(`tokenizer.json: ${key}: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new UnsupportedTokenizer(`tokenizer.json: ${key}: expected a String or a Regex`);
}

/** Of several tokens with one id the last one counts. */
function withOneTokenAnId(tokens: readonly AddedToken[]): AddedToken[] {
  return [...new Map(tokens.map((token) => [token.id, token])).values()];
}

function listById(
  vocabulary: ReadonlyMap<string, number>,
  added: readonly { token: AddedToken; content: string }[],
): (string | undefined)[] {
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of vocabulary) tokens[id] = token;
  for (const { token, content } of added) tokens[token.id] = content;
  return tokens;
}

/** tokenizer_config.json names a token by its text or as an object with its content. */
function tokenNamed(config: Json, name: string): string | null {
  const value = config[name];
  if (typeof value === 'string') return value;
  const content = typeof value === 'object' && value !== null ? (value as Json).content : null;
  return typeof content === 'string' ? content : null;
}

const numberOr = (value: unknown, fallback: number) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
