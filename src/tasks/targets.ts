/** What a version predicts for an input, one or several numbers or classes: their names, units and classes. */
import { ManifestError } from '../errors.js';
import { listed } from './problems.js';
import type { TargetSettings } from './sources.js';
import type { TensorSpec } from './spec.js';

/** The most numbers or classes that an answer names. Models with more return an embedding or tensors. */
export const MAX_TARGETS = 1_000;

export interface Target {
  readonly name: string;
  /** Null for a number without a unit, and for a class. */
  readonly unit: string | null;
  /** The classes to choose from; empty for a number. */
  readonly labels: readonly string[];
}

/** A target, and where the graph returns it: at this index of an output's values for a row. */
export interface PlacedTarget {
  readonly name: string;
  readonly unit: string | null;
  readonly output: string;
  readonly index: number;
}

/**
 * The number of values of an output for one row; null if the graph does not say. Some exporters put the values of a row
 * below each other: the first dimension, which is any number of rows otherwise, is then fixed.
 */
export function widthOf({ shape: [rows = null, ...sizes] }: Pick<TensorSpec, 'shape'>): number | null {
  return sizes.reduce<number | null>((all, size) => (all === null || size === null ? null : all * size), rows ?? 1);
}

/**
 * Places each target in the outputs: targets of the same output take its values one after the other. Without targets,
 * each value of the outputs is one, named after its output and its index.
 *
 * @throws ManifestError if the targets do not fit the outputs
 */
export function placeTargets(
  targets: readonly TargetSettings[],
  outputs: readonly TensorSpec[],
  defaults: readonly TensorSpec[],
): PlacedTarget[] {
  if (targets.length === 0) return defaults.flatMap(targetsOfOutput);
  const duplicate = targets.find(({ name }, i) => targets.findIndex((one) => one.name === name) < i);
  if (duplicate) throw new ManifestError(`model.yaml: target "${duplicate.name}" is listed twice`);
  const places = placesOf(defaults);
  const counts = new Map<string, number>();
  const placed = targets.map(({ name, unit, output }) => {
    const place = output === undefined ? places.next().value : { output, index: counts.get(output) ?? 0 };
    if (!place) throw misfit(targets.length, defaults);
    if (!outputs.some(({ name }) => name === place.output))
      throw new ManifestError(
        `model.yaml: target "${name}" is in output "${place.output}", but the graph's outputs are ${namesOf(outputs)}`,
      );
    counts.set(place.output, place.index + 1);
    return { name, unit: unit ?? null, ...place };
  });
  const wrong = outputs.find(
    (output) => counts.has(output.name) && (widthOf(output) ?? counts.get(output.name)) !== counts.get(output.name),
  );
  if (wrong && targets.every(({ output }) => output === undefined)) throw misfit(targets.length, defaults);
  if (wrong)
    throw new ManifestError(
      `model.yaml: the number of targets with output "${wrong.name}" is ${counts.get(wrong.name)}, but it has ${widthOf(wrong)} values for each input`,
    );
  return placed;
}

function targetsOfOutput(output: TensorSpec): PlacedTarget[] {
  const width = widthOf(output);
  if (width === null || width > MAX_TARGETS)
    throw new ManifestError(
      width === null
        ? `the graph does not say how many values output "${output.name}" has: name them in model.yaml, such as targets: [a, b]`
        : `output "${output.name}" has ${width} values; at most ${MAX_TARGETS} can be named. Use task: feature-extraction for a vector, or task: tensor`,
    );
  return Array.from({ length: width }, (_, index) => ({
    name: width === 1 ? output.name : `${output.name}[${index}]`,
    unit: null,
    output: output.name,
    index,
  }));
}

/** The places of all values of the outputs, in order; endless for an output of unknown width. */
function* placesOf(outputs: readonly TensorSpec[]): Generator<Pick<PlacedTarget, 'output' | 'index'>, undefined> {
  for (const output of outputs) {
    const width = widthOf(output) ?? Number.POSITIVE_INFINITY;
    for (let index = 0; index < width; index++) yield { output: output.name, index };
  }
}

function misfit(count: number, outputs: readonly TensorSpec[]): ManifestError {
  const widthText = (output: TensorSpec) => `"${output.name}" has ${widthOf(output) ?? 'any number of'} values`;
  const total = outputs.reduce((sum, output) => sum + (widthOf(output) ?? Number.NaN), 0);
  const found =
    outputs.length === 1
      ? `output ${outputs.map(widthText)[0]} for each input`
      : `${outputs.length} outputs have ${Number.isNaN(total) ? 'any number of' : total} values for each input: ${listed(outputs, widthText)}`;
  return new ManifestError(`model.yaml: the number of targets is ${count}, but ${found}`);
}

function namesOf(outputs: readonly TensorSpec[]): string {
  return outputs.map(({ name }) => name).join(', ');
}
