/** All SQL that reads versions and aliases. Lists are read for many parents in one statement. */
import { type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { AliasTable, VersionTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pagesByParent } from '../storage/pages.js';
import { countUpToCap, isOneOf, rowsOf } from '../storage/sql.js';
import type { VariantSpec } from '../tasks/stored-spec.js';
import { Alias, Artifact, type Variant, Version } from './version.type.js';
import { maySeeDataset, maySeeModel } from './visibility.js';

const PARENT_COLUMN = { model: 'version.model_id', dataset: 'trained.dataset_id' } as const;

type VersionRow = VersionTable & { model_name: string };

function visibleVersions(db: CatalogDatabase, principal: Principal) {
  return db.selectFrom('version').innerJoin('model', 'model.id', 'version.model_id').where(maySeeModel(principal));
}

function selectVersion<O>(query: SelectQueryBuilder<CatalogTables, 'version' | 'model', O>) {
  return query.selectAll('version').select('model.name as model_name');
}

export async function findVersionsByIds(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Version[]> {
  const rows = await selectVersion(visibleVersions(db, principal)).where('version.id', 'in', ids).execute();
  return rows.map(toVersion);
}

/** The versions with these numbers of these models. */
export async function findVersionsByNumbers(
  db: CatalogDatabase,
  principal: Principal,
  keys: readonly { modelId: string; number: number }[],
): Promise<Version[]> {
  const isWanted = isOneOf(
    [sql.ref('version.model_id'), sql.ref('version.number')],
    keys.map(({ modelId, number }) => [modelId, number]),
  );
  const query = selectVersion(visibleVersions(db, principal)).where(isWanted);
  return (await query.execute()).map(toVersion);
}

/**
 * A page of versions for each parent, newest first. A parent is their model or a dataset they were trained on.
 *
 * A cursor belongs to one parent, so with `after` there is only one.
 *
 * @throws BadArgumentError
 */
export async function findVersionPages(
  db: CatalogDatabase,
  principal: Principal,
  parent: 'model' | 'dataset',
  parentIds: readonly string[],
  { first, after }: PageArgs,
): Promise<Map<string, Page<Version>>> {
  // Ids are in order of creation. The last column of the index of the parent is the one to order by.
  const id = parent === 'model' ? sql.ref<string>('version.id') : sql.ref<string>('trained.version_id');
  let newest = visibleVersionsOf(db, principal, parent)
    .select(id.as('id'))
    .orderBy(id, 'desc')
    .limit(checkFirst(first) + 1);
  if (after != null) newest = newest.where(id, '<', positionIn(parent, parentIds[0] as string, after));
  // One limited subquery for each parent, which reads no more of its index than a page has.
  const rows = await db
    .selectFrom(rowsOf(parentIds).as('parent'))
    .crossJoin('version as listed')
    .innerJoin('model as owner', 'owner.id', 'listed.model_id')
    .where('listed.id', 'in', newest)
    .selectAll('listed')
    .select(['owner.name as model_name', 'parent.id as parent_id'])
    .orderBy('listed.id', 'desc')
    .execute();
  return pagesByParent(parentIds, rows, first, {
    toNode: toVersion,
    listOf: (parentId) => listId('versions', parent, parentId),
    keyOf: (row) => [row.id],
    countTotals: () =>
      db
        .selectFrom(rowsOf(parentIds).as('parent'))
        .select(['parent.id as parent_id', countUpToCap(visibleVersionsOf(db, principal, parent)).as('count')])
        .execute(),
  });
}

/** The id of the version that a cursor marks. @throws BadArgumentError if the cursor belongs to another parent */
export function positionIn(parent: 'model' | 'dataset', parentId: string, after: string): string {
  return decodeCursor(listId('versions', parent, parentId), after, ['string'])[0] as string;
}

/** The versions of the row `parent` of the outer query. */
function visibleVersionsOf(db: CatalogDatabase, principal: Principal, parent: 'model' | 'dataset') {
  const ofParent = sql<SqlBool>`${sql.ref(PARENT_COLUMN[parent])} = ${sql.ref('parent.id')}`;
  const versions = visibleVersions(db, principal).where(ofParent);
  if (parent === 'model') return versions;
  return versions
    .innerJoin('version_dataset as trained', 'trained.version_id', 'version.id')
    .innerJoin('dataset', 'dataset.id', 'trained.dataset_id')
    .where(maySeeDataset(principal)) as unknown as typeof versions;
}

export async function findVersionIdsOfModel(
  db: CatalogDatabase,
  principal: Principal,
  modelId: string,
): Promise<string[]> {
  const rows = await visibleVersions(db, principal)
    .select('version.id')
    .where('version.model_id', '=', modelId)
    .execute();
  return rows.map(({ id }) => id);
}

/** For each version, how many days its predictions are kept; null if its model does not set it. */
export async function findRetentions(
  db: CatalogDatabase,
  principal: Principal,
): Promise<{ id: string; retention_days: number | null }[]> {
  return visibleVersions(db, principal).select(['version.id', 'model.retention_days']).execute();
}

export async function findAliases(
  db: CatalogDatabase,
  principal: Principal,
  by: 'alias.model_id' | 'alias.version_id',
  ids: readonly string[],
): Promise<Alias[]> {
  const rows = await db
    .selectFrom('alias')
    .innerJoin('model', 'model.id', 'alias.model_id')
    .selectAll('alias')
    .where(by, 'in', ids)
    .where(maySeeModel(principal))
    .orderBy('alias.name')
    .execute();
  return rows.map(toAlias);
}

function toVersion(row: VersionRow): Version {
  return create(Version, {
    id: row.id,
    modelId: row.model_id,
    number: row.number,
    ref: `${row.model_name}:${row.number}`,
    state: row.state,
    stateReason: row.state_reason,
    specJson: row.spec,
    variants: (JSON.parse(row.variants) as VariantSpec[]).map(toVariant),
    artifact: row.artifact_sha256 === null ? null : toArtifact(row, row.artifact_sha256),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  });
}

function toVariant({ spec, ...variant }: VariantSpec): Variant {
  return { ...variant, maxBatch: spec?.maxBatch ?? null };
}

function toArtifact(row: VersionRow, sha256: string): Artifact {
  return create(Artifact, {
    format: 'ONNX',
    sha256,
    sizeBytes: row.artifact_bytes ?? 0,
    parameterCount: row.parameter_count,
    opset: row.opset,
    producer: row.producer,
    framework: row.framework,
  });
}

function toAlias(row: AliasTable): Alias {
  return create(Alias, {
    name: row.name,
    versionId: row.version_id,
    modelId: row.model_id,
    updatedAt: new Date(row.updated_at),
  });
}
