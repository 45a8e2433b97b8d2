/**
 * Rows of one request that are sent together: as columns, or as tensors whose first dimension counts the rows.
 *
 * Each row is checked as if it was sent alone, and fails alone. Rows of numbers become blocks (see `block.ts`); all others
 * become items.
 */
import type { BulkRows } from './bulk.js';
import { readColumns } from './bulk-columns.js';
import { type GivenTensors, readTensors } from './bulk-tensors.js';
import type { VersionSpec } from './tasks.js';

/** Rows as they are sent: exactly one of the keys is set. */
export interface BulkInput {
  readonly columns?: Readonly<Record<string, unknown>> | null;
  readonly tensors?: GivenTensors | null;
}

/** Paths of problems begin with `prefix` and the key. @throws InvalidInputError if no row can be read */
export function readRows({ columns, tensors }: BulkInput, spec: VersionSpec, prefix: readonly string[]): BulkRows {
  if (columns != null) return readColumns(columns, spec, [...prefix, 'columns']);
  return readTensors(tensors ?? [], spec, prefix);
}
