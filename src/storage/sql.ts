/** SQL that differs between dialects or their drivers, so that queries do not depend on one of them. */
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Key } from './pages.js';

/** `count(*)` as a number: some drivers return 64-bit integers as strings. */
export function rowCount(): RawBuilder<number> {
  return sql`cast(count(*) as integer)`;
}

/** The rows after `key` in the order of `columns`, all of them ascending or all descending. */
export function isAfter(
  key: readonly Key[],
  columns: readonly Expression<unknown>[],
  direction: 'asc' | 'desc',
): RawBuilder<SqlBool> {
  return sql`(${sql.join(columns)}) ${sql.raw(direction === 'asc' ? '>' : '<')} (${sql.join(key)})`;
}

/** A boolean as it is stored in a column. */
export function toFlag(value: boolean): number {
  return Number(value);
}

export function isSet(flag: number): boolean {
  return Number(flag) === 1;
}
