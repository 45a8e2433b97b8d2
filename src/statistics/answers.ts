/** Metrics of answers to questions, as SQuAD's evaluation script computes them, but from 0 to 1. */
import { type MetricSet, meanOf, metric, metricSet } from './metric-set.js';

export interface AnsweredQuestion {
  /** Accepted answers; none if the context has no answer. The best one counts. */
  readonly truth: readonly string[];
  /** Null if the model found no answer. */
  readonly predicted: string | null;
}

const SPACES = /\p{White_Space}+/u;
/** Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
/** Whole words, where letters and digits of all scripts belong to words. */
const ARTICLES = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** `exact_match` and `f1` of the words, after SQuAD's normalization. Items are questions. */
export function answerMetrics(questions: readonly AnsweredQuestion[]): MetricSet {
  const best = (score: (truth: readonly string[], predicted: readonly string[]) => number) =>
    Float64Array.from(questions, ({ truth, predicted }) => {
      const said = wordsOf(predicted ?? '');
      return acceptedOf(truth).reduce((most, words) => Math.max(most, score(words, said)), 0);
    });
  const [exact, overlaps] = [best((truth, predicted) => Number(truth.join(' ') === predicted.join(' '))), best(wordF1)];
  return metricSet(
    questions.length,
    [metric('exact_match', (sample) => meanOf(exact, sample)), metric('f1', (sample) => meanOf(overlaps, sample))],
    (sample) => sample,
  );
}

/** Answers without words, such as "the", are accepted only if there are no others. */
function acceptedOf(truth: readonly string[]): string[][] {
  const answers = truth.map(wordsOf).filter((words) => words.length > 0);
  return answers.length > 0 ? answers : [[]];
}

/** Lower case, without punctuation and articles. */
export function wordsOf(answer: string): string[] {
  const words = answer.toLowerCase().replaceAll(PUNCTUATION, '').replaceAll(ARTICLES, ' ').split(SPACES);
  return words.filter((word) => word !== '');
}

function wordF1(truth: readonly string[], predicted: readonly string[]): number {
  if (truth.length === 0 || predicted.length === 0) return Number(truth.length === predicted.length);
  const left = new Map<string, number>();
  for (const word of truth) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) shared++;
    left.set(word, count - 1);
  }
  return (2 * shared) / (truth.length + predicted.length);
}
