/** What lists of models are ordered by that not every model has: see `catalog/measured-order.queries.ts`. */
import type { Kysely } from 'kysely';
import { keepModelScores } from './kept-tables.js';

export async function addMeasuredOrders(db: Kysely<unknown>): Promise<void> {
  // As in the index of every other order, what lists filter by.
  const listed = ['visibility', 'account', 'owner', 'task', 'license', 'default_framework', 'search_id'];
  await db.schema
    .createIndex('model_size')
    .on('model')
    .columns(['default_bytes', 'id', ...listed])
    .execute();
  await keepModelScores(db);
  await db.schema
    .createTable('model_use')
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('used_on', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('model_use_pk', ['account', 'model_id'])
    .execute();
  await db.schema.createIndex('model_use_day').on('model_use').columns(['account', 'used_on', 'model_id']).execute();
  await db.schema.createIndex('model_use_model').on('model_use').column('model_id').execute();
}
