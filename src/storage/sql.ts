/** SQL that differs between dialects or their drivers, so that queries do not depend on one of them. */
import { type Expression, type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import { type Key, MAX_COUNT } from './pages.js';

/** `count(*)` as a number: some drivers return 64-bit integers as strings. */
export function rowCount(): RawBuilder<number> {
  return sql`cast(count(*) as integer)`;
}

/** The number of rows of a query, counted up to `MAX_COUNT + 1`, as a scalar expression. */
export function countUpToCap<DB, T extends keyof DB>(query: SelectQueryBuilder<DB, T, object>): RawBuilder<number> {
  return countRows(query, MAX_COUNT + 1);
}

/** The number of rows of a query, counted up to `max`, as a scalar expression. */
export function countRows<DB, T extends keyof DB>(
  query: SelectQueryBuilder<DB, T, object>,
  max: number,
): RawBuilder<number> {
  const rows = query.select(sql.lit(1).as('one')).where(interruptible()).limit(max);
  return sql<number>`(select ${rowCount()} from ${rows} as counted)`;
}

/** A condition that is always true. A read that evaluates it for each row can be stopped when it takes too long. */
export function interruptible(): RawBuilder<SqlBool> {
  return sql`interruptible() = 1`;
}

/** Ids as one value, so that the text of a statement does not depend on their number. */
export type Ids = string;

export function idsOf(ids: readonly string[]): Ids {
  return JSON.stringify(ids);
}

/** For the right side of `in`. */
export function idsIn(ids: Ids): RawBuilder<string> {
  return sql`(select value from json_each(${ids}))`;
}

/**
 * For `limit` in a query that runs often. A bound number alone makes SQLite prepare the statement again whenever it runs,
 * because it plans by the number.
 */
export function limitOf(rows: number): RawBuilder<number> {
  return sql`(${rows} + 0)`;
}

/** The rows of a query as JSON: the value `element` of each, in their order. For few rows that belong to another one. */
export function jsonListOf<DB, T extends keyof DB>(
  query: SelectQueryBuilder<DB, T, object>,
  element: RawBuilder<unknown>,
): RawBuilder<string> {
  return sql`(select json_group_array(${element}) from ${query} as element)`;
}

/** The ids as rows of a table with the column `id`, for a subquery that depends on each of them. */
export function rowsOf(ids: Ids): RawBuilder<{ id: string }> {
  return sql`(select value as id from json_each(${ids}))`;
}

/** Whether the columns have the values of one of these keys. Unlike a chain of `or`, it may be of any length. */
export function isOneOf(
  columns: readonly Expression<unknown>[],
  keys: readonly (readonly Key[])[],
): RawBuilder<SqlBool> {
  return sql`(${sql.join(columns)}) in (values ${sql.join(keys.map((key) => sql`(${sql.join(key)})`))})`;
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
