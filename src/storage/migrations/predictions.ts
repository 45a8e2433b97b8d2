/** Migrations of the prediction database. It has few indexes, because they would slow down the write path. */
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

export const predictionMigrations: Record<string, Migration> = {
  '001_predictions': { up: createPredictions },
  '002_labels': { up: indexLabels },
  '003_truncated': { up: addTruncated },
  '004_one_index_of_labels': { up: dropLabelIndex },
  '005_sealed': { up: addSealed },
  '006_quota_use': { up: createQuotaUse },
  '007_pictures': { up: createPictures },
  '008_answer_labels': { up: createAnswerLabels },
  '009_outcomes': { up: createOutcomes },
};

/** In the order in which metrics read them: those of an account, and those of all. Few predictions have an outcome. */
async function createOutcomes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('outcome')
    .addColumn('prediction_id', 'text', (c) => c.primaryKey())
    .addColumn('version_id', 'text', (c) => c.notNull())
    .addColumn('principal_id', 'text', (c) => c.notNull())
    .addColumn('data_key', 'integer', (c) => c.notNull())
    .addColumn('first_recorded_at', 'bigint', (c) => c.notNull())
    .addColumn('recorded_at', 'bigint', (c) => c.notNull())
    .addColumn('sealed', 'blob', (c) => c.notNull())
    .execute();
  const indexes = {
    outcome_account: ['version_id', 'principal_id', 'prediction_id'],
    outcome_version: ['version_id', 'prediction_id'],
  };
  for (const [name, columns] of Object.entries(indexes))
    await db.schema.createIndex(name).on('outcome').columns(columns).execute();
}

/** In the order in which the history of a label is read. The labels of classifications are in the rows of the predictions. */
async function createAnswerLabels(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('answer_label')
    .addColumn('version_id', 'text', (c) => c.notNull())
    .addColumn('label', 'text', (c) => c.notNull())
    .addColumn('prediction_id', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('answer_label_pk', ['version_id', 'label', 'prediction_id'])
    .modifyEnd(sql`without rowid`)
    .execute();
  await db.schema.createIndex('answer_label_prediction').on('answer_label').column('prediction_id').execute();
}

async function createQuotaUse(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('quota_use')
    .addColumn('caller', 'text', (c) => c.primaryKey())
    .addColumn('day', 'integer', (c) => c.notNull())
    .addColumn('operations', 'bigint', (c) => c.notNull())
    .addColumn('compute_ms', 'double precision', (c) => c.notNull())
    .addColumn('bytes', 'bigint', (c) => c.notNull())
    .execute();
}

/** For the history of a label, of all models and of one. Only predictions with a label have entries. */
async function indexLabels(db: Kysely<unknown>): Promise<void> {
  const indexes = { prediction_label: ['label', 'id'], prediction_version_label: ['version_id', 'label', 'id'] };
  for (const [name, columns] of Object.entries(indexes))
    await db.schema
      .createIndex(name)
      .on('prediction')
      .columns(columns)
      .where('label' as never, 'is not', null)
      .execute();
}

async function createPredictions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('prediction')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('version_id', 'text', (c) => c.notNull())
    .addColumn('principal_id', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('input', 'text')
    .addColumn('input_sha256', 'text')
    .addColumn('answer', 'text', (c) => c.notNull())
    .addColumn('label', 'text')
    .addColumn('timing', 'text', (c) => c.notNull())
    .addColumn('runtime', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('prediction_version').on('prediction').columns(['version_id', 'id']).execute();
  await db.schema
    .createIndex('prediction_blob')
    .on('prediction')
    .column('input_sha256')
    .where('input_sha256' as never, 'is not', null)
    .execute();
  await db.schema
    .createTable('idempotency')
    .addColumn('principal_id', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('prediction_id', 'text', (c) => c.notNull())
    .addColumn('request_sha256', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('idempotency_pk', ['principal_id', 'key'])
    .execute();
  await db.schema.createIndex('idempotency_created').on('idempotency').column('created_at').execute();
}

async function addTruncated(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('prediction').addColumn('truncated', 'integer').execute();
}

/** The history of a label in all models is read version by version. */
async function dropLabelIndex(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('prediction_label').execute();
}

/** The large column is last: SQLite reads the pages of a value to reach what is stored behind it. */
async function addSealed(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('prediction').addColumn('data_key', 'integer').execute();
  await db.schema.alterTable('prediction').addColumn('sealed', 'blob').execute();
  await db.schema.alterTable('prediction').addColumn('sealed_answer', 'blob').execute();
  // Rows that are still to be sealed. Others have no entry.
  await db.schema
    .createIndex('prediction_unsealed')
    .on('prediction')
    .column('id')
    .where('data_key' as never, 'is', null)
    .execute();
  await db.schema.createIndex('idempotency_prediction').on('idempotency').column('prediction_id').execute();
}

/** Apart from predictions, most of which have no image. */
async function createPictures(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('picture')
    .addColumn('prediction_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('max_size', 'integer', (c) => c.notNull())
    .addColumn('width', 'integer', (c) => c.notNull())
    .addColumn('height', 'integer', (c) => c.notNull())
    .addColumn('media_type', 'text', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('sha256', 'text')
    .addPrimaryKeyConstraint('picture_pk', ['prediction_id', 'name', 'max_size'])
    .execute();
  await db.schema
    .createIndex('picture_blob')
    .on('picture')
    .column('sha256')
    .where('sha256' as never, 'is not', null)
    .execute();
}
