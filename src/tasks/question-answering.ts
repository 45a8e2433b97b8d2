/**
 * Finds the answer to a question in a given text (the context), or says that the text contains none.
 *
 * Follows the pipeline `question-answering` of Hugging Face's transformers. The context is read in overlapping windows. In
 * each window, a softmax over the tokens of the context and the first token of the sequence, which stands for "no answer",
 * gives the probabilities that an answer starts or ends there. An answer has at most 15 tokens, extended to whole words.
 * If several spans have the same text, their scores are added.
 */
import type { AnswerOf } from './answer.js';
import { type Floats, floatOutput, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { defineTask, type Preprocessed, type Tools } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import type { Problems } from './problems.js';
import { checkLogits } from './score-head.js';
import {
  type EncodedWithOffsets,
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
import { checkText } from './strings.js';
import { widgetInputs, workOfTexts } from './text.js';

const MAX_ANSWER_TOKENS = 15;
/** Maximum number of candidate spans per window. */
const MAX_SPANS_PER_WINDOW = 12;

/** Both outputs have the shape [N, tokens] and hold logits: that the answer starts, or ends, at each token. */
interface AnswerHead {
  readonly kind: 'span';
  readonly start: string;
  readonly end: string;
}

type AnswerSpec = SpecBase & { readonly head: AnswerHead; readonly text: TextSpec };

interface QuestionInput {
  readonly question: string;
  readonly context: string;
  /** Whether "no answer" is a possible result. */
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
  answers: ['answer'],
  // The default of transformers (`max_seq_len`).
  tokens: { longInputs: 'windows', maxTokens: 384 },
  recognizes: (files) => /ForQuestionAnswering$/.test(architectureOf(files)),
  head: answerHead,
  outputs: ({ start, end }) => [start, end],
  examples: questionExamples,
  preprocess: preprocessQuestion,
});

function answerHead(sources: TaskSources): AnswerHead {
  const start = pickOutput(sources, 'start', ['start_logits'], 2).name;
  const end = pickOutput(sources, 'end', ['end_logits'], 2).name;
  for (const name of [start, end]) checkLogits(sources, name);
  return { kind: 'span', start, end };
}

const DEFAULT_QUESTION = {
  question: 'What is the capital of France?',
  context: 'Paris is the capital of France. Berlin is the capital of Germany.',
};

function questionExamples(_spec: unknown, widget: Widget): Example[] {
  const fromCard = widgetInputs(widget, 'text', 'context').map(({ text, context }) => ({ question: text, context }));
  return [...fromCard, DEFAULT_QUESTION].map((question) => ({ question }));
}

/** Problems have the paths `question.question` and `question.context`. */
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
    ...workOfTexts(spec, [question, context]),
    question,
    context,
    handleImpossibleAnswer,
  };
}

/** A range of context tokens, both ends inclusive. The score is the probability of its start times that of its end. */
interface TokenSpan {
  readonly score: number;
  readonly first: number;
  readonly last: number;
}

async function preprocessQuestion(item: QuestionItem, spec: AnswerSpec, tools: Tools): Promise<Preprocessed> {
  const tokenizer = tokenizerOf(tools);
  const { pair } = tokenizer;
  const [context, encodedQuestion] = await Promise.all([
    tokenizer.encodeWithOffsets(item.context),
    tokenizer.encode(item.question),
  ]);
  const budget = tokenBudget(spec.text, pair);
  // Leave at least half of the tokens to the context.
  const question = truncate(encodedQuestion, Math.floor(budget / 2));
  const isTruncated = encodedQuestion.ids.length > question.to;
  const windows = windowsOf(context, budget - question.to, spec.text.stride);
  const sequences = windows.map((window) => ({ window, sequence: sequenceOf(pair, question, window) }));
  return {
    rows: sequences.map(({ sequence }) => tensorsOf(spec, sequence, tokenizer)),
    postprocess: (outputs) => {
      const scored = sequences.map(({ window, sequence }, i) =>
        scoreWindow(outputs[i] ?? [], window, sequence, spec.head),
      );
      const best = bestAnswer(
        scored.flatMap(({ spans }) => spans.map((span) => answerOf(span, item.context, context))),
      );
      const noAnswerScore = Math.min(...scored.map((window) => window.noAnswerScore));
      const isNoAnswer = !best || (item.handleImpossibleAnswer && noAnswerScore > best.score);
      const answer = isNoAnswer ? noAnswer(best ? noAnswerScore : 0) : withCappedScore(best);
      return isTruncated ? { ...answer, isTruncated } : answer;
    },
  };
}

type TextAnswer = AnswerOf<'answer'> & { readonly text: string };

function noAnswer(score: number): AnswerOf<'answer'> {
  return { kind: 'answer', text: null, score, start: null, end: null };
}

/** Limits the score to 1: the added scores of several spans can exceed it. */
function withCappedScore(answer: TextAnswer): TextAnswer {
  return { ...answer, score: Math.min(1, answer.score) };
}

/** Adds the scores of answers with the same text, ignoring case, at the position of the first, and returns the best. */
function bestAnswer(answers: readonly TextAnswer[]): TextAnswer | undefined {
  const byText = new Map<string, TextAnswer>();
  for (const answer of answers) {
    const key = answer.text.toLowerCase();
    const same = byText.get(key);
    byText.set(key, same ? { ...same, score: same.score + answer.score } : answer);
  }
  return [...byText.values()].sort((a, b) => b.score - a.score)[0];
}

/** Extends a span to whole words. */
function answerOf({ score, first, last }: TokenSpan, text: string, context: EncodedWithOffsets): TextAnswer {
  let [from, to] = [first, last];
  while (from > 0 && isSameWord(context, from - 1, from)) from--;
  while (to + 1 < context.ids.length && isSameWord(context, to, to + 1)) to++;
  const [start, end] = [context.starts[from] as number, context.ends[to] as number];
  return { kind: 'answer', text: text.slice(start, end), score, start, end };
}

function isSameWord({ words }: EncodedWithOffsets, a: number, b: number): boolean {
  return words[a] === words[b];
}

/** The best spans of a window, and its score for "no answer". */
function scoreWindow(
  outputs: readonly TensorData[],
  window: Slice,
  { startOfB }: Sequence,
  head: AnswerHead,
): { spans: readonly TokenSpan[]; noAnswerScore: number } {
  const count = window.to - window.from;
  const starts = probabilities(floatOutput(outputs, head.start), startOfB, count);
  const ends = probabilities(floatOutput(outputs, head.end), startOfB, count);
  const spans: TokenSpan[] = [];
  for (let first = 0; first < count; first++) {
    for (let last = first; last < Math.min(count, first + MAX_ANSWER_TOKENS); last++) {
      const score = (starts.ofTokens[first] as number) * (ends.ofTokens[last] as number);
      insertRanked(spans, { score, first: window.from + first, last: window.from + last });
    }
  }
  return { spans, noAnswerScore: starts.ofNoAnswer * ends.ofNoAnswer };
}

/** Inserts a span into a list sorted by score, best first, and drops what exceeds the limit. */
function insertRanked(spans: TokenSpan[], span: TokenSpan): void {
  const least = spans.length < MAX_SPANS_PER_WINDOW ? 0 : (spans[MAX_SPANS_PER_WINDOW - 1] as TokenSpan).score;
  if (span.score <= least) return;
  const place = spans.findIndex(({ score }) => score < span.score);
  spans.splice(place < 0 ? spans.length : place, 0, span);
  spans.length = Math.min(spans.length, MAX_SPANS_PER_WINDOW);
}

/** A softmax over the context tokens of a window and the first token of the sequence, which stands for "no answer". */
function probabilities(logits: Floats, from: number, count: number): { ofTokens: Float64Array; ofNoAnswer: number } {
  const ofTokens = logits.subarray(from, from + count);
  const ofFirst = logits[0] ?? Number.NaN;
  if (ofTokens.length !== count || !ofTokens.every(Number.isFinite) || !Number.isFinite(ofFirst))
    throw new UnusableOutputError('a score is not a finite number');
  let highest = ofFirst;
  for (const x of ofTokens) highest = Math.max(highest, x);
  const powers = Float64Array.from(ofTokens, (x) => Math.exp(x - highest));
  const firstPower = Math.exp(ofFirst - highest);
  const sum = powers.reduce((a, b) => a + b, firstPower);
  return { ofTokens: powers.map((power) => power / sum), ofNoAnswer: firstPower / sum };
}
