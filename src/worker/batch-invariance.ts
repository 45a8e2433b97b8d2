/**
 * May a version's inputs share a run? Only if nobody's answer depends on who else is in the batch.
 *
 * Every item is run alone, then beside neighbours that are as unlike it as can be found: far larger, far smaller or other
 * numbers, other words, other tokens; and the answers compared. That finds the usual culprits, such as a dynamically
 * quantised graph, which scales a whole batch by its largest value. It is a trial and no proof.
 */

import type { TensorArray, TensorData } from '../tasks/datatypes.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { type GraphRow, groupByShape, rowsOf, split, stack } from './batch.js';
import type { OpenSession } from './native/session-thread.js';
import {
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

/** Matrix kernels may add in another order for another batch size; more than this is another answer. */
const TOLERANCE = 2e-6;
/** Where a value has gone through many layers. */
const DEEP_TOLERANCE = 1e-4;
const BATCH_SIZES = [2, 8, 32];
/** Rows of tokens are long and their graphs deep: fewer say as much. */
const TOKEN_BATCH_SIZES = [2, 8];
const MAX_TOKEN_ROWS = 8;
/** Rows of other shapes never share a run: pictures that keep the ratio of their sides, for one. */
const MAX_SHAPES = 3;
/** Of a vocabulary: one token of it may be the one that matters. */
const MAX_TRIED_IDS = 256;

const NO_NEIGHBOURS = 'no other inputs could be found to try beside it';

/**
 * Descriptions of the first difference beside neighbours of the same length, and beside longer ones; null when every answer
 * is the same alone and in company.
 */
export async function checkBatchInvariance(
  session: OpenSession,
  rows: readonly GraphRow[],
  { text, inputKind }: VersionSpec,
  vocabularySize: number | null = null,
): Promise<{ difference: string | null; padding: string | null }> {
  if (!text) {
    const how = { sizes: BATCH_SIZES, tolerance: inputKind === 'ROW' ? TOLERANCE : DEEP_TOLERANCE };
    for (const alike of rowsByShape(rows).slice(0, MAX_SHAPES)) {
      const perturbations = numericPerturbations(alike);
      const observed = await withNonZeroRow(session, alike, perturbations);
      const difference = await firstDifference(session, observed, { ...how, perturbations: perturbations });
      if (difference) return { difference, padding: null };
    }
    return { difference: null, padding: null };
  }
  const few = rows.toSorted((a, b) => sequenceLength(a) - sequenceLength(b)).slice(0, MAX_TOKEN_ROWS);
  const how = { sizes: TOKEN_BATCH_SIZES, tolerance: DEEP_TOLERANCE };
  // One length at a time: beside others these rows would be filled up.
  const alike = few.filter((row) => sequenceLength(row) === sequenceLength(few[0] as GraphRow));
  const largest = await largestId(session, few, vocabularySize);
  const swept = (row: GraphRow, n: number) =>
    withIds(row, (i) => scattered(Math.floor(n / 2) * sequenceLength(row) + i, largest));
  const highest = (row: GraphRow) => withIds(row, () => largest);
  const lowest = (row: GraphRow) => withIds(row, () => 0);
  const perturbations = [swept, highest, swept, lowest, swept, reversed];
  // Every other neighbour is swept.
  const atLeast = Math.ceil(
    (2 * Math.min(MAX_TRIED_IDS, largest + 1)) / Math.max(1, sequenceLength(few[0] as GraphRow)),
  );
  const difference = await firstDifference(session, alike, { ...how, perturbations: perturbations, atLeast });
  const isFixed = rows.every((row) => row.every(({ pad }) => pad === undefined));
  if (difference || isFixed) return { difference, padding: isFixed ? 'its length is fixed' : difference };
  const longer = (row: GraphRow) => repeated(row, text.maxTokens);
  const longerAndOther = (row: GraphRow, n: number) => (longer(row) === row ? row : swept(longer(row), n));
  return {
    difference,
    padding: await firstDifference(session, few, { ...how, perturbations: [longerAndOther, longer] }),
  };
}

/** The shape that most rows have comes first. */
function rowsByShape(rows: readonly GraphRow[]): GraphRow[][] {
  const groups = groupByShape(rows).map((indices) => indices.map((i) => rows[i] as GraphRow));
  return groups.sort((a, b) => b.length - a.length);
}

interface CheckOptions {
  readonly sizes: readonly number[];
  /** What becomes a row's neighbours, in turn. */
  readonly perturbations: readonly Perturbation[];
  readonly tolerance: number;
  /** So many neighbours in batches of the last size, however few the rows. */
  readonly atLeast?: number;
}

async function firstDifference(
  session: OpenSession,
  rows: readonly GraphRow[],
  how: CheckOptions,
): Promise<string | null> {
  const alone = [];
  for (const row of rows) alone.push(await session.run(row));
  const neighbours = new Neighbours(session, how.perturbations);
  for (const size of how.sizes) {
    const observed = size / 2;
    const count = Math.max(rows.length, size === how.sizes.at(-1) ? (how.atLeast ?? 0) : 0);
    for (let start = 0; start < count; start += observed) {
      const indices = Array.from({ length: observed }, (_, i) => (start + i) % rows.length);
      const difference = await differenceInBatch(session, neighbours, {
        rows,
        alone,
        indices,
        tolerance: how.tolerance,
      });
      if (difference) return `in a batch of ${size}, ${difference}`;
    }
  }
  return neighbours.hasRun ? null : NO_NEIGHBOURS;
}

/** The neighbours of rows: each differs from its row, and the graph runs it. */
class Neighbours {
  readonly #session: OpenSession;
  readonly #perturbations: readonly Perturbation[];
  /** Those with which the graph does not run: an index out of range, for one, says nothing about batches. */
  readonly #unrunnable = new Set<Perturbation>();
  #count = 0;
  /** Was any row ever run beside another? */
  hasRun = false;

  constructor(session: OpenSession, perturbations: readonly Perturbation[]) {
    this.#session = session;
    this.#perturbations = perturbations;
  }

  get nextTurn(): number {
    return this.#count++;
  }

  /** The first in turn that is another than the row; the row itself when there is none. */
  neighbourOf(row: GraphRow, turn: number): { neighbour: GraphRow; perturbation: Perturbation | null } {
    const { length } = this.#perturbations;
    for (let i = 0; i < length; i++) {
      const perturbation = this.#perturbations[(turn + i) % length] as Perturbation;
      const neighbour = this.#unrunnable.has(perturbation) ? row : perturbation(row, turn);
      if (!isSameRow(neighbour, row)) return { neighbour, perturbation };
    }
    return { neighbour: row, perturbation: null };
  }

  /** Leaves out what does not run alone; were there any? */
  async dropUnrunnable(pairs: readonly { neighbour: GraphRow; perturbation: Perturbation | null }[]): Promise<boolean> {
    const before = this.#unrunnable.size;
    for (const { neighbour, perturbation } of pairs) {
      if (perturbation && !this.#unrunnable.has(perturbation) && !(await isRunnable(this.#session, neighbour)))
        this.#unrunnable.add(perturbation);
    }
    return this.#unrunnable.size > before;
  }
}

interface ObservedRows {
  readonly rows: readonly GraphRow[];
  readonly alone: readonly GraphRow[];
  readonly indices: readonly number[];
  readonly tolerance: number;
}

/** Each observed row has a neighbour of its own, before it or after it. */
async function differenceInBatch(
  session: OpenSession,
  neighbours: Neighbours,
  { rows, alone, indices, tolerance }: ObservedRows,
): Promise<string | null> {
  const turns = indices.map(() => neighbours.nextTurn);
  for (;;) {
    const pairs = indices.map((index, i) => neighbours.neighbourOf(rows[index] as GraphRow, turns[i] as number));
    const batch = pairs.flatMap(({ neighbour }, i) => {
      const row = rows[indices[i] as number] as GraphRow;
      return i % 2 === 0 ? [row, neighbour] : [neighbour, row];
    });
    try {
      const parts = split(await session.run(stack(batch)), batch.map(rowsOf));
      if (pairs.some(({ perturbation }) => perturbation)) neighbours.hasRun = true;
      for (const [i, index] of indices.entries()) {
        const own = parts[2 * i + (i % 2)] as GraphRow;
        const other = own.find((output, k) => !isSame(output, (alone[index] as GraphRow)[k] as TensorData, tolerance));
        if (other) return `output "${other.name}" depends on the other inputs`;
      }
      return null;
    } catch (error) {
      if (await neighbours.dropUnrunnable(pairs)) continue;
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function isSameRow(a: GraphRow, b: GraphRow): boolean {
  return a === b || a.every((tensor, k) => isSameData(tensor.data, (b[k] as TensorData).data));
}

function isSameData(a: TensorArray, b: TensorArray): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (!Object.is(a[i], b[i])) return false;
  }
  return true;
}

/** Of a row that was filled up only its own part counts: its tokens come first. */
function isSame(batched: TensorData, alone: TensorData, tolerance: number): boolean {
  const isFilled = (batched.shape[1] ?? 1) > (alone.shape[1] ?? 1);
  if (!isFilled && batched.data.length !== alone.data.length) return false;
  return isNear(batched.data, alone.data, alone.data.length, tolerance);
}

function isNear(a: TensorArray, b: TensorArray, count: number, tolerance: number): boolean {
  for (let i = 0; i < count; i++) {
    const [x, y] = [a[i], b[i]];
    const near = typeof x === 'number' && Math.abs(x - (y as number)) <= tolerance * Math.max(1, Math.abs(x));
    if (!near && x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}
