/**
 * The answer to a question as a part of a given text, or that the text holds none.
 *
 * As the pipeline of Hugging Face's transformers: the context in windows, probabilities over each window's context and
 * its first token, which stands for "no answer"; an answer has at most fifteen tokens and whole words. The best spans
 * of all windows that become the same words count together.
 */
import type { AnswerOf } from './answer.js';
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { defineTask, type Preprocessed, type Tools } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import type { Problems } from './problems.js';
import {
  type Encoded,
  type Sequence,
  type Slice,
  sequenceOf,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
  truncate,
  windowsOf,
} from './sequences.js';
import { architectureOf, pickOutput, type TaskSources } from './sources.js';
import type { AnySpec, Example, SpecBase, TextSpec, Widget } from './spec.js';
import { checkText, widgetInputs, workOf } from './text.js';

const MAX_ANSWER_TOKENS = 15;
/** Spans that a window puts forward. */
const MAX_SPANS_PER_WINDOW = 12;

/** Two times [N, tokens]: logits of where an answer begins and ends. */
interface AnswerHead {
  readonly kind: 'span';
  readonly start: string;
  readonly end: string;
}

type AnswerSpec = SpecBase & { readonly head: AnswerHead; readonly text: TextSpec };

interface QuestionInput {
  readonly question: string;
  readonly context: string;
  /** Whether the answer may be that the context holds none. */
  readonly handleImpossibleAnswer: boolean;
}

interface QuestionItem extends AnyItem, QuestionInput {
  readonly kind: 'question';
}

const questionInput = defineInput({ kind: 'QUESTION', key: 'question', check: checkQuestion });

export const questionAnswering = defineTask({
  name: 'QUESTION_ANSWERING',
  description: 'Finds the answer to a question in a given text.',
  reads: [questionInput],
  part: 'tokens',
  // As in transformers: a window has 384 tokens unless somebody says otherwise.
  tokens: { longInputs: 'windows', maxTokens: 384 },
  recognizes: (files) => /ForQuestionAnswering$/.test(architectureOf(files)),
  head: answerHead,
  outputs: ({ start, end }) => [start, end],
  examples: questionExamples,
  preprocess: preprocessQuestion,
});

function answerHead(sources: TaskSources): AnswerHead {
  return {
    kind: 'span',
    start: pickOutput(sources, 'start', ['start_logits'], 2).name,
    end: pickOutput(sources, 'end', ['end_logits'], 2).name,
  };
}

const DEFAULT_QUESTION = {
  question: 'What is the capital of France?',
  context: 'Paris is the capital of France. Berlin is the capital of Germany.',
};

function questionExamples(_spec: unknown, widget: Widget): Example[] {
  const shown = widgetInputs(widget, 'text', 'context').map(({ text, context }) => ({ question: text, context }));
  return [...shown, DEFAULT_QUESTION].map((question) => ({ question }));
}

/** Problems have paths `question.question` and `question.context`. */
function checkQuestion(
  { question, context, handleImpossibleAnswer = true }: QuestionInput,
  spec: AnySpec,
  problems: Problems,
): QuestionItem {
  checkText(question, ['question', 'question'], problems);
  checkText(context, ['question', 'context'], problems);
  return {
    kind: 'question',
    rows: 1,
    work: workOf(spec, [question, context]),
    question,
    context,
    handleImpossibleAnswer,
  };
}

/** Tokens of the context by their index in it; the score is a product of two probabilities. */
interface TokenSpan {
  readonly score: number;
  readonly first: number;
  readonly last: number;
}

async function preprocessQuestion(item: QuestionItem, spec: AnswerSpec, tools: Tools): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const { pair } = tokenizer;
  const [context, asked] = await Promise.all([tokenizer.encode(item.context), tokenizer.encode(item.question)]);
  const room = tokenBudget(spec.text, pair);
  // At least half of the room is the context's.
  const question = truncate(asked, Math.floor(room / 2));
  const isTruncated = asked.ids.length > question.to;
  const windows = windowsOf(context, room - question.to, spec.text.stride);
  const sequences = windows.map((window) => sequenceOf(pair, question, window));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    postprocess: (outputs) => {
      const read = outputs.map((own, i) => scoreWindow(own, windows[i] as Slice, sequences[i] as Sequence, spec.head));
      const best = bestAnswer(read.flatMap(({ spans }) => spans.map((span) => answerOf(span, item.context, context))));
      const none = Math.min(...read.map(({ none }) => none));
      const isNone = !best || (item.handleImpossibleAnswer && none > best.score);
      const answer = isNone ? noAnswer(best ? none : 0) : withCappedScore(best);
      return isTruncated ? { ...answer, isTruncated } : answer;
    },
  };
}

type FoundAnswer = AnswerOf<'answer'> & { readonly text: string };

function noAnswer(score: number): AnswerOf<'answer'> {
  return { kind: 'answer', text: null, score, start: null, end: null };
}

/** What several windows found adds up, to more than one at times. */
function withCappedScore(answer: FoundAnswer): FoundAnswer {
  return { ...answer, score: Math.min(1, answer.score) };
}

/** Spans of the same words, in capitals or not, are one answer, at the first place that was found. */
function bestAnswer(found: readonly FoundAnswer[]): FoundAnswer | undefined {
  const byText = new Map<string, FoundAnswer>();
  for (const answer of found) {
    const key = answer.text.toLowerCase();
    const known = byText.get(key);
    byText.set(key, known ? { ...known, score: known.score + answer.score } : answer);
  }
  return [...byText.values()].sort((a, b) => b.score - a.score)[0];
}

/** The words that the span's tokens belong to. */
function answerOf({ score, first, last }: TokenSpan, text: string, context: Encoded): FoundAnswer {
  let [from, to] = [first, last];
  while (from > 0 && isSameWord(context, from - 1, from)) from--;
  while (to + 1 < context.ids.length && isSameWord(context, to, to + 1)) to++;
  const [start, end] = [context.starts[from] as number, context.ends[to] as number];
  return { kind: 'answer', text: text.slice(start, end), score, start, end };
}

function isSameWord({ words }: Encoded, a: number, b: number): boolean {
  return words[a] === words[b];
}

function scoreWindow(
  outputs: readonly TensorData[],
  window: Slice,
  { startOfB }: Sequence,
  head: AnswerHead,
): { spans: readonly TokenSpan[]; none: number } {
  const count = window.to - window.from;
  const starts = probabilities(outputNamed(outputs, head.start), startOfB, count);
  const ends = probabilities(outputNamed(outputs, head.end), startOfB, count);
  const spans: TokenSpan[] = [];
  for (let first = 0; first < count; first++) {
    for (let last = first; last < Math.min(count, first + MAX_ANSWER_TOKENS); last++) {
      const score = (starts.of[first] as number) * (ends.of[last] as number);
      insertRanked(spans, { score, first: window.from + first, last: window.from + last });
    }
  }
  return { spans, none: starts.none * ends.none };
}

/** Best first. */
function insertRanked(spans: TokenSpan[], span: TokenSpan): void {
  const least = spans.length < MAX_SPANS_PER_WINDOW ? 0 : (spans[MAX_SPANS_PER_WINDOW - 1] as TokenSpan).score;
  if (span.score <= least) return;
  const place = spans.findIndex(({ score }) => score < span.score);
  spans.splice(place < 0 ? spans.length : place, 0, span);
  spans.length = Math.min(spans.length, MAX_SPANS_PER_WINDOW);
}

/** Over the window's tokens of the context and the very first token, which says "none". */
function probabilities(
  logits: TensorData | undefined,
  from: number,
  count: number,
): { of: Float64Array; none: number } {
  const data = logits?.data as Float32Array | undefined;
  const own = data?.subarray(from, from + count);
  const first = data?.[0] ?? Number.NaN;
  if (own?.length !== count || !own.every(Number.isFinite) || !Number.isFinite(first))
    throw new UnusableOutputError('it gave a score that is not a number');
  const highest = own.reduce((a, b) => Math.max(a, b), first);
  const powers = Float64Array.from(own, (x) => Math.exp(x - highest));
  const none = Math.exp(first - highest);
  const sum = powers.reduce((a, b) => a + b, none);
  return { of: powers.map((power) => power / sum), none: none / sum };
}
