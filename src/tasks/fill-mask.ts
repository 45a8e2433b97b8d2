/**
 * Words for the one place of a text that is left open.
 */
import type { Filling } from './answer.js';
import { outputNamed } from './datatypes.js';
import { defineTask, type Preprocessed, type Tools } from './define-task.js';
import { UnreadableItemError, UnusableOutputError } from './failures.js';
import type { Problems } from './problems.js';
import { onlyOutput, softmax } from './scores.js';
import {
  type Encoded,
  type Slice,
  sequenceOf,
  type Tokenizer,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
} from './sequences.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { Example, SpecBase, TextSpec, Widget } from './spec.js';
import { type TextItem, textInput, widgetInputs } from './text.js';

/** The most that an answer keeps. */
export const MAX_FILLINGS = 20;

/** [N, tokens, vocabulary]: logits. */
interface FillMaskHead {
  readonly kind: 'mask';
  readonly output: string;
}

type FillMaskSpec = SpecBase & { readonly head: FillMaskHead; readonly text: TextSpec };

export const fillMask = defineTask({
  name: 'FILL_MASK',
  description: 'Predicts the masked word of a text.',
  reads: [textInput],
  part: 'tokens',
  // Each token is answered with a score for every word of the vocabulary.
  tokens: { longInputs: 'truncate', hasMask: true, maxTokensPerRun: 512 },
  recognizes: (files) => /ForMaskedLM$/.test(architectureOf(files)),
  head: fillMaskHead,
  outputs: onlyOutput,
  examples: fillMaskExamples,
  check: checkMask,
  preprocess: preprocessFillMask,
});

function fillMaskHead(sources: TaskSources): FillMaskHead {
  return { kind: 'mask', output: pickOutput(sources, 'scores', ['logits'], 3).name };
}

function fillMaskExamples({ text: { maskToken } }: FillMaskSpec, widget: Widget): Example[] {
  const shown = widgetInputs(widget, 'text').filter(({ text }) => text.includes(maskToken ?? ''));
  return [...shown.map(({ text }) => ({ text })), { text: `Paris is the ${maskToken} of France.` }];
}

function checkMask({ text }: TextItem, { text: { maskToken } }: FillMaskSpec, problems: Problems): void {
  const count = text.split(maskToken ?? '').length - 1;
  if (count === 1) return;
  const code = count === 0 ? 'MISSING' : 'WRONG_KIND';
  problems.add(['text'], code, 'one word of the text is left open', `${maskToken} exactly once`, `${count} times`);
}

/** @throws UnreadableItemError when the tokenizer does not read the mask as a token of its own */
async function preprocessFillMask({ text }: TextItem, spec: FillMaskSpec, tools: Tools): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const maskToken = spec.text.maskToken ?? '';
  const encoded = await tokenizer.encode(text);
  const mask = Array.from(encoded.ids).indexOf(tokenizer.maskId ?? -1);
  if (mask < 0) throw new UnreadableItemError(missingMaskProblem(maskToken));
  const room = tokenBudget(spec.text, tokenizer.single);
  const slice = windowAround(encoded, mask, room);
  const sequence = sequenceOf(tokenizer.single, slice);
  const isTruncated = encoded.ids.length > room;
  const { output } = spec.head;
  return {
    rows: [tensorsOf(spec, sequence, tokenizer)],
    postprocess: ([outputs = []]) => {
      const logits = outputNamed(outputs, output);
      const size = logits?.shape[2] ?? 0;
      const at = sequence.startOfA + mask - slice.from;
      const own = (logits?.data as Float32Array | undefined)?.subarray(at * size, (at + 1) * size);
      if (!own?.length || !own.every(Number.isFinite))
        throw new UnusableOutputError('it gave no finite score for the mask');
      const items = bestTokens(softmax(own)).map((best) => fillingOf(best, text, maskToken, tokenizer));
      return { kind: 'fillings', items, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

function missingMaskProblem(maskToken: string) {
  const message = `${maskToken} is not a token of its own here`;
  return { code: 'UNREADABLE', path: ['text'], message, expected: `${maskToken} as a word` } as const;
}

/** As much as fits, the mask in its middle. */
function windowAround(encoded: Encoded, mask: number, room: number): Slice {
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
