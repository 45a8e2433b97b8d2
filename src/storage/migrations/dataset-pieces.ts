/** Rows of datasets, which accounts can own. */
import type { Kysely } from 'kysely';

export async function createDatasetPieces(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('dataset').addColumn('account', 'text').execute();
  await db.schema
    .alterTable('dataset')
    .addColumn('origin', 'text', (c) => c.notNull().defaultTo('store'))
    .execute();
  for (const column of ['rows_sha256', 'read_key'])
    await db.schema.alterTable('dataset').addColumn(column, 'text').execute();
  await db.schema.alterTable('dataset').addColumn('row_bytes', 'bigint').execute();
  await db.schema.createIndex('dataset_account').on('dataset').column('account').execute();
  await db.schema
    .createTable('dataset_piece')
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('first_row', 'integer', (c) => c.notNull())
    .addColumn('row_count', 'integer', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('ends', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('dataset_piece_pk', ['dataset_id', 'first_row'])
    .execute();
  await db.schema.createIndex('dataset_piece_sha256').on('dataset_piece').column('sha256').execute();
}
