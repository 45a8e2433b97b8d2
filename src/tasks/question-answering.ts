/**
 * The answer to a question as a part of a given text, or that the text holds none.
 *
 * As the pipeline of Hugging Face's transformers: the context in windows, probabilities over each window's context and
 * its first token, which stands for "no answer"; an answer has at most fifteen tokens and whole words.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnswerOf, type ItemOf, type ModelInput, type Prepared, Problems, UnusableOutput } from './input.js';
import {
  type Encoded,
  roomOf,
  type Sequence,
  type Slice,
  sequenceOf,
  type Tokenizer,
  tensorsOf,
  truncated,
  windowsOf,
} from './sequences.js';
import type { Head, VersionSpec } from './spec.js';
import { checkWords, workOf } from './text.js';

const MAX_QUESTION_TOKENS = 64;
const MAX_ANSWER_TOKENS = 15;

/** @throws InvalidInputError with paths `question.question` and `question.context` */
export function checkQuestion(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): ItemOf<'question'> {
  const problems = new Problems(prefix);
  const { question = '', context = '', handleImpossibleAnswer = true } = input.question ?? {};
  checkWords(question, ['question', 'question'], problems);
  checkWords(context, ['question', 'context'], problems);
  problems.throwIfAny();
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
interface Span {
  readonly score: number;
  readonly first: number;
  readonly last: number;
}

export function prepareQuestion(item: ItemOf<'question'>, spec: VersionSpec, tokenizer: Tokenizer): Prepared {
  const rules = spec.text as NonNullable<VersionSpec['text']>;
  const { pair } = tokenizer;
  const context = tokenizer.encode(item.context);
  const room = roomOf(rules, pair);
  // At least half of the room is the context's.
  const question = truncated(tokenizer.encode(item.question), Math.min(MAX_QUESTION_TOKENS, Math.floor(room / 2)));
  const windows = windowsOf(context, room - question.to, rules.stride);
  const sequences = windows.map((window) => sequenceOf(pair, question, window));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    finish: (outputs) => {
      const read = outputs.map((own, i) =>
        readWindow(own, windows[i] as Slice, sequences[i] as Sequence, spec.head as Extract<Head, { kind: 'span' }>),
      );
      const best = read.reduce((a, b) => (b.best.score > a.best.score ? b : a)).best;
      const none = Math.min(...read.map(({ none }) => none));
      return item.handleImpossibleAnswer && none > best.score ? noAnswer(none) : answerOf(best, item.context, context);
    },
  };
}

function noAnswer(score: number): AnswerOf<'answer'> {
  return { kind: 'answer', text: null, score, start: null, end: null };
}

/** The words that the span's tokens belong to. */
function answerOf({ score, first, last }: Span, text: string, context: Encoded): AnswerOf<'answer'> {
  if (score === 0 || context.ids.length === 0) return noAnswer(score);
  let [from, to] = [first, last];
  while (from > 0 && isSameWord(context, from - 1, from)) from--;
  while (to + 1 < context.ids.length && isSameWord(context, to, to + 1)) to++;
  const [start, end] = [context.starts[from] as number, context.ends[to] as number];
  return { kind: 'answer', text: text.slice(start, end), score, start, end };
}

function isSameWord({ words }: Encoded, a: number, b: number): boolean {
  return words[a] === words[b] && words[a] !== -1;
}

function readWindow(
  outputs: readonly TensorData[],
  window: Slice,
  { startOfB }: Sequence,
  head: Extract<Head, { kind: 'span' }>,
): { best: Span; none: number } {
  const count = window.to - window.from;
  const starts = probabilities(outputNamed(outputs, head.start), startOfB, count);
  const ends = probabilities(outputNamed(outputs, head.end), startOfB, count);
  let best: Span = { score: 0, first: window.from, last: window.from };
  for (let first = 0; first < count; first++) {
    for (let last = first; last < Math.min(count, first + MAX_ANSWER_TOKENS); last++) {
      const score = (starts.of[first] as number) * (ends.of[last] as number);
      if (score > best.score) best = { score, first: window.from + first, last: window.from + last };
    }
  }
  return { best, none: starts.none * ends.none };
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
    throw new UnusableOutput('it gave a score that is not a number');
  const highest = own.reduce((a, b) => Math.max(a, b), first);
  const powers = Float64Array.from(own, (x) => Math.exp(x - highest));
  const none = Math.exp(first - highest);
  const sum = powers.reduce((a, b) => a + b, none);
  return { of: powers.map((power) => power / sum), none: none / sum };
}
