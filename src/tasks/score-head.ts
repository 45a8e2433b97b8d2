/**
 * Decides at import which outputs of a classifier hold its answer, and what its scores are: probabilities, which are
 * presented, or other numbers, which are not. The operators of the graph tell, or the scores of some inputs.
 */
import { ManifestError } from '../errors.js';
import { fits, hasIndicators, labelSource, scoresOutput } from './label-outputs.js';
import type { LabelSource, ScoresHead } from './scores.js';
import type { ModelFiles, ScoreKind, TaskSources } from './sources.js';
import type { Activation } from './spec.js';

/** What the scores of some inputs looked like, before any activation by the service. */
export interface ObservedScores {
  /** Number of inputs; 0 if the graph could not run any. */
  readonly rows: number;
  /** Number of scores, and of values in the output with the label (0 if there is none), for one input. */
  readonly width: number;
  readonly labels: number;
  /** Whether all scores were from 0 to 1, and whether those of each input added up to 1. */
  readonly isInRange: boolean;
  readonly addsUp: boolean;
  /** Whether a score was below 0. */
  readonly isNegative: boolean;
  /** Whether the inputs differed so much that scores which are not probabilities would have left the range. */
  readonly isVaried: boolean;
}

/**
 * Finds the outputs with the label and the scores. What the operators do not tell about the scores is assumed, until
 * `settledHead` has seen some.
 *
 * @throws ManifestError
 */
export function scoresHead(sources: TaskSources): ScoresHead {
  const label = labelSource(sources);
  // Clusters and anomalies have no list of classes: their numbers are the labels, and distances are no probabilities.
  if (label && sources.labels.length === 0) return labelHead(sources, label);
  const scores = scoresOutput(sources, label !== null);
  return scores === undefined ? labelHead(sources, label) : headOf(sources, scores, null);
}

/** The head, now that some scores have been seen. @throws ManifestError if they contradict model.yaml */
export function settledHead(head: ScoresHead, sources: TaskSources, seen: ObservedScores): ScoresHead {
  return head.kind === 'label' || seen.rows === 0 ? head : headOf(sources, head.output, seen);
}

function headOf(sources: TaskSources, output: string, seen: ObservedScores | null): ScoresHead {
  const { labels, facts, hf } = sources;
  const { kind, activation } = activated(sources, output, seen);
  const shape = facts.outputs.find(({ name }) => name === output)?.shape ?? [];
  const width = seen?.width ?? (shape.length < 2 ? 1 : shape.at(-1));
  const found = labelSource(sources);
  const hasOneLabel = found !== null && (seen?.labels ?? 1) === 1;
  const isIndependent = kind === 'sigmoid' && width !== 1 && labels.length > 1 && !hasOneLabel;
  const multiLabel = sources.multiLabel ?? (isIndependent || (width !== 1 && hasIndicators(sources)));
  if (multiLabel && width === 1)
    throw new ManifestError(`model.yaml: multiLabel is true, but output "${output}" has a single score`);
  const label = hasOneLabel && !multiLabel ? { label: found } : {};
  const scores = { kind: 'scores', output, activation, multiLabel, ...label } as const;
  if (kind !== 'raw') return { ...scores, scale: 'probability' };
  if (label.label) return { kind: 'label', ...label.label };
  // The label is chosen at 0.5, which a decision function or a logit is not compared with. They may be negative.
  if (width === 1 && (facts.outputOrigins[output]?.scores === 'raw' || seen?.isNegative))
    throw new ManifestError(
      `output "${output}" has a single score that is not a probability. ${hf.tokenizer ? CROSS_ENCODER : ADVICE}`,
    );
  return { ...scores, scale: 'raw' };
}

const ADVICE =
  'If it is a logit, add activation: sigmoid to output in model.yaml; otherwise let the graph return the label, or set task: tensor';
const CROSS_ENCODER =
  'If it says how well two texts match, set task: text-ranking in model.yaml; if it is a logit, add activation: sigmoid to output';

/** The activation to apply, and what the scores are then. */
function activated(
  sources: TaskSources,
  output: string,
  seen: ObservedScores | null,
): { readonly kind: ScoreKind; readonly activation: Activation } {
  const { facts, hf, labels } = sources;
  const declared = sources.output.activation;
  const origin = facts.outputOrigins[output];
  const kind = kindOf(origin?.scores ?? null, seen);
  const isCertain = origin?.scores != null || seen?.isVaried === true;
  const isActivated = kind !== 'raw' && isCertain;
  if (isActivated && declared !== undefined && declared !== 'none') {
    if (origin?.scores) throw new ManifestError(secondActivation(declared, output, origin.operator));
    throw new ManifestError(
      `model.yaml: output.activation is ${declared}, but the scores in output "${output}" are already probabilities: remove activation from output`,
    );
  }
  const byConfig = hf.config && !isActivated ? defaultActivation(hf, labels.length) : 'none';
  const activation = declared ?? byConfig;
  if (activation !== 'none') return { kind: activation, activation };
  return { kind: isGuess(sources, output, kind, seen) ? 'raw' : kind, activation };
}

/** Where nothing has been seen yet, scores are assumed to be probabilities unless the operators say otherwise. */
function kindOf(origin: ScoreKind | null, seen: ObservedScores | null): ScoreKind {
  if (origin !== null && origin !== 'probability') return origin;
  if (!seen) return 'probability';
  if (origin === null && !seen.isInRange) return 'raw';
  return seen.addsUp ? 'softmax' : 'sigmoid';
}

/**
 * Whether nothing but their range says that several scores are probabilities of independent labels. Weighted probabilities
 * and small logits look the same.
 */
function isGuess(sources: TaskSources, output: string, kind: ScoreKind, seen: ObservedScores | null): boolean {
  const isKnown = sources.facts.outputOrigins[output]?.scores != null;
  if (isKnown || kind !== 'sigmoid' || seen?.width === 1) return false;
  const isDeclared = sources.multiLabel || sources.hf.config?.problem_type === 'multi_label_classification';
  return !isDeclared && !hasIndicators(sources);
}

/** The activation that the pipeline of transformers applies: sigmoid for multi-label models and for a single label. */
function defaultActivation({ config }: ModelFiles, count: number): Activation {
  if (config?.problem_type === 'regression') return 'none';
  return config?.problem_type === 'multi_label_classification' || count === 1 ? 'sigmoid' : 'softmax';
}

/** For a task that applies a softmax, unless the graph itself ends in an activation. @throws ManifestError for a second one */
export function activationOfLogits({ output, facts }: TaskSources, name: string): Activation {
  const origin = facts.outputOrigins[name];
  if (origin?.scores == null || origin.scores === 'raw') return output.activation ?? 'softmax';
  if (output.activation === undefined || output.activation === 'none') return 'none';
  throw new ManifestError(secondActivation(output.activation, name, origin.operator));
}

/** @throws ManifestError if the graph ends in an activation, so that it does not return the logits that a task compares */
export function checkLogits({ task, facts }: TaskSources, name: string): void {
  const origin = facts.outputOrigins[name];
  if (origin?.scores == null || origin.scores === 'raw') return;
  throw new ManifestError(
    `the graph ends in ${origin.operator}, but ${task} compares the logits of output "${name}": export the model without it`,
  );
}

function secondActivation(declared: Activation, output: string, operator: string): string {
  return `model.yaml: output.activation is ${declared}, but the graph already ends in ${operator}, so that output "${output}" has probabilities: remove activation from output`;
}

function labelHead(sources: TaskSources, label: LabelSource | null): ScoresHead {
  const { hf } = sources;
  if (label) return { kind: 'label', ...label };
  if (hf.tokenizer !== null || hf.preprocessor)
    throw new ManifestError(
      'config.json is missing: add it with the labels in id2label, or set labels and output.scores in model.yaml',
    );
  const { outputs } = sources.facts;
  const first = outputs.find(({ shape }) => fits(shape, sources)) ?? outputs[0];
  throw new ManifestError(
    `model.yaml: output is missing: if "${first?.name}" holds one probability per label, write output: { scores: ${first?.name} }; if it holds logits, add activation: softmax or sigmoid`,
  );
}
