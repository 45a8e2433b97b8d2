/**
 * May a version's inputs share a run? Only if nobody's answer depends on who else is in the batch.
 *
 * Every item is run alone, then beside the most extreme mates that its own inputs suggest, and the answers compared.
 * A dynamically quantised graph, for one, fails this: it scales a whole batch by its largest value.
 */

import type { TensorArray, TensorData } from '../tasks/datatypes.js';
import type { Session } from '../tasks/native/session.js';
import { split, stack } from './batch.js';

/** Matrix kernels may add in another order for another batch size; more than this is another answer. */
const TOLERANCE = 2e-6;
const BATCH_SIZES = [2, 8, 32];

type Prepared = readonly TensorData[];

/** A description of the first difference, or null when every answer is the same alone and in company. */
export async function differenceBesideMates(session: Session, prepared: readonly Prepared[]): Promise<string | null> {
  const alone = [];
  for (const item of prepared) alone.push(await session.run(item));
  for (const size of BATCH_SIZES) {
    const observed = size / 2;
    for (let start = 0; start < prepared.length; start += observed) {
      const indices = Array.from({ length: observed }, (_, i) => (start + i) % prepared.length);
      const difference = await compareBatch(session, prepared, alone, indices);
      if (difference) return `in a batch of ${size}, ${difference}`;
    }
  }
  return null;
}

/**
 * Each observed item has an extreme neighbour: itself times a thousand (a zero becomes a thousand, else an example of
 * zeros would only have mates of zeros), or all zeros, which is what padding looks like.
 */
async function compareBatch(
  session: Session,
  prepared: readonly Prepared[],
  alone: readonly Prepared[],
  indices: readonly number[],
): Promise<string | null> {
  const disguises = [(t: Prepared) => scaled(t, 1000), zeroed, (t: Prepared) => scaled(t, -1000)];
  const batch = indices.flatMap((index, i) => {
    const item = prepared[index] as Prepared;
    const disguise = disguises[i % disguises.length] as (t: Prepared) => Prepared;
    return i % 2 === 0 ? [item, disguise(item)] : [disguise(item), item];
  });
  try {
    const parts = split(await session.run(stack(batch)), batch.map(rowsOf));
    for (const [i, index] of indices.entries()) {
      const own = parts[2 * i + (i % 2)] as Prepared;
      const other = own.find((output, k) => !isSame(output.data, ((alone[index] as Prepared)[k] as TensorData).data));
      if (other) return `output "${other.name}" depends on the other inputs`;
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function rowsOf(tensors: Prepared): number {
  return tensors[0]?.shape[0] ?? 1;
}

function scaled(tensors: Prepared, factor: number): Prepared {
  return tensors.map((tensor) => ({ ...tensor, data: mapFloats(tensor.data, (x) => (x === 0 ? factor : x * factor)) }));
}

function zeroed(tensors: Prepared): Prepared {
  return tensors.map((tensor) => ({
    ...tensor,
    data: Array.isArray(tensor.data) ? tensor.data.map(() => '') : mapFloats(tensor.data, () => 0),
  }));
}

function mapFloats(data: TensorArray, change: (x: number) => number): TensorArray {
  return data instanceof Float32Array || data instanceof Float64Array ? data.map(change) : data;
}

function isSame(a: TensorArray, b: TensorArray): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i], b[i]];
    const near = typeof x === 'number' && Math.abs(x - (y as number)) <= TOLERANCE * Math.max(1, Math.abs(x));
    if (!near && x !== y && !(Number.isNaN(x) && Number.isNaN(y))) return false;
  }
  return true;
}
