/** Migrations of the catalog database, in the order of their names. Never edit one that was released: add another. */
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { createDatasetImages } from './dataset-images.js';
import { createDatasetPieces } from './dataset-pieces.js';
import { addImportance, createEvaluationJobs } from './evaluation-jobs.js';
import { createGates } from './gates.js';
import {
  dropFacetCounts,
  forgetMetricsOfOldIds,
  keepAuditLog,
  keepFacetCounts,
  keepModelMetrics,
} from './kept-tables.js';
import { addMeasuredMemory } from './measured-memory.js';
import { addMeasuredOrders } from './measured-orders.js';
import { createRegisteredOperations } from './registered-operations.js';

export const catalogMigrations: Record<string, Migration> = {
  '001_models': { up: createModels },
  '002_datasets': { up: createDatasets },
  '003_evaluations': { up: createEvaluations },
  '004_search': { up: createSearch },
  '005_variants': { up: addVariants },
  '006_large_catalogs': { up: indexLargeCatalogs },
  '007_search': { up: replaceSearch },
  '008_model_listing': { up: indexModelListing },
  '009_retention': { up: indexRetention },
  '010_orders': { up: indexEveryOrder },
  '011_model_metrics': { up: keepModelMetrics },
  '012_facet_counts': { up: (db) => keepFacetCounts(db, 'owner') },
  '013_latency': { up: createLatency },
  '014_verification': { up: addVerification },
  '015_api_keys': { up: createApiKeys },
  '016_audit_log': { up: createAuditLog },
  '017_key_successors': { up: addKeySuccessors },
  '018_accounts': { up: addAccounts },
  '019_token_subjects': { up: addTokenSubjects },
  '020_registered_operations': { up: createRegisteredOperations },
  '021_uploads': { up: createUploads },
  '022_erasures': { up: createErasures },
  '023_private_search': { up: searchPrivateModels },
  '024_key_limits': { up: addKeyLimits },
  '025_publications': { up: createPublications },
  '026_metrics_of_old_ids': { up: forgetMetricsOfOldIds },
  '027_key_uses': { up: addKeyUses },
  '028_deleted_versions': { up: createDeletedVersions },
  '029_signatures': { up: addSignatures },
  '030_alias_changes': { up: createAliasChanges },
  '031_erased_in_backups': { up: countErasedInBackups },
  '032_measured_orders': { up: addMeasuredOrders },
  '033_dataset_pieces': { up: createDatasetPieces },
  '034_evaluation_jobs': { up: createEvaluationJobs },
  '036_dataset_images': { up: createDatasetImages },
  '037_measured_memory': { up: addMeasuredMemory },
  '038_gates': { up: createGates },
  '039_importance': { up: addImportance },
};

/** The history begins with what aliases point to now. */
async function createAliasChanges(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('alias_change')
    .addColumn('sequence', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('alias', 'text', (c) => c.notNull())
    .addColumn('version_id', 'text', (c) => c.notNull())
    .addColumn('previous_version_id', 'text')
    .addColumn('restores', 'integer')
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .addColumn('account', 'text')
    .addColumn('reason', 'text')
    .execute();
  await db.schema
    .createIndex('alias_change_alias')
    .on('alias_change')
    .columns(['model_id', 'alias', 'sequence'])
    .execute();
  await db.schema.createIndex('alias_change_model').on('alias_change').columns(['model_id', 'sequence']).execute();
  await sql`insert into alias_change (model_id, alias, version_id, changed_at)
    select model_id, name, version_id, updated_at from alias order by updated_at`.execute(db);
}

async function addSignatures(db: Kysely<unknown>): Promise<void> {
  for (const table of ['version', 'publication'])
    await db.schema.alterTable(table).addColumn('signed_by', 'text').execute();
}

async function createPublications(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('model')
    .addColumn('origin', 'text', (c) => c.notNull().defaultTo('store'))
    .execute();
  await db.schema
    .createTable('publication')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('key_id', 'text')
    .addColumn('issuer', 'text')
    .addColumn('subject', 'text')
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('files', 'text', (c) => c.notNull())
    .addColumn('manifest', 'text')
    .addColumn('aliases', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addColumn('stage', 'text', (c) => c.notNull())
    .addColumn('refusal', 'text')
    .addColumn('version_id', 'text')
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('publication_account').on('publication').columns(['account', 'id']).execute();
  await db.schema.createIndex('publication_stage').on('publication').columns(['stage', 'id']).execute();
  await db.schema.createIndex('publication_model').on('publication').column('model_id').execute();
}

async function createUploads(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('upload')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('key_id', 'text')
    .addColumn('token_sha256', 'text', (c) => c.notNull())
    .addColumn('file_name', 'text', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('completed_at', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('upload_account').on('upload').columns(['account', 'sha256']).execute();
  await db.schema.createIndex('upload_expiry').on('upload').column('expires_at').execute();
}

/** Accounts own models, in place of `owner`, which is free text. The indexes are those of `indexEveryOrder`. */
async function addAccounts(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('model').addColumn('account', 'text').execute();
  await dropFacetCounts(db);
  await keepFacetCounts(db, 'account');
  await indexOrders(db, ['visibility', 'account', 'owner', 'task', 'license', 'default_framework', 'default_bytes']);
}

async function countErasedInBackups(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('erasure')
    .addColumn('left_in_backups', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
}

async function createErasures(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('erasure')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('subject', 'text')
    .addColumn('key_id', 'text')
    .addColumn('made_from', 'bigint', (c) => c.notNull())
    .addColumn('made_before', 'bigint', (c) => c.notNull())
    .addColumn('predictions', 'text')
    .addColumn('last_data_key', 'integer', (c) => c.notNull())
    .addColumn('deleted', 'bigint', (c) => c.notNull())
    .addColumn('requested_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .execute();
  await db.schema
    .createIndex('erasure_unfinished')
    .on('erasure')
    .column('id')
    .where('finished_at' as never, 'is', null)
    .execute();
}

async function createDeletedVersions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('deleted_version')
    .addColumn('version_id', 'text', (c) => c.primaryKey())
    .addColumn('deleted_at', 'bigint', (c) => c.notNull())
    .execute();
}

async function createApiKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('api_key')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('secret_sha256', 'text', (c) => c.notNull())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('roles', 'text', (c) => c.notNull())
    .addColumn('operations', 'text')
    .addColumn('models', 'text')
    .addColumn('origins', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute();
}

async function createAuditLog(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('audit_log')
    .addColumn('sequence', 'integer', (c) => c.primaryKey())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('account', 'text', (c) => c.notNull())
    .addColumn('key_id', 'text')
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addColumn('before', 'text')
    .addColumn('after', 'text')
    .addColumn('sha256', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('audit_log_target').on('audit_log').columns(['target', 'sequence']).execute();
  await db.schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('sequence', 'integer', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .execute();
  await keepAuditLog(db);
}

async function addKeySuccessors(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_key').addColumn('replaced_by', 'text').execute();
}

async function addKeyUses(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_key').addColumn('last_used_at', 'bigint').execute();
}

async function addTokenSubjects(db: Kysely<unknown>): Promise<void> {
  for (const column of ['issuer', 'subject'])
    await db.schema.alterTable('audit_log').addColumn(column, 'text').execute();
}

async function addKeyLimits(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('api_key').addColumn('limits', 'text').execute();
  await db.schema.alterTable('api_key').addColumn('limits_changed_at', 'bigint').execute();
}

async function addVariants(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('version')
    .addColumn('variants', 'text', (c) => c.notNull().defaultTo('[]'))
    .execute();
}

async function addVerification(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('version').addColumn('verification', 'text').execute();
}

/**
 * Indexes for catalogs of 100,000 models. SQLite has no statistics here, so an index that some query should not use must
 * not exist: `metric_value` made it walk all metrics of a name for each model.
 */
async function indexLargeCatalogs(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('metric_value').execute();
  await db.schema
    .createIndex('evaluation_version_dataset')
    .on('evaluation')
    .columns(['version_id', 'dataset_id', 'id', 'job_state'])
    .execute();
  await db.schema.createIndex('version_model').on('version').columns(['model_id', 'id']).execute();
  await db.schema.dropIndex('version_dataset_dataset').execute();
  await db.schema
    .createIndex('version_dataset_dataset')
    .on('version_dataset')
    .columns(['dataset_id', 'version_id'])
    .execute();
}

/** The models are indexed at the next start, by `storage/search.ts`. */
async function replaceSearch(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('model').addColumn('search_id', 'integer').execute();
  await sql`drop table model_fts`.execute(db);
  await sql`create virtual table model_fts using fts5(name, title, summary, tags, card, stems,
    tokenize = 'unicode61', prefix = '2 3', content = '', contentless_delete = 1)`.execute(db);
}

/** Indexes with every column that a list of models filters, counts or orders by, so that no list reads the cards. */
async function indexModelListing(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('model').addColumn('default_framework', 'text').execute();
  await db.schema.alterTable('model').addColumn('default_bytes', 'bigint').execute();
  await sql`update model set (default_framework, default_bytes) =
    (select framework_name, artifact_bytes from version where version.id = model.default_version_id)`.execute(db);
  const listed = ['visibility', 'owner', 'task', 'license', 'default_version_id', 'default_framework', 'default_bytes'];
  for (const [index, first] of Object.entries({ model_listing: 'name', model_search: 'search_id' }))
    await db.schema
      .createIndex(index)
      .on('model')
      .columns([first, 'id', ...listed])
      .execute();
  await db.schema.dropIndex('model_tag_tag').execute();
  await db.schema.createIndex('model_tag_tag').on('model_tag').columns(['tag', 'model_id']).execute();
}

/** As `indexModelListing`, for each order of models; `search_id` is the key of searches and of `model_metric`. */
async function indexEveryOrder(db: Kysely<unknown>): Promise<void> {
  await indexOrders(db, ['visibility', 'owner', 'task', 'license', 'default_framework', 'default_bytes']);
}

async function indexOrders(db: Kysely<unknown>, listed: readonly string[]): Promise<void> {
  const orders = { listing: 'name', created: 'created_at', updated: 'updated_at', search: 'search_id' };
  for (const [index, first] of Object.entries(orders)) {
    await db.schema.dropIndex(`model_${index}`).execute();
    const columns = [first, 'id', ...listed, ...(first === 'search_id' ? [] : ['search_id'])];
    await db.schema.createIndex(`model_${index}`).on('model').columns(columns).execute();
  }
}

async function indexRetention(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createIndex('model_retention')
    .on('model')
    .column('id')
    .where('retention_days' as never, 'is not', null)
    .execute();
}

async function createLatency(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('latency')
    .addColumn('version_id', 'text', (c) => c.notNull().references('version.id').onDelete('cascade'))
    .addColumn('variant', 'text', (c) => c.notNull())
    .addColumn('machine', 'text', (c) => c.notNull())
    .addColumn('provider', 'text', (c) => c.notNull())
    .addColumn('runtime', 'text', (c) => c.notNull())
    .addColumn('points', 'text', (c) => c.notNull())
    .addColumn('measured_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('latency_pk', ['version_id', 'variant', 'machine', 'provider', 'runtime'])
    .execute();
}

async function createModels(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('model')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('summary', 'text')
    .addColumn('task', 'text', (c) => c.notNull())
    .addColumn('owner', 'text')
    .addColumn('license', 'text')
    .addColumn('visibility', 'text', (c) => c.notNull())
    .addColumn('card', 'text', (c) => c.notNull())
    .addColumn('default_version_id', 'text')
    .addColumn('retention_days', 'integer')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('model_created').on('model').columns(['created_at', 'id']).execute();
  await db.schema.createIndex('model_updated').on('model').columns(['updated_at', 'id']).execute();
  await db.schema
    .createTable('model_tag')
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('tag', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('model_tag_pk', ['model_id', 'tag'])
    .execute();
  await db.schema.createIndex('model_tag_tag').on('model_tag').column('tag').execute();
  await createVersions(db);
}

async function createVersions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('version')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('model_id', 'text', (c) => c.notNull().references('model.id').onDelete('cascade'))
    .addColumn('number', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('state_reason', 'text')
    .addColumn('spec', 'text')
    .addColumn('source_sha256', 'text', (c) => c.notNull())
    .addColumn('artifact_sha256', 'text')
    .addColumn('artifact_bytes', 'bigint')
    .addColumn('parameter_count', 'bigint')
    .addColumn('opset', 'integer')
    .addColumn('producer', 'text')
    .addColumn('framework', 'text')
    .addColumn('framework_name', 'text')
    .addColumn('preload', 'integer', (c) => c.notNull())
    .addColumn('test_dataset', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('version_number', ['model_id', 'number'])
    .addUniqueConstraint('version_of_model', ['id', 'model_id'])
    .execute();
  await db.schema.createIndex('version_artifact').on('version').column('artifact_sha256').execute();
  await db.schema
    .createTable('alias')
    .addColumn('model_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version_id', 'text', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('alias_pk', ['model_id', 'name'])
    // An alias can only point at a version of its own model.
    .addForeignKeyConstraint('alias_version', ['version_id', 'model_id'], 'version', ['id', 'model_id'])
    .execute();
  await db.schema.createIndex('alias_version').on('alias').column('version_id').execute();
}

async function createDatasets(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('dataset')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('title', 'text', (c) => c.notNull())
    .addColumn('family', 'text')
    .addColumn('split', 'text')
    .addColumn('task', 'text', (c) => c.notNull())
    .addColumn('row_count', 'bigint')
    .addColumn('sha256', 'text')
    .addColumn('license', 'text')
    .addColumn('source', 'text')
    .addColumn('description', 'text')
    .addColumn('target', 'text')
    .addColumn('visibility', 'text', (c) => c.notNull())
    .addColumn('columns', 'text', (c) => c.notNull())
    .addColumn('preview', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('version_dataset')
    .addColumn('version_id', 'text', (c) => c.notNull().references('version.id').onDelete('cascade'))
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addPrimaryKeyConstraint('version_dataset_pk', ['version_id', 'dataset_id'])
    .execute();
  await db.schema.createIndex('version_dataset_dataset').on('version_dataset').column('dataset_id').execute();
}

async function createEvaluations(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('evaluation')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('version_id', 'text', (c) => c.notNull().references('version.id').onDelete('cascade'))
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('origin', 'text', (c) => c.notNull())
    .addColumn('job_state', 'text', (c) => c.notNull())
    .addColumn('evaluated_rows', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .execute();
  await db.schema.createIndex('evaluation_version').on('evaluation').columns(['version_id', 'id']).execute();
  await db.schema.createIndex('evaluation_dataset').on('evaluation').columns(['dataset_id', 'id']).execute();
  await db.schema
    .createTable('metric')
    .addColumn('evaluation_id', 'text', (c) => c.notNull().references('evaluation.id').onDelete('cascade'))
    .addColumn('ordinal', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('average', 'text')
    .addColumn('label', 'text')
    .addColumn('value', 'double precision')
    .addColumn('undefined_reason', 'text')
    .addColumn('higher_is_better', 'integer', (c) => c.notNull())
    .addColumn('interval_low', 'double precision')
    .addColumn('interval_high', 'double precision')
    .addColumn('interval_level', 'double precision')
    .addColumn('interval_method', 'text')
    .addPrimaryKeyConstraint('metric_pk', ['evaluation_id', 'ordinal'])
    .execute();
  await db.schema.createIndex('metric_value').on('metric').columns(['name', 'value']).execute();
}

/** Full-text indexes and `kept-tables.ts` differ between dialects. The queries are in `storage/search.ts`. */
async function createSearch(db: Kysely<unknown>): Promise<void> {
  await sql`create virtual table model_fts using
    fts5(model_id unindexed, name, title, summary, tags, card, tokenize = 'porter unicode61')`.execute(db);
}

/** Private models leave the index of public ones. They are indexed at the next start, by `storage/search.ts`. */
async function searchPrivateModels(db: Kysely<unknown>): Promise<void> {
  await sql`create virtual table private_model_fts using fts5(name, title, summary, tags, card, stems, account,
    tokenize = 'unicode61', prefix = '2 3', content = '', contentless_delete = 1)`.execute(db);
  await sql`delete from model_fts where rowid in (select search_id from model where visibility = 'private')`.execute(
    db,
  );
  await sql`update model set search_id = null where visibility = 'private'`.execute(db);
  await sql`create trigger model_fts_delete before delete on model when old.search_id is not null begin
    delete from model_fts where rowid = old.search_id;
    delete from private_model_fts where rowid = old.search_id; end`.execute(db);
}
