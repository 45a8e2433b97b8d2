/** All SQL that reads datasets: by id or name, as a list, and as training data of versions. */
import type { Principal } from '../access/principal.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { DatasetTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap } from '../storage/sql.js';
import type { ColumnSpec } from '../tasks/spec.js';
import type { TaskName } from '../tasks/tasks.js';
import { Dataset } from './dataset.type.js';
import { columnOf } from './version.type.js';
import { maySeeDataset, maySeeModel } from './visibility.js';

export async function findDatasetsByIds(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Dataset[]> {
  const rows = await db
    .selectFrom('dataset')
    .selectAll()
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
    .selectAll()
    .where('name', 'in', names)
    .where(maySeeDataset(principal))
    .execute();
  return rows.map(toDataset);
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
    .selectAll()
    .orderBy('name')
    .limit(checkFirst(first) + 1);
  if (after != null) query = query.where('name', '>', decodeCursor(list, after, ['string'])[0] as string);
  return pageOf(await query.execute(), first, {
    toNode: toDataset,
    list,
    keyOf: ({ name }) => [name],
    countTotal: async () => totalOf(await countDatasets(db, principal)),
  });
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
    .selectAll('dataset')
    .select('version_dataset.version_id')
    .where('version_dataset.version_id', 'in', versionIds)
    .where(maySeeModel(principal))
    .where(maySeeDataset(principal))
    .orderBy('dataset.name')
    .execute();
  return rows.map(({ version_id, ...row }) => ({ versionId: version_id, dataset: toDataset(row) }));
}

function toDataset(row: DatasetTable): Dataset {
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
    columns: (JSON.parse(row.columns) as ColumnSpec[]).map(columnOf),
    previewJson: row.preview,
  });
}
