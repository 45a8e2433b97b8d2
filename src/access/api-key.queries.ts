/** The stored API keys. */
import type { Transaction } from 'kysely';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { ApiKeyTable } from '../storage/migrations/access.table.js';
import type { ApiKey } from './api-key.js';
import { limitsOf } from './key-limits.js';

export async function findApiKeys(db: CatalogDatabase): Promise<ApiKey[]> {
  const rows = await db.selectFrom('api_key').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map(toApiKey);
}

export async function insertApiKey(trx: Transaction<CatalogTables>, key: ApiKey): Promise<void> {
  await trx.insertInto('api_key').values(toRow(key)).execute();
}

export async function findApiKey(trx: Transaction<CatalogTables>, id: string): Promise<ApiKey | null> {
  const row = await trx.selectFrom('api_key').selectAll().where('id', '=', id).executeTakeFirst();
  return row ? toApiKey(row) : null;
}

/** Sets when a key ends, what replaces it, and its limits: nothing else of a key ever changes. */
export async function updateApiKey(trx: Transaction<CatalogTables>, key: ApiKey): Promise<void> {
  const { expires_at, revoked_at, replaced_by, limits, limits_changed_at } = toRow(key);
  await trx
    .updateTable('api_key')
    .set({ expires_at, revoked_at, replaced_by, limits, limits_changed_at })
    .where('id', '=', key.id)
    .execute();
}

/** Differs from before if a key was added, revoked or replaced, or its limits were changed: nothing else changes. */
export async function findApiKeysFingerprint(db: CatalogDatabase): Promise<string> {
  const { count, max } = db.fn;
  const found = await db
    .selectFrom('api_key')
    .select([
      count<number>('id').as('keys'),
      count<number>('revoked_at').as('revoked'),
      count<number>('replaced_by').as('replaced'),
      max('created_at').as('newest'),
      max('limits_changed_at').as('limited'),
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
  };
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
