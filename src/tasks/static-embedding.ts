/**
 * Static embeddings, as of model2vec: the embedding of a text is the mean of a table's rows for its tokens.
 *
 * Their graphs often read the tokens of all texts of a run in one row, `input_ids`, and in `offsets` where each text
 * begins, like `EmbeddingBag` of PyTorch. Texts get no special tokens.
 */
import { arrayOf, type TensorData } from './datatypes.js';
import { type Encoded, encodeBeginning, type Tokenizer } from './sequences.js';
import type { AnySpec, TensorSpec, TextSpec } from './spec.js';

/** Inputs of such a graph, each of shape [any]. */
export const BAG_INPUTS: readonly string[] = ['input_ids', 'offsets'];

/** Whether the graph reads the tokens of all texts of a run in one row. */
export function readsBags(inputs: readonly TensorSpec[]): boolean {
  return inputs.some(({ name }) => name === 'offsets');
}

/** The inputs of the graph for one text; `worker/batch.ts` joins those of several texts. */
export function bagOf({ inputs }: Pick<AnySpec, 'inputs'>, ids: readonly number[]): TensorData[] {
  // The tokens first: they are what the length of a row means.
  return BAG_INPUTS.flatMap((name): TensorData[] => {
    const input = inputs.find((one) => one.name === name);
    if (!input) return [];
    const isTokens = name === 'input_ids';
    const values = isTokens ? ids : [0];
    const data = arrayOf(input, values);
    return [{ name, datatype: input.datatype, shape: [values.length], data, ragged: isTokens ? 'values' : 'starts' }];
  });
}

/** What the embedding of a text is computed from. */
interface StaticText {
  readonly encoded: Encoded;
  readonly isTruncated: boolean;
}

/** Encodes a text as model2vec does: it is cut at a number of characters, then of tokens, and unknown tokens are left out. */
export async function encodeStatic(tokenizer: Tokenizer, text: string, spec: TextSpec): Promise<StaticText> {
  const { maxCharacters = null, maxTokens } = spec;
  const beginning = maxCharacters === null ? text : firstCharacters(text, maxCharacters);
  const { ids } = await encodeBeginning(tokenizer, beginning, maxTokens);
  const kept = Array.prototype.slice.call(ids, 0, maxTokens) as number[];
  return {
    encoded: { ids: spec.ignoresUnknown ? kept.filter((id) => id !== tokenizer.unkId) : kept },
    isTruncated: beginning.length < text.length || ids.length > maxTokens,
  };
}

/** The first characters of a text, as Python counts them: code points. */
function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  let end = 0;
  for (let i = 0; i < count && end < text.length; i++) end += (text.codePointAt(end) as number) > 0xffff ? 2 : 1;
  return text.slice(0, end);
}
