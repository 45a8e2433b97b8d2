/**
 * Runs a batch of numbers in a worker: cuts the stacked rows into runs of the graph and returns the outputs. If a run
 * fails, each of its items is run alone, so that only those fail which cause it.
 */
import type { NumericBatchMessage } from '../engine/messages.js';
import type { NumericArray, TensorData } from '../tasks/datatypes.js';
import { type NumericRun, numericInputs, numericOutputs } from '../tasks/numeric.js';
import { BatchSplitError } from '../tasks/stacking.js';
import { bytesOfTensors, checkOutputBytes, MAX_OUTPUT_BYTES } from '../tasks/tensor-outputs.js';
import type { Loaded } from './load.js';
import { failureOf, NOT_LOADED, NOT_RUN, runGraph } from './run-batch.js';

type Batch = Pick<NumericBatchMessage, 'counts' | 'inputs' | 'areTensors'>;

/** Items that run together. */
type Planned = readonly number[];

/** Returns runs that hold each item once; cancelled items count as not run. */
export async function runNumericBatch(
  loaded: Loaded | null,
  batch: Batch,
  cancelled: ReadonlySet<number>,
): Promise<NumericRun[]> {
  const all = [...batch.counts.keys()];
  if (!loaded) return [{ items: all, failure: NOT_LOADED }];
  const problem = problemOf(batch, loaded);
  if (problem) return [{ items: all, failure: { kind: 'inference', message: problem } }];
  const live = cancelled.size === 0 ? all : all.filter((item) => !cancelled.has(item));
  const dropped = cancelled.size === 0 ? [] : all.filter((item) => cancelled.has(item));
  // All runs of a batch begin in one turn of the event loop: together they are planned to be short.
  const runs = await Promise.all(
    planRuns(live, batch.counts, loaded.spec.maxBatch).map((items) => run(loaded, batch, items)),
  );
  return dropped.length > 0 ? [{ items: dropped, failure: NOT_RUN }, ...runs.flat()] : runs.flat();
}

/** Why the values do not fit the inputs of the graph; null if they do. ONNX Runtime would read beyond them. */
function problemOf({ counts, inputs }: Batch, { spec }: Loaded): string | null {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const expected = numericInputs(spec);
  const isRight =
    expected?.length === inputs.length &&
    expected.every(({ type, valuesPerRow }, i) => {
      const values = inputs[i] as NumericArray;
      return values[Symbol.toStringTag] === type.array.name && values.length === rows * valuesPerRow;
    });
  return isRight ? null : 'the values do not fit the inputs of the graph. This is a bug.';
}

function planRuns(items: readonly number[], counts: readonly number[], maxBatch: number): Planned[] {
  const runs: number[][] = [];
  let rows = 0;
  for (const item of items) {
    const count = counts[item] as number;
    const last = runs.at(-1);
    if (last && rows + count <= maxBatch) last.push(item);
    else {
      runs.push([item]);
      rows = 0;
    }
    rows += count;
  }
  return runs;
}

async function run(loaded: Loaded, batch: Batch, items: Planned): Promise<NumericRun[]> {
  try {
    const wanted = numericOutputs(loaded.spec, batch.areTensors)?.map(({ name }) => name) ?? null;
    const outputs = await runGraph(loaded, tensorsOf(batch, items, loaded), wanted);
    checkOutputs(outputs, items, batch.counts);
    return [{ items, outputs: outputs.map(({ shape, data }) => ({ shape, data })) }];
  } catch (error) {
    const failure = failureOf(error);
    // After a failed allocation this process is unreliable: the engine retries each item in quarantine.
    if (items.length === 1 || failure.kind === 'memory') return [{ items, failure }];
    const alone: NumericRun[] = [];
    for (const item of items) alone.push(...(await run(loaded, batch, [item])));
    return alone;
  }
}

/** @throws BatchSplitError, UnusableOutputError if the outputs cannot be split by item, or are too large to be sent */
function checkOutputs(outputs: readonly TensorData[], items: Planned, counts: readonly number[]): void {
  if (items.length === 1) {
    checkOutputBytes(outputs);
    return;
  }
  const rows = rowsOf(items, counts);
  if (outputs.some(({ shape }) => shape[0] !== rows) || bytesOfTensors(outputs) > MAX_OUTPUT_BYTES)
    throw new BatchSplitError('the outputs cannot be split by item');
}

function rowsOf(items: Planned, counts: readonly number[]): number {
  return items.reduce((sum, item) => sum + (counts[item] as number), 0);
}

function tensorsOf({ counts, inputs }: Batch, items: Planned, { spec }: Loaded): TensorData[] {
  const rows = rowsOf(items, counts);
  const isAll = items.length === counts.length;
  return (numericInputs(spec) ?? []).map(({ name, datatype, shapeOf, valuesPerRow }, i) => {
    const values = inputs[i] as NumericArray;
    const data = isAll ? values : selectRows(values, items, counts, valuesPerRow);
    return { name, datatype, shape: shapeOf(rows), data };
  });
}

/**
 * The values of these items, which are in ascending order. A copy: what is sent to the session thread takes all memory behind
 * a view along.
 */
function selectRows(values: NumericArray, items: Planned, counts: readonly number[], perRow: number): NumericArray {
  const starts = startsOf(counts);
  const endOf = (item: number) => (starts[item] as number) + (counts[item] as number);
  const selected = new (values.constructor as new (length: number) => NumericArray)(rowsOf(items, counts) * perRow);
  let offset = 0;
  for (const item of items) {
    const part = values.subarray((starts[item] as number) * perRow, endOf(item) * perRow);
    selected.set(part as never, offset);
    offset += part.length;
  }
  return selected;
}

function startsOf(counts: readonly number[]): number[] {
  let before = 0;
  return counts.map((count) => {
    const start = before;
    before += count;
    return start;
  });
}
