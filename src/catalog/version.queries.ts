/** All SQL that reads versions and aliases. Lists are read for many parents in one statement. */
import { type Selectable, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { create } from '../graphql/create.js';
import type { Values } from '../storage/compiled.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { ModelTable, VersionTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pagesByParent } from '../storage/pages.js';
import { countUpToCap, type Ids, idsIn, idsOf, isOneOf, limitOf, rowsOf } from '../storage/sql.js';
import { readSpec, type VariantSpec } from '../tasks/stored-spec.js';
import type { TaskName, VersionSpec } from '../tasks/tasks.js';
import { withoutPaths } from '../without-paths.js';
import { Artifact, type Variant, Verification, Version } from './version.type.js';
import { compiledFor, maySeeDataset, maySeeModel } from './visibility.js';

const PARENT_COLUMN = { model: 'version.model_id', dataset: 'trained.dataset_id' } as const;

type Unread = 'spec' | 'variants' | 'source_sha256' | 'framework_name' | 'preload' | 'test_dataset';

/** `spec` and `variants` can be large, and are read by `findSpecs` and `findVariants` if a field of them is selected. */
interface VersionRow extends Omit<VersionTable, Unread> {
  readonly model_name: string;
  readonly spec_bytes: number | null;
  readonly variants_bytes: number;
}

function columnsOf<Table extends 'version' | 'listed'>(table: Table) {
  return [
    `${table}.id`,
    `${table}.model_id`,
    `${table}.number`,
    `${table}.state`,
    `${table}.state_reason`,
    `${table}.artifact_sha256`,
    `${table}.artifact_bytes`,
    `${table}.parameter_count`,
    `${table}.opset`,
    `${table}.producer`,
    `${table}.framework`,
    `${table}.verification`,
    `${table}.signed_by`,
    `${table}.created_at`,
    `${table}.updated_at`,
    sql<number | null>`octet_length(${sql.ref(`${table}.spec`)})`.as('spec_bytes'),
    sql<number>`octet_length(${sql.ref(`${table}.variants`)})`.as('variants_bytes'),
  ] as const;
}

function visibleVersions(db: CatalogDatabase, principal: Viewer) {
  return db.selectFrom('version').innerJoin('model', 'model.id', 'version.model_id').where(maySeeModel(principal));
}

function selectVersion<O>(query: SelectQueryBuilder<CatalogTables, 'version' | 'model', O>) {
  return query.select(columnsOf('version')).select('model.name as model_name');
}

const versionsByIds = compiledFor((db, viewer, { ids }: { ids: Ids }) =>
  selectVersion(visibleVersions(db, viewer)).where('version.id', 'in', idsIn(ids)),
);

export async function findVersionsByIds(
  db: CatalogDatabase,
  principal: Viewer,
  ids: readonly string[],
): Promise<Version[]> {
  return (await versionsByIds(db, principal, { ids: idsOf(ids) })).map(toVersion);
}

/** The specs of these versions; null for a version that failed before it had one. The caller has reserved their bytes. */
export async function findSpecs(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; spec: VersionSpec | null }[]> {
  const query = visibleVersions(db, principal).select(['version.id', 'version.spec']).where('version.id', 'in', ids);
  return (await query.execute()).map(({ id, spec }) => ({ id, spec: spec === null ? null : readSpec(spec) }));
}

/** The variants of these versions. The caller has reserved their bytes. */
export async function findVariants(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; variants: Variant[] }[]> {
  const query = visibleVersions(db, principal)
    .select(['version.id', 'version.variants'])
    .where('version.id', 'in', ids);
  return (await query.execute()).map(({ id, variants }) => ({
    id,
    variants: (JSON.parse(variants) as VariantSpec[]).map(toVariant),
  }));
}

/** Small parts of the specs of these versions, without the rest. */
export async function findSpecParts(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; labels: string[]; maxBatch: number; maxBatchReason: string }[]> {
  const rows = await visibleVersions(db, principal)
    .select([
      'version.id',
      sql<string>`json_extract(version.spec, '$.labels')`.as('labels'),
      sql<number>`json_extract(version.spec, '$.maxBatch')`.as('maxBatch'),
      sql<string>`json_extract(version.spec, '$.maxBatchReason')`.as('maxBatchReason'),
    ])
    .where('version.id', 'in', ids)
    .where('version.spec', 'is not', null)
    .execute();
  return rows.map(({ labels, ...row }) => ({ ...row, labels: JSON.parse(labels) }));
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

interface Range {
  readonly parents: Ids;
  readonly limit: number;
  /** The version after which the page begins; empty for the first page. */
  readonly after: string;
}

/** One limited subquery for each parent, which reads no more of its index than a page has. */
function versionPages(parent: 'model' | 'dataset', hasCursor: boolean) {
  // Ids are in order of creation. The last column of the index of the parent is the one to order by.
  const id = parent === 'model' ? sql.ref<string>('version.id') : sql.ref<string>('trained.version_id');
  return compiledFor((db, viewer, { parents, limit, after }: Range & Values) => {
    const newest = visibleVersionsOf(db, viewer, parent).select(id.as('id')).orderBy(id, 'desc').limit(limitOf(limit));
    return db
      .selectFrom(rowsOf(parents).as('parent'))
      .crossJoin('version as listed')
      .innerJoin('model as owner', 'owner.id', 'listed.model_id')
      .where('listed.id', 'in', hasCursor ? newest.where(id, '<', after) : newest)
      .select(columnsOf('listed'))
      .select(['owner.name as model_name', 'parent.id as parent_id'])
      .orderBy('listed.id', 'desc');
  });
}

const VERSION_PAGES = {
  model: { first: versionPages('model', false), next: versionPages('model', true) },
  dataset: { first: versionPages('dataset', false), next: versionPages('dataset', true) },
} as const;

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
  { first, after: cursor }: PageArgs,
): Promise<Map<string, Page<Version>>> {
  const parents = idsOf(parentIds);
  const limit = checkFirst(first) + 1;
  const after = cursor == null ? '' : positionIn(parent, parentIds[0] as string, cursor);
  const find = VERSION_PAGES[parent][cursor == null ? 'first' : 'next'];
  return pagesByParent(
    parentIds,
    await find(db, principal, { parents, limit, after }),
    { first, after: cursor },
    {
      toNode: toVersion,
      listOf: (parentId) => listId('versions', parent, parentId),
      keyOf: (row) => [row.id],
      countTotals: () =>
        db
          .selectFrom(rowsOf(parents).as('parent'))
          .select(['parent.id as parent_id', countUpToCap(visibleVersionsOf(db, principal, parent)).as('count')])
          .execute(),
    },
  );
}

/** The id of the version that a cursor marks. @throws BadArgumentError if the cursor belongs to another parent */
export function positionIn(parent: 'model' | 'dataset', parentId: string, after: string): string {
  return decodeCursor(listId('versions', parent, parentId), after, ['string'])[0] as string;
}

/** The versions of the row `parent` of the outer query. */
function visibleVersionsOf(db: CatalogDatabase, principal: Viewer, parent: 'model' | 'dataset') {
  const ofParent = sql<SqlBool>`${sql.ref(PARENT_COLUMN[parent])} = ${sql.ref('parent.id')}`;
  const versions = visibleVersions(db, principal).where(ofParent);
  if (parent === 'model') return versions;
  return versions
    .innerJoin('version_dataset as trained', 'trained.version_id', 'version.id')
    .innerJoin('dataset', 'dataset.id', 'trained.dataset_id')
    .where(maySeeDataset(principal)) as unknown as typeof versions;
}

export async function findVersionIdsOfModels(
  db: CatalogDatabase,
  principal: Principal,
  modelIds: readonly string[],
): Promise<string[]> {
  const rows = await visibleVersions(db, principal)
    .select('version.id')
    .where('version.model_id', 'in', modelIds)
    .execute();
  return rows.map(({ id }) => id);
}

/** Those of these versions whose model has the task. */
export async function findVersionIdsOfTask(
  db: CatalogDatabase,
  principal: Principal,
  task: TaskName,
  ids: readonly string[],
): Promise<string[]> {
  const rows = await visibleVersions(db, principal)
    .select('version.id')
    .where('version.id', 'in', idsIn(idsOf(ids)))
    .where('model.task', '=', task)
    .execute();
  return rows.map(({ id }) => id);
}

/** Models with a retention of their own, in the order of their ids. */
export async function findOwnRetentions(
  db: CatalogDatabase,
  principal: Principal,
  after: string,
  limit: number,
): Promise<Pick<Selectable<ModelTable>, 'id' | 'retention_days' | 'origin'>[]> {
  return db
    .selectFrom('model')
    .select(['id', 'retention_days', 'origin'])
    .where(maySeeModel(principal))
    .where('retention_days', 'is not', null)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Which of these versions belong to a model with a retention of its own. */
export async function findVersionsWithOwnRetention(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const query = visibleVersions(db, principal).select('version.id').where('version.id', 'in', ids);
  const rows = await query.where('model.retention_days', 'is not', null).execute();
  return new Set(rows.map(({ id }) => id));
}

function toVersion(row: VersionRow): Version {
  return create(Version, {
    id: row.id,
    modelId: row.model_id,
    number: row.number,
    ref: `${row.model_name}:${row.number}`,
    state: row.state,
    stateReason: row.state_reason === null ? null : withoutPaths(row.state_reason),
    specBytes: row.spec_bytes,
    variantsBytes: row.variants_bytes,
    signedBy: row.signed_by,
    verification: row.verification === null ? null : toVerification(JSON.parse(row.verification)),
    artifact: row.artifact_sha256 === null ? null : toArtifact(row, row.artifact_sha256),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  });
}

function toVariant({ spec, name, sha256, sizeBytes, reason }: VariantSpec): Variant {
  const shown = reason === null ? null : withoutPaths(reason);
  return { name, sha256, sizeBytes, reason: shown, maxBatch: spec?.maxBatch ?? null };
}

function toVerification(found: Omit<Verification, 'summary'>): Verification {
  const { cases, source, tolerance, maxDifference } = found;
  const largest = maxDifference === null ? '' : `; the largest difference is ${Number(maxDifference.toPrecision(2))}`;
  const summary =
    cases === 0
      ? 'Its answers were not compared with those of its source framework.'
      : `Each answer to ${cases} golden ${cases === 1 ? 'case' : 'cases'} is that of ${source}, within ${tolerance}${largest}.`;
  return create(Verification, { ...found, summary });
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
    versionId: row.id,
    specBytes: row.spec_bytes,
  });
}

const DIGEST = /\b[0-9a-f]{64}\b/g;

/**
 * The blobs of the next versions in the order of ids, from their graphs, variants and specs. A text in a spec that looks
 * like a digest counts as one. `lastId` is null if these were the last versions.
 */
export async function findBlobsOfVersions(
  db: CatalogDatabase,
  principal: Principal,
  after: string,
  limit: number,
): Promise<{ digests: Set<string>; lastId: string | null }> {
  const rows = await db
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .where(maySeeModel(principal))
    .select(['version.id', 'version.artifact_sha256', 'version.variants', 'version.spec'])
    .where('version.id', '>', after)
    .orderBy('version.id')
    .limit(limit)
    .execute();
  const digests = new Set<string>();
  for (const { artifact_sha256, variants, spec } of rows)
    for (const text of [artifact_sha256, variants, spec])
      for (const [digest] of text?.matchAll(DIGEST) ?? []) digests.add(digest);
  return { digests, lastId: rows.length < limit ? null : (rows.at(-1)?.id ?? null) };
}
