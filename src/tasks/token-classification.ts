/**
 * Labels tokens and merges them into words and entities, such as names of people and places.
 *
 * Follows the pipeline `token-classification` of Hugging Face's transformers and its aggregation strategies:
 *   NONE      one span per token;
 *   SIMPLE    neighboring tokens with the same label are merged;
 *   FIRST, AVERAGE, MAX   each word first gets a single label: that of its first token, of the mean of its tokens' scores,
 *             or of the token with the highest score. Then neighboring words with the same label are merged.
 *
 * A long text is read in overlapping windows. A token that is in several windows gets its scores from the window in which
 * it is farthest from an edge.
 */
import { AGGREGATIONS, type AggregationName, type AnswerOf, type LabelledSpan, type SpanColumns } from './answer.js';
import { type Floats, floatOutput } from './datatypes.js';
import { defineTask, oneRow, type Preprocessed } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { activationOfLogits } from './score-head.js';
import { applyActivation, indexOfHighest, onlyOutput } from './scores.js';
import {
  type EncodedWithOffsets,
  type Sequence,
  type Slice,
  sequenceOf,
  type Tokenizer,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
  windowsOf,
} from './sequences.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { Activation, SpecBase, TextSpec } from './spec.js';
import { postprocessTensors } from './tensor-outputs.js';
import { stringTensor, textExamples, textInput } from './text.js';

/** The output has the shape [N, tokens, labels]. */
interface TokensHead {
  readonly kind: 'tokens';
  readonly output: string;
  /** Absent if the output holds logits, to which a softmax is applied. */
  readonly activation?: Activation;
}

type TokensSpec = SpecBase & { readonly head: TokensHead; readonly text: TextSpec };

export const tokenClassification = defineTask({
  name: 'TOKEN_CLASSIFICATION',
  description: 'Labels words in a text, such as names of people and places.',
  reads: [textInput],
  part: 'text',
  answers: ['tokens', 'tensors'],
  hasLabels: true,
  tokens: { longInputs: 'windows', tokenizesAll: true },
  recognizes: (files) => /ForTokenClassification$/.test(architectureOf(files)),
  head: tokensHead,
  outputs: onlyOutput,
  examples: textExamples,
  preprocess({ text }, spec, tools) {
    const { text: textSpec } = spec;
    if (!textSpec) return oneRow(stringTensor(text, spec), postprocessTensors);
    return preprocessTokens(text, { ...spec, text: textSpec }, tokenizerOf(tools));
  },
});

function tokensHead(sources: TaskSources): TokensHead {
  const { name } = pickOutput(sources, 'scores', ['logits'], 3);
  const activation = activationOfLogits(sources, name);
  return { kind: 'tokens', output: name, ...(activation === 'softmax' ? {} : { activation }) };
}

/** The label of tokens that belong to no entity. */
const OUTSIDE = 'O';

type LabelledRange = Omit<LabelledSpan, 'word'>;

/** A token or word, with the probability of each label. */
interface ScoredRange {
  readonly scores: readonly number[];
  readonly start: number;
  readonly end: number;
}

async function preprocessTokens(text: string, spec: TokensSpec, tokenizer: Tokenizer): Promise<Preprocessed> {
  const encoded = await tokenizer.encodeWithOffsets(text);
  const windows = windowsOf(encoded, tokenBudget(spec.text, tokenizer.single), spec.text.stride);
  const sequences = windows.map((window) => ({ window, sequence: sequenceOf(tokenizer.single, window) }));
  return {
    rows: sequences.map(({ sequence }) => tensorsOf(spec, sequence, tokenizer)),
    postprocess: (outputs) => {
      const read = sequences.map((one, i) => ({ ...one, logits: floatOutput(outputs[i] ?? [], spec.head.output) }));
      const scored = scoresOfTokens(encoded, read, spec.labels.length, spec.head.activation);
      const isContinued = (i: number) => continuesWord(text, encoded, i, tokenizer);
      const labels = [...new Set([...spec.labels, ...spec.labels.map(groupOf)])];
      const spansBy = (strategy: AggregationName) =>
        spanColumns(aggregate(scored, spec.labels, strategy, isContinued), labels);
      const spans = Object.fromEntries(AGGREGATIONS.map((strategy) => [strategy, spansBy(strategy)]));
      return { kind: 'tokens', text, labels, spans: spans as Record<AggregationName, SpanColumns> };
    },
  };
}

/** The spans of an answer for an aggregation strategy. */
export function spansOf({ text, labels, spans }: AnswerOf<'tokens'>, strategy: AggregationName): LabelledSpan[] {
  const { labels: indices, scores, starts, ends } = spans[strategy];
  return Array.from(indices, (index, i) => {
    const [start, end] = [starts[i] as number, ends[i] as number];
    return { label: labels[index] as string, score: scores[i] as number, word: text.slice(start, end), start, end };
  });
}

function spanColumns(spans: readonly LabelledRange[], labels: readonly string[]): SpanColumns {
  const indexOf = new Map(labels.map((label, i) => [label, i]));
  return {
    labels: Uint16Array.from(spans, ({ label }) => indexOf.get(label) as number),
    scores: Float32Array.from(spans, ({ score }) => score),
    starts: Uint32Array.from(spans, ({ start }) => start),
    ends: Uint32Array.from(spans, ({ end }) => end),
  };
}

/** A window of the text with the outputs of its run. */
interface ReadWindow {
  readonly window: Slice;
  readonly sequence: Sequence;
  readonly logits: Floats;
}

/** The scores of all tokens of the text, each from the window in which it is farthest from an edge. */
function scoresOfTokens(
  encoded: EncodedWithOffsets,
  windows: readonly ReadWindow[],
  width: number,
  activation: Activation = 'softmax',
): ScoredRange[] {
  // Windows that end before the token are dropped, which keeps the search fast for long texts.
  let remaining = windows;
  return Array.from({ length: encoded.ids.length }, (_, i) => {
    while (remaining[0] && remaining[0].window.to <= i) remaining = remaining.slice(1);
    const logits = bestLogits(remaining, i, width);
    if (logits?.length !== width || !logits.every(Number.isFinite))
      throw new UnusableOutputError(`the scores of token ${i} are not finite numbers`);
    return {
      scores: applyActivation(logits, activation),
      start: encoded.starts[i] as number,
      end: encoded.ends[i] as number,
    };
  });
}

/** The logits of token `i` in the window in which it is farthest from an edge; the first window if several are equal. */
function bestLogits(windows: readonly ReadWindow[], i: number, width: number): Floats | undefined {
  let best: ReadWindow | undefined;
  for (const one of windows) {
    if (one.window.from > i) break;
    if (!best || margin(one.window, i) > margin(best.window, i)) best = one;
  }
  if (!best) return undefined;
  const position = best.sequence.startOfA + i - best.window.from;
  return best.logits.subarray(position * width, (position + 1) * width);
}

/** The distance of a token from the nearest edge of a window; −1 outside. Start and end of the text are not edges. */
function margin({ encoded, from, to }: Slice, i: number): number {
  if (i < from || i >= to) return -1;
  const left = from === 0 ? Number.POSITIVE_INFINITY : i - from;
  const right = to === encoded.ids.length ? Number.POSITIVE_INFINITY : to - 1 - i;
  return Math.min(left, right);
}

/** Whether a token belongs to the same word as the token before it. */
function continuesWord(
  text: string,
  { ids, starts, words }: EncodedWithOffsets,
  i: number,
  tokenizer: Tokenizer,
): boolean {
  // An unknown token counts as a separate word.
  if (i === 0 || ids[i] === tokenizer.unkId) return false;
  if (tokenizer.marksContinuation) return words[i] === words[i - 1];
  // These vocabularies mark the start of a word instead: a token starts a word if there is a space before or in it.
  // transformers looks for U+0020 only, so that words on both sides of a tab or a line break are one.
  const start = starts[i] as number;
  return start > 0 && !text.slice(start - 1, start + 1).includes(' ');
}

function aggregate(
  tokens: readonly ScoredRange[],
  labels: readonly string[],
  strategy: AggregationName,
  isContinued: (i: number) => boolean,
): LabelledRange[] {
  const units = strategy === 'NONE' || strategy === 'SIMPLE' ? tokens : mergeIntoWords(tokens, strategy, isContinued);
  const labeled = units.map((unit) => bestRange(unit, labels));
  const spans = strategy === 'NONE' ? labeled : mergeNeighbors(labeled);
  return spans.filter(({ label }) => label !== OUTSIDE);
}

/** Merges tokens into words. */
function mergeIntoWords(
  tokens: readonly ScoredRange[],
  strategy: 'FIRST' | 'AVERAGE' | 'MAX',
  isContinued: (i: number) => boolean,
): ScoredRange[] {
  const words: ScoredRange[][] = [];
  for (const [i, token] of tokens.entries()) {
    if (isContinued(i)) words.at(-1)?.push(token);
    else words.push([token]);
  }
  return words.map((parts) => ({
    scores: WORD_SCORES[strategy](parts.map(({ scores }) => scores)),
    start: (parts[0] as ScoredRange).start,
    end: (parts.at(-1) as ScoredRange).end,
  }));
}

/** The scores of a word, from those of its tokens. */
const WORD_SCORES = {
  FIRST: ([first]: readonly (readonly number[])[]) => first as readonly number[],
  AVERAGE: (all: readonly (readonly number[])[]) =>
    (all[0] as readonly number[]).map(
      (_, i) => all.reduce((sum, scores) => sum + (scores[i] as number), 0) / all.length,
    ),
  MAX: (all: readonly (readonly number[])[]) => {
    const highest = all.map((scores) => Math.max(...scores));
    return all[highest.indexOf(Math.max(...highest))] as readonly number[];
  },
} as const;

/** A range with its best label. */
function bestRange({ scores, start, end }: ScoredRange, labels: readonly string[]): LabelledRange {
  const best = indexOfHighest(scores);
  return { label: labels[best] as string, score: scores[best] as number, start, end };
}

/** The entity type of a label in the BIO scheme: "PER" for "B-PER" and "I-PER". */
function entityOf(label: string): string {
  return /^[BI]-(.*)$/s.exec(label)?.[1] ?? label;
}

/** The name of a group of entities. transformers drops whatever stands before the first hyphen: "c-d" becomes "d". */
function groupOf(label: string): string {
  return label.slice(label.indexOf('-') + 1);
}

/** Merges neighboring spans of the same entity type. "B-" starts a new entity. The score is the mean of the spans' scores. */
function mergeNeighbors(spans: readonly LabelledRange[]): LabelledRange[] {
  const groups: { entity: string; members: LabelledRange[] }[] = [];
  for (const span of spans) {
    const entity = entityOf(span.label);
    const last = groups.at(-1);
    if (last?.entity === entity && !span.label.startsWith('B-')) last.members.push(span);
    else groups.push({ entity, members: [span] });
  }
  return groups.map(({ members }) => {
    const [start, end] = [(members[0] as LabelledRange).start, (members.at(-1) as LabelledRange).end];
    const score = members.reduce((sum, { score }) => sum + score, 0) / members.length;
    return { label: groupOf((members[0] as LabelledRange).label), score, start, end };
  });
}
