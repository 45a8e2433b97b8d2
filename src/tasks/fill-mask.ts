/** Predicts the masked word of a text. Pipeline `fill-mask` of Hugging Face. */
import type { Filling } from './answer.js';
import { floatOutput, outputNamed } from './datatypes.js';
import { defineTask, type Preprocessed, type Tools } from './define-task.js';
import { UnreadableItemError, UnusableOutputError } from './failures.js';
import { type Problems, quoted } from './problems.js';
import { activationOfLogits } from './score-head.js';
import { applyActivation, onlyOutput } from './scores.js';
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
import type { Activation, Example, SpecBase, TextSpec, Widget } from './spec.js';
import { type TextItem, textInput, widgetInputs } from './text.js';

/** Maximum number of fillings in an answer. */
export const MAX_FILLINGS = 20;

/** The output has the shape [N, tokens, vocabulary]. */
interface FillMaskHead {
  readonly kind: 'mask';
  readonly output: string;
  /** Absent if the output holds logits, to which a softmax is applied. */
  readonly activation?: Activation;
}

type FillMaskSpec = SpecBase & { readonly head: FillMaskHead; readonly text: TextSpec };

export const fillMask = defineTask({
  name: 'FILL_MASK',
  description: 'Predicts the masked word of a text.',
  reads: [textInput],
  part: 'tokens',
  answers: ['fillings'],
  // The output is large: one score per token and word of the vocabulary.
  tokens: { longInputs: 'truncate', hasMask: true, tokenizesAll: true, maxTokensPerRun: 512 },
  recognizes: (files) => /ForMaskedLM$/.test(architectureOf(files)),
  head: fillMaskHead,
  outputs: onlyOutput,
  examples: fillMaskExamples,
  check: checkMask,
  preprocess: preprocessFillMask,
});

function fillMaskHead(sources: TaskSources): FillMaskHead {
  const { name } = pickOutput(sources, 'scores', ['logits'], 3);
  const activation = activationOfLogits(sources, name);
  return { kind: 'mask', output: name, ...(activation === 'softmax' ? {} : { activation }) };
}

function fillMaskExamples({ text: { maskToken } }: FillMaskSpec, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'text').filter(({ text }) => text.includes(maskToken ?? ''));
  return [...fromCard.map(({ text }) => ({ text })), { text: `Paris is the ${maskToken} of France.` }];
}

/** Requires exactly one mask token in the text. */
function checkMask({ text }: TextItem, { text: { maskToken } }: FillMaskSpec, problems: Problems): void {
  const count = text.split(maskToken ?? '').length - 1;
  if (count === 1) return;
  const code = count === 0 ? 'MISSING' : 'WRONG_KIND';
  const expected = `${quoted(maskToken ?? '')} exactly once`;
  problems.add(['text'], code, `the text must contain ${expected}`, expected, `${count} times`);
}

/** @throws UnreadableItemError if the tokenizer does not encode the mask as a separate token */
async function preprocessFillMask({ text }: TextItem, spec: FillMaskSpec, tools: Tools): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const maskToken = spec.text.maskToken ?? '';
  const encoded = await tokenizer.encode(text);
  const mask = Array.from(encoded.ids).indexOf(tokenizer.maskId ?? -1);
  if (mask < 0) throw new UnreadableItemError(missingMaskProblem(maskToken));
  const budget = tokenBudget(spec.text, tokenizer.single);
  const slice = windowAround(encoded, mask, budget);
  const sequence = sequenceOf(tokenizer.single, slice);
  const isTruncated = encoded.ids.length > budget;
  const { output, activation = 'softmax' } = spec.head;
  return {
    rows: [tensorsOf(spec, sequence, tokenizer)],
    postprocess: ([outputs = []]) => {
      const size = outputNamed(outputs, output)?.shape[2] ?? 0;
      const position = sequence.startOfA + mask - slice.from;
      const scores = floatOutput(outputs, output).subarray(position * size, (position + 1) * size);
      if (scores.length === 0 || !scores.every(Number.isFinite))
        throw new UnusableOutputError('the scores of the mask token are not finite numbers');
      const items = bestTokens(applyActivation(scores, activation)).map((best) =>
        fillingOf(best, text, maskToken, tokenizer),
      );
      return { kind: 'fillings', items, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

function missingMaskProblem(maskToken: string) {
  const mask = quoted(maskToken);
  const message = `${mask} is not encoded as a separate token here`;
  return { code: 'UNREADABLE', path: ['text'], message, expected: `${mask} as a separate word` } as const;
}

/** A window of at most `budget` tokens with the mask as close to its middle as possible. */
function windowAround(encoded: Encoded, mask: number, budget: number): Slice {
  const count = encoded.ids.length;
  const from = Math.max(0, Math.min(mask - Math.floor(budget / 2), count - budget));
  return { encoded, from, to: Math.min(count, from + budget) };
}

/** The tokens with the highest scores, best first. */
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

/** Some tokenizers decode a token at the start of a word with a leading space; it is dropped if the text already has one. */
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
