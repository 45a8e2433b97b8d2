/**
 * Tests batch invariance: whether the answer to an input is the same in any batch. Only then may inputs share a run.
 *
 * Each row runs alone, then in batches next to perturbed rows (see `perturbations.ts`), and the answers are compared.
 * This detects the common causes of dependence, such as dynamic quantization, which scales a whole batch by its largest
 * value. It is a test, not a proof: a dependence that no perturbation triggers goes unnoticed.
 */

import type { TensorArray, TensorData } from '../tasks/datatypes.js';
import { isOutOfMemory, messageOf } from '../tasks/failures.js';
import { explainRunFailure } from '../tasks/graph-failures.js';
import { BatchSplitError, split } from '../tasks/stacking.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { DEEP_TOLERANCE, toleranceOf } from '../tasks/tolerances.js';
import { type GraphRow, groupByShape, rowsOf, stack } from './batch.js';
import type { OpenSession } from './native/session-thread.js';
import {
  doubled,
  isRunnable,
  largestId,
  numericPerturbations,
  type Perturbation,
  repeated,
  reversed,
  scattered,
  sequenceLength,
  withIds,
  withNonZeroRow,
} from './perturbations.js';

const BATCH_SIZES = [2, 8, 32];
/** Fewer runs for text models, which are slow: their rows are long and their graphs deep. */
const TOKEN_BATCH_SIZES = [2, 8];
const MAX_TOKEN_ROWS = 8;
/** Rows of different shapes, such as images that keep their aspect ratio, never share a run. Tests the most common. */
const MAX_SHAPES = 3;
/** How many token ids are tried. A single id may cause a dependence, so all ids of a small vocabulary are tried. */
const MAX_TRIED_IDS = 256;

const NO_NEIGHBORS = 'batching could not be tested: the graph accepts no inputs that differ from the example';

/**
 * Returns a description of the first difference found next to rows of the same length (`difference`) and next to longer
 * rows (`padding`); null if no answer changed.
 *
 * @throws Error of the runtime if there is not enough memory for a batch
 */
export async function checkBatchInvariance(
  session: OpenSession,
  rows: readonly GraphRow[],
  { text, inputKind }: VersionSpec,
  vocabularySize: number | null = null,
): Promise<{ difference: string | null; padding: string | null }> {
  if (!text) {
    const options = { sizes: BATCH_SIZES, tolerance: toleranceOf(inputKind) };
    for (const alike of rowsByShape(rows).slice(0, MAX_SHAPES)) {
      const perturbations = numericPerturbations(alike);
      const observed = await withNonZeroRow(session, alike, perturbations);
      const difference = await firstDifference(session, observed, { ...options, perturbations });
      if (difference) return { difference, padding: null };
    }
    return { difference: null, padding: null };
  }
  const shortest = rows.toSorted((a, b) => sequenceLength(a) - sequenceLength(b)).slice(0, MAX_TOKEN_ROWS);
  const length = Math.min(...shortest.map(sequenceLength));
  const options = { sizes: TOKEN_BATCH_SIZES, tolerance: DEEP_TOLERANCE };
  // Rows of one length only: next to longer rows they would be padded.
  const alike = shortest.filter((row) => sequenceLength(row) === length);
  const largest = await largestId(session, shortest, vocabularySize);
  const swept = (row: GraphRow, n: number) =>
    withIds(row, (i) => scattered(Math.floor(n / 2) * sequenceLength(row) + i, largest));
  const highest = (row: GraphRow) => withIds(row, () => largest);
  const lowest = (row: GraphRow) => withIds(row, () => 0);
  const isJoined = rows.some((row) => row.some(({ ragged }) => ragged !== undefined));
  const perturbations = [swept, highest, swept, lowest, swept, isJoined ? doubled : reversed];
  // Every second perturbation is `swept`, so twice as many neighbors are needed to try each id once.
  const atLeast = Math.ceil((2 * Math.min(MAX_TRIED_IDS, largest + 1)) / Math.max(1, length));
  const difference = await firstDifference(session, alike, { ...options, perturbations, atLeast });
  if (isJoined) return { difference, padding: null };
  const isFixed = rows.every((row) => row.every(({ pad }) => pad === undefined));
  if (difference || isFixed) return { difference, padding: isFixed ? 'the sequence length is fixed' : difference };
  const longer = (row: GraphRow) => repeated(row, text.maxTokens);
  const longerAndOther = (row: GraphRow, n: number) => (longer(row) === row ? row : swept(longer(row), n));
  return {
    difference,
    padding: await firstDifference(session, shortest, { ...options, perturbations: [longerAndOther, longer] }),
  };
}

/** Groups rows by shape, the largest group first. */
function rowsByShape(rows: readonly GraphRow[]): GraphRow[][] {
  return groupByShape(rows, (row) => row).sort((a, b) => b.length - a.length);
}

interface CheckOptions {
  readonly sizes: readonly number[];
  /** Applied in turn to create the neighbors of a row. */
  readonly perturbations: readonly Perturbation[];
  readonly tolerance: number;
  /** Minimum number of neighbors to try in batches of the last size, even if there are fewer rows. */
  readonly atLeast?: number;
}

async function firstDifference(
  session: OpenSession,
  rows: readonly GraphRow[],
  options: CheckOptions,
): Promise<string | null> {
  const observedRows: ObservedRow[] = [];
  for (const row of rows) observedRows.push({ row, alone: await session.run(row) });
  const neighbors = new Neighbors(session, options.perturbations);
  for (const size of options.sizes) {
    const observed = size / 2;
    const count = Math.max(rows.length, size === options.sizes.at(-1) ? (options.atLeast ?? 0) : 0);
    for (let start = 0; start < count; start += observed) {
      const indices = Array.from({ length: observed }, (_, i) => (start + i) % rows.length);
      const inBatch = indices.flatMap((index) => observedRows[index] ?? []);
      const difference = await differenceInBatch(session, neighbors, inBatch, options.tolerance);
      if (difference) return `in a batch of ${size}, ${difference}`;
    }
  }
  return neighbors.hasRun ? null : NO_NEIGHBORS;
}

/** Creates the neighbors of rows: inputs that differ from the row and that the graph can run. */
class Neighbors {
  readonly #session: OpenSession;
  readonly #perturbations: readonly Perturbation[];
  /** Perturbations that the graph rejects even alone, such as an index out of range. They say nothing about batching. */
  readonly #unrunnable = new Set<Perturbation>();
  #count = 0;
  /** Whether any row has run next to a row that differs from it. */
  hasRun = false;

  constructor(session: OpenSession, perturbations: readonly Perturbation[]) {
    this.#session = session;
    this.#perturbations = perturbations;
  }

  get nextTurn(): number {
    return this.#count++;
  }

  /** The first perturbation, starting at `turn`, that changes the row; the row itself if none does. */
  neighborOf(row: GraphRow, turn: number): { neighbor: GraphRow; perturbation: Perturbation | null } {
    const { length } = this.#perturbations;
    for (let i = 0; i < length; i++) {
      const perturbation = this.#perturbations[(turn + i) % length] as Perturbation;
      const neighbor = this.#unrunnable.has(perturbation) ? row : perturbation(row, turn);
      if (!isSameRow(neighbor, row)) return { neighbor, perturbation };
    }
    return { neighbor: row, perturbation: null };
  }

  /** Excludes perturbations whose rows do not run alone. Returns whether any was excluded. */
  async dropUnrunnable(pairs: readonly { neighbor: GraphRow; perturbation: Perturbation | null }[]): Promise<boolean> {
    const before = this.#unrunnable.size;
    for (const { neighbor, perturbation } of pairs) {
      if (perturbation && !this.#unrunnable.has(perturbation) && !(await isRunnable(this.#session, neighbor)))
        this.#unrunnable.add(perturbation);
    }
    return this.#unrunnable.size > before;
  }
}

interface ObservedRow {
  readonly row: GraphRow;
  /** Its outputs in a run of its own. */
  readonly alone: GraphRow;
}

/** Runs one batch, in which each observed row has its own neighbor, alternately after and before it. */
async function differenceInBatch(
  session: OpenSession,
  neighbors: Neighbors,
  observed: readonly ObservedRow[],
  tolerance: number,
): Promise<string | null> {
  const turns = observed.map((one) => ({ ...one, turn: neighbors.nextTurn }));
  for (;;) {
    const pairs = turns.map(({ row, alone, turn }) => ({ row, alone, ...neighbors.neighborOf(row, turn) }));
    const batch = pairs.flatMap(({ row, neighbor }, i) => (i % 2 === 0 ? [row, neighbor] : [neighbor, row]));
    try {
      const parts = split(await session.run(stack(batch)), batch.map(rowsOf));
      if (pairs.some(({ perturbation }) => perturbation)) neighbors.hasRun = true;
      for (const [i, { alone }] of pairs.entries()) {
        const own = parts[2 * i + (i % 2)];
        const other = own?.find((output, k) => !isSame(output, alone[k], tolerance));
        if (other) return `output "${other.name}" depends on the other inputs`;
      }
      return null;
    } catch (error) {
      if (await neighbors.dropUnrunnable(pairs)) continue;
      const message = messageOf(error);
      // Each row runs alone, so this says nothing about how the batch would have been answered.
      if (isOutOfMemory(message)) throw error;
      return error instanceof BatchSplitError ? message : explainRunFailure(message);
    }
  }
}

function isSameRow(a: GraphRow, b: GraphRow): boolean {
  return a === b || a.every((tensor, k) => isSameData(tensor.data, b[k]?.data));
}

function isSameData(a: TensorArray, b: TensorArray | undefined): boolean {
  if (a === b) return true;
  if (!b || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!Object.is(a[i], b[i])) return false;
  }
  return true;
}

/** Compares only the unpadded part of a padded row, which comes first. */
function isSame(batched: TensorData, alone: TensorData | undefined, tolerance: number): boolean {
  if (!alone) return false;
  const isPadded = (batched.shape[1] ?? 1) > (alone.shape[1] ?? 1);
  if (!isPadded && batched.data.length !== alone.data.length) return false;
  return isNear(batched.data, alone.data, alone.data.length, tolerance);
}

function isNear(a: TensorArray, b: TensorArray, count: number, tolerance: number): boolean {
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[i], b[i]];
    const near =
      typeof x === 'number' && typeof y === 'number' && Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x));
    if (!near && x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}
