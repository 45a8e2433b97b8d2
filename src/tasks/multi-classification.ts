/**
 * Classifiers that assign several classes to an input, one for each target, such as scikit-learn's MultiOutputClassifier
 * and networks with several heads.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf, ClassifiedTarget } from './answer.js';
import { DATATYPES, type Floats, floatOutput, outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import { addUpToOne, applyActivation, areInRange, indexOfHighest } from './scores.js';
import type { TargetSettings, TaskSources } from './sources.js';
import type { Activation, TensorSpec } from './spec.js';
import { MAX_TARGETS, type Target } from './targets.js';

interface ClassTarget {
  readonly name: string;
  /** The classes, in the order of the scores; empty if they are not known, and the graph's own label is the answer. */
  readonly labels: readonly string[];
  /** Where the graph's own label is; null if it is the one with the highest score. */
  readonly label: {
    readonly output: string;
    readonly index: number;
    /** How the graph spells each of `labels`. */
    readonly values: readonly string[];
  } | null;
  /** Where the scores are, one per label; null if the graph has none. `row`: which part of the output, if it is of all targets. */
  readonly scores: { readonly output: string; readonly row: number | null; readonly activation: Activation } | null;
}

export interface TargetsHead {
  readonly kind: 'targets';
  readonly targets: readonly ClassTarget[];
}

/** Null if the graph has a class for one target only. @throws ManifestError */
export function targetsHead(sources: TaskSources): TargetsHead | null {
  const label = labelMatrix(sources);
  if (label) return { kind: 'targets', targets: targetsOfLabels(sources, label) };
  return sources.targets.length > 1 ? { kind: 'targets', targets: targetsOfHeads(sources) } : null;
}

export function outputsOfTargets({ targets }: TargetsHead): readonly string[] {
  return [...new Set(targets.flatMap(({ label, scores }) => [label?.output ?? [], scores?.output ?? []].flat()))];
}

export function classTargets({ targets }: TargetsHead): Target[] {
  return targets.map(({ name, labels }) => ({ name, unit: null, labels }));
}

// ── one output with the labels of all targets ──

/**
 * The output with one label per target. Null if an output of the same width has the scores: those are the labels of a
 * multi-label classifier.
 */
function labelMatrix({ facts: { outputs, sequences }, output, targets }: TaskSources): TensorSpec | null {
  // A sequence of one tensor has the scores of the only target.
  const least = targets.length === 1 && sequences.some(({ tensors }) => tensors.length === 1) ? 1 : 2;
  const labels = outputs.filter(
    ({ name, datatype, shape }) =>
      (output.label ?? name) === name && isDiscrete(datatype) && shape.length === 2 && (shape[1] ?? 1) >= least,
  );
  const [label] = labels.length > 1 ? labels.filter(({ name }) => /^(output_)?label$/.test(name)) : labels;
  const width = label?.shape[1] ?? 0;
  if (!label || width > MAX_TARGETS) return null;
  const isMultiLabel = outputs.some(
    ({ datatype, shape: [, size = 1, ...rest] }) => datatype.startsWith('FP') && rest.length === 0 && size === width,
  );
  return isMultiLabel && targets.length === 0 ? null : label;
}

function isDiscrete(datatype: string): boolean {
  return datatype === 'BYTES' || DATATYPES[datatype]?.range != null;
}

function targetsOfLabels(sources: TaskSources, { name: output, datatype, shape }: TensorSpec): ClassTarget[] {
  const width = shape[1] as number;
  const { facts, targets, givenLabels } = sources;
  const columns = facts.outputOrigins[output]?.columns ?? [];
  const named = namesOf(sources, output, width);
  const scores = scoresOf(sources, width);
  return Array.from({ length: width }, (_, index) => {
    const classes = columns[index] ?? null;
    const own = targets[index]?.labels ?? (named.areLabels ? [] : givenLabels);
    const name = named.names[index] as string;
    const labels = labelsOf(name, own, classes);
    const values = classes ?? (datatype === 'BYTES' ? labels : labels.map((_, i) => String(i)));
    return {
      name,
      labels,
      label: { output, index, values },
      scores: labels.length > 0 ? (scores?.(index) ?? null) : null,
    };
  });
}

/** The names of the targets. `labels` of model.yaml are their names if there is one for each and no `targets`. */
function namesOf(
  { targets, givenLabels, multiLabel, facts: { outputOrigins } }: TaskSources,
  output: string,
  width: number,
): { names: readonly string[]; areLabels: boolean } {
  const columns = outputOrigins[output]?.columns ?? [];
  if (targets.length > 0 && targets.length !== width)
    throw new ManifestError(
      `model.yaml: the number of targets is ${targets.length}, but output "${output}" has ${width} labels for each input`,
    );
  if (targets.length > 0) return { names: uniqueNames(targets), areLabels: false };
  const mayBeClasses = (classes: readonly string[] | null) =>
    classes === null || (classes.length === givenLabels.length && !isWords(classes));
  const areClasses = Array.from({ length: width }, (_, i) => columns[i] ?? null).some(mayBeClasses);
  if (givenLabels.length !== width)
    return { names: Array.from({ length: width }, (_, i) => `${output}[${i}]`), areLabels: false };
  if (!areClasses) return { names: givenLabels, areLabels: true };
  if (multiLabel)
    throw new ManifestError(
      `model.yaml: multiLabel is true, but the graph has no output with one score per label (skl2onnx exports an MLPClassifier of two labels with the scores of both classes of each): remove multiLabel and labels, and write targets: [${givenLabels.join(', ')}]`,
    );
  throw new ManifestError(
    `model.yaml: labels could name the ${width} targets or their ${width} classes: name the targets in targets, such as targets: [${givenLabels.join(', ')}], and list in labels only classes`,
  );
}

/** Whether the classes are not numbers, so that they need no names. */
function isWords(classes: readonly string[] | null | undefined): boolean {
  return classes?.some((one) => !/^-?\d+$/.test(one)) ?? false;
}

function uniqueNames(targets: readonly TargetSettings[]): string[] {
  const names = targets.map(({ name }) => name);
  const duplicate = names.find((name, i) => names.indexOf(name) < i);
  if (duplicate !== undefined) throw new ManifestError(`model.yaml: target "${duplicate}" is listed twice`);
  return names;
}

function labelsOf(name: string, own: readonly string[], classes: readonly string[] | null): readonly string[] {
  if (own.length === 0) return classes ?? [];
  if (!classes) return own;
  if (own.length !== classes.length)
    throw new ManifestError(
      `model.yaml: target "${name}" has ${own.length} labels, but the graph has ${classes.length} classes for it: ${classes.join(', ')}`,
    );
  if (isWords(classes) && own.some((label, i) => label !== classes[i]) && own.every((label) => classes.includes(label)))
    throw new ManifestError(
      `model.yaml: the labels of target "${name}" are in another order than the graph's classes: remove them, or list them as ${classes.join(', ')}`,
    );
  return own;
}

/** Finds the scores of each target: a sequence of tensors, or one tensor of the shape [targets, N, classes]. */
function scoresOf(
  { facts: { outputs, sequences } }: TaskSources,
  width: number,
): ((index: number) => ClassTarget['scores']) | null {
  const sequence = sequences.find(({ tensors }) => tensors.length === width);
  if (sequence) return (index) => ({ output: sequence.tensors[index] as string, row: null, activation: 'none' });
  const stacked = outputs.find(
    ({ datatype, shape }) => datatype.startsWith('FP') && shape.length === 3 && shape[0] === width,
  );
  return stacked ? (row) => ({ output: stacked.name, row, activation: 'none' }) : null;
}

// ── one output for each target ──

function targetsOfHeads(sources: TaskSources): ClassTarget[] {
  const { targets, facts } = sources;
  uniqueNames(targets);
  const scores = facts.outputs.filter(({ datatype, shape }) => datatype.startsWith('FP') && shape.length === 2);
  return targets.map((target, i) => {
    const byDefault = scores.length === targets.length ? scores[i] : undefined;
    const output = target.output ? facts.outputs.find(({ name }) => name === target.output) : byDefault;
    if (!output)
      throw new ManifestError(
        `model.yaml: target "${target.name}" needs output, the name of one of the graph's outputs: ${facts.outputs.map(({ name }) => name).join(', ')}`,
      );
    return isDiscrete(output.datatype)
      ? targetOfLabel(sources, target, output)
      : targetOfScores(sources, target, output);
  });
}

function targetOfLabel({ facts, givenLabels }: TaskSources, target: TargetSettings, output: TensorSpec): ClassTarget {
  const classes = facts.outputOrigins[output.name]?.classes ?? null;
  const labels = labelsOf(target.name, target.labels ?? givenLabels, classes);
  const values = classes ?? (output.datatype === 'BYTES' ? labels : labels.map((_, i) => String(i)));
  return { name: target.name, labels, label: { output: output.name, index: 0, values }, scores: null };
}

function targetOfScores(sources: TaskSources, target: TargetSettings, output: TensorSpec): ClassTarget {
  const { facts, givenLabels, output: settings } = sources;
  const { name } = target;
  const own = target.labels ?? givenLabels;
  const width = output.shape[1] ?? own.length;
  const count = width === 1 ? 2 : width;
  if (own.length > 0 && own.length !== count)
    throw new ManifestError(
      `model.yaml: target "${name}" has ${own.length} labels, but output "${output.name}" has scores for ${count} classes`,
    );
  const labels = own.length > 0 ? own : Array.from({ length: count }, (_, i) => String(i));
  const kind = facts.outputOrigins[output.name]?.scores ?? null;
  const declared = target.activation ?? settings.activation;
  const isActivated = kind === 'softmax' || kind === 'sigmoid' || kind === 'probability';
  if (isActivated && declared !== undefined && declared !== 'none')
    throw new ManifestError(
      `model.yaml: the activation of target "${name}" is ${declared}, but output "${output.name}" already has probabilities: remove activation`,
    );
  if (!isActivated && declared === undefined)
    throw new ManifestError(
      `model.yaml: add activation to target "${name}": softmax or sigmoid if output "${output.name}" has logits, or none if it has probabilities`,
    );
  return { name, labels, label: null, scores: { output: output.name, row: null, activation: declared ?? 'none' } };
}

// ── answers ──

/** @throws UnusableOutputError if the outputs do not have a known class for each target */
export function postprocessTargets(
  outputs: readonly TensorData[],
  { targets }: TargetsHead,
): AnswerOf<'multiClassification'> {
  return { kind: 'multiClassification', targets: targets.map((target) => classified(outputs, target, targets.length)) };
}

function classified(outputs: readonly TensorData[], target: ClassTarget, count: number): ClassifiedTarget {
  const { name, labels } = target;
  const scores = scoresFor(outputs, target, count);
  if (target.label) return { name, label: ownLabel(outputs, target, target.label), scores, labels };
  if (!scores)
    throw new UnusableOutputError(`the scores of target "${name}" are not probabilities of ${labels.length} classes`);
  return { name, label: labels[indexOfHighest(scores)] as string, scores, labels };
}

function ownLabel(
  outputs: readonly TensorData[],
  { name, labels }: ClassTarget,
  { output, index, values }: NonNullable<ClassTarget['label']>,
): string {
  const value = outputNamed(outputs, output)?.data[index];
  if (value === undefined) throw new UnusableOutputError(`the graph returned no label for target "${name}"`);
  if (labels.length === 0) return String(value);
  const label = labels[values.indexOf(String(value))];
  if (label === undefined)
    throw new UnusableOutputError(
      `the graph returned the label "${value}" for target "${name}", which is none of its classes`,
    );
  return label;
}

/**
 * Null if they are not probabilities: skl2onnx returns for a decision tree of several targets which classes occur in a leaf.
 * `count`: of the targets. An output of all targets has as many scores for each as the one with the most classes needs, the
 * others being 0.
 */
function scoresFor(outputs: readonly TensorData[], { labels, scores }: ClassTarget, count: number): number[] | null {
  if (!scores) return null;
  const all = floatOutput(outputs, scores.output);
  const size = scores.row === null ? all.length : Math.floor(all.length / count);
  const part: Floats = all.subarray((scores.row ?? 0) * size, ((scores.row ?? 0) + 1) * size);
  const isPadded = scores.row !== null && part.subarray(labels.length).every((score) => score === 0);
  const own = isPadded ? part.subarray(0, labels.length) : part;
  const activated = applyActivation(own, scores.activation);
  const each = activated.length === 1 && labels.length === 2 ? [1 - (activated[0] as number), ...activated] : activated;
  return each.length === labels.length && areInRange(each) && addUpToOne(each) ? each : null;
}
