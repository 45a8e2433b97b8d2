/** The rules of `access/visibility.ts` as conditions that every query of the catalog adds. */
import { type CompiledQuery, type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import { SYSTEM } from '../access/principal.js';
import { type Viewer, type VisibilityColumn, visibleValues } from '../access/visibility.js';
import { compiled, type Values } from '../storage/compiled.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';

type ColumnsOf<Table extends keyof CatalogTables> = Readonly<
  Record<VisibilityColumn & keyof CatalogTables[Table], true>
>;

/** The columns of each table that the rules read. A rule whose column is not listed here is a compile error. */
const MODEL_COLUMNS: ColumnsOf<'model'> = { visibility: true, account: true };
const DATASET_COLUMNS: ColumnsOf<'dataset'> = { visibility: true, account: true };
const COUNT_COLUMNS: ColumnsOf<'facet_count'> = { visibility: true, account: true };

export function maySeeModel(principal: Viewer) {
  return (eb: ExpressionBuilder<CatalogTables, 'model'>) => anyOf(eb, 'model', MODEL_COLUMNS, principal);
}

export function maySeeDataset(principal: Viewer) {
  return (eb: ExpressionBuilder<CatalogTables, 'dataset'>) => anyOf(eb, 'dataset', DATASET_COLUMNS, principal);
}

export function maySeeCount(principal: Viewer) {
  return (eb: ExpressionBuilder<CatalogTables, 'facet_count'>) => anyOf(eb, 'facet_count', COUNT_COLUMNS, principal);
}

/** The account whose private models a search finds; null for those of all accounts. */
export function searchedAccount(principal: Viewer): string | null {
  return visibleValues(principal)?.account ?? null;
}

function anyOf<Table extends keyof CatalogTables>(
  eb: ExpressionBuilder<CatalogTables, Table>,
  table: Table,
  columns: ColumnsOf<Table>,
  principal: Viewer,
): Expression<SqlBool> {
  const values = visibleValues(principal);
  if (values === null) return eb.lit(true);
  return eb.or(
    (Object.keys(columns) as VisibilityColumn[]).map((column) =>
      eb(sql.ref<string>(`${table}.${column}`), '=', values[column]),
    ),
  );
}

/** A query that is compiled once for the principals who do not see everything, and once for those who do. */
export function compiledFor<V extends Values, Row>(
  build: (db: CatalogDatabase, viewer: Viewer, values: V) => { compile(): CompiledQuery<Row> },
): (db: CatalogDatabase, principal: Viewer, values: V) => Promise<Row[]> {
  const ofEverything = compiled((db: CatalogDatabase, values: V) => build(db, SYSTEM, values));
  const ofVisible = compiled((db: CatalogDatabase, values: V & { viewer: string }) =>
    build(db, { id: values.viewer, roles: [] }, values),
  );
  return (db, principal, values) =>
    visibleValues(principal) === null ? ofEverything(db, values) : ofVisible(db, { ...values, viewer: principal.id });
}
