/**
 * One label of several and its scores, for every task that classifies.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import { type ModelFiles, pickOutput, type TaskSources } from './sources.js';
import type { Activation, SpecBase } from './spec.js';

export type ScoresHead =
  /** [N, labels]: one score for each label. */
  | { readonly kind: 'scores'; readonly output: string; readonly activation: Activation }
  /** [N]: the label itself, a word or a whole number. */
  | { readonly kind: 'label'; readonly output: string };

/** One score for each label; or, where the graph has no scores, the label itself. @throws ManifestError */
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
  throw new ManifestError(`model.yaml: output.scores is "${named}"; the graph's outputs are ${names.join(', ')}`);
}

/** The output that cannot be anything else: scikit-learn's name beside the label, or what comes out of a softmax. */
function probabilitiesOutput({ output, facts: { outputs, outputOperators } }: TaskSources): string | undefined {
  const floats = outputs.filter(({ datatype }) => datatype.startsWith('FP'));
  const usual = floats.find(({ name }) => name === 'probabilities');
  if (usual && outputs.length > 1) return usual.name;
  const [only] = floats;
  const isReady = floats.length === 1 && /^(Softmax|Sigmoid)$/.test(outputOperators[only?.name ?? ''] ?? '');
  return isReady && output.activation === undefined ? only?.name : undefined;
}

function labelHead({ facts: { outputs }, hf, task }: TaskSources): ScoresHead {
  if (hf.tokenizer !== null || hf.preprocessor)
    throw new ManifestError(
      `config.json is missing: its id2label says what the scores of ${task} mean (or labels and output.scores in model.yaml)`,
    );
  const [first] = outputs;
  if (first && first.datatype !== 'BYTES' && !DATATYPES[first.datatype]?.range)
    throw new ManifestError(
      `model.yaml: output is missing: { scores: ${first.name} }, if that holds one score per label; with activation: softmax or sigmoid, if it holds logits`,
    );
  return { kind: 'label', output: first?.name ?? '' };
}

/** As in transformers: several labels at once, or a single one, are independent of each other. */
function defaultActivation({ config }: ModelFiles, count: number): Activation {
  if (config?.problem_type === 'regression') return 'none';
  return config?.problem_type === 'multi_label_classification' || count === 1 ? 'sigmoid' : 'softmax';
}

/** The single output of a head that names one. */
export function onlyOutput({ output }: { readonly output: string }): readonly string[] {
  return [output];
}

/**
 * The label with the highest score, and all scores in the order of `spec.labels`. A single score for two labels is that
 * of the second.
 *
 * @throws UnusableOutput when a score is not finite or their number is not that of the labels
 */
export function postprocessScores(
  outputs: readonly TensorData[],
  { head, labels }: { readonly head: ScoresHead; readonly labels: readonly string[] },
): AnswerOf<'classification'> {
  const { output } = head;
  if (head.kind === 'label')
    return { kind: 'classification', label: String(outputNamed(outputs, output)?.data[0]), scores: null };
  const isOneForTwo =
    labels.length === 2 && head.activation !== 'softmax' && outputNamed(outputs, output)?.data.length === 1;
  const scores = applyActivation(finiteScores(outputs, output, isOneForTwo ? 1 : labels.length), head.activation);
  return classificationOf(isOneForTwo ? scores.flatMap((score) => [1 - score, score]) : scores, labels);
}

/** Whether several labels may apply to one input. A single score for two labels means that one excludes the other. */
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

export function classificationOf(scores: readonly number[], labels: readonly string[]): AnswerOf<'classification'> {
  return { kind: 'classification', label: labels[indexOfHighest(scores)] as string, scores };
}

/** The first index of the highest score. */
export function indexOfHighest(scores: readonly number[]): number {
  return scores.reduce((best, score, i) => (score > (scores[best] as number) ? i : best), 0);
}

/** @throws UnusableOutput when the output has another number of values, or one that is not finite */
export function finiteScores(outputs: readonly TensorData[], output: string, count: number): Float32Array {
  const raw = outputNamed(outputs, output)?.data as Float32Array | undefined;
  if (raw?.length !== count) throw new UnusableOutputError(`it gave ${raw?.length ?? 0} scores for ${count} labels`);
  if (!raw.every(Number.isFinite)) throw new UnusableOutputError('it gave a score that is not a number');
  return raw;
}

export function applyActivation(raw: Float32Array | readonly number[], activation: Activation): number[] {
  if (activation === 'none') return Array.from(raw);
  return activation === 'sigmoid' ? Array.from(raw, sigmoid) : softmax(raw);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Shifted by the largest value, so that no power overflows. */
export function softmax(raw: Float32Array | readonly number[]): number[] {
  let highest = Number.NEGATIVE_INFINITY;
  for (const x of raw) if (x > highest) highest = x;
  const powers = Array.from(raw, (x) => Math.exp(x - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
