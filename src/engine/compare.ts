/**
 * May a version's inputs share a run? Only if nobody's answer depends on who else is in the batch.
 *
 * Every item is run alone, then beside the most extreme mates that its own inputs suggest, and the answers compared.
 * A dynamically quantised graph, for one, fails this: it scales a whole batch by its largest value.
 */

import type { TensorArray, TensorData } from '../tasks/datatypes.js';
import type { OpenSession } from '../tasks/native/session-thread.js';
import type { VersionSpec } from '../tasks/spec.js';
import { groupByShape, rowsOf, split, stack } from './batch.js';

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

type Row = readonly TensorData[];

/**
 * Descriptions of the first difference beside mates of the same length, and beside longer ones; null when every answer
 * is the same alone and in company.
 */
export async function compareMates(
  session: OpenSession,
  rows: readonly Row[],
  { text, inputKind }: VersionSpec,
): Promise<{ difference: string | null; padding: string | null }> {
  if (!text) {
    const tolerance = inputKind === 'ROW' ? TOLERANCE : DEEP_TOLERANCE;
    const disguises = [(row: Row) => scaled(row, 1000), zeroed, (row: Row) => scaled(row, -1000)];
    const how = { sizes: BATCH_SIZES, disguises, tolerance };
    for (const alike of rowsByShape(rows).slice(0, MAX_SHAPES)) {
      const difference = await differenceOf(session, alike, how);
      if (difference) return { difference, padding: null };
    }
    return { difference: null, padding: null };
  }
  const few = rows.toSorted((a, b) => lengthOf(a) - lengthOf(b)).slice(0, MAX_TOKEN_ROWS);
  const how = { sizes: TOKEN_BATCH_SIZES, tolerance: DEEP_TOLERANCE };
  // One length at a time: beside others these rows would be filled up.
  const alike = few.filter((row) => lengthOf(row) === lengthOf(few[0] as Row));
  const difference = await differenceOf(session, alike, { ...how, disguises: [reversed] });
  const isFixed = rows.every((row) => row.every(({ pad }) => pad === undefined));
  if (difference || isFixed) return { difference, padding: isFixed ? 'its length is fixed' : difference };
  const longer = (row: Row) => repeated(row, text.maxTokens);
  return { difference, padding: await differenceOf(session, few, { ...how, disguises: [longer] }) };
}

/** The shape that most rows have comes first. */
function rowsByShape(rows: readonly Row[]): Row[][] {
  const groups = groupByShape(rows).map((indices) => indices.map((i) => rows[i] as Row));
  return groups.sort((a, b) => b.length - a.length);
}

interface How {
  readonly sizes: readonly number[];
  /** What becomes a row's neighbours, in turn. */
  readonly disguises: readonly ((row: Row) => Row)[];
  readonly tolerance: number;
}

async function differenceOf(session: OpenSession, rows: readonly Row[], how: How): Promise<string | null> {
  const alone = [];
  for (const row of rows) alone.push(await session.run(row));
  for (const size of how.sizes) {
    const observed = size / 2;
    for (let start = 0; start < rows.length; start += observed) {
      const indices = Array.from({ length: observed }, (_, i) => (start + i) % rows.length);
      const difference = await compareBatch(session, rows, alone, indices, how);
      if (difference) return `in a batch of ${size}, ${difference}`;
    }
  }
  return null;
}

/**
 * Each observed row has an extreme neighbour: numbers a thousand times as large (a zero becomes a thousand, else an
 * example of zeros would only have mates of zeros), all zeros, or the same tokens the other way round or twice as many.
 */
async function compareBatch(
  session: OpenSession,
  rows: readonly Row[],
  alone: readonly Row[],
  indices: readonly number[],
  { disguises, tolerance }: How,
): Promise<string | null> {
  const batch = indices.flatMap((index, i) => {
    const row = rows[index] as Row;
    const disguise = disguises[i % disguises.length] as (row: Row) => Row;
    return i % 2 === 0 ? [row, disguise(row)] : [disguise(row), row];
  });
  try {
    const parts = split(await session.run(stack(batch)), batch.map(rowsOf));
    for (const [i, index] of indices.entries()) {
      const own = parts[2 * i + (i % 2)] as Row;
      const other = own.find((output, k) => !isSame(output, (alone[index] as Row)[k] as TensorData, tolerance));
      if (other) return `output "${other.name}" depends on the other inputs`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function lengthOf([first]: Row): number {
  return first?.shape[1] ?? 1;
}

function scaled(row: Row, factor: number): Row {
  return row.map((tensor) => ({ ...tensor, data: mapFloats(tensor.data, (x) => (x === 0 ? factor : x * factor)) }));
}

function zeroed(row: Row): Row {
  return row.map((tensor) => ({
    ...tensor,
    data: Array.isArray(tensor.data) ? tensor.data.map(() => '') : mapFloats(tensor.data, () => 0),
  }));
}

function mapFloats(data: TensorArray, change: (x: number) => number): TensorArray {
  const isFloats = data instanceof Float32Array || data instanceof Float64Array || data instanceof Float16Array;
  return isFloats ? data.map(change) : data;
}

/** The same tokens the other way round; what is the same for each of them stays. */
function reversed(row: Row): Row {
  return row.map((tensor) =>
    tensor.name === 'input_ids' ? { ...tensor, data: (tensor.data as BigInt64Array).toReversed() } : tensor,
  );
}

/** Twice as long, as far as the graph reads. */
function repeated(row: Row, maxTokens: number): Row {
  const length = Math.min(2 * lengthOf(row), maxTokens);
  return row.map((tensor) => {
    const data = tensor.data as BigInt64Array;
    const values = Array.from({ length }, (_, i) => data[i % data.length] as bigint);
    const counted =
      tensor.name === 'position_ids' ? values.map((value, i) => (typeof value === 'bigint' ? BigInt(i) : i)) : values;
    return {
      ...tensor,
      shape: [1, length],
      data: (data.constructor as typeof BigInt64Array).from(counted as bigint[]),
    };
  });
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
