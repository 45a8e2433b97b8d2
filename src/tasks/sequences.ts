/**
 * From texts to sequences of tokens, as long as the graph reads them: cut, in windows, or as pairs.
 *
 * Pure: the tokenizer is handed in. A sequence always has the special tokens of its template, the final separator
 * included: what is cut is the text.
 */
import type { TensorArray, TensorData } from './datatypes.js';
import type { AnySpec, TensorSpec, TextSpec } from './spec.js';

/** The tokens of one text, without special tokens around them. */
export interface Encoded {
  readonly ids: ArrayLike<number>;
  /** Where each begins and ends in the text that was sent, in UTF-16 units. */
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
  /** Which word each is a part of; a special token in the text is a word of its own. */
  readonly words: ArrayLike<number>;
}

/** What stands around one text (A) or a pair (A, B), in order; `type` is the token type. */
export type TemplatePart =
  | { readonly special: number; readonly type: number }
  | { readonly sequence: 'A' | 'B'; readonly type: number };

/** What a worker lends to tasks that read texts. */
export interface Tokenizer {
  encode(text: string): Promise<Encoded>;
  /** Special tokens included. */
  decode(ids: readonly number[]): string;
  readonly single: readonly TemplatePart[];
  readonly pair: readonly TemplatePart[];
  readonly padId: number;
  readonly padTypeId: number;
  readonly maskId: number | null;
  readonly unkId: number | null;
  /** The largest id, plus one. */
  readonly vocabularySize: number;
  /** Do tokens that go on with a word say so, as "##ing" does? */
  readonly marksContinuation: boolean;
}

/** @throws Error when the version has no tokenizer: a version that reads tokens always has one */
export function tokenizerOf({ tokenizer }: { readonly tokenizer: Tokenizer | null }): Tokenizer {
  if (!tokenizer) throw new Error('A version that reads tokens has no tokenizer. This is a bug.');
  return tokenizer;
}

/** Tokens `from` to `to` of a text. */
export interface Slice {
  readonly encoded: Encoded;
  readonly from: number;
  readonly to: number;
}

export interface Sequence {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  /** Where the tokens of a text begin. */
  readonly startOfA: number;
  readonly startOfB: number;
}

/** How many tokens of text fit beside the special ones of a template. */
export function tokenBudget({ maxTokens }: TextSpec, template: readonly TemplatePart[]): number {
  return maxTokens - template.filter((part) => 'special' in part).length;
}

/** Characters of a token, generously. */
const CHARACTERS_PER_TOKEN = 16;

/**
 * The tokens of a text, or of as much of its beginning as has more than `room`: nobody waits for the rest of a long text
 * to be cut into tokens that are left out. It is cut between words, as tokens of words do not depend on later ones.
 */
export async function encodeBeginning(tokenizer: Tokenizer, text: string, room: number): Promise<Encoded> {
  for (let length = CHARACTERS_PER_TOKEN * (room + 1); length < text.length; length *= 4) {
    const end = text.lastIndexOf(' ', length);
    if (end < length / 2) continue;
    const encoded = await tokenizer.encode(text.slice(0, end));
    if (encoded.ids.length > room) return encoded;
  }
  return tokenizer.encode(text);
}

/** The beginning of a text, as much as fits. */
export function truncate(encoded: Encoded, room: number): Slice {
  return { encoded, from: 0, to: Math.min(encoded.ids.length, Math.max(0, room)) };
}

/**
 * A text in windows of at most `room` tokens; neighbours share `stride`, so that what stands at the end of one has its
 * surroundings in the next. A text that fits is one window, and so is an empty one. Each brings at least an eighth of
 * its room, however many it shares.
 */
export function windowsOf(encoded: Encoded, room: number, stride: number): Slice[] {
  const count = encoded.ids.length;
  const size = Math.max(1, room);
  const step = Math.max(Math.ceil(size / 8), size - stride);
  const windows: Slice[] = [];
  for (let from = 0; ; from += step) {
    windows.push({ encoded, from, to: Math.min(count, from + size) });
    if (from + size >= count) return windows;
  }
}

/** A text, or a pair of them, with the special tokens of the template. */
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

/** The inputs of the graph that this server can fill for a text, by their usual names. */
export const TEXT_INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const;

/** One row of the graph's inputs; a graph with a fixed length gets its padding here, others beside longer mates. */
export function tensorsOf(
  { inputs, text }: Pick<AnySpec, 'inputs' | 'text'>,
  { ids, types }: Sequence,
  tokenizer: Tokenizer,
): TensorData[] {
  const columns: Record<(typeof TEXT_INPUTS)[number], { values: readonly number[]; pad: number }> = {
    input_ids: { values: ids, pad: tokenizer.padId },
    attention_mask: { values: ids.map(() => 1), pad: 0 },
    token_type_ids: { values: types, pad: tokenizer.padTypeId },
    position_ids: { values: ids.map((_, i) => i), pad: 0 },
  };
  return inputs.map((input) => {
    const { values, pad } = columns[input.name as (typeof TEXT_INPUTS)[number]];
    const length = input.shape[1] ?? values.length;
    const tensor = { name: input.name, datatype: input.datatype, shape: [1, length] };
    return { ...tensor, data: paddedIntegers(input, values, length, pad), ...(text?.pads ? { pad } : {}) };
  });
}

function paddedIntegers({ datatype }: TensorSpec, values: readonly number[], length: number, pad: number): TensorArray {
  const array = datatype === 'INT64' ? new BigInt64Array(length) : new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const value = values[i] ?? pad;
    array[i] = array instanceof BigInt64Array ? BigInt(value) : value;
  }
  return array;
}
