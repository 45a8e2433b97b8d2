/**
 * Opens a tokenizer.json with the reference library, `tokenizers`, which models are trained with.
 *
 * The library does not truncate, pad or add special tokens here: the templates `single` and `pair` list the special
 * tokens around a text. Texts are encoded concurrently, on libuv threads.
 */
import type { Encoding, Tokenizer as Library } from 'tokenizers';
import type { TemplatePart, Tokenizer } from '../../tasks/sequences.js';
import { checkTokenizer, type JsonObject, UnsupportedTokenizerError } from '../../tasks/tokenizer-file.js';
import { freeNativeMemory } from './free-native-memory.js';

/** @throws UnsupportedTokenizerError that names the key that is wrong or not supported */
export async function openTokenizer(tokenizerJson: unknown, tokenizerConfigJson: unknown): Promise<Tokenizer> {
  const { file, model, padding, vocabularySize } = checkTokenizer(tokenizerJson);
  const config = (tokenizerConfigJson ?? {}) as JsonObject;
  const library = await openLibrary(file);
  const decoder = library.getDecoder();
  const idOf = (token: unknown) => (typeof token === 'string' ? library.tokenToId(token) : null);
  const text = textWithTokens(library);
  return {
    encode: (text) => encodeWith(library, text, (encoding) => ({ ids: encoding.getIds() })),
    encodeWithOffsets: (text) =>
      encodeWith(library, text, (encoding) => ({
        ids: encoding.getIds(),
        // Never null: only added special tokens have no word, and none are added here.
        words: encoding.getWordIds() as number[],
        ...placesOf(encoding, text),
      })),
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

/** An encoding takes about 150 bytes per token outside the heap of V8, which therefore does not know when to free it. */
const MAX_UNCOLLECTED_TOKENS = 100_000;
let uncollectedTokens = 0;

/** In characters. Several long texts at once would take the memory of all, and more CPU time than one after the other. */
const MAX_CONCURRENT_LENGTH = 4_096;
let lastLongText: Promise<unknown> = Promise.resolve();

/** Encodes a text and reads what is needed of it. The native encoding is freed afterwards. */
function encodeWith<T extends { readonly ids: readonly number[] }>(
  library: Library,
  text: string,
  read: (encoding: Encoding) => T,
): Promise<T> {
  const encode = async () => {
    const result = read(await library.encode(text, null, { addSpecialTokens: false }));
    uncollectedTokens += result.ids.length;
    if (uncollectedTokens <= MAX_UNCOLLECTED_TOKENS) return result;
    uncollectedTokens = 0;
    await freeNativeMemory();
    return result;
  };
  if (text.length <= MAX_CONCURRENT_LENGTH) return encode();
  const encoded = lastLongText.then(encode);
  lastLongText = encoded.catch(() => {});
  return encoded;
}

async function openLibrary(file: JsonObject): Promise<Library> {
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
function namingItsPart({ message }: Error, file: JsonObject): UnsupportedTokenizerError {
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
function tokenNamed(config: JsonObject, name: string): unknown {
  const value = config[name];
  return typeof value === 'object' && value !== null ? (value as JsonObject).content : value;
}

const numberOr = (value: unknown, fallback: number) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : fallback;
