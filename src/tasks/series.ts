/** The input `series`: a time series, with a list of values for each step. */
import { arrayOf, DATATYPES, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { listed, type Problems } from './problems.js';
import { checkValue, columnInputsOf, onlyInput } from './row.js';
import type { AnySpec, Example, SeriesLayout, TensorSpec } from './spec.js';

export interface SeriesItem extends AnyItem {
  readonly kind: 'series';
  readonly steps: number;
  /** The values of each step, in the order of the columns. Whole numbers of 64 bits may be strings of digits. */
  readonly values: readonly (number | string)[];
}

export const seriesInput = defineInput({
  kind: 'SERIES',
  key: 'series',
  accepts: ({ columns, inputs }) => columns.length > 0 && isSeries(inputs),
  check: checkSeries,
});

/** Whether the graph reads only a tensor of three dimensions: the batch, the steps and the columns. */
export function isSeries(inputs: readonly TensorSpec[]): boolean {
  const [input] = inputs;
  return inputs.length === 1 && input?.shape.length === 3 && DATATYPES[input.datatype] !== undefined;
}

/** The sizes of the input of a time series; null if open. */
export function seriesSizes(
  { shape: [, second = null, third = null] }: TensorSpec,
  layout: SeriesLayout = 'NTF',
): { readonly steps: number | null; readonly width: number | null } {
  return layout === 'NFT' ? { steps: third, width: second } : { steps: second, width: third };
}

/** The number of steps that the graph reads; null for any. */
function stepsOf(spec: AnySpec): number | null {
  return seriesSizes(onlyInput(spec), spec.seriesLayout).steps;
}

/** Values in a time series, at most: the work of the largest batch. */
export const MAX_SERIES_VALUES = 4_194_304;

/** Problems have the path `series.values.<step>.<column's index>`. */
function checkSeries({ values }: { readonly values: unknown }, spec: AnySpec, problems: Problems): SeriesItem {
  const path = ['series', 'values'];
  const columns = columnInputsOf(spec);
  const steps = checkSteps(values, spec, path, problems);
  const checked: (number | string)[] = [];
  for (const [i, step] of steps.entries()) {
    if (problems.isFull) break;
    if (!Array.isArray(step) || step.length !== columns.length) {
      const names = listed(columns, ({ column }) => column.name);
      problems.add(
        [...path, String(i)],
        'WRONG_SHAPE',
        'a step has one value per column',
        `a list of ${columns.length}: ${names}`,
        step,
      );
      continue;
    }
    for (const [k, fed] of columns.entries()) {
      if (problems.isFull) break;
      checked.push(fed.read(step[k]) ?? checkValue(fed, step[k], [...path, String(i), String(k)], problems));
    }
  }
  return {
    kind: 'series',
    rows: 1,
    work: Math.max(1, checked.length),
    preprocessingWork: 0,
    steps: steps.length,
    values: checked,
  };
}

/** The list of steps; empty if there is a problem with it. */
function checkSteps(values: unknown, spec: AnySpec, path: readonly string[], problems: Problems): readonly unknown[] {
  const length = stepsOf(spec);
  const expected = `a list of ${length ?? 'one or more'} steps, each a list of ${spec.columns.length} values`;
  if (!Array.isArray(values)) {
    problems.add(path, 'WRONG_TYPE', 'values is not a list', expected, values);
    return [];
  }
  if (values.length === 0) problems.add(path, 'EMPTY', 'the time series has no steps', expected, values);
  else if (length !== null && values.length !== length)
    problems.add(path, 'WRONG_SHAPE', `the model reads exactly ${length} steps`, expected, values);
  else if (values.length * spec.columns.length > MAX_SERIES_VALUES)
    problems.add(path, 'TOO_LARGE', `a time series has at most ${MAX_SERIES_VALUES} values`, expected, values);
  else return values;
  return [];
}

/** Builds the input of the graph, of the shape [1, steps, columns] or [1, columns, steps]. */
export function preprocessSeries({ steps, values }: SeriesItem, spec: AnySpec): TensorData[] {
  const input = onlyInput(spec);
  const width = spec.columns.length;
  const isTransposed = spec.seriesLayout === 'NFT';
  const shape = isTransposed ? [1, width, steps] : [1, steps, width];
  const placed = isTransposed ? transposed(values, steps, width) : values;
  return [{ name: input.name, datatype: input.datatype, shape, data: arrayOf(input, placed) }];
}

function transposed(values: SeriesItem['values'], steps: number, width: number): SeriesItem['values'] {
  return values.map((_, i) => values[(i % steps) * width + Math.floor(i / steps)] as number | string);
}

/** More than one step, so that a graph whose first dimension is not the batch returns more than one answer. */
const EXAMPLE_STEPS = 3;

/** The example values of all columns, in each step. */
export function seriesExamples(spec: AnySpec): Example[] {
  const steps = stepsOf(spec) ?? EXAMPLE_STEPS;
  const step = spec.columns.map(({ example }) => example);
  return [{ series: { values: Array.from({ length: steps }, () => step) } }];
}
