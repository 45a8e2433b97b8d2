/**
 * Stacking rows into runs, and splitting the outputs of a run again. Pure.
 *
 * A row is one set of the graph's inputs; it has a first size of 1, unless a caller sent tensors of several rows.
 */
import type { NumericArray, TensorArray, TensorData } from '../tasks/datatypes.js';

export class BatchSplitError extends Error {}

export type GraphRow = readonly TensorData[];

/**
 * Which rows run together: those whose tensors agree in everything but the first size, or in lengths that may be filled
 * up and are about the same. At most `maxRows` in a run, and at most `maxValues` where lengths differ: what a run of
 * long rows takes in memory grows faster than they do.
 */
export function formRuns(
  rows: readonly GraphRow[],
  { maxRows, maxValues }: { maxRows: number; maxValues: number },
): number[][] {
  const runs: number[][] = [];
  for (const group of groupByShape(rows)) {
    let run: number[] = [];
    let count = 0;
    for (const index of group) {
      const row = rows[index] as GraphRow;
      count += rowsOf(row);
      const isFull = count > maxRows || (run.length + 1) * paddedLength(row) > maxValues;
      if (run.length > 0 && isFull) {
        runs.push(run);
        run = [];
        count = rowsOf(row);
      }
      run.push(index);
    }
    runs.push(run);
  }
  return runs;
}

export function rowsOf([first]: GraphRow): number {
  return first?.shape[0] ?? 1;
}

/** Of a row whose length may be filled up: as many values as its group's longest may have. */
function paddedLength(row: GraphRow): number {
  const first = row.find(({ pad }) => pad !== undefined);
  return first ? lengthBucket(first.shape[1] ?? 1) : 0;
}

/** Indices of the rows that may be stacked. */
export function groupByShape(rows: readonly GraphRow[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, tensors] of rows.entries()) {
    const key = tensors.map((tensor) => `${tensor.name}:${sizesOf(tensor).join('x')}`).join(' ');
    const group = groups.get(key);
    if (group) group.push(index);
    else groups.set(key, [index]);
  }
  return Array.from(groups.values());
}

function sizesOf({ shape, pad }: TensorData): (number | string)[] {
  const [, length = 1, ...others] = shape;
  return pad === undefined ? shape.slice(1) : [`up to ${lengthBucket(length)}`, ...others];
}

/** 16, 24, 32, 48, 64, 96 …: at most a third of a row is filling, and half of that on average. */
function lengthBucket(length: number): number {
  let size = 16;
  while (size < length) size *= 2;
  return size > 16 && size * 0.75 >= length ? size * 0.75 : size;
}

/** One tensor for each input, the rows one after the other along the first dimension, filled up to the longest. */
export function stack(rows: readonly GraphRow[]): GraphRow {
  const [first] = rows;
  if (rows.length === 1 && first) return first;
  return (first ?? []).map(({ name, datatype, shape }) => {
    const parts = rows.map((tensors) => tensors.find((tensor) => tensor.name === name) as TensorData);
    const count = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
    const longest = Math.max(...parts.map((part) => part.shape[1] ?? 1));
    const sizes = shape.length > 1 ? [longest, ...shape.slice(2)] : [];
    return { name, datatype, shape: [count, ...sizes], data: concatenate(parts.map((part) => padded(part, longest))) };
  });
}

/** Only rows of tokens are ever shorter than their mates: [1, length]. */
function padded({ data, shape, pad }: TensorData, length: number): TensorArray {
  if (pad === undefined || shape[1] === length) return data;
  const longer = new (data.constructor as new (length: number) => NumericArray)(length);
  longer.fill((longer instanceof BigInt64Array ? BigInt(pad) : pad) as never);
  longer.set(data as never);
  return longer;
}

/**
 * Each row's own part of every output; a single one gets all there is.
 *
 * @throws CannotSplit when an output has not one row for each row that went in.
 */
export function split(outputs: readonly TensorData[], counts: readonly number[]): TensorData[][] {
  if (counts.length === 1) return [[...outputs]];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const odd = outputs.find(({ shape }) => shape[0] !== total);
  if (odd) throw new BatchSplitError(`output "${odd.name}" has ${odd.shape[0] ?? 'no'} rows for ${total} inputs`);
  let start = 0;
  return counts.map((count) => {
    const from = start;
    start += count;
    return outputs.map((output) => sliceRows(output, from, count));
  });
}

function sliceRows({ name, datatype, shape, data }: TensorData, from: number, count: number): TensorData {
  const perRow = shape.slice(1).reduce((product, size) => product * size, 1);
  return {
    name,
    datatype,
    shape: [count, ...shape.slice(1)],
    data: data.slice(from * perRow, (from + count) * perRow),
  };
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
