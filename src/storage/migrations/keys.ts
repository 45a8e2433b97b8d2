/** Migrations of the database of keys. Never edit one that was released: add another. */
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const keyMigrations: Record<string, Migration> = {
  '001_data_keys': { up: createDataKeys },
};

async function createDataKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('data_key')
    // Ids are never used again: a row that names an erased key must not find another one.
    .addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('api_key', 'text', (c) => c.notNull())
    .addColumn('period', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('master_id', 'text', (c) => c.notNull())
    .addColumn('wrapped', 'blob', (c) => c.notNull())
    .addColumn('uses', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('data_key_scope')
    .on('data_key')
    .columns(['account', 'kind', 'subject', 'period', 'api_key', 'id'])
    .execute();
  await db.schema.createIndex('data_key_period').on('data_key').column('period').execute();
  await db.schema.createIndex('data_key_master').on('data_key').columns(['master_id', 'id']).execute();
  await db.schema
    .createTable('master_key')
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('master_id', 'text', (c) => c.notNull())
    .execute();
}
