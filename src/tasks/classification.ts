/**
 * From a graph's outputs to one label and its scores.
 */

import type { TensorData } from './datatypes.js';
import type { Answer } from './input.js';
import type { VersionSpec } from './spec.js';

/** The model answered something that is no answer, such as NaN. */
export class UnusableOutput extends Error {}

/**
 * The label with the highest score, and all scores in the order of `spec.labels`; a graph without scores gives its
 * label only.
 *
 * @throws UnusableOutput when a score is not finite or their number is not that of the labels.
 */
export function finishClassification(outputs: readonly TensorData[], spec: VersionSpec): Answer {
  if (!spec.scores) return { kind: 'classification', label: String(outputs[0]?.data[0]), scores: null };
  const raw = outputs.find(({ name }) => name === spec.scores?.output)?.data as Float32Array | undefined;
  if (raw?.length !== spec.labels.length) {
    throw new UnusableOutput(`it gave ${raw?.length ?? 0} scores for ${spec.labels.length} labels`);
  }
  if (!raw.every(Number.isFinite)) throw new UnusableOutput('it gave a score that is not a number');
  const scores = activate(raw, spec.scores.activation);
  const best = scores.reduce((winner, score, i) => (score > (scores[winner] as number) ? i : winner), 0);
  return { kind: 'classification', label: spec.labels[best] as string, scores };
}

function activate(raw: Float32Array, activation: 'none' | 'softmax' | 'sigmoid'): number[] {
  if (activation === 'none') return Array.from(raw);
  if (activation === 'sigmoid') return Array.from(raw, (x) => 1 / (1 + Math.exp(-x)));
  const highest = Math.max(...raw);
  const powers = Array.from(raw, (x) => Math.exp(x - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
