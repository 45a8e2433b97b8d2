/** SQL of data keys. They are wrapped with a master key; `data-keys.ts` unwraps them. */
import { type Selectable, sql, type Transaction } from 'kysely';
import type { KeyDatabase, KeyTables } from '../storage/database.js';
import type { DataKeyTable } from '../storage/migrations/keys.table.js';
import { MONTH_CHARACTERS, type WholePeriods } from './periods.js';

/** What one key is for. */
export type KeyScope = Pick<DataKeyTable, 'kind' | 'account' | 'api_key' | 'period' | 'subject'>;
export type StoredKey = Selectable<DataKeyTable>;

/** The newest key of a scope. */
export async function findNewestKey(trx: Transaction<KeyTables>, scope: KeyScope): Promise<StoredKey | undefined> {
  return trx
    .selectFrom('data_key')
    .selectAll()
    .where(({ and }) => and(scope))
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Returns its id. */
export async function insertKey(trx: Transaction<KeyTables>, key: Omit<StoredKey, 'id'>): Promise<number> {
  return (await trx.insertInto('data_key').values(key).returning('id').executeTakeFirstOrThrow()).id;
}

export async function setUses(trx: Transaction<KeyTables>, id: number, uses: number): Promise<void> {
  await trx.updateTable('data_key').set({ uses }).where('id', '=', id).execute();
}

export async function findKeys(db: KeyDatabase, ids: readonly number[]): Promise<StoredKey[]> {
  if (ids.length === 0) return [];
  return db.selectFrom('data_key').selectAll().where('id', 'in', ids).execute();
}

/** The id of the master key that new data keys are wrapped with; null before the first one. */
export async function findCurrentMaster(db: KeyDatabase | Transaction<KeyTables>): Promise<string | null> {
  return (await db.selectFrom('master_key').select('master_id').executeTakeFirst())?.master_id ?? null;
}

export async function setCurrentMaster(db: KeyDatabase | Transaction<KeyTables>, master_id: string): Promise<void> {
  await db
    .insertInto('master_key')
    .values({ id: 1, master_id })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ master_id }))
    .execute();
}

/** Up to `limit` keys that are wrapped with another master key than this one. */
export async function findKeysOfOtherMasters(
  trx: Transaction<KeyTables>,
  master_id: string,
  limit: number,
): Promise<StoredKey[]> {
  return trx
    .selectFrom('data_key')
    .selectAll()
    .where(({ or, eb }) => or([eb('master_id', '<', master_id), eb('master_id', '>', master_id)]))
    .limit(limit)
    .execute();
}

export async function rewrapKey(
  trx: Transaction<KeyTables>,
  { id, master_id, wrapped }: Pick<StoredKey, 'id' | 'master_id' | 'wrapped'>,
): Promise<void> {
  await trx.updateTable('data_key').set({ master_id, wrapped }).where('id', '=', id).execute();
}

/** The keys of an account that an erasure is about. */
export interface ErasedKeys {
  readonly account: string;
  /** Digest of the subject; null for all. */
  readonly subject: string | null;
  /** Id of the API key; null for all. */
  readonly keyId: string | null;
  /** Keys that were made later are kept. */
  readonly lastId: number;
}

function keysOf(db: KeyDatabase, { account, subject, keyId, lastId }: ErasedKeys) {
  return db
    .selectFrom('data_key')
    .select('id')
    .where('account', '=', account)
    .where('kind', '=', 'data')
    .where('id', '<=', lastId)
    .$if(subject !== null, (q) => q.where('subject', '=', subject as string))
    .$if(keyId !== null, (q) => q.where('api_key', '=', keyId as string));
}

/** Overwrites the keys of these periods; they stay known until `deleteErasedKeys`, so that their rows are found. */
export async function eraseKeys(db: KeyDatabase, keys: ErasedKeys, { days, months }: WholePeriods): Promise<void> {
  const ids = keysOf(db, keys).where(({ eb, and, or, fn }) => {
    const isMonth = eb(fn<number>('length', ['period']), '=', MONTH_CHARACTERS);
    const within = ({ from, before }: WholePeriods['days']) =>
      and([eb('period', '>=', from), eb('period', '<', before)]);
    return or([and([isMonth, within(months)]), and([eb.not(isMonth), within(days)])]);
  });
  await db.updateTable('data_key').set({ wrapped: new Uint8Array() }).where('id', 'in', ids).execute();
}

export async function deleteErasedKeys(db: KeyDatabase, keys: ErasedKeys): Promise<void> {
  await db
    .deleteFrom('data_key')
    .where('id', 'in', keysOf(db, keys))
    .where(({ eb, fn }) => eb(fn('length', ['wrapped']), '=', 0))
    .execute();
}

/** What an erasure means for the keys of rows. */
export interface ErasedAmong {
  /** Keys of the erasure, with whether they are destroyed. */
  readonly isDestroyed: ReadonlyMap<number, boolean>;
  /** Keys that do not exist: those of rows that a backup brought back after their erasure. */
  readonly gone: ReadonlySet<number>;
}

export async function findKeysOf(db: KeyDatabase, keys: ErasedKeys, ids: readonly number[]): Promise<ErasedAmong> {
  const known = await db.selectFrom('data_key').select('id').where('id', 'in', ids).execute();
  const length = sql<number>`length(wrapped)`.as('length');
  const rows = await keysOf(db, keys).select(length).where('id', 'in', ids).execute();
  return {
    isDestroyed: new Map(rows.map((row) => [row.id, row.length === 0])),
    gone: new Set(ids).difference(new Set(known.map(({ id }) => id))),
  };
}

/** The newest key. */
export async function findLastKeyId(db: KeyDatabase): Promise<number> {
  return (await db.selectFrom('data_key').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst())?.id ?? 0;
}

/** Periods between these that have keys of data, oldest first. */
export async function findPeriods(
  db: KeyDatabase,
  { after, before, limit }: { readonly after: string; readonly before: string; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('data_key')
    .select('period')
    .distinct()
    .where('period', '>', after)
    .where('period', '<', before)
    .orderBy('period')
    .limit(limit)
    .execute();
  return rows.map((row) => row.period);
}

export async function deleteKeysOfPeriod(db: KeyDatabase, period: string): Promise<void> {
  await db.deleteFrom('data_key').where('period', '=', period).where('kind', '=', 'data').execute();
}
