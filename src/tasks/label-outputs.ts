/** Finds the outputs of a classifier with the scores of the labels and with the label itself. */
import { ManifestError } from '../errors.js';
import { DATATYPES } from './datatypes.js';
import { listed } from './problems.js';
import type { LabelSource } from './scores.js';
import { type OutputOrigin, pickOutput, type TaskSources } from './sources.js';
import type { TensorSpec } from './spec.js';

/** Names that exporters of scikit-learn give to the output with the label. */
const LABEL_NAMES = ['label', 'output_label'];

// ── scores ──

/** The output with the scores; undefined if the graph has none. @throws ManifestError */
export function scoresOutput(sources: TaskSources, hasLabel: boolean): string | undefined {
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
export function fits(shape: TensorSpec['shape'], { labels }: Pick<TaskSources, 'labels'>): boolean {
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

/** The output with one label for each input; null if the graph has none. @throws ManifestError if it may be any of several */
export function labelSource(sources: TaskSources): LabelSource | null {
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
export function hasIndicators({ facts: { outputs }, labels }: TaskSources): boolean {
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
      `model.yaml: the number of labels is ${labels.length}, but the graph has ${classes.length} classes: ${listed(classes)}`,
    );
  const isReordered =
    labels.every((label) => classes.includes(label)) && labels.some((label, i) => label !== classes[i]);
  if (!isReordered) return { values: classes };
  throw new ManifestError(
    `model.yaml: labels are in another order than the graph's classes: remove labels, or list them as ${listed(classes)}`,
  );
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
