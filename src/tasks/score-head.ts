/**
 * Decides at import which outputs of a classifier hold its answer, and what its scores are: probabilities, which are
 * presented, or other numbers, which are not. The operators of the graph tell, or the scores of some inputs.
 */
import { ManifestError } from '../errors.js';
import { DATATYPES } from './datatypes.js';
import type { LabelSource, ScoresHead } from './scores.js';
import { type ModelFiles, type OutputOrigin, pickOutput, type ScoreKind, type TaskSources } from './sources.js';
import type { Activation, TensorSpec } from './spec.js';

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
  /** Whether the inputs differed so much that scores which are not probabilities would have left the range. */
  readonly isVaried: boolean;
}

/** Names that exporters of scikit-learn give to the output with the label. */
const LABEL_NAMES = ['label', 'output_label'];

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
  // The label would be chosen at 0.5, which a decision function or a logit is not compared with.
  if (width === 1)
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

// ── scores ──

/** The output with the scores; undefined if the graph has none. @throws ManifestError */
function scoresOutput(sources: TaskSources, hasLabel: boolean): string | undefined {
  const { output, facts, hf } = sources;
  if (hf.config && output.scores === undefined)
    return pickOutput(sources, 'scores', ['logits', 'probabilities'], 2).name;
  const named = output.scores ?? facts.zipMap?.output ?? probabilitiesOutput(sources, hasLabel);
  checkName(sources, 'scores', named);
  return named;
}

function checkName({ facts }: TaskSources, key: 'label' | 'scores', named: string | undefined): void {
  const names = facts.outputs.map(({ name }) => name);
  if (named === undefined || names.includes(named)) return;
  throw new ManifestError(`model.yaml: output.${key} is "${named}", but the graph's outputs are ${names.join(', ')}`);
}

/**
 * The output that scikit-learn's exporter names `probabilities`, or the only floating-point output if its operators or
 * model.yaml say what it is, or if there is a label beside it.
 */
function probabilitiesOutput(sources: TaskSources, hasLabel: boolean): string | undefined {
  const { output, facts } = sources;
  const { outputs, outputOrigins } = facts;
  const floats = outputs.filter((one) => mayBeScores(one, sources));
  const named = floats.find(({ name }) => name === 'probabilities');
  if (named && outputs.length > 1) return named.name;
  const fitting = floats.filter(({ name, shape }) => isActivated(outputOrigins[name]) && fits(shape, sources));
  const [only] = fitting.length === 1 ? fitting : floats;
  if (!only || (floats.length > 1 && fitting.length !== 1)) return undefined;
  const kind = outputOrigins[only.name]?.scores ?? 'raw';
  return hasLabel || output.activation !== undefined || kind !== 'raw' ? only.name : undefined;
}

function isActivated(origin: OutputOrigin | undefined): boolean {
  return origin?.scores != null && origin.scores !== 'raw';
}

/** Whether an output of this shape has one score per label. */
function fits(shape: TensorSpec['shape'], { labels }: Pick<TaskSources, 'labels'>): boolean {
  return shape.length === 2 && labels.length > 0 && shape[1] === labels.length;
}

/** Whether the operator computes the score of the best class, whichever it is. */
function isBestScore(operator: string): boolean {
  return operator === 'ReduceMax' || operator === 'TopK' || operator === 'Max';
}

/** Whether a floating-point output may have the scores of the labels: not indices, and not the score of the best class. */
function mayBeScores(
  { name, datatype, shape }: TensorSpec,
  { facts, labels }: Pick<TaskSources, 'facts' | 'labels'>,
): boolean {
  const { isIndex = false, operator = '' } = facts.outputOrigins[name] ?? {};
  const hasOne = shape.length < 2 || shape[1] === 1;
  const isOfBest = hasOne && labels.length > 0 && (isBestScore(operator) || labels.length > 2);
  return datatype.startsWith('FP') && !isIndex && !isOfBest;
}

// ── labels ──

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

/** The output with one label for each input; null if the graph has none. @throws ManifestError if it may be any of several */
function labelSource(sources: TaskSources): LabelSource | null {
  const { output, facts, hf } = sources;
  checkName(sources, 'label', output.label);
  const candidates = facts.outputs.filter((one) => isLabel(one, facts));
  checkNamedLabel(sources, candidates);
  const choices = [
    candidates.filter(({ name }) => name === output.label),
    candidates.filter(({ name }) => LABEL_NAMES.includes(name)),
    candidates.filter((one) => isDecision(one, sources)),
    candidates.filter((one) => !hasScores(sources) || mayDecide(one, sources)),
  ];
  const chosen = choices.find(({ length }) => length > 0) ?? [];
  const [label] = chosen;
  if (!label || (hf.config && chosen.length > 1)) return null;
  if (chosen.length === 1) {
    if (chosen === choices[3]) checkScores(label, sources);
    checkPlaces(label, sources);
    return { output: label.name, ...valuesOf(label, sources) };
  }
  const names = chosen.map(({ name }) => name).join(' or ');
  throw new ManifestError(`model.yaml: output.label is missing: name the output with the label: ${names}`);
}

function checkNamedLabel({ output, facts }: TaskSources, candidates: readonly TensorSpec[]): void {
  if (output.label === undefined || candidates.some(({ name }) => name === output.label)) return;
  const named = facts.outputs.find(({ name }) => name === output.label);
  if (!named || isDiscrete(named)) return;
  throw new ManifestError(
    `model.yaml: output.label is "${named.name}", but that output is ${named.datatype}: cast the index of the class to int64 in the graph, or name an output of strings, integers or booleans`,
  );
}

/** @throws ManifestError if an output may have the scores of the labels, so that the only other one need not be the label */
function checkScores({ name }: TensorSpec, sources: TaskSources): void {
  const { facts } = sources;
  const scores = facts.outputs.find(
    (one) => mayBeScores(one, sources) && (fits(one.shape, sources) || isActivated(facts.outputOrigins[one.name])),
  );
  if (scores)
    throw new ManifestError(
      `model.yaml: output is missing: the graph does not show whether "${name}" is the label: write output: { label: ${name} } if it is, or output: { scores: ${scores.name} } if the label is the one with the highest score`,
    );
}

/** Whether the operators show that the output is the decision of the classifier. A boolean cannot choose among more than two. */
function isDecision({ name, datatype }: TensorSpec, { facts, labels }: TaskSources): boolean {
  const { classes = null, isIndex = false, isThreshold = false } = facts.outputOrigins[name] ?? {};
  return (
    classes !== null ||
    isIndex ||
    (isThreshold && (labels.length === 2 || (labels.length === 0 && datatype === 'BOOL')))
  );
}

/** Whether an output that compares numbers may decide between two labels by a threshold of the model's own. */
function mayDecide({ name, datatype }: TensorSpec, { output, facts, labels }: TaskSources): boolean {
  const { operator = '' } = facts.outputOrigins[name] ?? {};
  const isComparison = datatype === 'BOOL' || COMPARISONS.includes(operator);
  return output.scores === undefined && labels.length === 2 && isComparison && !isBestScore(operator);
}

const COMPARISONS = ['Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];

/**
 * Whether the graph has scores of the labels, from which the label follows. Beside those, an output that is neither named
 * as the label nor computed as one is something else, such as a count or a warning.
 */
function hasScores(sources: TaskSources): boolean {
  const { hf, facts } = sources;
  if (hf.config) return facts.outputs.some(({ datatype, shape }) => datatype.startsWith('FP') && shape.length === 2);
  return (
    scoresOutput(sources, false) !== undefined ||
    facts.outputs.some((one) => mayBeScores(one, sources) && isActivated(facts.outputOrigins[one.name]))
  );
}

/** skl2onnx exports OneVsOneClassifier without the classes: the label is the place of one. */
function checkPlaces({ name }: TensorSpec, { facts, givenLabels }: TaskSources): void {
  const isPlace = facts.outputOrigins[name]?.operator === 'OneVsOneClassifier';
  if (isPlace && givenLabels.length === 0 && !facts.zipMap)
    throw new ManifestError(
      `model.yaml: labels is missing: the graph has a OneVsOneClassifier, for which skl2onnx exports the place of the class in output "${name}" instead of the class: list all classes in labels, in the order of classes_`,
    );
}

/** One string, integer or boolean per input, or an index cast to another type. Exporters sometimes add a dimension of size 1. */
function isLabel(output: TensorSpec, { outputOrigins }: TaskSources['facts']): boolean {
  const { name, shape } = output;
  const mayBe = isDiscrete(output) || outputOrigins[name]?.isIndex;
  return mayBe === true && (shape.length < 2 || (shape.length === 2 && shape.includes(1)));
}

function isDiscrete({ datatype }: TensorSpec): boolean {
  return datatype === 'BYTES' || DATATYPES[datatype]?.range != null;
}

/** Whether an output says for each label whether it applies, as scikit-learn's multi-label classifiers do. */
function hasIndicators({ facts: { outputs }, labels }: TaskSources): boolean {
  return outputs.some(
    ({ datatype, shape }) =>
      DATATYPES[datatype]?.range != null && shape.length === 2 && labels.length > 1 && shape[1] === labels.length,
  );
}

/** How the graph spells each of the version's labels, if it is known. @throws ManifestError if the labels do not match */
function valuesOf({ name, datatype }: TensorSpec, { labels, facts }: TaskSources): Pick<LabelSource, 'values'> {
  if (labels.length === 0) return {};
  const { classes = null, isIndex = false } = facts.outputOrigins[name] ?? {};
  if (!classes || isIndex) return { values: datatype === 'BYTES' ? labels : labels.map((_, i) => String(i)) };
  if (classes.length !== labels.length)
    throw new ManifestError(
      `model.yaml: the number of labels is ${labels.length}, but the graph has ${classes.length} classes: ${listText(classes)}`,
    );
  const isReordered =
    labels.every((label) => classes.includes(label)) && labels.some((label, i) => label !== classes[i]);
  if (!isReordered) return { values: classes };
  throw new ManifestError(
    `model.yaml: labels are in another order than the graph's classes: remove labels, or list them as ${listText(classes)}`,
  );
}

const MAX_LISTED = 20;

function listText(classes: readonly string[]): string {
  return `${classes.slice(0, MAX_LISTED).join(', ')}${classes.length > MAX_LISTED ? ' …' : ''}`;
}

/** The labels that the graph itself has, in the order of its scores; empty if it has none. */
export function labelsOfGraph(facts: TaskSources['facts']): readonly string[] {
  const { outputs, outputOrigins } = facts;
  const discrete = outputs.filter((one) => isLabel(one, facts));
  const floats = outputs.filter((one) => mayBeScores(one, { facts, labels: [] }));
  const ordered = [...discrete, ...floats];
  for (const { name } of ordered) {
    const classes = outputOrigins[name]?.classes;
    if (classes) return classes;
  }
  const hasWide = floats.some(
    ({ name, shape }) => isActivated(outputOrigins[name]) && shape.length === 2 && shape[1] !== 1,
  );
  const isBoolean = ({ name, datatype }: TensorSpec) =>
    datatype === 'BOOL' && !outputOrigins[name]?.isIndex && (!hasWide || outputOrigins[name]?.isThreshold);
  if (ordered.some(isBoolean)) return ['false', 'true'];
  const index = ordered.find(({ name }) => outputOrigins[name]?.isIndex);
  const scores = ordered.filter(({ datatype }) => datatype.startsWith('FP'));
  const width = index && scores.length === 1 ? (scores[0]?.shape[1] ?? 0) : 0;
  return Array.from({ length: width }, (_, i) => String(i));
}
