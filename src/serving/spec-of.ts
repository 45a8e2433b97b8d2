/**
 * The spec of a version, from its manifest and from what its graph says. `model.yaml` wins over the graph.
 */
import type { GraphFacts } from '../engine/messages.js';
import { DATATYPES } from '../tasks/datatypes.js';
import type { ColumnSpec, ImageSpec, TensorSpec, VersionSpec } from '../tasks/spec.js';
import { check, TASK } from '../tasks/task.js';
import { shapeText } from '../tasks/tensors.js';
import { ManifestError, type ModelManifest } from './manifest.js';

/** @throws ManifestError that says which key is missing or contradicts the graph */
export function specOf({ yaml }: ModelManifest, { inputs, outputs, zipMap }: GraphFacts): VersionSpec {
  const { inputKind } = TASK[yaml.task];
  const { output } = yaml;
  const columns = yaml.columns.map((column) => ({ ...column, input: column.input ?? inputOf(column.name, inputs) }));
  const spec: VersionSpec = {
    task: yaml.task,
    inputKind,
    inputs,
    outputs,
    columns,
    labels: yaml.labels.length > 0 ? yaml.labels : (zipMap?.labels ?? []),
    image: yaml.image && imageOf(yaml.image),
    scores: scoresOf(output, zipMap),
    value: numberOf(yaml.task, output, outputs),
    example: yaml.example ?? (inputKind === 'ROW' ? { row: exampleRow(columns) } : exampleTensors(inputs)),
    maxBatch: canStack([...inputs, ...outputs]) ? yaml.maxBatch : 1,
    maxBatchReason: canStack([...inputs, ...outputs])
      ? 'not compared yet'
      : 'the first size of an input or output is fixed',
    maxRunMs: yaml.maxRunMs,
  };
  if (inputKind !== 'TENSORS') checkPipeline(spec);
  checkExample(spec);
  return spec;
}

function canStack(tensors: readonly TensorSpec[]): boolean {
  return tensors.every(({ shape }) => shape.length > 0 && shape[0] === null);
}

type Output = ModelManifest['yaml']['output'];

function scoresOf(output: Output, zipMap: GraphFacts['zipMap']): VersionSpec['scores'] {
  if (output && 'scores' in output) return { output: output.scores, activation: output.activation };
  return zipMap && { output: zipMap.output, activation: 'none' };
}

function numberOf(task: string, output: Output, outputs: readonly TensorSpec[]): VersionSpec['value'] {
  if (output && 'value' in output) return { output: output.value, unit: output.unit };
  return task === 'TABULAR_REGRESSION' ? { output: outputs[0]?.name ?? '', unit: null } : null;
}

/** A graph with one input takes all columns there; one with several takes each under its own name. */
function inputOf(column: string, inputs: readonly TensorSpec[]): string {
  return inputs.length === 1 ? (inputs[0] as TensorSpec).name : column;
}

/** Fed from a row, a text or a picture; one score for each label, or one number. */
function checkPipeline(spec: VersionSpec): void {
  if (spec.inputKind === 'ROW') checkColumns(spec);
  else checkOnlyInput(spec);
  if (spec.task === 'TABULAR_REGRESSION') checkValue(spec);
  else if (spec.scores) checkScores(spec);
  else checkLabelOutput(spec.outputs);
}

function checkOnlyInput(spec: VersionSpec): void {
  const [input, ...others] = spec.inputs;
  if (!input || others.length > 0)
    throw new ManifestError(`the graph has ${spec.inputs.length} inputs; ${spec.task} feeds one`);
  const expected = spec.inputKind === 'TEXT' ? 'BYTES' : 'FP32';
  if (input.datatype !== expected)
    throw new ManifestError(`input "${input.name}" is ${input.datatype}; ${spec.task} feeds ${expected}`);
  if (spec.inputKind === 'IMAGE' && !spec.image)
    throw new ManifestError('model.yaml: image is missing: size, color, rescale_factor');
}

function checkColumns({ columns, inputs }: VersionSpec): void {
  if (columns.length === 0)
    throw new ManifestError('model.yaml: columns is missing: one { name, type } for each feature, in order');
  const twice = firstDouble(columns.map(({ name }) => name));
  if (twice !== undefined) throw new ManifestError(`model.yaml: column "${twice}" is there twice`);
  const names = inputs.map(({ name }) => name);
  const astray = columns.find(({ input }) => !names.includes(input));
  if (astray) {
    throw new ManifestError(
      `model.yaml: column "${astray.name}" feeds the input "${astray.input}"; the graph's inputs are ${names.join(', ')}`,
    );
  }
  for (const input of inputs)
    checkFed(
      input,
      columns.filter((column) => column.input === input.name),
    );
}

function checkFed(input: TensorSpec, columns: readonly ColumnSpec[]): void {
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  const width = input.shape.length === 1 ? 1 : input.shape.at(-1);
  if (input.shape.length > 2) throw new ManifestError(`${shape}; rows feed [any] or [any, columns]`);
  if (width !== null && width !== columns.length)
    throw new ManifestError(`model.yaml: ${columns.length} columns, but ${shape}`);
  const wrong = columns.find((column) => !canFeed(column, input.datatype));
  if (!wrong) return;
  const optional = isWord(wrong) || wrong.required ? '' : ', and may be missing';
  throw new ManifestError(
    `model.yaml: column "${wrong.name}" is ${wrong.type}${optional}, but input "${input.name}" is ${input.datatype}`,
  );
}

/** Words into strings, numbers into numbers; what may be missing only where there is NaN. */
function canFeed(column: ColumnSpec, datatype: string): boolean {
  if (isWord(column) || datatype === 'BYTES') return isWord(column) && datatype === 'BYTES';
  const type = DATATYPES[datatype];
  if (datatype === 'BOOL') return column.type === 'BOOLEAN' && column.required;
  if (type?.range) return column.type !== 'NUMBER' && column.required;
  return datatype === 'FP32' || datatype === 'FP64';
}

function isWord({ type }: ColumnSpec): boolean {
  return type === 'TEXT' || type === 'CATEGORY';
}

function checkValue({ value, outputs }: VersionSpec): void {
  const output = outputs.find(({ name }) => name === value?.output);
  const names = outputs.map(({ name }) => name).join(', ');
  if (!output)
    throw new ManifestError(`model.yaml: output.value is "${value?.output}"; the graph's outputs are ${names}`);
  if (!DATATYPES[output.datatype])
    throw new ManifestError(`output "${output.name}" is ${output.datatype}, not a number`);
}

function checkScores({ scores, labels, outputs }: VersionSpec): void {
  if (!scores) return;
  const output = outputs.find(({ name }) => name === scores.output);
  if (!output) {
    const names = outputs.map(({ name }) => name).join(', ');
    throw new ManifestError(`model.yaml: output.scores is "${scores.output}"; the graph's outputs are ${names}`);
  }
  const width = output.shape.at(-1);
  if (labels.length === 0) throw new ManifestError('model.yaml: labels is missing: one word for each score, in order');
  const twice = firstDouble(labels);
  if (twice !== undefined) throw new ManifestError(`model.yaml: label "${twice}" is there twice`);
  if (width !== null && width !== labels.length) {
    throw new ManifestError(
      `model.yaml: ${labels.length} labels, but output "${output.name}" has shape ${shapeText(output.shape)}`,
    );
  }
}

/** Without scores the first output is the label itself: a word or a whole number. */
function checkLabelOutput([first]: readonly TensorSpec[]): void {
  if (first && first.datatype !== 'BYTES' && !DATATYPES[first.datatype]?.range) {
    throw new ManifestError(
      `model.yaml: output is missing: { scores: ${first.name} }, if that holds one score per label`,
    );
  }
}

function firstDouble(words: readonly string[]): string | undefined {
  return words.find((word, i) => words.indexOf(word) < i);
}

function checkExample(spec: VersionSpec): void {
  try {
    check(spec, spec.example, ['example']);
  } catch (error) {
    throw new ManifestError(`model.yaml: the example does not fit: ${error instanceof Error ? error.message : error}`);
  }
}

function imageOf({
  size,
  color,
  rescale_factor,
  image_mean,
  image_std,
}: NonNullable<ModelManifest['yaml']['image']>): ImageSpec {
  return { ...size, color, rescaleFactor: rescale_factor, mean: image_mean, std: image_std };
}

function exampleRow(columns: readonly ColumnSpec[]): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, example }) => [name, example]));
}

/** Beyond, an example of zeros would be too large to show, and to make while the server answers. */
const MAX_EXAMPLE_VALUES = 1_000_000;

/** Zeros in the smallest shape that fits. */
function exampleTensors(inputs: readonly TensorSpec[]): Record<string, unknown> {
  const tensors = inputs.map(({ name, datatype, shape }) => {
    const sizes = shape.map((size) => size ?? 1);
    const count = sizes.reduce((product, size) => product * size, 1);
    if (count > MAX_EXAMPLE_VALUES) {
      throw new ManifestError(`input "${name}" has shape ${shapeText(shape)}, too large for an example of zeros`);
    }
    return { name, datatype, shape: sizes, data: Array.from({ length: count }, () => (datatype === 'BYTES' ? '' : 0)) };
  });
  return { tensors };
}
