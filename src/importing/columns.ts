/**
 * Finds the columns of a row, in model.yaml or from the inputs of the graph, and checks that they can feed the graph.
 */

import { ManifestError } from '../errors.js';
import { GOLDENS } from '../onnx/converter-faults.js';
import { DATATYPES } from '../tasks/datatypes.js';
import { isSeries, seriesSizes } from '../tasks/series.js';
import type { GraphFacts } from '../tasks/sources.js';
import type { ColumnSpec, ColumnType, SeriesLayout, TensorSpec } from '../tasks/spec.js';
import { shapeText } from '../tasks/tensors.js';
import type { ModelYaml } from './manifest.js';

/** What encoders of the graph know; see `onnx/known-categories.ts`. */
type KnownCategories = GraphFacts['knownCategories'];

/**
 * The columns of model.yaml; without any, one column for each graph input, or for each value of a step of a time series.
 * Empty if the graph reads neither rows nor a time series, and model.yaml has no columns: it then takes only tensors.
 *
 * @throws ManifestError if the columns cannot feed the graph
 */
export function columnsOf(
  { columns, series }: Pick<ModelYaml, 'columns' | 'series'>,
  inputs: readonly TensorSpec[],
  known: KnownCategories = [],
): ColumnSpec[] {
  if (isSeries(inputs)) return columnsOfSeries(columns, inputs[0] as TensorSpec, series?.layout);
  if (series)
    throw new ManifestError(
      `model.yaml: series describes a graph with one input of the shape [any, steps, columns] or [any, columns, steps], but this graph has ${inputs.map(({ name, shape }) => `"${name}" ${shapeText(shape)}`).join(', ')}: remove series`,
    );
  if (columns.length === 0 && inputs.some(({ shape }) => shape.length > 2)) return [];
  const fed = columns.map((column) => ({ ...column, input: column.input ?? inputOf(column.name, inputs) }));
  const named = fed.map((column) => ({ ...withExample(column, valuesOf(column, fed, known)), input: column.input }));
  const specs =
    named.length > 0 ? named : inputs.map((input) => columnOfInput(input, known)).filter((column) => column !== null);
  checkColumns({ columns: specs, inputs });
  return specs;
}

type Values = KnownCategories[number]['values'];

/** The values that the graph knows for a column of model.yaml; none if it takes any, or nobody can tell. */
function valuesOf<C extends { readonly input: string }>(
  column: C,
  columns: readonly C[],
  known: KnownCategories,
): Values {
  if (known.length === 0) return [];
  const place = placeOf(column, columns);
  return known.find((one) => one.input === column.input && one.column === place)?.values ?? [];
}

/** The index of a column among those that feed the same input. */
function placeOf<C extends { readonly input: string }>(column: C, columns: readonly C[]): number {
  return columns.filter(({ input }) => input === column.input).indexOf(column);
}

function withExample(column: ModelYaml['columns'][number], values: Values = []): ModelYaml['columns'][number] {
  return { ...column, example: column.example ?? (column.required ? exampleOfColumn(column, values) : null) };
}

/** A value that the column accepts, and the graph knows, for a row that shows its form and tests the graph. */
function exampleOfColumn(
  {
    type,
    categories,
    minimum,
    maximum,
  }: Pick<ModelYaml['columns'][number], 'type' | 'categories' | 'minimum' | 'maximum'>,
  values: Values,
): unknown {
  if (type === 'CATEGORY') return categories.find((category) => values.includes(category)) ?? categories[0] ?? null;
  if (type === 'TEXT') return values.find((value) => typeof value === 'string') ?? 'a';
  if (type === 'BOOLEAN') return true;
  const [least, most] = [minimum ?? -Infinity, maximum ?? Infinity];
  const known = values.find((value) => typeof value === 'number' && value >= least && value <= most);
  if (known !== undefined) return known;
  const inRange = Math.min(Math.max(1, least), most);
  return type === 'INTEGER' ? Math.ceil(inRange) : inRange;
}

/** The values of each step of a time series. Empty without columns in model.yaml if the shape does not tell them from the steps. */
function columnsOfSeries(
  columns: ModelYaml['columns'],
  input: TensorSpec,
  layout: SeriesLayout | undefined,
): ColumnSpec[] {
  const { steps, width } = seriesSizes(input, layout);
  const isSquare = width !== null && steps === width;
  const numbered = layout === undefined && isSquare ? 0 : (width ?? 0);
  if (columns.length === 0) return Array.from({ length: numbered }, (_, i) => columnOf(`${input.name}[${i}]`, input));
  const specs = columns.map((column) => ({ ...withExample(column), input: input.name }));
  checkEach(specs);
  if (layout === undefined) checkLayout(input, specs.length);
  checkFeeds(input, specs, width);
  return specs;
}

/** @throws ManifestError unless the shape shows that the columns come last */
function checkLayout(input: TensorSpec, count: number): void {
  const { steps, width } = seriesSizes(input);
  const isEither = width === null ? steps === null || steps === count : width === count && steps === count;
  const isFirst = width !== null && width !== count && steps === count;
  if (!isEither && !isFirst) return;
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  if (isFirst)
    throw new ManifestError(
      `model.yaml: the number of columns is ${count}, but ${shape}, and a time series [any, steps, columns]: set series: { layout: NFT } if the columns come before the steps, or transpose the input in the export`,
    );
  throw new ManifestError(
    `model.yaml: ${shape}, which does not tell the ${count} columns from the steps: set series: { layout: NTF } for [any, steps, columns], or series: { layout: NFT } for [any, columns, steps], as Conv1d of PyTorch reads it`,
  );
}

/** The input that a column feeds by default: the graph's only input, or the one with the column's name. */
function inputOf(column: string, inputs: readonly TensorSpec[]): string {
  return inputs.length === 1 ? (inputs[0] as TensorSpec).name : column;
}

/** The column that an input of the shape [any] or [any, 1] stands for. skl2onnx exports pipelines with such inputs. */
function columnOfInput(input: TensorSpec, known: KnownCategories): ColumnSpec | null {
  const { name, shape } = input;
  if (shape.length > 2 || (shape.length === 2 && shape[1] !== 1)) return null;
  return columnOf(name, input, known.find((one) => one.input === name)?.values);
}

function columnOf(name: string, { name: input, datatype }: TensorSpec, values: Values = []): ColumnSpec {
  const type = columnType(datatype);
  const empty = { description: null, unit: null, minimum: null, maximum: null, categories: [] };
  const example = exampleOfColumn({ type, ...empty }, values);
  // Required, because only the model's owner knows whether the graph can handle NaN for a missing number.
  return { name, type, ...empty, required: true, example, input, missing: '' };
}

function columnType(datatype: string): ColumnType {
  if (datatype === 'BYTES') return 'TEXT';
  if (datatype === 'BOOL') return 'BOOLEAN';
  return DATATYPES[datatype]?.range ? 'INTEGER' : 'NUMBER';
}

function checkColumns({ columns, inputs }: { columns: readonly ColumnSpec[]; inputs: readonly TensorSpec[] }): void {
  if (columns.length === 0) {
    const width = inputs.length === 1 ? (inputs[0] as TensorSpec).shape[1] : null;
    const each = width ? `each of the ${width} features` : 'each feature';
    throw new ManifestError(`model.yaml: columns is missing: list one { name, type } for ${each}, in order`);
  }
  checkEach(columns);
  const names = inputs.map(({ name }) => name);
  const unmatched = columns.find(({ input }) => !names.includes(input));
  if (unmatched) {
    throw new ManifestError(
      `model.yaml: column "${unmatched.name}" feeds input "${unmatched.input}", but the graph's inputs are ${names.join(', ')}: correct its name, or set its input`,
    );
  }
  for (const input of inputs)
    checkFeeds(
      input,
      columns.filter((column) => column.input === input.name),
    );
}

/** @throws ManifestError if a column may be missing, and trees treat that otherwise than their framework */
export function refuseLostMissing(
  { columns }: { readonly columns: readonly ColumnSpec[] },
  { lostMissing, inputs }: Pick<GraphFacts, 'lostMissing' | 'inputs'>,
): void {
  const isLost = (column: ColumnSpec) => {
    const place = placeOf(column, columns);
    return lostMissing.some((one) => one.input === column.input && (one.column ?? place) === place);
  };
  const isNumber = (column: ColumnSpec) =>
    inputs.some(({ name, datatype }) => name === column.input && datatype !== 'BYTES');
  const lost = columns.find((column) => !column.required && isNumber(column) && isLost(column));
  if (!lost) return;
  throw new ManifestError(
    `model.yaml: column "${lost.name}" may be missing (required: false), but the graph has trees that send missing values to the same side at every split, as skl2onnx exports trees and forests of scikit-learn, whatever they have learned: put SimpleImputer before them, train HistGradientBoosting instead, or set required: true; ${GOLDENS}`,
  );
}

function checkEach(columns: readonly ColumnSpec[]): void {
  const duplicate = firstDuplicate(columns.map(({ name }) => name));
  if (duplicate !== undefined) throw new ManifestError(`model.yaml: column "${duplicate}" is listed twice`);
  const empty = columns.find(({ type, categories }) => type === 'CATEGORY' && categories.length === 0);
  if (empty)
    throw new ManifestError(
      `model.yaml: column "${empty.name}" is a category without categories: list those that the model knows`,
    );
  checkRanges(columns);
}

/** @throws ManifestError if no number is in the range of a column */
function checkRanges(columns: readonly ColumnSpec[]): void {
  const empty = columns.find(({ minimum, maximum }) => minimum !== null && maximum !== null && minimum > maximum);
  if (empty)
    throw new ManifestError(
      `model.yaml: the minimum of column "${empty.name}" is ${empty.minimum}, above its maximum ${empty.maximum}: correct one of them`,
    );
}

function checkFeeds(
  input: TensorSpec,
  columns: readonly ColumnSpec[],
  width = input.shape.length === 1 ? 1 : input.shape.at(-1),
): void {
  const shape = `input "${input.name}" has shape ${shapeText(input.shape)}`;
  if (input.shape.length > 2 && !isSeries([input]))
    throw new ManifestError(
      `${shape}; rows need [any] or [any, columns], and a time series [any, steps, columns]: export the graph with such an input, or leave out columns in model.yaml to send tensors`,
    );
  if (width !== null && width !== columns.length)
    throw new ManifestError(`model.yaml: the number of columns is ${columns.length}, but ${shape}`);
  const misfit = columns.find((column) => !canFeed(column, input.datatype));
  if (!misfit) return;
  const optional = misfit.type === 'TEXT' || misfit.required ? '' : ' with required: false';
  const isWord = misfit.type === 'TEXT' && input.datatype !== 'BOOL';
  const advice = isWord ? ': declare it as category, with categories in the order of their indices in the graph' : '';
  throw new ManifestError(
    `model.yaml: column "${misfit.name}" is ${misfit.type}${optional}, but input "${input.name}" is ${input.datatype}${advice}`,
  );
}

/**
 * Strings feed BYTES, numbers, booleans and the indices of categories feed numbers. Optional numbers need a floating-point
 * input, which has NaN.
 */
function canFeed(column: ColumnSpec, datatype: string): boolean {
  if (column.type === 'TEXT' || datatype === 'BYTES') return isString(column) && datatype === 'BYTES';
  const type = DATATYPES[datatype];
  if (datatype === 'BOOL') return column.type === 'BOOLEAN' && column.required;
  if (type?.range) return column.type !== 'NUMBER' && column.required;
  return type !== undefined && type.range === null;
}

function isString({ type }: ColumnSpec): boolean {
  return type === 'TEXT' || type === 'CATEGORY';
}

export function firstDuplicate(strings: readonly string[]): string | undefined {
  return strings.find((string, i) => strings.indexOf(string) < i);
}
