/**
 * Words for the one place of a text that is left open.
 */
import { softmax } from './classification.js';
import { outputNamed } from './datatypes.js';
import { type Filling, type Preprocessed, UnreadableItemError, UnusableOutput } from './input.js';
import { type Encoded, roomOf, type Slice, sequenceOf, type Tokenizer, tensorsOf } from './sequences.js';
import type { Head, VersionSpec } from './spec.js';

/** The most that an answer keeps. */
export const MAX_FILLINGS = 20;

/** @throws UnreadableItemError when the mask is no token of the text after all */
export async function preprocessFillMask(text: string, spec: VersionSpec, tokenizer: Tokenizer): Promise<Preprocessed> {
  const rules = spec.text as NonNullable<VersionSpec['text']>;
  const maskToken = rules.maskToken ?? '';
  const encoded = await tokenizer.encode(text);
  const mask = Array.from(encoded.ids).indexOf(tokenizer.maskId ?? -1);
  if (mask < 0) throw new UnreadableItemError(noMask(maskToken));
  const room = roomOf(rules, tokenizer.single);
  const slice = around(encoded, mask, room);
  const sequence = sequenceOf(tokenizer.single, slice);
  const isTruncated = encoded.ids.length > room;
  const { output } = spec.head as Extract<Head, { kind: 'mask' }>;
  return {
    rows: [tensorsOf(spec, sequence, tokenizer)],
    postprocess: ([outputs = []]) => {
      const logits = outputNamed(outputs, output);
      const size = logits?.shape[2] ?? 0;
      const at = sequence.startOfA + mask - slice.from;
      const own = (logits?.data as Float32Array | undefined)?.subarray(at * size, (at + 1) * size);
      if (!own?.length || !own.every(Number.isFinite)) throw new UnusableOutput('it gave no finite score for the mask');
      const items = bestTokens(softmax(own)).map((best) => fillingOf(best, text, maskToken, tokenizer));
      return { kind: 'fillings', items, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

function noMask(maskToken: string) {
  const message = `${maskToken} is not a token of its own here`;
  return { code: 'UNREADABLE', path: ['text'], message, expected: `${maskToken} as a word` } as const;
}

/** As much as fits, the mask in its middle. */
function around(encoded: Encoded, mask: number, room: number): Slice {
  const count = encoded.ids.length;
  const from = Math.max(0, Math.min(mask - Math.floor(room / 2), count - room));
  return { encoded, from, to: Math.min(count, from + room) };
}

function bestTokens(scores: readonly number[]): { token: number; score: number }[] {
  const best: { token: number; score: number }[] = [];
  for (const [token, score] of scores.entries()) {
    if (best.length === MAX_FILLINGS && score <= (best.at(-1)?.score ?? 0)) continue;
    const place = best.findIndex((other) => other.score < score);
    best.splice(place < 0 ? best.length : place, 0, { token, score });
    best.length = Math.min(best.length, MAX_FILLINGS);
  }
  return best;
}

/** A token that begins a word may bring its space along, which the text has already. */
function fillingOf(
  { token, score }: { token: number; score: number },
  text: string,
  maskToken: string,
  tokenizer: Tokenizer,
): Filling {
  const word = tokenizer.decode([token]);
  const [before = '', after = ''] = text.split(maskToken);
  const fitted = /(^|\s)$/.test(before) ? word.trimStart() : word;
  return { token, text: word, score, sequence: `${before}${fitted}${after}` };
}
