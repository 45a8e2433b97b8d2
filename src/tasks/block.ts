/**
 * A block: rows of numbers of one request that wait and run as one item, because most of what an item costs does not depend
 * on its size. Each row has an answer of its own, and fails alone.
 *
 * Only the server knows blocks. In a message to a worker, each of their rows is an item.
 */
import type { NumericArray } from './datatypes.js';
import type { AnyItem } from './define-input.js';
import type { AnySpec } from './spec.js';
import type { Item } from './tasks.js';
import type { TensorsItem } from './tensors.js';

export interface Block extends AnyItem {
  readonly kind: 'block';
  /** The values of all rows, for each input in the order of the spec. */
  readonly inputs: readonly NumericArray[];
}

export type QueuedItem = Item | Block;

export function isBlock(item: QueuedItem): item is Block {
  return item.kind === 'block';
}

/** As how many items it is sent to a worker. */
export function placesOf(item: QueuedItem): number {
  return isBlock(item) ? item.rows : 1;
}

/** The rows as items. Their answers are the same. */
export function itemsOf(block: Block, { inputs }: Pick<AnySpec, 'inputs'>): TensorsItem[] {
  const work = Math.max(1, Math.ceil(block.work / block.rows));
  return Array.from({ length: block.rows }, (_, row) => {
    const tensors = inputs.map(({ name, datatype, shape }, i) => {
      const values = block.inputs[i] as NumericArray;
      const perRow = values.length / block.rows;
      const sizes = shape.slice(1) as number[];
      return { name, datatype, shape: [1, ...sizes], data: values.slice(row * perRow, (row + 1) * perRow) };
    });
    return { kind: 'tensors', rows: 1, work, preprocessingWork: 0, tensors };
  });
}
