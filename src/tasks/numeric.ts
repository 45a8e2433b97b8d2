/**
 * Batches of numbers. If a version reads and returns tensors of numbers, and each row of an input has the same size, then
 * the server stacks the rows of a batch, a worker only runs the graph, and the server computes the answers from its outputs.
 *
 * This file decides which batches these are, builds their tensors, and splits the outputs by item again.
 */
import type { Answer } from './answer.js';
import { type Block, isBlock, type QueuedItem } from './block.js';
import { DATATYPES, type Datatype, type NumericArray, type TensorArray, type TensorData } from './datatypes.js';
import type { AnyItem } from './define-input.js';
import { type ItemResult, type RunFailure, UnusableOutputError } from './failures.js';
import { nullablePer } from './once-per.js';
import type { RowItem } from './row.js';
import { preprocessSeries, type SeriesItem } from './series.js';
import type { AnySpec, TensorSpec } from './spec.js';
import { split } from './stacking.js';
import { taskNamed, type VersionSpec } from './tasks.js';
import type { TensorsItem } from './tensors.js';

/** An input of the graph. */
export interface NumericInput {
  readonly name: string;
  readonly datatype: string;
  readonly type: Datatype;
  /** The shape of a tensor with this number of rows. */
  readonly shapeOf: (rows: number) => number[];
  readonly valuesPerRow: number;
  /** The indices of the columns that feed it. */
  readonly columns: readonly number[];
}

/** The rows of several items, stacked. */
export interface NumericBatch {
  /** Rows of each item, at least 1. Each row of a block is an item. */
  readonly counts: readonly number[];
  /** The values of all rows, for each input in the order of the spec. */
  readonly inputs: readonly NumericArray[];
  /** Whether the items are tensors of the caller, whose answers may need other outputs than those of rows. */
  readonly areTensors: boolean;
}

/** The outputs of a run, in the order of `numericOutputs`; or why it failed. */
export type NumericRun = { readonly items: readonly number[] } & (
  | { readonly outputs: readonly NumericOutput[] }
  | { readonly failure: RunFailure }
);

export interface NumericOutput {
  readonly shape: readonly number[];
  readonly data: TensorArray;
}

/** Null if a row has no fixed size, or does not hold numbers. */
export const numericInputs = nullablePer((spec: AnySpec): readonly NumericInput[] | null => {
  const first = spec.inputs[0]?.shape[0];
  const areNumeric = spec.inputs.every(
    ({ datatype, shape }) => DATATYPES[datatype] && shape[0] === first && shape.slice(1).every(Boolean),
  );
  if (!areNumeric || (first !== null && first !== 1)) return null;
  return spec.inputs.map(({ name, datatype, shape: [, ...sizes] }) => ({
    name,
    datatype,
    type: DATATYPES[datatype] as Datatype,
    shapeOf: (rows) => [rows, ...(sizes as number[])],
    valuesPerRow: sizes.reduce<number>((product, size) => product * (size as number), 1),
    columns: spec.columns.flatMap(({ input }, i) => (input === name ? [i] : [])),
  }));
});

/** The outputs that answers need, in the order in which a worker returns them; null if one holds neither numbers nor strings. */
export function numericOutputs(spec: VersionSpec, areTensors: boolean): readonly TensorSpec[] | null {
  return (areTensors ? outputsOfTensors : outputsOfRows)(spec);
}

const outputsOfTensors = nullablePer((spec: VersionSpec) => tensorsOnly(spec.outputs));
const outputsOfRows = nullablePer((spec: VersionSpec) => {
  const names = taskNamed(spec.task).outputs(spec.head);
  return names === null ? tensorsOnly(spec.outputs) : tensorsOnly(names.map((name) => outputOf(spec, name)));
});

function outputOf({ outputs }: VersionSpec, name: string): TensorSpec | undefined {
  return outputs.find((output) => output.name === name);
}

/** Sequences and maps are no tensors. */
function tensorsOnly(outputs: readonly (TensorSpec | undefined)[]): readonly TensorSpec[] | null {
  const tensors = outputs.filter(
    (output) => output !== undefined && (DATATYPES[output.datatype] !== undefined || output.datatype === 'BYTES'),
  );
  return tensors.length === outputs.length ? (tensors as TensorSpec[]) : null;
}

/** The inputs of the graph if rows of the version can be sent stacked, and as blocks; null otherwise. */
export function rowInputs(spec: VersionSpec): readonly NumericInput[] | null {
  return stackedInputs(spec, false);
}

function stackedInputs(spec: VersionSpec, areTensors: boolean): readonly NumericInput[] | null {
  const inputs = taskNamed(spec.task).answersInServer && spec.text === null ? numericInputs(spec) : null;
  return inputs && numericOutputs(spec, areTensors) ? inputs : null;
}

/** Null if the items have to be sent as they are. */
export function stackItems(items: readonly QueuedItem[], spec: VersionSpec): NumericBatch | null {
  const [first] = items;
  const areTensors = first?.kind === 'tensors';
  const inputs = stackedInputs(spec, areTensors);
  if (!inputs) return null;
  if (!items.every((item) => isStackable(item, areTensors, inputs))) return null;
  const counts = items.flatMap((item) => (isBlock(item) ? new Array<number>(item.rows).fill(1) : item.rows));
  if (items.length === 1 && first && isBlock(first)) return { counts, areTensors, inputs: first.inputs };
  const rows = counts.reduce((sum, count) => sum + count, 0);
  try {
    return { counts, areTensors, inputs: inputs.map((input, i) => stackInput(items, input, i, rows, spec)) };
  } catch {
    // A value that the datatype cannot hold, such as a missing whole number: a worker finds out which item has it.
    return null;
  }
}

function isStackable(item: QueuedItem, areTensors: boolean, inputs: readonly NumericInput[]): boolean {
  if (areTensors) return item.kind === 'tensors' && item.rows > 0;
  if (isBlock(item)) return true;
  if (item.kind === 'row') return inputs.every(({ columns, valuesPerRow }) => columns.length === valuesPerRow);
  return item.kind === 'series' && item.values.length === inputs[0]?.valuesPerRow;
}

/** `index`: of the input. */
function stackInput(
  items: readonly AnyItem[],
  input: NumericInput,
  index: number,
  rows: number,
  spec: AnySpec,
): NumericArray {
  const stacked = new input.type.array(rows * input.valuesPerRow);
  let offset = 0;
  for (const item of items) {
    if (item.kind === 'row') writeRow(item as RowItem, input, stacked, offset);
    else {
      const values =
        item.kind === 'block'
          ? ((item as Block).inputs[index] as NumericArray)
          : valuesOf(item as TensorsItem | SeriesItem, input, spec);
      if (values.length !== item.rows * input.valuesPerRow) throw new RangeError('An item has too few values.');
      stacked.set(values as never, offset);
    }
    offset += item.rows * input.valuesPerRow;
  }
  return stacked;
}

function writeRow({ values }: RowItem, { columns }: NumericInput, stacked: NumericArray, offset: number): void {
  const isBig = stacked instanceof BigInt64Array || stacked instanceof BigUint64Array;
  let at = offset;
  for (const column of columns) {
    const value = values[column] as number | string;
    stacked[at++] = isBig ? BigInt(value) : Number(value);
  }
}

function valuesOf(item: TensorsItem | SeriesItem, { name }: NumericInput, spec: AnySpec): NumericArray {
  const tensors = item.kind === 'series' ? preprocessSeries(item, spec) : item.tensors;
  return tensors.find((tensor) => tensor.name === name)?.data as NumericArray;
}

/**
 * The result of each of the `counts` items, from runs that hold each of them once and whose outputs have been checked. Errors
 * that are bugs are reported, and fail their item only.
 */
export function resultsOf(
  runs: readonly NumericRun[],
  { counts, areTensors }: Pick<NumericBatch, 'counts' | 'areTensors'>,
  spec: VersionSpec,
  report: (bug: unknown) => void,
): ItemResult[] {
  const results: ItemResult[] = [];
  for (const run of runs) {
    if ('failure' in run) {
      for (const item of run.items) results[item] = { failure: run.failure };
      continue;
    }
    const specs = numericOutputs(spec, areTensors) as readonly TensorSpec[];
    const named = run.outputs.map((output, i) => ({ ...(specs[i] as TensorSpec), ...output }));
    const parts = split(
      named,
      run.items.map((item) => counts[item] as number),
    );
    for (const [i, item] of run.items.entries()) results[item] = resultOf(parts[i] as TensorData[], spec, report);
  }
  return results;
}

function resultOf(outputs: readonly TensorData[], spec: VersionSpec, report: (bug: unknown) => void): ItemResult {
  try {
    return { answer: taskNamed(spec.task).postprocess?.(outputs, spec) as Answer };
  } catch (error) {
    if (error instanceof UnusableOutputError) return { failure: { kind: 'inference', message: error.message } };
    report(error);
    return {
      failure: { kind: 'inference', message: 'the answer could not be computed from the outputs of the graph' },
    };
  }
}
