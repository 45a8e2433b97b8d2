/** Facts about a tokenizer.json that its users need before it is opened. The file is part of the blob that workers read. */
import { z } from 'zod';
import type { HuggingFaceFiles } from './hugging-face.js';
import { listOf, mapOf } from './schemas.js';

const blobSchema = z.looseObject({
  tokenizer: z.looseObject({
    truncation: z.looseObject({ max_length: z.number(), direction: z.string().nullish() }).nullish(),
    added_tokens: listOf(z.looseObject({ content: z.string() })).nullish(),
    model: z.looseObject({
      vocab: z.union([mapOf(z.number()), listOf(z.tuple([z.string()]).rest(z.unknown()))]),
    }),
  }),
});

/** Where the tokenizer itself truncates texts, in tokens; null if it does not. */
export function ownTruncation(blob: string): number | null {
  return blobSchema.safeParse(JSON.parse(blob)).data?.tokenizer.truncation?.max_length ?? null;
}

/** The largest id of the vocabulary, without added tokens; -1 if it is empty. */
export function largestTokenId(blob: string): number {
  const vocab = blobSchema.safeParse(JSON.parse(blob)).data?.tokenizer.model.vocab ?? [];
  if (Array.isArray(vocab)) return vocab.length - 1;
  return Object.values(vocab).reduce((largest, id) => Math.max(largest, id), -1);
}

/** Whether long texts lose their beginnings: `truncation_side` of tokenizer_config.json, else the tokenizer's own setting. */
export function truncatesLeft({ tokenizer, tokenizerConfig }: Pick<HuggingFaceFiles, 'tokenizer' | 'tokenizerConfig'>) {
  const own = blobSchema.safeParse(JSON.parse(tokenizer ?? 'null')).data?.tokenizer.truncation?.direction;
  return String(tokenizerConfig['truncation_side'] ?? own).toLowerCase() === 'left';
}

/** The median length of the tokens of the vocabulary in code points, rounded down. At least 1. */
export function medianTokenLength(blob: string): number {
  const tokenizer = blobSchema.safeParse(JSON.parse(blob)).data?.tokenizer;
  if (!tokenizer) return 1;
  const { vocab } = tokenizer.model;
  const tokens = Array.isArray(vocab) ? vocab.map(([token]) => token) : Object.keys(vocab);
  const all = new Set([...tokens, ...(tokenizer.added_tokens ?? []).map(({ content }) => content)]);
  const lengths = Uint32Array.from(all, (token) => Array.from(token).length).sort();
  const middle = lengths.length / 2;
  const [low = 1, high = 1] = [lengths[Math.ceil(middle) - 1], lengths[Math.floor(middle)]];
  return Math.max(1, Math.floor((low + high) / 2));
}
