/** What a version must have shown before an alias is pointed to it, and how often that was judged. */
import type { Kysely } from 'kysely';

export async function createGates(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('gate')
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('alias', 'text', (c) => c.notNull())
    // No reference: a gate outlives its dataset, and is then passed by nothing.
    .addColumn('dataset_id', 'text', (c) => c.notNull())
    .addColumn('dataset_name', 'text', (c) => c.notNull())
    .addColumn('rows_sha256', 'text', (c) => c.notNull())
    .addColumn('conditions', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('gate_pk', ['model_id', 'alias'])
    .execute();
  await db.schema
    .createTable('gate_attempt')
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('alias', 'text', (c) => c.notNull())
    .addColumn('rows_sha256', 'text', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('gate_attempt_pk', ['model_id', 'alias', 'rows_sha256'])
    .execute();
  await db.schema.alterTable('alias_change').addColumn('gate', 'text').execute();
}
