/** Labels and scores, for all tasks that classify. */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import { type ModelFiles, pickOutput, type TaskSources } from './sources.js';
import type { Activation, SpecBase } from './spec.js';

export type ScoresHead =
  /** The output has the shape [N, labels]: one score per label. */
  | { readonly kind: 'scores'; readonly output: string; readonly activation: Activation }
  /** The output has the shape [N] and holds the label itself, a string or an integer. */
  | { readonly kind: 'label'; readonly output: string };

/** Finds the output with the scores; if the graph has none, the one with the label itself. @throws ManifestError */
export function scoresHead(sources: TaskSources): ScoresHead {
  const { output, facts, hf, labels } = sources;
  if (hf.config && output.scores === undefined) {
    const { name } = pickOutput(sources, 'scores', ['logits', 'probabilities'], 2);
    return { kind: 'scores', output: name, activation: output.activation ?? defaultActivation(hf, labels.length) };
  }
  const named = output.scores ?? facts.zipMap?.output ?? probabilitiesOutput(sources);
  if (named === undefined) return labelHead(sources);
  const names = facts.outputs.map(({ name }) => name);
  if (names.includes(named)) return { kind: 'scores', output: named, activation: output.activation ?? 'none' };
  throw new ManifestError(`model.yaml: output.scores is "${named}", but the graph's outputs are ${names.join(', ')}`);
}

/**
 * The output that holds probabilities: the one that scikit-learn's exporter names `probabilities`, or the only
 * floating-point output if a Softmax or Sigmoid computes it.
 */
function probabilitiesOutput({ output, facts: { outputs, outputOperators } }: TaskSources): string | undefined {
  const floats = outputs.filter(({ datatype }) => datatype.startsWith('FP'));
  const named = floats.find(({ name }) => name === 'probabilities');
  if (named && outputs.length > 1) return named.name;
  const [only] = floats;
  const isActivated = floats.length === 1 && /^(Softmax|Sigmoid)$/.test(outputOperators[only?.name ?? ''] ?? '');
  return isActivated && output.activation === undefined ? only?.name : undefined;
}

function labelHead({ facts: { outputs }, hf }: TaskSources): ScoresHead {
  if (hf.tokenizer !== null || hf.preprocessor)
    throw new ManifestError(
      'config.json is missing: add it with the labels in id2label, or set labels and output.scores in model.yaml',
    );
  const [first] = outputs;
  if (first && first.datatype !== 'BYTES' && !DATATYPES[first.datatype]?.range)
    throw new ManifestError(
      `model.yaml: output is missing: if "${first.name}" holds one probability per label, write output: { scores: ${first.name} }; if it holds logits, add activation: softmax or sigmoid`,
    );
  return { kind: 'label', output: first?.name ?? '' };
}

/** The activation that the pipeline of transformers applies: sigmoid for multi-label models and for a single label. */
function defaultActivation({ config }: ModelFiles, count: number): Activation {
  if (config?.problem_type === 'regression') return 'none';
  return config?.problem_type === 'multi_label_classification' || count === 1 ? 'sigmoid' : 'softmax';
}

/** `outputs` of tasks whose head names a single output. */
export function onlyOutput({ output }: { readonly output: string }): readonly string[] {
  return [output];
}

/**
 * Returns the label with the highest score, and all scores in the order of `labels`. If the graph has a single score for
 * two labels, it is the score of the second label, and the first gets 1 − score.
 *
 * @throws UnusableOutputError if a score is not finite, or the numbers of scores and labels differ
 */
export function postprocessScores(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: ScoresHead; readonly labels: readonly string[] },
): AnswerOf<'classification'> {
  const { output } = head;
  if (head.kind === 'label')
    return { kind: 'classification', label: String(outputNamed(outputs, output)?.data[0]), scores: null };
  const isBinary =
    labels.length === 2 && head.activation !== 'softmax' && outputNamed(outputs, output)?.data.length === 1;
  const scores = applyActivation(finiteScores(outputs, output, isBinary ? 1 : labels.length), head.activation);
  return classificationOf(isBinary ? scores.flatMap((score) => [1 - score, score]) : scores, labels);
}

/** Whether several labels can apply to one input. False for a single score for two labels: they exclude each other. */
export function isMultiLabel({
  head,
  labels,
  outputs,
}: Pick<SpecBase, 'labels' | 'outputs'> & { readonly head: ScoresHead | { readonly kind: string } }): boolean {
  if (!isScores(head) || head.activation !== 'sigmoid' || labels.length < 2) return false;
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

function sigmoid(x: number): number {
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
