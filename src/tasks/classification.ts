/**
 * From a graph's outputs to one label and its scores.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnswerOf, UnusableOutput } from './input.js';
import type { Activation, Head, VersionSpec } from './spec.js';

/**
 * The label with the highest score, and all scores in the order of `spec.labels`. A single score for two labels is that of
 * the second.
 *
 * @throws UnusableOutput when a score is not finite or their number is not that of the labels.
 */
export function postprocessScores(
  outputs: readonly TensorData[],
  { output, activation }: Extract<Head, { kind: 'scores' }>,
  { labels }: Pick<VersionSpec, 'labels'>,
): AnswerOf<'classification'> {
  const isOneForTwo =
    labels.length === 2 && activation !== 'softmax' && outputNamed(outputs, output)?.data.length === 1;
  const scores = activated(finiteRow(outputs, output, isOneForTwo ? 1 : labels.length), activation);
  return bestOf(isOneForTwo ? scores.flatMap((score) => [1 - score, score]) : scores, labels);
}

/** A graph without scores gives its label only. */
export function postprocessLabel(
  outputs: readonly TensorData[],
  { output }: Extract<Head, { kind: 'label' }>,
): AnswerOf<'classification'> {
  return { kind: 'classification', label: String(outputNamed(outputs, output)?.data[0]), scores: null };
}

export function bestOf(scores: readonly number[], labels: readonly string[]): AnswerOf<'classification'> {
  const best = scores.reduce((winner, score, i) => (score > (scores[winner] as number) ? i : winner), 0);
  return { kind: 'classification', label: labels[best] as string, scores };
}

/** @throws UnusableOutput when the output has another number of values, or one that is not finite */
export function finiteRow(outputs: readonly TensorData[], output: string, count: number): Float32Array {
  const raw = outputNamed(outputs, output)?.data as Float32Array | undefined;
  if (raw?.length !== count) throw new UnusableOutput(`it gave ${raw?.length ?? 0} scores for ${count} labels`);
  if (!raw.every(Number.isFinite)) throw new UnusableOutput('it gave a score that is not a number');
  return raw;
}

export function activated(raw: Float32Array | readonly number[], activation: Activation): number[] {
  if (activation === 'none') return Array.from(raw);
  return activation === 'sigmoid' ? Array.from(raw, sigmoid) : softmax(raw);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Shifted by the largest, so that no power overflows. */
export function softmax(raw: Float32Array | readonly number[]): number[] {
  let highest = Number.NEGATIVE_INFINITY;
  for (const x of raw) if (x > highest) highest = x;
  const powers = Array.from(raw, (x) => Math.exp(x - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
