/** Predicts one or several numbers from a row of named columns or from a time series. */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { DATATYPES, outputNamed, type TensorData } from './datatypes.js';
import { defineTask, oneRow } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import { isSeries } from './series.js';
import type { TaskSources } from './sources.js';
import type { TensorSpec } from './spec.js';
import { preprocessTabular, TABULAR_INPUTS, tabularExamples } from './tabular.js';
import { type PlacedTarget, placeTargets, type Target, widthOf } from './targets.js';
import { shapeText } from './tensors.js';

type NumbersHead =
  /** The output has the shape [N] or [N, 1]: one number per row. `name` is absent in specs of earlier releases. */
  | { readonly kind: 'value'; readonly output: string; readonly unit: string | null; readonly name?: string }
  /** Several numbers per row, in one or several outputs. */
  | { readonly kind: 'values'; readonly targets: readonly PlacedTarget[] };

export const tabularRegression = defineTask({
  name: 'TABULAR_REGRESSION',
  description: 'Predicts one or several numbers from a row of named columns or a time series.',
  reads: TABULAR_INPUTS,
  part: 'row',
  answers: ['regression', 'values'],
  head: numbersHead,
  outputs: outputsOf,
  targets: targetsOf,
  answerKind: ({ kind }) => (kind === 'value' ? 'regression' : 'values'),
  examples: tabularExamples,
  preprocess: (item, spec) => oneRow(preprocessTabular(item, spec), (outputs) => postprocessNumbers(outputs, spec)),
  postprocess: postprocessNumbers,
  answersInServer: true,
});

/** Reads the output that model.yaml names, else all outputs of one number or a list of numbers. @throws ManifestError */
function numbersHead({ output, targets, facts }: TaskSources): NumbersHead {
  const { inputs, outputs } = facts;
  const chosen = output.value === undefined ? usualOutputs(outputs, targets.length) : [outputOf(output.value, outputs)];
  checkFirstDimension(inputs, chosen);
  const places = placeTargets(
    targets,
    outputs,
    targets.length === 0 && chosen.length === 1 ? chosen.map(oneIfUnknown) : chosen,
  );
  for (const place of places) checkNumeric(outputOf(place.output, outputs));
  const [first] = places;
  if (!first) throw new ManifestError('the graph has no output that is a tensor; a regression needs numbers');
  const unit = first.unit ?? output.unit ?? null;
  if (places.length === 1 && first.index === 0) return { kind: 'value', output: first.output, unit, name: first.name };
  return { kind: 'values', targets: places.map((place) => ({ ...place, unit: place.unit ?? output.unit ?? null })) };
}

/**
 * Outputs of three dimensions are the states of recurrent layers, unless there is nothing else. Integers and booleans beside
 * floating-point numbers, such as the leaf of a decision tree, are predicted only if there are targets for them.
 */
function usualOutputs(outputs: readonly TensorSpec[], count: number): readonly TensorSpec[] {
  const numeric = outputs.filter(({ datatype }) => DATATYPES[datatype]);
  const flat = numeric.filter(({ shape }) => shape.length <= 2);
  const floats = flat.filter(({ datatype }) => datatype.startsWith('FP'));
  if (floats.length > 0 && (count === 0 || count === valuesIn(floats))) return floats;
  if (flat.length > 0) return flat;
  return (numeric.length > 0 ? numeric : outputs).slice(0, 1);
}

function valuesIn(outputs: readonly TensorSpec[]): number {
  return outputs.reduce((sum, output) => sum + (widthOf(output) ?? 1), 0);
}

/** The example shows whether an output of unknown width has one number. */
function oneIfUnknown(output: TensorSpec): TensorSpec {
  return widthOf(output) === null ? { ...output, shape: [null] } : output;
}

function outputOf(name: string, outputs: readonly TensorSpec[]): TensorSpec {
  const found = outputs.find((output) => output.name === name);
  const names = outputs.map(({ name }) => name).join(', ');
  if (!found) throw new ManifestError(`model.yaml: output.value is "${name}", but the graph's outputs are ${names}`);
  return found;
}

/** A graph that takes the steps first would answer each of them. */
function checkFirstDimension(inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): void {
  const steps = isSeries(inputs) && outputs.find(({ shape }) => (shape[0] ?? 1) > 1);
  if (steps)
    throw new ManifestError(
      `output "${steps.name}" has shape ${shapeText(steps.shape)} for one time series: export the graph with the batch as the first dimension of its input and its outputs (PyTorch: batch_first=True)`,
    );
}

function checkNumeric({ name, datatype }: TensorSpec): void {
  if (!DATATYPES[datatype])
    throw new ManifestError(
      `output "${name}" is ${datatype}, but a regression needs numbers: name another output in output.value of model.yaml`,
    );
}

function outputsOf(head: NumbersHead): readonly string[] {
  return head.kind === 'value' ? [head.output] : [...new Set(head.targets.map(({ output }) => output))];
}

function targetsOf(head: NumbersHead): Target[] {
  if (head.kind === 'value') return [{ name: head.name ?? head.output, unit: head.unit, labels: [] }];
  return head.targets.map(({ name, unit }) => ({ name, unit, labels: [] }));
}

/** @throws UnusableOutputError if the graph does not return one finite number for each target */
function postprocessNumbers(
  outputs: readonly TensorData[],
  { head }: { readonly head: NumbersHead },
): AnswerOf<'regression'> | AnswerOf<'values'> {
  if (head.kind === 'value') {
    const value = numbersOf(outputs, head.output, 1)[0] as number;
    return { kind: 'regression', value: finite(value, 'the predicted number'), unit: head.unit };
  }
  const counts = Map.groupBy(head.targets, ({ output }) => output);
  const numbers = new Map([...counts].map(([output, { length }]) => [output, numbersOf(outputs, output, length)]));
  const values = head.targets.map(({ name, unit, output, index }) => {
    const value = numbers.get(output)?.[index] as number;
    return { name, value: finite(value, `the predicted number of "${name}"`), unit };
  });
  return { kind: 'values', values };
}

function numbersOf(outputs: readonly TensorData[], output: string, count: number): number[] {
  const data = outputNamed(outputs, output)?.data ?? [];
  if (data.length === count) return Array.from<unknown, number>(data, Number);
  const expected = count === 1 ? 'one: name each of them in model.yaml, such as targets: [a, b]' : `${count}`;
  throw new UnusableOutputError(
    `the graph returned ${data.length} numbers in output "${output}" instead of ${expected}`,
  );
}

function finite(value: number, what: string): number {
  if (!Number.isFinite(value)) throw new UnusableOutputError(`${what} is ${value}`);
  return value;
}
