/**
 * Turns texts into token sequences that fit the graph: truncated, split into windows, or combined into pairs.
 *
 * Pure: the tokenizer is passed in. A sequence always has all special tokens of its template, including the final
 * separator; only text is truncated.
 */
import type { TensorArray, TensorData } from './datatypes.js';
import type { AnySpec, TensorSpec, TextSpec } from './spec.js';
import { firstLength } from './token-count.js';

/** The tokens of a text, without the special tokens of a template. */
export interface Encoded {
  readonly ids: ArrayLike<number>;
}

/** The same, with the positions of the tokens. Reading them takes milliseconds for a long text. */
export interface EncodedWithOffsets extends Encoded {
  /** Start and end (exclusive) of each token in the text, in UTF-16 code units. */
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
  /** Index of the word that each token belongs to. A special token within the text counts as a word. */
  readonly words: ArrayLike<number>;
}

/** A part of the template for one text (A) or a pair (A, B): a special token or a text. `type` is the token type id. */
export type TemplatePart =
  | { readonly special: number; readonly type: number }
  | { readonly sequence: 'A' | 'B'; readonly type: number };

/** The tokenizer of a version, provided by the worker. */
export interface Tokenizer {
  encode(text: string): Promise<Encoded>;
  encodeWithOffsets(text: string): Promise<EncodedWithOffsets>;
  /** Keeps special tokens. */
  decode(ids: readonly number[]): string;
  /** Template for one text. */
  readonly single: readonly TemplatePart[];
  /** Template for a pair of texts. */
  readonly pair: readonly TemplatePart[];
  readonly padId: number;
  readonly padTypeId: number;
  readonly maskId: number | null;
  readonly unkId: number | null;
  /** The largest token id plus 1. */
  readonly vocabularySize: number;
  /** Whether tokens that continue a word are marked, such as "##ing". */
  readonly marksContinuation: boolean;
}

/** Returns the tokenizer of a version that reads tokens. @throws Error if there is none, which is a bug */
export function tokenizerOf({ tokenizer }: { readonly tokenizer: Tokenizer | null }): Tokenizer {
  if (!tokenizer) throw new Error('A version that reads tokens has no tokenizer. This is a bug.');
  return tokenizer;
}

/** The same tokenizer, whose sequences consist of texts only. */
export function withoutSpecialTokens(tokenizer: Tokenizer): Tokenizer {
  const texts = (template: readonly TemplatePart[]) => template.filter((part) => 'sequence' in part);
  return { ...tokenizer, single: texts(tokenizer.single), pair: texts(tokenizer.pair) };
}

/** The tokens `from` (inclusive) to `to` (exclusive) of a text. */
export interface Slice {
  readonly encoded: Encoded;
  readonly from: number;
  readonly to: number;
}

/** A complete token sequence, as the graph reads it. */
export interface Sequence {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  /** Positions of the first token of text A and of text B. */
  readonly startOfA: number;
  readonly startOfB: number;
}

/** The number of text tokens that fit into a sequence besides the special tokens of its template. */
export function tokenBudget({ maxTokens }: TextSpec, template: readonly TemplatePart[]): number {
  return maxTokens - template.filter((part) => 'special' in part).length;
}

/** Encodes what `truncate` may keep of a text, and a token more. */
export function encodeWithin(
  tokenizer: Tokenizer,
  text: string,
  budget: number,
  side?: TextSpec['truncates'],
): Promise<Encoded> {
  return side === 'left' ? tokenizer.encode(text) : encodeBeginning(tokenizer, text, budget);
}

/**
 * Encodes the first `budget` + 1 tokens of a text, or the whole text if it is shorter. This saves the time to
 * tokenize the rest of a long text, which would be truncated anyway. The text is cut at a space, because the tokens of a
 * word do not depend on later words.
 */
export async function encodeBeginning(tokenizer: Tokenizer, text: string, budget: number): Promise<Encoded> {
  const beginning = (ids: ArrayLike<number>) => Array.prototype.slice.call(ids, 0, budget + 1);
  for (let length = firstLength(budget); length < text.length; length *= 4) {
    const end = text.lastIndexOf(' ', length);
    if (end < length / 2) continue;
    const { ids } = await tokenizer.encode(text.slice(0, end));
    if (ids.length > budget) return { ids: beginning(ids) };
  }
  return { ids: beginning((await tokenizer.encode(text)).ids) };
}

/** The first `budget` tokens of a text, the last ones with `left`, or all of them if there are fewer. */
export function truncate(encoded: Encoded, budget: number, side?: TextSpec['truncates']): Slice {
  const count = Math.min(encoded.ids.length, Math.max(0, budget));
  const from = side === 'left' ? encoded.ids.length - count : 0;
  return { encoded, from, to: from + count };
}

/**
 * How many tokens of two texts fit into `budget` if the longer one is truncated first, as `longest_first` of the tokenizers
 * library does: if both have to be truncated, each gets half, and the longer one an odd token.
 */
export function truncatePair([a, b]: readonly [number, number], budget: number): [a: number, b: number] {
  if (a + b <= budget) return [a, b];
  const short = Math.min(a, b);
  const rest = Math.max(short, budget - short);
  const isShortWhole = short <= budget && short + rest <= budget;
  const less = isShortWhole ? short : Math.floor(budget / 2);
  const more = isShortWhole ? rest : Math.ceil(budget / 2);
  return a > b ? [more, less] : [less, more];
}

/**
 * Splits a text into windows of at most `budget` tokens. Neighboring windows share `stride` tokens, so that a token at the
 * edge of one window has context in the next. A text that fits, even an empty one, is a single window. Each window adds
 * at least an eighth of the budget in new tokens, whatever the stride.
 */
export function windowsOf(encoded: Encoded, budget: number, stride: number): Slice[] {
  const count = encoded.ids.length;
  const size = Math.max(1, budget);
  const step = Math.max(Math.ceil(size / 8), size - stride);
  const windows: Slice[] = [];
  for (let from = 0; ; from += step) {
    windows.push({ encoded, from, to: Math.min(count, from + size) });
    if (from + size >= count) return windows;
  }
}

/** Fills a template with one text, or with a pair of texts. */
export function sequenceOf(template: readonly TemplatePart[], a: Slice, b: Slice | null = null): Sequence {
  const ids: number[] = [];
  const types: number[] = [];
  const starts = { A: 0, B: 0 };
  for (const part of template) {
    if ('special' in part) {
      ids.push(part.special);
      types.push(part.type);
      continue;
    }
    starts[part.sequence] = ids.length;
    const slice = part.sequence === 'A' ? a : b;
    if (!slice) continue;
    for (let i = slice.from; i < slice.to; i++) {
      ids.push(slice.encoded.ids[i] as number);
      types.push(part.type);
    }
  }
  return { ids, types, startOfA: starts.A, startOfB: starts.B };
}

/** Inputs of a text graph that the service can fill, named as in the ONNX exports of transformers. */
export const TEXT_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const;

/**
 * The inputs of the graph for one sequence, each with the shape [1, length]. If the graph has a fixed length, the sequence
 * is padded to it here; otherwise it is padded when it shares a run with longer sequences.
 */
export function tensorsOf(
  { inputs, text }: Pick<AnySpec, 'inputs' | 'text'>,
  { ids, types }: Sequence,
  tokenizer: Tokenizer,
): TensorData[] {
  const columns: Record<(typeof TEXT_INPUTS)[number], { values: readonly number[]; pad: number }> = {
    input_ids: { values: ids, pad: tokenizer.padId },
    attention_mask: { values: ids.map(() => 1), pad: 0 },
    token_type_ids:
      text?.hasTokenTypes === false
        ? { values: ids.map(() => 0), pad: 0 }
        : { values: types, pad: tokenizer.padTypeId },
    position_ids: { values: ids.map((_, i) => i), pad: 0 },
  };
  return inputs.map((input) => {
    const { values, pad } = columns[input.name as (typeof TEXT_INPUTS)[number]];
    const length = input.shape[1] ?? values.length;
    const tensor = { name: input.name, datatype: input.datatype, shape: [1, length] };
    return { ...tensor, data: paddedIntegers(input, values, length, pad), ...(text?.pads ? { pad } : {}) };
  });
}

/** Converts numbers to the input's integer type, padded to `length`. */
function paddedIntegers({ datatype }: TensorSpec, values: readonly number[], length: number, pad: number): TensorArray {
  const array = datatype === 'INT64' ? new BigInt64Array(length) : new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const value = values[i] ?? pad;
    array[i] = array instanceof BigInt64Array ? BigInt(value) : value;
  }
  return array;
}
