/**
 * Opens a tokenizer.json with the reference library, `tokenizers`, which models are trained with.
 *
 * The library does not truncate, pad or add special tokens here: the templates `single` and `pair` list the special
 * tokens around a text. Texts are encoded concurrently, on libuv threads.
 */
import type { Encoding, Tokenizer as Library } from 'tokenizers';
import type { Encoded, TemplatePart, Tokenizer } from '../../tasks/sequences.js';
import { checkTokenizer, UnsupportedTokenizerError } from '../../tasks/tokenizer-file.js';

type Json = Readonly<Record<string, unknown>>;

/** @throws UnsupportedTokenizerError that names the key that is wrong or not supported */
export async function openTokenizer(tokenizerJson: unknown, tokenizerConfigJson: unknown): Promise<Tokenizer> {
  const { file, model, padding, vocabularySize } = checkTokenizer(tokenizerJson);
  const config = (tokenizerConfigJson ?? {}) as Json;
  const library = await openLibrary(file);
  const decoder = library.getDecoder();
  const idOf = (token: unknown) => (typeof token === 'string' ? library.tokenToId(token) : null);
  const text = textWithTokens(library);
  return {
    encode: async (text) => new LazyEncoded(await library.encode(text, null, { addSpecialTokens: false }), text),
    decode: (ids) => {
      const tokens = ids.flatMap((id) => library.idToToken(id) ?? []);
      return decoder?.decode(tokens) ?? tokens.join(' ');
    },
    single: templateOf(await library.encode(text), 'A'),
    pair: templateOf(await library.encode(text, text), 'AB'),
    padId: idOf(tokenNamed(config, 'pad_token')) ?? numberOr(padding.pad_id, 0),
    padTypeId: numberOr(padding.pad_type_id, 0),
    maskId: idOf(tokenNamed(config, 'mask_token')),
    unkId:
      (model.unk_id as number | null | undefined) ?? idOf(model.unk_token) ?? idOf(tokenNamed(config, 'unk_token')),
    vocabularySize,
    marksContinuation: Boolean(model.continuing_subword_prefix ?? (model.type === 'WordPiece' && '##')),
  };
}

async function openLibrary(file: Json): Promise<Library> {
  // Loaded with the first text model, so that other models also run on platforms without a binary of the package.
  const { Tokenizer: Library } = await import('tokenizers').catch((error) => {
    const platform = `${process.platform}-${process.arch}`;
    const [reason] = firstCauseOf(error).message.split('\n');
    throw new Error(`text models need the package tokenizers, which cannot be loaded on ${platform}: ${reason}`);
  });
  try {
    return Library.fromString(JSON.stringify(file));
  } catch (error) {
    throw namingItsPart(error as Error, file);
  }
}

/** The package tries several binaries. The innermost cause is the error for the first one, the one for this platform. */
function firstCauseOf(error: Error): Error {
  return error.cause instanceof Error ? firstCauseOf(error.cause) : error;
}

/** Names the key that the library could not read. The library reports only a column of the JSON text. */
function namingItsPart({ message }: Error, file: Json): UnsupportedTokenizerError {
  const [, problem = message, column = '0'] = /^(.*) at line 1 column (\d+)$/s.exec(message) ?? [];
  let end = 1;
  for (const [key, value] of Object.entries(file)) {
    end += Buffer.byteLength(JSON.stringify({ [key]: value })) - 1;
    if (Number(column) <= end) return new UnsupportedTokenizerError(key, `cannot be read: ${problem}`);
  }
  return new UnsupportedTokenizerError('the file', `cannot be read: ${problem}`);
}

/** A text that yields tokens with this vocabulary: its first 64 tokens. */
function textWithTokens(library: Library): string {
  return Array.from({ length: 64 }, (_, id) => library.idToToken(id) ?? '').join(' ');
}

/** The template of the post-processor, derived from an encoded example. */
function templateOf(encoding: Encoding, texts: 'A' | 'AB'): TemplatePart[] {
  const sequences = encoding.getSequenceIds();
  const types = encoding.getTypeIds();
  const parts = encoding.getIds().flatMap((id, i): TemplatePart[] => {
    const [sequence, type] = [sequences[i] ?? null, types[i] as number];
    if (sequence === null) return [{ special: id, type }];
    return sequence === sequences[i - 1] ? [] : [{ sequence: sequence === 0 ? 'A' : 'B', type }];
  });
  const found = parts.flatMap((part) => ('sequence' in part ? part.sequence : []));
  if (found.sort().join('') !== texts)
    throw new UnsupportedTokenizerError('the file', 'yields no tokens for a text made of tokens of its vocabulary');
  return parts;
}

/** Fetches offsets and word ids from the library on first use, because they take milliseconds for a long text. */
class LazyEncoded implements Encoded {
  readonly #encoding: Encoding;
  readonly #text: string;
  readonly ids: readonly number[];
  #places: { readonly starts: Int32Array; readonly ends: Int32Array } | null = null;
  #words: readonly number[] | null = null;

  constructor(encoding: Encoding, text: string) {
    this.#encoding = encoding;
    this.#text = text;
    this.ids = encoding.getIds();
  }

  get starts(): Int32Array {
    this.#places ??= placesOf(this.#encoding, this.#text);
    return this.#places.starts;
  }

  get ends(): Int32Array {
    this.#places ??= placesOf(this.#encoding, this.#text);
    return this.#places.ends;
  }

  get words(): readonly number[] {
    // Never null: only added special tokens have no word, and none are added here.
    this.#words ??= this.#encoding.getWordIds() as number[];
    return this.#words;
  }
}

/** Start and end of each token in UTF-16 code units; the library counts code points. */
function placesOf(encoding: Encoding, text: string): { starts: Int32Array; ends: Int32Array } {
  const offsets = encoding.getOffsets() as [number, number][];
  const starts = Int32Array.from(offsets, ([start]) => start);
  const ends = Int32Array.from(offsets, ([, end]) => end);
  if (!/[\ud800-\udbff]/.test(text)) return { starts, ends };
  const units = unitsOf(text);
  const inUnits = (place: number) => units[place] as number;
  return { starts: starts.map(inUnits), ends: ends.map(inUnits) };
}

/** The index of the UTF-16 code unit at which each code point starts, and the end of the text. */
function unitsOf(text: string): Int32Array {
  const units = new Int32Array(text.length + 1);
  let count = 0;
  for (const char of text) units[++count] = (units[count - 1] as number) + char.length;
  return units;
}

/** tokenizer_config.json names a token by its text or as an object with its content. */
function tokenNamed(config: Json, name: string): unknown {
  const value = config[name];
  return typeof value === 'object' && value !== null ? (value as Json).content : value;
}

const numberOr = (value: unknown, fallback: number) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
