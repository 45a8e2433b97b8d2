/** SQL of publications, and of the models that accounts register. */
import type { Transaction } from 'kysely';
import { allows } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { chooseDefaultVersion, NO_DEFAULT } from '../catalog/registration.queries.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { ModelTable } from '../storage/migrations/catalog.table.js';
import type { PublicationTable } from '../storage/migrations/publishing.table.js';
import { indexForSearch } from '../storage/search.js';
import { rowCount } from '../storage/sql.js';

type Trx = Transaction<CatalogTables>;

const FINISHED = ['PUBLISHED', 'REFUSED'] as const;
const CARD = {
  intendedUse: null,
  limitations: null,
  trainingData: null,
  evaluationData: null,
  ethicalConsiderations: null,
  markdown: '',
};

// ── models ──

export type RegisteredModel = Pick<ModelTable, 'name' | 'title' | 'summary' | 'task' | 'license' | 'visibility'> & {
  readonly account: string;
  readonly tags: readonly string[];
};

/** Adds a model without versions. Null if the name is taken, whoever may see that model. */
export async function insertModel(trx: Trx, { tags, ...model }: RegisteredModel, now: number): Promise<string | null> {
  const taken = await trx.selectFrom('model').select('id').where('name', '=', model.name).executeTakeFirst();
  if (taken) return null;
  const id = newId('Model');
  const card = JSON.stringify(CARD);
  const times = { created_at: now, updated_at: now };
  const rest = { owner: null, origin: 'account' as const, retention_days: null, search_id: null };
  await trx
    .insertInto('model')
    .values({ ...model, ...NO_DEFAULT, ...rest, ...times, id, card })
    .execute();
  for (const tag of new Set(tags)) await trx.insertInto('model_tag').values({ model_id: id, tag }).execute();
  await indexForSearch(trx, { id, ...model, card, tags });
  return id;
}

export type ModelChange = Partial<Pick<ModelTable, 'title' | 'summary' | 'owner' | 'license' | 'visibility'>> & {
  readonly tags?: readonly string[];
};

/** Also replaces what is indexed for search, which depends on the visibility. */
export async function updateModel(trx: Trx, model: ModelTable, { tags, ...values }: ModelChange): Promise<void> {
  await trx
    .updateTable('model')
    .set({ ...values, updated_at: Date.now() })
    .where('id', '=', model.id)
    .execute();
  if (tags) {
    await trx.deleteFrom('model_tag').where('model_id', '=', model.id).execute();
    for (const tag of new Set(tags)) await trx.insertInto('model_tag').values({ model_id: model.id, tag }).execute();
  }
  await indexForSearch(trx, { ...model, ...values, tags: tags ?? (await findTags(trx, model.id)) });
}

export async function findTags(trx: Trx, modelId: string): Promise<string[]> {
  const rows = await trx.selectFrom('model_tag').select('tag').where('model_id', '=', modelId).orderBy('tag').execute();
  return rows.map(({ tag }) => tag);
}

export async function countModelsOf(trx: Trx, account: string): Promise<number> {
  const rows = trx.selectFrom('model').select(rowCount().as('count'));
  return (await rows.where('account', '=', account).where('origin', '=', 'account').executeTakeFirstOrThrow()).count;
}

/** For the server itself, which publishes. */
export async function findModel(db: CatalogDatabase, id: string): Promise<ModelTable | undefined> {
  return db.selectFrom('model').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Replaces the card, which is part of the search index. */
export async function setCard(
  trx: Trx,
  model: ModelTable,
  { card, retention_days }: Pick<ModelTable, 'card' | 'retention_days'>,
): Promise<void> {
  await trx.updateTable('model').set({ card, retention_days }).where('id', '=', model.id).execute();
  await indexForSearch(trx, { ...model, card, tags: await findTags(trx, model.id) });
}

/**
 * Deletes a model with its versions, aliases, evaluations and publications, and notes the versions, whose predictions are to be
 * deleted too. Returns their ids.
 */
export async function deleteModel(trx: Trx, id: string, now: number): Promise<string[]> {
  const rows = await trx.selectFrom('version').select('id').where('model_id', '=', id).orderBy('number').execute();
  for (const { id: version_id } of rows)
    await trx.insertInto('deleted_version').values({ version_id, deleted_at: now }).execute();
  await trx.deleteFrom('alias').where('model_id', '=', id).execute();
  await trx.deleteFrom('model').where('id', '=', id).execute();
  return rows.map((row) => row.id);
}

/** Of the aliases that point to the version. */
export async function findAliasNames(trx: Trx, versionId: string): Promise<string[]> {
  const rows = await trx
    .selectFrom('alias')
    .select('name')
    .where('version_id', '=', versionId)
    .orderBy('name')
    .execute();
  return rows.map(({ name }) => name);
}

/** The default version of the model follows. */
export async function setVersionState(
  trx: Trx,
  modelId: string,
  id: string,
  state: 'READY' | 'ARCHIVED',
): Promise<void> {
  const updated_at = Date.now();
  await trx.updateTable('version').set({ state, updated_at }).where('id', '=', id).execute();
  await chooseDefaultVersion(trx, modelId);
  await trx.updateTable('model').set({ updated_at }).where('id', '=', modelId).execute();
}

/** The READY version of a model that was published from the same files, and signed by this key; null: by any or none. */
export async function findSameVersion(
  trx: Trx,
  modelId: string,
  source: string,
  signedBy: string | null,
): Promise<string | undefined> {
  const same = trx
    .selectFrom('version')
    .select('id')
    .where('model_id', '=', modelId)
    .where('source_sha256', '=', source)
    .where('state', '=', 'READY');
  const found = await (signedBy === null ? same : same.where('signed_by', '=', signedBy)).executeTakeFirst();
  return found?.id;
}

export async function nextNumber(trx: Trx, modelId: string): Promise<number> {
  const { last } = await trx
    .selectFrom('version')
    .select((eb) => eb.fn.max('number').as('last'))
    .where('model_id', '=', modelId)
    .executeTakeFirstOrThrow();
  return (last ?? 0) + 1;
}

// ── publications ──

export async function insertPublication(trx: Trx, publication: PublicationTable): Promise<void> {
  await trx.insertInto('publication').values(publication).execute();
}

/** Those of the principal's account; administrators see all. */
export async function findPublications(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<PublicationTable[]> {
  if (!allows('publish', principal)) return [];
  const found = db.selectFrom('publication').selectAll().where('id', 'in', ids);
  return (principal.roles.includes('admin') ? found : found.where('account', '=', principal.id)).execute();
}

/** How many of an account, or of all, are not finished. */
export async function countUnfinished(trx: Trx, account: string | null): Promise<number> {
  const found = trx.selectFrom('publication').select(rowCount().as('count')).where('stage', 'not in', FINISHED);
  return (await (account === null ? found : found.where('account', '=', account)).executeTakeFirstOrThrow()).count;
}

/** Deletes the finished ones of an account that are older than its last `kept`. */
export async function forgetFinished(trx: Trx, account: string, kept: number): Promise<void> {
  const last = trx
    .selectFrom('publication')
    .select('id')
    .where('account', '=', account)
    .orderBy('id', 'desc')
    .limit(kept);
  await trx
    .deleteFrom('publication')
    .where('account', '=', account)
    .where('stage', 'in', FINISHED)
    .where('id', 'not in', last)
    .execute();
}

/** The oldest one of the next account that has any that is not finished, after the account whose turn was last. */
export async function findNextPublication(
  db: CatalogDatabase,
  lastAccount: string,
): Promise<PublicationTable | undefined> {
  return db
    .selectFrom('publication')
    .selectAll()
    .where('stage', 'not in', FINISHED)
    .orderBy(({ eb }) => eb('account', '<=', lastAccount))
    .orderBy('account')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
}

export async function setPublication(
  db: CatalogDatabase,
  id: string,
  values: Partial<Pick<PublicationTable, 'stage' | 'refusal' | 'version_id' | 'attempts'>>,
): Promise<void> {
  await db
    .updateTable('publication')
    .set({ ...values, updated_at: Date.now() })
    .where('id', '=', id)
    .execute();
}
