/**
 * Labels of the words of a text: where each stands, and what several together name.
 *
 * A long text is read in windows that overlap; a token's label is that of the window in which it is farthest from an
 * edge. Aggregation as in the pipeline of Hugging Face's transformers:
 *   NONE     each token for itself;
 *   SIMPLE   neighbouring tokens of one label are one;
 *   FIRST, AVERAGE, MAX   each word first gets one label: that of its first token, of the mean of its tokens' scores,
 *            or of its surest token; then neighbouring words of one label are one.
 */
import { AGGREGATIONS, type AggregationName, type AnswerOf, type LabelledSpan, type SpanColumns } from './answer.js';
import { outputNamed, type TensorData } from './datatypes.js';
import { defineTask, oneRow, type Preprocessed } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { indexOfHighest, onlyOutput, softmax } from './scores.js';
import {
  type Encoded,
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
import type { SpecBase, TextSpec } from './spec.js';
import { postprocessTensors } from './tensors.js';
import { stringTensor, textExamples, textInput } from './text.js';

/** [N, tokens, labels]: logits. */
interface TokensHead {
  readonly kind: 'tokens';
  readonly output: string;
}

type TokensSpec = SpecBase & { readonly head: TokensHead; readonly text: TextSpec };

export const tokenClassification = defineTask({
  name: 'TOKEN_CLASSIFICATION',
  description: 'Labels words in a text, such as names of people and places.',
  reads: [textInput],
  part: 'text',
  hasLabels: true,
  // Each token may be a span: all spans of a request must fit in one answer.
  maxCharactersTogether: 1_000_000,
  tokens: { longInputs: 'windows' },
  recognizes: (files) => /ForTokenClassification$/.test(architectureOf(files)),
  head: tokensHead,
  outputs: onlyOutput,
  examples: textExamples,
  preprocess({ text }, spec, tools) {
    const { text: rules } = spec;
    if (!rules) return oneRow(stringTensor(text, spec), postprocessTensors);
    return preprocessTokens(text, { ...spec, text: rules }, tokenizerOf(tools));
  },
});

function tokensHead(sources: TaskSources): TokensHead {
  return { kind: 'tokens', output: pickOutput(sources, 'scores', ['logits'], 3).name };
}

/** The label of what names nothing. */
const OUTSIDE = 'O';

type LabelledRange = Omit<LabelledSpan, 'word'>;

/** A token or a word with the probabilities of its labels. */
interface ScoredRange {
  readonly scores: readonly number[];
  readonly start: number;
  readonly end: number;
}

async function preprocessTokens(text: string, spec: TokensSpec, tokenizer: Tokenizer): Promise<Preprocessed> {
  const encoded = await tokenizer.encode(text);
  const windows = windowsOf(encoded, tokenBudget(spec.text, tokenizer.single), spec.text.stride);
  const sequences = windows.map((window) => sequenceOf(tokenizer.single, window));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    postprocess: (outputs) => {
      const scored = scoresOfTokens(outputs, windows, sequences, spec);
      const isContinued = (i: number) => continuesWord(text, encoded, i, tokenizer);
      const names = [...new Set([...spec.labels, ...spec.labels.map(entityOf)])];
      const columns = (how: AggregationName) => spanColumns(aggregate(scored, spec.labels, how, isContinued), names);
      const spans = Object.fromEntries(AGGREGATIONS.map((how) => [how, columns(how)]));
      return { kind: 'tokens', text, labels: names, spans: spans as Record<AggregationName, SpanColumns> };
    },
  };
}

/** What an answer names, aggregated so. */
export function spansOf({ text, labels, spans }: AnswerOf<'tokens'>, how: AggregationName): LabelledSpan[] {
  const { labels: indices, scores, starts, ends } = spans[how];
  return Array.from(indices, (index, i) => {
    const [start, end] = [starts[i] as number, ends[i] as number];
    return { label: labels[index] as string, score: scores[i] as number, word: text.slice(start, end), start, end };
  });
}

function spanColumns(spans: readonly LabelledRange[], names: readonly string[]): SpanColumns {
  const indexOf = new Map(names.map((name, i) => [name, i]));
  return {
    labels: Uint16Array.from(spans, ({ label }) => indexOf.get(label) as number),
    scores: Float32Array.from(spans, ({ score }) => score),
    starts: Uint32Array.from(spans, ({ start }) => start),
    ends: Uint32Array.from(spans, ({ end }) => end),
  };
}

function scoresOfTokens(
  outputs: readonly (readonly TensorData[])[],
  windows: readonly Slice[],
  sequences: readonly Sequence[],
  { head: { output }, labels }: TokensSpec,
): ScoredRange[] {
  const { encoded } = windows[0] as Slice;
  let first = 0;
  return Array.from({ length: encoded.ids.length }, (_, i) => {
    while ((windows[first] as Slice).to <= i) first++;
    const best = bestWindow(windows, i, first);
    const position = (sequences[best] as Sequence).startOfA + i - (windows[best] as Slice).from;
    const data = outputNamed(outputs[best] ?? [], output)?.data as Float32Array | undefined;
    const logits = data?.subarray(position * labels.length, (position + 1) * labels.length);
    if (logits?.length !== labels.length || !logits.every(Number.isFinite))
      throw new UnusableOutputError(`it gave no finite score for token ${i}`);
    return { scores: softmax(logits), start: encoded.starts[i] as number, end: encoded.ends[i] as number };
  });
}

/** Among those from `first` on that have the token: looking at all of them for each would take minutes. */
function bestWindow(windows: readonly Slice[], i: number, first: number): number {
  let best = first;
  for (let k = first + 1; k < windows.length && (windows[k] as Slice).from <= i; k++) {
    if (margin(windows[k] as Slice, i) > margin(windows[best] as Slice, i)) best = k;
  }
  return best;
}

/** How far a token is from the edges of a window; negative outside. An edge of the text itself is no edge. */
function margin({ encoded, from, to }: Slice, i: number): number {
  if (i < from || i >= to) return -1;
  const left = from === 0 ? Number.POSITIVE_INFINITY : i - from;
  const right = to === encoded.ids.length ? Number.POSITIVE_INFINITY : to - 1 - i;
  return Math.min(left, right);
}

/** Is this token a part of the word before it? */
function continuesWord(text: string, { ids, starts, words }: Encoded, i: number, tokenizer: Tokenizer): boolean {
  // What the vocabulary does not know is a word of its own.
  if (i === 0 || ids[i] === tokenizer.unkId) return false;
  if (tokenizer.marksContinuation) return words[i] === words[i - 1];
  // Tokens that mark the beginning of a word instead: it begins where a space is.
  const start = starts[i] as number;
  return start > 0 && !/\s/.test(text.slice(start - 1, start + 1));
}

function aggregate(
  tokens: readonly ScoredRange[],
  labels: readonly string[],
  how: AggregationName,
  isContinued: (i: number) => boolean,
): LabelledRange[] {
  const units = how === 'NONE' || how === 'SIMPLE' ? tokens : mergeIntoWords(tokens, how, isContinued);
  const labelled = units.map((unit) => bestRange(unit, labels));
  const spans = how === 'NONE' ? labelled : mergeNeighbors(labelled);
  return spans.filter(({ label }) => label !== OUTSIDE);
}

function mergeIntoWords(
  tokens: readonly ScoredRange[],
  how: 'FIRST' | 'AVERAGE' | 'MAX',
  isContinued: (i: number) => boolean,
): ScoredRange[] {
  const words: ScoredRange[][] = [];
  for (const [i, token] of tokens.entries()) {
    if (isContinued(i)) words.at(-1)?.push(token);
    else words.push([token]);
  }
  return words.map((parts) => ({
    scores: WORD_SCORES[how](parts.map(({ scores }) => scores)),
    start: (parts[0] as ScoredRange).start,
    end: (parts.at(-1) as ScoredRange).end,
  }));
}

const WORD_SCORES = {
  FIRST: ([first]: readonly (readonly number[])[]) => first as readonly number[],
  AVERAGE: (all: readonly (readonly number[])[]) =>
    (all[0] as readonly number[]).map(
      (_, i) => all.reduce((sum, scores) => sum + (scores[i] as number), 0) / all.length,
    ),
  MAX: (all: readonly (readonly number[])[]) => {
    const surest = all.map((scores) => Math.max(...scores));
    return all[surest.indexOf(Math.max(...surest))] as readonly number[];
  },
} as const;

function bestRange({ scores, start, end }: ScoredRange, labels: readonly string[]): LabelledRange {
  const best = indexOfHighest(scores);
  return { label: labels[best] as string, score: scores[best] as number, start, end };
}

/** What a label names, without whether it begins there: "PER" of "B-PER". */
function entityOf(label: string): string {
  return /^[BI]-(.*)$/s.exec(label)?.[1] ?? label;
}

/** Neighbours of one label, unless one says that it begins anew ("B-PER"); the score is their mean. */
function mergeNeighbors(spans: readonly LabelledRange[]): LabelledRange[] {
  const groups: { tag: string; members: LabelledRange[] }[] = [];
  for (const span of spans) {
    const tag = entityOf(span.label);
    const last = groups.at(-1);
    if (last?.tag === tag && !span.label.startsWith('B-')) last.members.push(span);
    else groups.push({ tag, members: [span] });
  }
  return groups.map(({ tag, members }) => {
    const [start, end] = [(members[0] as LabelledRange).start, (members.at(-1) as LabelledRange).end];
    const score = members.reduce((sum, { score }) => sum + score, 0) / members.length;
    return { label: tag, score, start, end };
  });
}
