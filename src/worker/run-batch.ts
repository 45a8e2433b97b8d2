/**
 * Runs a batch in a worker: preprocesses the items, runs their rows together, and postprocesses each item. An item that
 * fails in preprocessing, in the graph or in postprocessing fails alone.
 */
import type { BatchTiming } from '../engine/messages.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { TensorData } from '../tasks/datatypes.js';
import type { Preprocessed } from '../tasks/define-task.js';
import {
  type ItemFailure,
  type ItemResult,
  isOutOfMemory,
  messageOf,
  type RunFailure,
  UnreadableItemError,
  UnusableOutputError,
} from '../tasks/failures.js';
import { split } from '../tasks/stacking.js';
import { readsBags } from '../tasks/static-embedding.js';
import { type Item, outputsUsed, preprocessItem, taskNamed, type VersionSpec } from '../tasks/tasks.js';
import { formRuns, rowsOf, stack } from './batch.js';
import type { Loaded } from './load.js';

export type PreprocessedItem = Preprocessed | { readonly failure: ItemFailure };

/** One row of an item, waiting for its run. */
interface PendingRow {
  readonly item: number;
  /** The index of this row in its item. */
  readonly place: number;
  readonly tensors: readonly TensorData[];
  /** The outputs that the item needs; null for all. */
  readonly wanted: readonly string[] | null;
}

type RowOutcome = { readonly outputs: readonly TensorData[] } | { readonly failure: ItemFailure };

/** The number of threads in which Node decodes images and tokenizes texts. */
const PREPROCESSED_AT_ONCE = 4;

export const NOT_RUN: RunFailure = { kind: 'inference', message: 'the input was not run' };

export const NOT_LOADED: RunFailure = { kind: 'inference', message: 'the version is not loaded here' };

/**
 * A few items at a time, because each decoded image takes up to 75 MB. The time does not include the load of the
 * version, nor the run of the batch before.
 */
export async function preprocessBatch(
  items: readonly Item[],
  loaded: Loaded | null,
  cancelled: ReadonlySet<number>,
): Promise<{ preprocessed: PreprocessedItem[]; preprocessMs: number }> {
  const begun = performance.now();
  const preprocessed: PreprocessedItem[] = [];
  const rest = items.entries();
  const preprocessNext = async () => {
    for (const [i, item] of rest)
      preprocessed[i] = cancelled.has(i) ? { failure: NOT_RUN } : await preprocessOne(item, loaded);
  };
  await Promise.all(Array.from({ length: PREPROCESSED_AT_ONCE }, preprocessNext));
  return { preprocessed, preprocessMs: performance.now() - begun };
}

async function preprocessOne(item: Item, loaded: Loaded | null): Promise<PreprocessedItem> {
  if (!loaded) return { failure: NOT_LOADED };
  try {
    return await preprocessItem(item, loaded.spec, loaded.tools);
  } catch (error) {
    if (error instanceof UnreadableItemError) return { failure: { kind: 'input', ...error.problem } };
    return { failure: failureOf(error) };
  }
}

/** Postprocesses each item as soon as its last row has run, so that its outputs, which may be large, can be freed. */
export async function runBatch(
  loaded: Loaded | null,
  preprocessed: readonly PreprocessedItem[],
  items: readonly Item[],
  cancelled: ReadonlySet<number>,
): Promise<{ results: ItemResult[]; timing: Omit<BatchTiming, 'preprocessMs'> }> {
  const results: ItemResult[] = preprocessed.map((one) => ('failure' in one ? one : { failure: NOT_RUN }));
  const timing = { inferMs: 0, postprocessMs: 0 };
  if (!loaded) return { results, timing };
  const rows = rowsOfItems(preprocessed, items, loaded.spec);
  const found = new Map<number, Map<number, RowOutcome>>();
  for (const planned of runsOf(rows, loaded.spec)) {
    const run = planned.filter(({ item }) => !cancelled.has(item));
    if (run.length === 0) continue;
    const answered = await runTogether(loaded, run, timing);
    const begun = performance.now();
    for (const [i, { item, place }] of run.entries()) {
      const own = found.get(item) ?? new Map<number, RowOutcome>();
      found.set(item, own.set(place, answered[i] as RowOutcome));
      const one = preprocessed[item] as Preprocessed;
      if (own.size < one.rows.length) continue;
      results[item] = postprocessItem(own, one);
      found.delete(item);
    }
    timing.postprocessMs += performance.now() - begun;
  }
  return { results, timing };
}

async function runTogether(
  loaded: Loaded,
  rows: readonly PendingRow[],
  timing: { inferMs: number },
): Promise<RowOutcome[]> {
  const begun = performance.now();
  try {
    const outputs = await runGraph(loaded, stack(rows.map(({ tensors }) => tensors)), rows[0]?.wanted ?? null);
    const counts = rows.map(({ tensors }) => rowsOf(tensors));
    return split(outputs, counts).map((own) => ({ outputs: own }));
  } catch (error) {
    // An error of the graph does not say which row caused it, so each row is run alone.
    const failure = failureOf(error);
    if (rows.length === 1) return [{ failure }];
    // After a failed allocation this process is unreliable: the engine retries each item in quarantine.
    if (failure.kind === 'memory') return rows.map(() => ({ failure }));
    const alone = [];
    for (const row of rows) alone.push(...(await runTogether(loaded, [row], { inferMs: 0 })));
    return alone;
  } finally {
    timing.inferMs += performance.now() - begun;
  }
}

/** `wanted`: the names of the outputs; null for all. @throws Error with ONNX Runtime's message */
export async function runGraph(
  { session }: Loaded,
  inputs: readonly TensorData[],
  wanted: readonly string[] | null,
): Promise<readonly TensorData[]> {
  faultPoint('worker.run.begin'); // @fault
  const outputs = await session.run(inputs, wanted);
  faultPoint('worker.run.end'); // @fault
  return outputs;
}

/** The number of tokens in all rows of a batch. */
export function tokensOfBatch(preprocessed: readonly PreprocessedItem[]): number {
  const rows = preprocessed.flatMap((one) => ('failure' in one ? [] : one.rows));
  return rows.reduce((sum, [first]) => sum + (first?.data.length ?? 0), 0);
}

/** Tokens per run, unless the task sets a limit: the memory of attention grows with the square of a row's length. */
const MAX_TOKENS_PER_RUN = 4_096;

function rowsOfItems(
  preprocessed: readonly PreprocessedItem[],
  items: readonly Item[],
  spec: VersionSpec,
): PendingRow[] {
  return preprocessed.flatMap((one, item) => {
    if ('failure' in one) return [];
    const wanted = outputsUsed(spec, items[item] as Item);
    return one.rows.map((tensors, place) => ({ item, place, tensors, wanted }));
  });
}

/**
 * Items that need all outputs (tensor inputs) do not share a run with items that need specific ones. Where a caller says
 * itself at which token a text begins, its input runs alone, so that no text reaches into that of another caller.
 */
function runsOf(rows: readonly PendingRow[], { maxBatch, task, inputs, text }: VersionSpec): PendingRow[][] {
  const maxValues = taskNamed(task).tokens?.maxTokensPerRun ?? MAX_TOKENS_PER_RUN;
  const maxOfCallers = text && readsBags(inputs) ? 1 : maxBatch;
  const runs = (alike: readonly PendingRow[], maxRows: number) =>
    formRuns(
      alike.map(({ tensors }) => tensors),
      { maxRows, maxValues },
    ).map((run) => run.map((i) => alike[i] as PendingRow));
  return [
    ...runs(
      rows.filter(({ wanted }) => wanted !== null),
      maxBatch,
    ),
    ...runs(
      rows.filter(({ wanted }) => wanted === null),
      maxOfCallers,
    ),
  ];
}

function postprocessItem(found: ReadonlyMap<number, RowOutcome>, { rows, postprocess }: Preprocessed): ItemResult {
  const outputs: (readonly TensorData[])[] = [];
  for (const place of rows.keys()) {
    const row = found.get(place) as RowOutcome;
    if ('failure' in row) return row;
    outputs.push(row.outputs);
  }
  try {
    return { answer: postprocess(outputs) };
  } catch (error) {
    if (!(error instanceof UnusableOutputError)) throw error;
    return { failure: { kind: 'inference', message: error.message } };
  }
}

export function failureOf(error: unknown): RunFailure {
  const message = messageOf(error);
  return { kind: isOutOfMemory(message) ? 'memory' : 'inference', message };
}
