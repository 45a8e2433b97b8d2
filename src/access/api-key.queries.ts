/** The stored API keys. */
import { sql, type Transaction } from 'kysely';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { ApiKeyTable } from '../storage/migrations/access.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap, isAfter, rowCount } from '../storage/sql.js';
import type { ApiKey } from './api-key.js';
import { limitsOf } from './key-limits.js';

/** When a key that was revoked or has expired ended; null if it was given no end. */
const ENDED_AT = sql<number | null>`coalesce(revoked_at, expires_at)`;
const LIST = listId('apiKeys');

/** A key, and when it was last used as far as that was written down. */
export interface UsedKey {
  readonly key: ApiKey;
  readonly lastUsedAt: Date | null;
}

export async function findApiKeys(db: CatalogDatabase): Promise<UsedKey[]> {
  const rows = await db.selectFrom('api_key').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map((row) => ({ key: toApiKey(row), lastUsedAt: dateOf(row.last_used_at) }));
}

/** Newest first. @throws BadArgumentError */
export async function findApiKeyPage<T>(
  db: CatalogDatabase,
  { first, after }: PageArgs,
  toNode: (key: ApiKey) => T,
): Promise<Page<T>> {
  let query = db.selectFrom('api_key').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
  if (after != null) {
    const position = decodeCursor(LIST, after, ['number', 'string']);
    query = query.where(({ ref }) => isAfter(position, [ref('created_at'), ref('id')], 'desc'));
  }
  return pageOf(
    await query.limit(checkFirst(first) + 1).execute(),
    { first, after },
    {
      toNode: (row) => toNode(toApiKey(row)),
      list: LIST,
      keyOf: ({ created_at, id }) => [created_at, id],
      countTotal: async () => {
        const count = countUpToCap(db.selectFrom('api_key')).as('count');
        return totalOf((await db.selectNoFrom(count).executeTakeFirstOrThrow()).count);
      },
    },
  );
}

/** Writes down when keys were last used, in milliseconds since 1970. */
export async function saveLastUses(db: CatalogDatabase, uses: Readonly<Record<string, number>>): Promise<void> {
  const used = sql<{ id: string; at: number }>`(select key as id, value as at from json_each(${JSON.stringify(uses)}))`;
  await db
    .updateTable('api_key')
    .from(used.as('used'))
    .set(({ ref }) => ({ last_used_at: ref('used.at') }))
    .whereRef('used.id', '=', 'api_key.id')
    .execute();
}

export async function countApiKeys(trx: Transaction<CatalogTables>): Promise<number> {
  return (await trx.selectFrom('api_key').select(rowCount().as('count')).executeTakeFirstOrThrow()).count;
}

/**
 * Removes keys that ended before `before`, those that ended first, at most `most` of them. A key that replaced another one
 * stays until that one is removed.
 */
export async function deleteEndedApiKeys(
  trx: Transaction<CatalogTables>,
  { before, most }: { readonly before: number; readonly most: number },
): Promise<void> {
  const successors = trx.selectFrom('api_key').select('replaced_by').where('replaced_by', 'is not', null);
  const ended = trx
    .selectFrom('api_key')
    .select('id')
    .where(ENDED_AT, '<', before)
    .where('id', 'not in', successors)
    .orderBy(ENDED_AT)
    .limit(most);
  await trx.deleteFrom('api_key').where('id', 'in', ended).execute();
}

/** One that was just made. */
export async function insertApiKey(trx: Transaction<CatalogTables>, key: ApiKey): Promise<void> {
  await trx.insertInto('api_key').values(toRow(key)).execute();
}

export async function findApiKey(db: CatalogDatabase, id: string): Promise<ApiKey | null> {
  const row = await db.selectFrom('api_key').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? toApiKey(row) : null;
}

/** Keys whose list of models names the model or one of its aliases, those that have ended included. */
export async function findKeysBoundTo(trx: Transaction<CatalogTables>, model: string): Promise<ApiKey[]> {
  const names = sql<boolean>`exists (
    select 1 from json_each(api_key.models) where value = ${model} or substr(value, 1, ${model.length + 1}) = ${`${model}@`})`;
  const rows = await trx.selectFrom('api_key').selectAll().where('models', 'is not', null).where(names).execute();
  return rows.map(toApiKey);
}

/** Only when a model was deleted. */
export async function setModels(trx: Transaction<CatalogTables>, id: string, models: readonly string[]): Promise<void> {
  await trx
    .updateTable('api_key')
    .set({ models: JSON.stringify(models) })
    .where('id', '=', id)
    .execute();
}

/** Sets when a key ends, what replaces it, and its limits: besides its models, nothing else of a key ever changes. */
export async function updateApiKey(trx: Transaction<CatalogTables>, key: ApiKey): Promise<void> {
  const { expires_at, revoked_at, replaced_by, limits, limits_changed_at } = toRow(key);
  await trx
    .updateTable('api_key')
    .set({ expires_at, revoked_at, replaced_by, limits, limits_changed_at })
    .where('id', '=', key.id)
    .execute();
}

/** When limits of any key were last changed, in milliseconds since 1970; 0 if they never were. */
export async function findLastLimitsChange(trx: Transaction<CatalogTables>): Promise<number> {
  const last = trx.selectFrom('api_key').select(({ fn }) => fn.max('limits_changed_at').as('at'));
  return (await last.executeTakeFirst())?.at ?? 0;
}

/** Differs from before if a key was added, revoked or replaced, its limits were changed, or its models became fewer: nothing else changes. */
export async function findApiKeysFingerprint(db: CatalogDatabase): Promise<string> {
  const { count, max, sum } = db.fn;
  const length = (column: 'models') => db.fn<number>('length', [column]);
  const found = await db
    .selectFrom('api_key')
    .select([
      count<number>('id').as('keys'),
      count<number>('revoked_at').as('revoked'),
      count<number>('replaced_by').as('replaced'),
      max('created_at').as('newest'),
      max('limits_changed_at').as('limited'),
      sum<number>(length('models')).as('granted'),
    ])
    .executeTakeFirstOrThrow();
  return JSON.stringify(found);
}

function toApiKey(row: ApiKeyTable): ApiKey {
  const listOf = (json: string | null) => (json === null ? null : (JSON.parse(json) as string[]));
  return {
    id: row.id,
    secretSha256: row.secret_sha256,
    account: row.account,
    name: row.name,
    kind: row.kind,
    roles: JSON.parse(row.roles),
    operations: listOf(row.operations),
    models: listOf(row.models),
    origins: listOf(row.origins),
    limits: limitsOf(row.kind, row.limits === null ? null : JSON.parse(row.limits)),
    limitsChangedAt: dateOf(row.limits_changed_at),
    createdAt: new Date(row.created_at),
    expiresAt: dateOf(row.expires_at),
    revokedAt: dateOf(row.revoked_at),
    replacedBy: row.replaced_by,
  };
}

function toRow(key: ApiKey): ApiKeyTable {
  const jsonOf = (list: readonly string[] | null) => (list === null ? null : JSON.stringify(list));
  return {
    id: key.id,
    secret_sha256: key.secretSha256,
    account: key.account,
    name: key.name,
    kind: key.kind,
    roles: JSON.stringify(key.roles),
    operations: jsonOf(key.operations),
    models: jsonOf(key.models),
    origins: jsonOf(key.origins),
    limits: key.limits && JSON.stringify(key.limits),
    limits_changed_at: key.limitsChangedAt?.getTime() ?? null,
    created_at: key.createdAt.getTime(),
    expires_at: key.expiresAt?.getTime() ?? null,
    revoked_at: key.revokedAt?.getTime() ?? null,
    replaced_by: key.replacedBy,
    last_used_at: null,
  };
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
