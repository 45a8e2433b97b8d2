/** Labels and scores, for all tasks that classify. `score-head.ts` finds them in a graph. */
import type { AnswerOf } from './answer.js';
import { type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { Activation, SpecBase } from './spec.js';

/** An output that holds the label itself: a string, an integer or a boolean (0 or 1). */
export interface LabelSource {
  readonly output: string;
  /** How the graph spells each label of the version, in their order; absent if it returns the label as it is. */
  readonly values?: readonly string[];
}

export type ScoresHead =
  | {
      readonly kind: 'scores';
      /** The output has the shape [N, labels], with one score per label, or one score for two labels. */
      readonly output: string;
      readonly activation: Activation;
      /** Where the graph's own label is; absent if the label is the one with the highest score. */
      readonly label?: LabelSource;
      /** Scores that are not probabilities are not presented. Absent in specs of earlier releases, which present all. */
      readonly scale?: 'probability' | 'raw';
      /** Whether several labels may apply. Absent in specs of earlier releases. */
      readonly multiLabel?: boolean;
    }
  /** There are no scores that could be presented. */
  | ({ readonly kind: 'label' } & LabelSource);

/** `outputs` of tasks whose head names a single output. */
export function onlyOutput({ output }: { readonly output: string }): readonly string[] {
  return [output];
}

/** Names of the outputs that a classification is computed from. */
export function classificationOutputs(head: ScoresHead): readonly string[] {
  return head.kind === 'scores' && head.label ? [head.output, head.label.output] : [head.output];
}

/**
 * Returns the graph's own label, or else the one with the highest score, and all scores in the order of `labels`. If the
 * graph has a single score for two labels, it is the score of the second label, and the first gets 1 − score.
 *
 * @throws UnusableOutputError if a score is not finite, the numbers of scores and labels differ, or the graph's label is
 *   none of the version's labels
 */
export function postprocessScores(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: ScoresHead; readonly labels: readonly string[] },
): AnswerOf<'classification'> {
  const { output } = head;
  if (head.kind === 'label') return { kind: 'classification', label: labelIn(outputs, head, labels), scores: null };
  const isBinary =
    labels.length === 2 && head.activation !== 'softmax' && outputNamed(outputs, output)?.data.length === 1;
  const scores = applyActivation(finiteScores(outputs, output, isBinary ? 1 : labels.length), head.activation);
  const answer = classificationOf(isBinary ? scores.flatMap((score) => [1 - score, score]) : scores, labels);
  const own = head.label ? { label: labelIn(outputs, head.label, labels) } : {};
  return { ...answer, ...own, ...(head.scale === 'raw' ? { scores: null } : {}) };
}

function labelIn(outputs: readonly TensorData[], { output, values }: LabelSource, labels: readonly string[]): string {
  const value = String(outputNamed(outputs, output)?.data[0]);
  if (!values) return value;
  // Detectors of anomalies answer −1 and 1 in place of 0 and 1.
  const isAnomaly = value === '-1' && values.join() === '0,1';
  const label = isAnomaly ? labels[0] : labels[values.indexOf(value)];
  if (label !== undefined) return label;
  throw new UnusableOutputError(`the graph returned the label "${value}", which is none of the version's labels`);
}

/** Whether several labels can apply to one input. False for a single score for two labels: they exclude each other. */
export function isMultiLabel({
  head,
  labels,
  outputs,
}: Pick<SpecBase, 'labels' | 'outputs'> & { readonly head: ScoresHead | { readonly kind: string } }): boolean {
  if (!isScores(head)) return false;
  if (head.multiLabel !== undefined) return head.multiLabel;
  if (head.activation !== 'sigmoid' || labels.length < 2) return false;
  return outputs.find(({ name }) => name === head.output)?.shape.at(-1) !== 1;
}

function isScores(head: { readonly kind: string }): head is Extract<ScoresHead, { kind: 'scores' }> {
  return head.kind === 'scores';
}

/** A classification with the best-scoring label. */
export function classificationOf(scores: readonly number[], labels: readonly string[]): AnswerOf<'classification'> {
  return { kind: 'classification', label: labels[indexOfHighest(scores)] as string, scores };
}

/** The index of the highest score; the first one if several are equal. */
export function indexOfHighest(scores: readonly number[]): number {
  return scores.reduce((best, score, i) => (score > (scores[best] as number) ? i : best), 0);
}

/** The score of the label; null if there are no probabilities. */
export function scoreOf(label: string, scores: readonly number[] | null, labels: readonly string[]): number | null {
  if (!scores) return null;
  const best = indexOfHighest(scores);
  // Looked up by label only if the graph itself decided: two classes of a model may have the same label.
  const own = labels[best] === label ? best : labels.indexOf(label);
  return scores[own] ?? null;
}

/** The values of an output. @throws UnusableOutputError if there are not `count`, or one of them is not finite */
export function finiteScores(outputs: readonly TensorData[], output: string, count: number): Floats {
  const raw = floatOutput(outputs, output);
  if (raw.length !== count)
    throw new UnusableOutputError(`the graph returned ${raw.length} scores for ${count} labels`);
  if (!raw.every(Number.isFinite)) throw new UnusableOutputError('a score is not a finite number');
  return raw;
}

export function applyActivation(raw: Floats | readonly number[], activation: Activation): number[] {
  if (activation === 'none') return Array.from(raw);
  return activation === 'sigmoid' ? Array.from(raw, sigmoid) : softmax(raw);
}

/** How far the scores of an input may be from the range of probabilities, and their sum from 1. */
export const SCORE_TOLERANCE = 1e-3;

export function areInRange(scores: readonly number[], tolerance = SCORE_TOLERANCE): boolean {
  return scores.every((score) => score >= -tolerance && score <= 1 + tolerance);
}

export function addUpToOne(scores: readonly number[], tolerance = SCORE_TOLERANCE): boolean {
  return Math.abs(scores.reduce((a, b) => a + b, 0) - 1) <= tolerance;
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** The largest value is subtracted first, so that no exponential overflows. */
export function softmax(raw: Floats | readonly number[]): number[] {
  let highest = Number.NEGATIVE_INFINITY;
  for (const x of raw) if (x > highest) highest = x;
  const powers = Array.from(raw, (x) => Math.exp(x - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
