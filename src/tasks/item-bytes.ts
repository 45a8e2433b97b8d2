/** How much memory an item takes. */
import type { AnyItem } from './define-input.js';

/** Memory of a string per character: two bytes unless all are Latin-1. */
const BYTES_PER_CHARACTER = 2;
const BYTES_PER_VALUE = 8;

/** Adds up buffers, strings and numbers, wherever they are in the item. */
export function bytesOfItem(item: AnyItem): number {
  return bytesOf(item);
}

function bytesOf(value: unknown): number {
  if (typeof value === 'string') return BYTES_PER_CHARACTER * value.length;
  if (typeof value !== 'object' || value === null) return BYTES_PER_VALUE;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  const values: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return values.reduce<number>((total, one) => total + bytesOf(one), BYTES_PER_VALUE);
}
