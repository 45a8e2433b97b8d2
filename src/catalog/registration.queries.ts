/**
 * All SQL that changes the catalog. Each function runs in the transaction it is given.
 *
 * Versions are only added, never changed, with three exceptions: they can be archived, a new import may replace a FAILED version, which has never
 * answered a prediction, and sets the batch limits that could not be determined before.
 */
import type { Transaction } from 'kysely';
import { type Author, appendAudit } from '../access/audit.queries.js';
import { SYSTEM } from '../access/principal.js';
import { ManifestError, RetriedImportError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { DatasetTable, ModelTable, VersionTable } from '../storage/migrations/catalog.table.js';
import { indexForSearch } from '../storage/search.js';

type Trx = Transaction<CatalogTables>;

export const NO_DEFAULT = { default_version_id: null, default_framework: null, default_bytes: null };

export type NewModel = Omit<
  ModelTable,
  'id' | 'visibility' | 'origin' | keyof typeof NO_DEFAULT | 'search_id' | 'created_at' | 'updated_at'
> & {
  readonly tags: readonly string[];
};
export type NewVersion = Omit<VersionTable, 'id' | 'created_at' | 'updated_at'>;
export type NewDataset = Omit<DatasetTable, 'id' | 'visibility' | 'account' | 'origin' | 'created_at' | 'updated_at'>;

/**
 * Creates the model of the store with this name, or updates its description. Returns its id.
 *
 * @throws ManifestError if an account has registered the name
 */
export async function saveModel(trx: Trx, { tags, ...model }: NewModel, now: number): Promise<string> {
  const found = await trx.selectFrom('model').selectAll().where('name', '=', model.name).executeTakeFirst();
  if (found && found.origin !== 'store')
    throw new ManifestError('a registered model has this name: rename the folder, or delete that model');
  const id = found?.id ?? newId('Model');
  if (!found) {
    const fresh = {
      id,
      visibility: 'public' as const,
      origin: 'store' as const,
      ...NO_DEFAULT,
      search_id: null,
      created_at: now,
      updated_at: now,
    };
    await trx
      .insertInto('model')
      .values({ ...model, ...fresh })
      .execute();
  } else if (isChange(found, model)) {
    await trx
      .updateTable('model')
      .set({ ...model, updated_at: now })
      .where('id', '=', id)
      .execute();
    if (found.account !== model.account)
      await appendAudit(trx, SYSTEM, {
        action: 'changeAccount',
        target: model.name,
        reason: null,
        before: { account: found.account },
        after: { account: model.account },
      });
  }
  await trx.deleteFrom('model_tag').where('model_id', '=', id).execute();
  const unique = [...new Set(tags)];
  if (unique.length > 0)
    await trx
      .insertInto('model_tag')
      .values(unique.map((tag) => ({ model_id: id, tag })))
      .execute();
  await indexForSearch(trx, { id, ...model, tags: unique });
  return id;
}

/** The id of the model with this name if `saveModel` would change nothing. */
export async function findUnchangedModel(
  db: CatalogDatabase,
  { tags, ...model }: NewModel,
): Promise<string | undefined> {
  const found = await db.selectFrom('model').selectAll().where('name', '=', model.name).executeTakeFirst();
  if (found?.origin !== 'store' || found.search_id === null || isChange(found, model)) return undefined;
  const saved = await db.selectFrom('model_tag').select('tag').where('model_id', '=', found.id).execute();
  const isSame = new Set(tags).symmetricDifference(new Set(saved.map(({ tag }) => tag))).size === 0;
  return isSame ? found.id : undefined;
}

const SOURCE_COLUMNS = ['id', 'state', 'source_sha256', 'artifact_sha256', 'signed_by', 'spec', 'variants'] as const;
export type VersionSource = Pick<VersionTable, (typeof SOURCE_COLUMNS)[number]>;

export async function findVersionSource(
  db: CatalogDatabase,
  modelId: string,
  number: number,
): Promise<VersionSource | undefined> {
  return db
    .selectFrom('version')
    .select(SOURCE_COLUMNS)
    .where('model_id', '=', modelId)
    .where('number', '=', number)
    .executeTakeFirst();
}

/** The FAILED versions of a model with the highest numbers, descending. */
export async function findFailures(
  db: CatalogDatabase,
  modelId: string,
  limit: number,
): Promise<{ readonly number: number; readonly reason: string }[]> {
  const rows = await db
    .selectFrom('version')
    .select(['number', 'state_reason'])
    .where('model_id', '=', modelId)
    .where('state', '=', 'FAILED')
    .orderBy('number', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ number, state_reason }) => ({ number, reason: state_reason ?? '' }));
}

/** The model and the number of a version. */
export async function findVersionName(
  db: CatalogDatabase,
  id: string,
): Promise<{ name: string; number: number } | undefined> {
  return db
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select(['model.name', 'version.number'])
    .where('version.id', '=', id)
    .executeTakeFirst();
}

/** Who adds a version, as the audit log has it. */
export interface VersionAuthor {
  readonly author: Author;
  readonly action: 'importVersion' | 'publishVersion';
  readonly reason: string | null;
}

const IMPORT: VersionAuthor = { author: SYSTEM, action: 'importVersion', reason: null };

/** Adds a version, or replaces the FAILED version with this number. Returns its id. @throws RetriedImportError */
export async function addVersion(
  trx: Trx,
  version: NewVersion,
  trainedOn: readonly string[],
  now: number,
  { author, action, reason } = IMPORT,
): Promise<string> {
  const model = await findModelName(trx, version.model_id);
  if (model === undefined) throw new RetriedImportError('the model was deleted meanwhile');
  const found = await findVersionSource(trx, version.model_id, version.number);
  if (found && found.state !== 'FAILED')
    throw new Error(`Version ${version.number} exists and is ${found.state}. This is a bug.`);
  const id = found?.id ?? newId('Version');
  if (found)
    await trx
      .updateTable('version')
      .set({ ...version, updated_at: now })
      .where('id', '=', id)
      .execute();
  else
    await trx
      .insertInto('version')
      .values({ ...version, id, created_at: now, updated_at: now })
      .execute();
  await trx.deleteFrom('version_dataset').where('version_id', '=', id).execute();
  if (trainedOn.length > 0) {
    const ids = trx
      .selectFrom('dataset')
      .select((eb) => ['id as dataset_id', eb.val(id).as('version_id')])
      .where('name', 'in', trainedOn);
    await trx.insertInto('version_dataset').columns(['dataset_id', 'version_id']).expression(ids).execute();
  }
  await chooseDefaultVersion(trx, version.model_id);
  await touchModel(trx, version.model_id, now);
  await appendAudit(trx, author, {
    action,
    target: `${model}:${version.number}`,
    reason,
    before: found ? stateOf(found) : null,
    after: stateOf(version),
  });
  return id;
}

/** What the audit log says of a version. */
function stateOf(version: Omit<VersionSource, 'id' | 'spec' | 'variants'>): object {
  const { state, source_sha256: sourceSha256, artifact_sha256: artifactSha256, signed_by: signedBy } = version;
  return { state, sourceSha256, artifactSha256, ...(signedBy !== null && { signedBy }) };
}

async function findModelName(trx: Trx, id: string): Promise<string | undefined> {
  return (await trx.selectFrom('model').select('name').where('id', '=', id).executeTakeFirst())?.name;
}

/** Sets the specs of a published version. Only what could not be checked or probed before may differ. */
export async function updateSpecs(
  trx: Trx,
  id: string,
  specs: Pick<NewVersion, 'spec' | 'variants'>,
  now: number,
): Promise<void> {
  await trx
    .updateTable('version')
    .set({ ...specs, updated_at: now })
    .where('id', '=', id)
    .execute();
}

/**
 * Creates the dataset of the store with this name, or updates its description. Returns its id.
 *
 * @throws ManifestError if an account has registered the name
 */
export async function saveDataset(trx: Trx, dataset: NewDataset, now: number): Promise<string> {
  const found = await trx.selectFrom('dataset').selectAll().where('name', '=', dataset.name).executeTakeFirst();
  if (found && found.origin !== 'store')
    throw new ManifestError('a registered dataset has this name: rename the folder, or delete that dataset');
  const id = found?.id ?? newId('Dataset');
  if (!found) {
    const owner = { visibility: 'public' as const, account: null, origin: 'store' as const };
    const fresh = { id, ...owner, created_at: now, updated_at: now };
    await trx
      .insertInto('dataset')
      .values({ ...dataset, ...fresh })
      .execute();
  } else if (isChange(found, dataset)) {
    await trx
      .updateTable('dataset')
      .set({ ...dataset, updated_at: now })
      .where('id', '=', found.id)
      .execute();
    if (evaluatedPart(found) !== evaluatedPart(dataset)) await outdateEvaluations(trx, found.id);
  }
  return id;
}

/** What decides which inputs the rows become, and what is true of them. */
function evaluatedPart({
  rows_sha256,
  target,
  columns,
}: Pick<NewDataset, 'rows_sha256' | 'target' | 'columns'>): string {
  const read: { name: string; type: string; categories: readonly string[] }[] = JSON.parse(columns);
  return JSON.stringify([rows_sha256, target, read.map(({ name, type, categories }) => [name, type, categories])]);
}

/** Computed evaluations of the dataset are then of no rows that it has. */
async function outdateEvaluations(trx: Trx, datasetId: string): Promise<void> {
  const evaluations = trx.selectFrom('evaluation').select('id').where('dataset_id', '=', datasetId);
  await trx.updateTable('evaluation_job').set({ rows_sha256: '' }).where('evaluation_id', 'in', evaluations).execute();
}

/** Whether `saveDataset` would change nothing. */
export async function isUnchangedDataset(db: CatalogDatabase, dataset: NewDataset): Promise<boolean> {
  const found = await db.selectFrom('dataset').selectAll().where('name', '=', dataset.name).executeTakeFirst();
  return found !== undefined && !isChange(found, dataset);
}

/** Whether an update would change the row. A restart on an unchanged model store must not touch `updated_at`. */
function isChange<T extends object>(row: T, next: Partial<T>): boolean {
  return Object.entries(next).some(([key, value]) => row[key as keyof T] !== value);
}

export async function findDatasetDigest(trx: Trx, name: string): Promise<string | null | undefined> {
  return (await trx.selectFrom('dataset').select('sha256').where('name', '=', name).executeTakeFirst())?.sha256;
}

export async function findVersionState(trx: Trx, id: string) {
  return trx.selectFrom('version').select(['state', 'state_reason']).where('id', '=', id).executeTakeFirst();
}

export async function touchModel(trx: Trx, modelId: string, now: number): Promise<void> {
  await trx.updateTable('model').set({ updated_at: now }).where('id', '=', modelId).execute();
}

/** Sets the default version: `champion` if set, otherwise the newest READY version, otherwise none. */
export async function chooseDefaultVersion(trx: Trx, modelId: string): Promise<void> {
  const champion = await trx
    .selectFrom('alias')
    .select('version_id as id')
    .where('model_id', '=', modelId)
    .where('name', '=', 'champion')
    .executeTakeFirst();
  const newest = await trx
    .selectFrom('version')
    .select('id')
    .where('model_id', '=', modelId)
    .where('state', '=', 'READY')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  const chosen = champion?.id ?? newest?.id;
  const found =
    chosen === undefined
      ? undefined
      : await trx
          .selectFrom('version')
          .select(['id', 'framework_name', 'artifact_bytes'])
          .where('id', '=', chosen)
          .executeTakeFirstOrThrow();
  await trx
    .updateTable('model')
    .set(
      found
        ? {
            default_version_id: found.id,
            default_framework: found.framework_name,
            default_bytes: found.artifact_bytes,
          }
        : NO_DEFAULT,
    )
    .where('id', '=', modelId)
    .execute();
}
