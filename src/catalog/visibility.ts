/** The rules of `access/visibility.ts` as conditions that every query of the catalog adds. */
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { type VisibilityColumn, visibleValues } from '../access/visibility.js';
import type { CatalogTables } from '../storage/database.js';

type ColumnsOf<Table extends keyof CatalogTables> = Readonly<
  Record<VisibilityColumn & keyof CatalogTables[Table], true>
>;

/** The columns of each table that the rules read. A rule whose column is not listed here is a compile error. */
const MODEL_COLUMNS: ColumnsOf<'model'> = { visibility: true, owner: true };
const DATASET_COLUMNS: ColumnsOf<'dataset'> = { visibility: true };
const COUNT_COLUMNS: ColumnsOf<'facet_count'> = { visibility: true, owner: true };

export function maySeeModel(principal: Principal) {
  return (eb: ExpressionBuilder<CatalogTables, 'model'>) => anyOf(eb, 'model', MODEL_COLUMNS, principal);
}

export function maySeeDataset(principal: Principal) {
  return (eb: ExpressionBuilder<CatalogTables, 'dataset'>) => anyOf(eb, 'dataset', DATASET_COLUMNS, principal);
}

export function maySeeCount(principal: Principal) {
  return (eb: ExpressionBuilder<CatalogTables, 'facet_count'>) => anyOf(eb, 'facet_count', COUNT_COLUMNS, principal);
}

function anyOf<Table extends keyof CatalogTables>(
  eb: ExpressionBuilder<CatalogTables, Table>,
  table: Table,
  columns: ColumnsOf<Table>,
  principal: Principal,
): Expression<SqlBool> {
  const values = visibleValues(principal);
  if (values === null) return eb.lit(true);
  return eb.or(
    (Object.keys(columns) as VisibilityColumn[]).map((column) =>
      eb(sql.ref<string>(`${table}.${column}`), '=', values[column]),
    ),
  );
}
