/** All SQL that reads datasets: by id or name, as a list, and as training data of versions. */
import { sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { DatasetTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap } from '../storage/sql.js';
import type { ColumnSpec } from '../tasks/spec.js';
import type { TaskName } from '../tasks/tasks.js';
import { Dataset } from './dataset.type.js';
import { type Column, columnOf } from './signature.type.js';
import { maySeeDataset, maySeeModel } from './visibility.js';

/** All columns but the large ones, which are read by `findColumns` and `findPreviews` if they are selected. */
const DATASET_COLUMNS = [
  'dataset.id',
  'dataset.name',
  'dataset.title',
  'dataset.family',
  'dataset.split',
  'dataset.task',
  'dataset.row_count',
  'dataset.sha256',
  'dataset.license',
  'dataset.source',
  'dataset.description',
  'dataset.target',
  'dataset.visibility',
  'dataset.account',
  'dataset.origin',
  'dataset.rows_sha256',
  'dataset.row_bytes',
  'dataset.read_key',
  sql<number>`octet_length(dataset.columns)`.as('columns_bytes'),
  sql<number>`octet_length(dataset.preview)`.as('preview_bytes'),
  'dataset.created_at',
  'dataset.updated_at',
] as const;

interface DatasetRow extends Omit<DatasetTable, 'columns' | 'preview'> {
  readonly columns_bytes: number;
  readonly preview_bytes: number;
}

/** The columns of these datasets. The caller has reserved their bytes. */
export async function findColumns(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; columns: Column[] }[]> {
  const query = db.selectFrom('dataset').select(['id', 'columns']).where('id', 'in', ids);
  const rows = await query.where(maySeeDataset(principal)).execute();
  return rows.map(({ id, columns }) => ({ id, columns: (JSON.parse(columns) as ColumnSpec[]).map(columnOf) }));
}

/** The first rows of these datasets. The caller has reserved their bytes. */
export async function findPreviews(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; rows: Record<string, unknown>[] }[]> {
  const query = db.selectFrom('dataset').select(['id', 'preview']).where('id', 'in', ids);
  const found = await query.where(maySeeDataset(principal)).execute();
  return found.map(({ id, preview }) => ({ id, rows: JSON.parse(preview) }));
}

export async function findDatasetsByIds(
  db: CatalogDatabase,
  principal: Viewer,
  ids: readonly string[],
): Promise<Dataset[]> {
  const rows = await db
    .selectFrom('dataset')
    .select(DATASET_COLUMNS)
    .where('id', 'in', ids)
    .where(maySeeDataset(principal))
    .execute();
  return rows.map(toDataset);
}

export async function findDatasetsByNames(
  db: CatalogDatabase,
  principal: Principal,
  names: readonly string[],
): Promise<Dataset[]> {
  const rows = await db
    .selectFrom('dataset')
    .select(DATASET_COLUMNS)
    .where('name', 'in', names)
    .where(maySeeDataset(principal))
    .execute();
  return rows.map(toDataset);
}

/** Names of datasets that the principal may see, as candidates for suggestions. */
export async function findDatasetNames(db: CatalogDatabase, principal: Principal, limit: number): Promise<string[]> {
  const rows = await db.selectFrom('dataset').select('name').where(maySeeDataset(principal)).limit(limit).execute();
  return rows.map(({ name }) => name);
}

/** A page of datasets in order of name. @throws BadArgumentError */
export async function findDatasetPage(
  db: CatalogDatabase,
  principal: Principal,
  { first, after }: PageArgs,
): Promise<Page<Dataset>> {
  const list = listId('datasets');
  let query = db
    .selectFrom('dataset')
    .where(maySeeDataset(principal))
    .select(DATASET_COLUMNS)
    .orderBy('name')
    .limit(checkFirst(first) + 1);
  if (after != null) query = query.where('name', '>', decodeCursor(list, after, ['string'])[0] as string);
  return pageOf(
    await query.execute(),
    { first, after },
    {
      toNode: toDataset,
      list,
      keyOf: ({ name }) => [name],
      countTotal: async () => totalOf(await countDatasets(db, principal)),
    },
  );
}

async function countDatasets(db: CatalogDatabase, principal: Principal): Promise<number> {
  const query = db.selectFrom('dataset').where(maySeeDataset(principal));
  return (await db.selectNoFrom(countUpToCap(query).as('count')).executeTakeFirstOrThrow()).count;
}

/** The datasets that these versions were trained on, in order of name. */
export async function findTrainingDatasets(
  db: CatalogDatabase,
  principal: Principal,
  versionIds: readonly string[],
): Promise<{ versionId: string; dataset: Dataset }[]> {
  const rows = await db
    .selectFrom('version_dataset')
    .innerJoin('dataset', 'dataset.id', 'version_dataset.dataset_id')
    .innerJoin('version', 'version.id', 'version_dataset.version_id')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select(DATASET_COLUMNS)
    .select('version_dataset.version_id')
    .where('version_dataset.version_id', 'in', versionIds)
    .where(maySeeModel(principal))
    .where(maySeeDataset(principal))
    .orderBy('dataset.name')
    .execute();
  return rows.map(({ version_id, ...row }) => ({ versionId: version_id, dataset: toDataset(row) }));
}

function toDataset(row: DatasetRow): Dataset {
  return create(Dataset, {
    id: row.id,
    name: row.name,
    title: row.title,
    family: row.family,
    split: row.split,
    task: row.task as TaskName,
    rowCount: row.row_count,
    sha256: row.sha256,
    license: row.license,
    source: row.source,
    description: row.description,
    target: row.target,
    visibility: row.visibility === 'public' ? 'PUBLIC' : 'PRIVATE',
    rowsSha256: row.rows_sha256,
    rowBytes: row.row_bytes,
    columnsBytes: row.columns_bytes,
    previewBytes: row.preview_bytes,
  });
}
