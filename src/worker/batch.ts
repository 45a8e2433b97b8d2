/**
 * Groups rows into runs, and stacks the rows of a run into one set of tensors. Pure.
 *
 * A row is one set of graph inputs. Its batch dimension is 1, unless a caller sent tensors with several rows.
 */
import type { NumericArray, TensorArray, TensorData } from '../tasks/datatypes.js';

export type GraphRow = readonly TensorData[];

/**
 * Returns the indices of the rows of each run. Rows share a run if their tensors have the same shape except for the
 * batch dimension, or if they can be padded to a similar length.
 *
 * A run has at most `maxRows` rows. With padding, or if rows are joined, it also has at most `maxValues` values per tensor,
 * because the memory of a run grows at least linearly with the length of its rows.
 */
export function formRuns(
  rows: readonly GraphRow[],
  { maxRows, maxValues }: { maxRows: number; maxValues: number },
): number[][] {
  const runs: number[][] = [];
  for (const group of groupByShape([...rows.entries()], ([, row]) => row)) {
    let run: number[] = [];
    let [count, joined] = [0, 0];
    for (const [index, row] of group) {
      count += rowsOf(row);
      joined += joinedLength(row);
      const isFull = count > maxRows || (run.length + 1) * paddedLength(row) > maxValues || joined > maxValues;
      if (run.length > 0 && isFull) {
        runs.push(run);
        run = [];
        count = rowsOf(row);
        joined = joinedLength(row);
      }
      run.push(index);
    }
    runs.push(run);
  }
  return runs;
}

export function rowsOf(row: GraphRow): number {
  return row.find(({ ragged }) => ragged !== 'values')?.shape[0] ?? 1;
}

/** The values of a row that is joined to others; 0 for all other rows. */
function joinedLength(row: GraphRow): number {
  return row.find(({ ragged }) => ragged === 'values')?.data.length ?? 0;
}

/** The longest length in the row's length bucket; 0 for a row that is never padded. */
function paddedLength(row: GraphRow): number {
  const first = row.find(({ pad }) => pad !== undefined);
  return first ? lengthBucket(first.shape[1] ?? 1) : 0;
}

/** Groups the entries whose rows can be stacked. */
export function groupByShape<T>(entries: readonly T[], rowOf: (entry: T) => GraphRow): T[][] {
  const groups = new Map<string, T[]>();
  for (const entry of entries) {
    const key = rowOf(entry)
      .map((tensor) => `${tensor.name}:${sizesOf(tensor).join('x')}`)
      .join(' ');
    const group = groups.get(key);
    if (group) group.push(entry);
    else groups.set(key, [entry]);
  }
  return Array.from(groups.values());
}

function sizesOf({ shape, pad }: TensorData): (number | string)[] {
  const [, length = 1, ...others] = shape;
  return pad === undefined ? shape.slice(1) : [`up to ${lengthBucket(length)}`, ...others];
}

/** Buckets of 16, 24, 32, 48, 64, 96 …: above 16, at most a third of a row is padding, a sixth on average. */
function lengthBucket(length: number): number {
  let size = 16;
  while (size < length) size *= 2;
  return size > 16 && size * 0.75 >= length ? size * 0.75 : size;
}

/** Concatenates rows along the batch dimension into one tensor per input, padded to the longest row. */
export function stack(rows: readonly GraphRow[]): GraphRow {
  const [first] = rows;
  if (rows.length === 1 && first) return first;
  return (first ?? []).map(({ name, datatype, shape, ragged }) => {
    const parts = rows.flatMap((tensors) => tensors.find((tensor) => tensor.name === name) ?? []);
    if (ragged === 'starts') return { name, datatype, shape: [rows.length], data: startsOf(rows, parts) };
    const count = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
    const longest = Math.max(...parts.map((part) => part.shape[1] ?? 1));
    const sizes = shape.length > 1 ? [longest, ...shape.slice(2)] : [];
    return { name, datatype, shape: [count, ...sizes], data: concatenate(parts.map((part) => padded(part, longest))) };
  });
}

/** Where each row begins in the joined values. */
function startsOf(rows: readonly GraphRow[], parts: readonly TensorData[]): TensorArray {
  const starts = concatenate(parts.map(({ data }) => data)) as Int32Array | BigInt64Array;
  let before = 0;
  for (const [i, row] of rows.entries()) {
    starts[i] = starts instanceof BigInt64Array ? BigInt(before) : before;
    before += joinedLength(row);
  }
  return starts;
}

/** Only token rows, of shape [1, length], are padded. */
function padded({ data, shape, pad }: TensorData, length: number): TensorArray {
  if (pad === undefined || shape[1] === length) return data;
  const longer = new (data.constructor as new (length: number) => NumericArray)(length);
  longer.fill((longer instanceof BigInt64Array ? BigInt(pad) : pad) as never);
  longer.set(data as never);
  return longer;
}

function concatenate(parts: readonly TensorArray[]): TensorArray {
  if (parts.every(Array.isArray)) return parts.flat() as string[];
  const arrays = parts as readonly NumericArray[];
  const first = arrays[0] as NumericArray;
  const joined = new (first.constructor as new (length: number) => NumericArray)(
    arrays.reduce((sum, { length }) => sum + length, 0),
  );
  let offset = 0;
  for (const array of arrays) {
    joined.set(array as never, offset);
    offset += array.length;
  }
  return joined;
}
