/** Evaluations that this server computes: what was asked for, the answers so far, and what was made of them. */
import { type Kysely, sql } from 'kysely';

export async function createEvaluationJobs(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('evaluation_job')
    .addColumn('evaluation_id', 'text', (c) => c.primaryKey().references('evaluation.id').onDelete('cascade'))
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('artifact_sha256', 'text', (c) => c.notNull())
    .addColumn('rows_sha256', 'text', (c) => c.notNull())
    .addColumn('row_count', 'bigint', (c) => c.notNull())
    .addColumn('slices', 'text', (c) => c.notNull())
    .addColumn('provider', 'text', (c) => c.notNull())
    .addColumn('runtime', 'text', (c) => c.notNull())
    .addColumn('failed_rows', 'bigint', (c) => c.notNull())
    .addColumn('row_problems', 'text', (c) => c.notNull())
    .addColumn('problem', 'text')
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('evaluation_job_account')
    .on('evaluation_job')
    .columns(['account', 'evaluation_id'])
    .execute();
  // Partial, so that no query of evaluations can choose it instead of a better one.
  await sql`create index evaluation_unfinished on evaluation (id) where job_state in ('QUEUED', 'RUNNING')`.execute(db);
  await db.schema
    .createTable('evaluation_piece')
    .addColumn('evaluation_id', 'text', (c) => c.notNull().references('evaluation.id').onDelete('cascade'))
    .addColumn('first_row', 'integer', (c) => c.notNull())
    .addColumn('row_count', 'integer', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('evaluation_piece_pk', ['evaluation_id', 'first_row'])
    .execute();
  await db.schema.createIndex('evaluation_piece_sha256').on('evaluation_piece').column('sha256').execute();
  await db.schema
    .createTable('evaluation_part')
    .addColumn('evaluation_id', 'text', (c) => c.notNull().references('evaluation.id').onDelete('cascade'))
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('ordinal', 'integer', (c) => c.notNull())
    .addColumn('label', 'text')
    .addColumn('content', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('evaluation_part_pk', ['evaluation_id', 'kind', 'ordinal'])
    .execute();
}

/** Of the columns of rows; null for evaluations without it. */
export async function addImportance(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('evaluation_job')
    .addColumn('importance', 'text', (c) => c.notNull().defaultTo('null'))
    .execute();
}
