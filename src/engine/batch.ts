/**
 * Stacking the inputs of several items into one run, and splitting its outputs again. Pure.
 */
import type { NumericArray, TensorArray, TensorData } from '../tasks/datatypes.js';

export class CannotSplit extends Error {}

/** Items whose tensors agree in everything but the first size may share a run; others may not. */
export function groupByShape(prepared: readonly (readonly TensorData[])[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [index, tensors] of prepared.entries()) {
    const key = tensors.map(({ name, shape }) => `${name}:${shape.slice(1).join('x')}`).join(' ');
    const group = groups.get(key);
    if (group) group.push(index);
    else groups.set(key, [index]);
  }
  return Array.from(groups.values());
}

/** One tensor for each input, the items one after the other along the first dimension. */
export function stack(items: readonly (readonly TensorData[])[]): readonly TensorData[] {
  const [first] = items;
  if (items.length === 1 && first) return first;
  return (first ?? []).map(({ name, datatype, shape }) => {
    const parts = items.map((tensors) => tensors.find((tensor) => tensor.name === name) as TensorData);
    const rows = parts.reduce((sum, part) => sum + (part.shape[0] ?? 1), 0);
    return { name, datatype, shape: [rows, ...shape.slice(1)], data: concatenate(parts.map(({ data }) => data)) };
  });
}

/**
 * Each item's own rows of every output; a single item gets all there is.
 *
 * @throws CannotSplit when an output has not one row for each row that went in.
 */
export function split(outputs: readonly TensorData[], rows: readonly number[]): TensorData[][] {
  if (rows.length === 1) return [[...outputs]];
  const total = rows.reduce((sum, count) => sum + count, 0);
  const odd = outputs.find(({ shape }) => shape[0] !== total);
  if (odd) throw new CannotSplit(`output "${odd.name}" has ${odd.shape[0] ?? 'no'} rows for ${total} inputs`);
  let start = 0;
  return rows.map((count) => {
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
