/** SQL of uploads. Their bytes are in files: see `upload-files.ts`. */
import { sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { UploadTable } from '../storage/migrations/publishing.table.js';
import { rowCount } from '../storage/sql.js';

type Trx = Transaction<CatalogTables>;

export interface UploadSum {
  readonly count: number;
  readonly bytes: number;
}

export async function insertUpload(trx: Trx, upload: UploadTable): Promise<void> {
  await trx.insertInto('upload').values(upload).execute();
}

/** For the holder of its URL. */
export async function findUploadOfUrl(db: CatalogDatabase, id: string): Promise<UploadTable | undefined> {
  return db.selectFrom('upload').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Those of the principal's account. */
export async function findUploads(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<UploadTable[]> {
  return db.selectFrom('upload').selectAll().where('id', 'in', ids).where('account', '=', principal.id).execute();
}

/** Those of the principal's account that are complete. */
export async function findCompleteUploads(
  db: CatalogDatabase,
  { id: account }: Principal,
  now: number,
): Promise<UploadTable[]> {
  const complete = db.selectFrom('upload').selectAll().where('account', '=', account);
  return complete.where('completed_at', 'is not', null).where('expires_at', '>', now).execute();
}

/** The complete upload of the principal's account that has these bytes. */
export async function findCompleteUpload(
  db: CatalogDatabase,
  { id: account }: Principal,
  { sha256, size_bytes }: Pick<UploadTable, 'sha256' | 'size_bytes'>,
  now: number,
): Promise<UploadTable | undefined> {
  return db
    .selectFrom('upload')
    .selectAll()
    .where('account', '=', account)
    .where('sha256', '=', sha256)
    .where('size_bytes', '=', size_bytes)
    .where('completed_at', 'is not', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
}

/** What the uploads of an account, or of all, take or may still take. */
export async function sumUploads(trx: Trx, account: string | null): Promise<UploadSum> {
  const sum = trx
    .selectFrom('upload')
    .select((eb) => [rowCount().as('count'), eb.fn.coalesce(eb.fn.sum<number>('size_bytes'), eb.lit(0)).as('bytes')]);
  const found = await (account === null ? sum : sum.where('account', '=', account)).executeTakeFirstOrThrow();
  return { count: found.count, bytes: Number(found.bytes) };
}

export async function setUpload(
  db: CatalogDatabase,
  id: string,
  values: Partial<Pick<UploadTable, 'completed_at' | 'expires_at'>>,
): Promise<void> {
  await db.updateTable('upload').set(values).where('id', '=', id).execute();
}

/** Those that no publication waits for. */
export async function findExpiredUploads(db: CatalogDatabase, now: number, limit: number): Promise<string[]> {
  const needed = sql<string>`(select json_extract(file.value, '$.upload') from publication, json_each(publication.files) as file
    where publication.stage not in ('PUBLISHED', 'REFUSED'))`;
  const rows = await db
    .selectFrom('upload')
    .select('id')
    .where('expires_at', '<=', now)
    .where('id', 'not in', needed)
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

export async function deleteUploads(db: CatalogDatabase, ids: readonly string[]): Promise<void> {
  await db.deleteFrom('upload').where('id', 'in', ids).execute();
}

/** Those of the ids that have a row. */
export async function findKnownUploads(db: CatalogDatabase, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db.selectFrom('upload').select('id').where('id', 'in', ids).execute();
  return new Set(rows.map(({ id }) => id));
}
