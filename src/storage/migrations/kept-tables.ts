/**
 * Tables that triggers keep in step with others, whoever writes: what lists of models would otherwise compute from all
 * models. Like full-text search, another dialect would write them differently.
 */
import { type Kysely, sql } from 'kysely';

type Row = 'new' | 'old';

async function run(db: Kysely<unknown>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

/**
 * `model_metric`: the values that lists of models are filtered by. For each model, the metrics of its default version
 * that cover all classes, have a value and are of evaluations that SUCCEEDED. Visibility is checked by the reader.
 */
export async function keepModelMetrics(db: Kysely<unknown>): Promise<void> {
  await run(db, [
    `create table model_metric (search_id integer not null, name text not null, value double precision not null,
      dataset_id text not null, primary key (search_id, name, value, dataset_id)) without rowid`,
    addMetrics(OF_MODEL, 'model.search_id is not null'),
    'create index model_metric_value on model_metric (name, value)',
    'create index model_metric_dataset on model_metric (name, dataset_id, value)',
    `create trigger model_metric_default after update of default_version_id, search_id on model
      when (new.default_version_id, new.search_id) is not (old.default_version_id, old.search_id)
      begin ${replaceMetrics('new.id')} end`,
    `create trigger model_metric_delete before delete on model
      begin delete from model_metric where search_id = old.search_id; end`,
    `create trigger model_metric_insert after insert on metric
      begin ${addMetrics(OF_METRIC, 'metric.evaluation_id = new.evaluation_id and metric.ordinal = new.ordinal')} end`,
    `create trigger model_metric_state after update of job_state on evaluation
      begin ${replaceMetrics(modelOf('new'))} end`,
    `create trigger model_metric_evaluation_delete after delete on evaluation
      begin ${replaceMetrics(modelOf('old'))} end`,
  ]);
}

/** A model that loses its row id in the search index also loses its metrics under this id. */
export async function forgetMetricsOfOldIds(db: Kysely<unknown>): Promise<void> {
  await run(db, [
    'drop trigger model_metric_default',
    `create trigger model_metric_default after update of default_version_id, search_id on model
      when (new.default_version_id, new.search_id) is not (old.default_version_id, old.search_id)
      begin delete from model_metric where search_id = old.search_id; ${replaceMetrics('new.id')} end`,
    'delete from model_metric where search_id not in (select search_id from model where search_id is not null)',
  ]);
}

const modelOf = (evaluation: Row) => `(select model_id from version where id = ${evaluation}.version_id)`;

/** Where the metrics of a default version are found, from its model and from one of them. */
const OF_MODEL = `model cross join evaluation on evaluation.version_id = model.default_version_id
  cross join metric on metric.evaluation_id = evaluation.id`;
const OF_METRIC = `metric cross join evaluation on evaluation.id = metric.evaluation_id
  cross join version on version.id = evaluation.version_id
  cross join model on model.id = version.model_id and model.default_version_id = version.id`;

/** Evaluations on one dataset may have the same value, which is kept once. */
function addMetrics(from: string, condition: string): string {
  return `insert into model_metric (search_id, name, value, dataset_id)
    ${metricsIn(from, condition)}
    on conflict do nothing;`;
}

function metricsIn(from: string, condition: string): string {
  return `select model.search_id, metric.name, metric.value, evaluation.dataset_id from ${from}
    where ${condition} and model.search_id is not null and evaluation.job_state = 'SUCCEEDED'
      and metric.label is null and metric.value is not null`;
}

function replaceMetrics(modelId: string): string {
  return `delete from model_metric where search_id = (select search_id from model where id = ${modelId});
    ${addMetrics(OF_MODEL, `model.id = ${modelId}`)}`;
}

/**
 * `model_score`: the values that lists of models are ordered by. For each model and dataset, the metrics that cover all
 * classes, of the evaluation of its default version that `Version.evaluation` returns; of several averages of a metric, the
 * first. Visibility is checked by the reader.
 */
export async function keepModelScores(db: Kysely<unknown>): Promise<void> {
  const ofModel = (modelId: string) => replaceScores(`model.id = ${modelId}`);
  const ofDataset = (modelId: string, datasetId: string) =>
    replaceScores(`model.id = ${modelId}`, `best.dataset_id = ${datasetId}`);
  const ofEvaluation = (evaluation: Row) => ofDataset(modelOf(evaluation), `${evaluation}.dataset_id`);
  const ofMetric = `(select dataset_id from evaluation where id = new.evaluation_id)`;
  // Only the first average of a metric counts.
  const isFirst = `new.label is null and not exists (select 1 from metric where evaluation_id = new.evaluation_id
    and name = new.name and label is null and ordinal < new.ordinal)`;
  const modelOfMetric = `(select model_id from version where id = (select version_id from evaluation where id = new.evaluation_id))`;
  await run(db, [
    `create table model_score (search_id integer not null, name text not null, dataset_id text not null,
      value double precision not null, model_id text not null, primary key (search_id, name, dataset_id)) without rowid`,
    `insert into model_score ${scoresIn('true')}`,
    'create index model_score_value on model_score (name, dataset_id, value, model_id, search_id)',
    `create trigger model_score_default after update of default_version_id, search_id on model
      when (new.default_version_id, new.search_id) is not (old.default_version_id, old.search_id)
      begin delete from model_score where search_id = old.search_id; ${ofModel('new.id')} end`,
    `create trigger model_score_delete before delete on model
      begin delete from model_score where search_id = old.search_id; end`,
    `create trigger model_score_metric after insert on metric when ${isFirst}
      begin ${ofDataset(modelOfMetric, ofMetric)} end`,
    `create trigger model_score_evaluation after insert on evaluation when new.job_state = 'SUCCEEDED'
      begin ${ofEvaluation('new')} end`,
    `create trigger model_score_state after update of job_state on evaluation begin ${ofEvaluation('new')} end`,
    `create trigger model_score_evaluation_delete after delete on evaluation begin ${ofEvaluation('old')} end`,
  ]);
}

function replaceScores(ofModel: string, ofDataset = 'true'): string {
  const datasets = ofDataset.replace('best.', '');
  return `delete from model_score where search_id = (select search_id from model where ${ofModel}) and ${datasets};
    insert into model_score ${scoresIn(`${ofModel} and ${ofDataset}`)};`;
}

/** The order is that of `findBestEvaluations`. */
function scoresIn(condition: string): string {
  return `select model.search_id, metric.name, best.dataset_id, metric.value, model.id
    from model cross join evaluation as best on best.version_id = model.default_version_id
      cross join metric on metric.evaluation_id = best.id
    where ${condition} and model.search_id is not null and metric.label is null and metric.value is not null
      and best.id = (select evaluation.id from evaluation where evaluation.version_id = best.version_id
        and evaluation.dataset_id = best.dataset_id and evaluation.job_state = 'SUCCEEDED'
        order by case evaluation.origin when 'COMPUTED' then 0 else 1 end, evaluation.id desc limit 1)
      and metric.ordinal = (select min(first.ordinal) from metric as first
        where first.evaluation_id = best.id and first.name = metric.name and first.label is null)`;
}

/**
 * `facet_count`: how many models have each value of a facet, by what decides who may see them: the visibility, and of
 * private models the holder. Before migration 018 that was the owner.
 */
export async function keepFacetCounts(db: Kysely<unknown>, holder: Holder): Promise<void> {
  const columns = [...new Set(['visibility', holder, ...Object.values(FACET_COLUMNS)])];
  const valuesOf = (row: Row) => `(${columns.map((column) => `${row}.${column}`).join(', ')})`;
  await run(db, [
    `create table facet_count (field text not null, value text not null, visibility text not null,
      ${holder} text not null, count integer not null, primary key (field, value, visibility, ${holder})) without rowid`,
    ...countedFacets().map((facet) => fillCounts(holder, ...facet)),
    `create trigger facet_count_insert after insert on model begin ${countModel(holder, 'new', 1)} end`,
    `create trigger facet_count_update after update of ${columns.join(', ')} on model
      when ${valuesOf('new')} is not ${valuesOf('old')} begin ${countModel(holder, 'old', -1)} ${countModel(holder, 'new', 1)} end`,
    `create trigger facet_count_delete before delete on model begin ${countModel(holder, 'old', -1)} end`,
    `create trigger facet_count_tag_insert after insert on model_tag begin ${countTag(holder, 'new', 1)} end`,
    `create trigger facet_count_tag_delete after delete on model_tag begin ${countTag(holder, 'old', -1)} end`,
  ]);
}

/** Drops what `keepFacetCounts` has created. */
export async function dropFacetCounts(db: Kysely<unknown>): Promise<void> {
  const triggers = ['insert', 'update', 'delete', 'tag_insert', 'tag_delete'];
  await run(db, [...triggers.map((name) => `drop trigger facet_count_${name}`), 'drop table facet_count']);
}

/** The column of `model` that decides who may see private models. */
type Holder = 'owner' | 'account';

/** Each facet: its name, its value, and where it is found. */
function countedFacets(): [field: string, value: string, from: string][] {
  return [
    ...Object.entries(FACET_COLUMNS).map(([field, column]): [string, string, string] => [
      field,
      `model.${column}`,
      'model',
    ]),
    ['TAG', 'tag', 'model_tag cross join model on model.id = model_tag.model_id'],
  ];
}

const FACET_COLUMNS = { TASK: 'task', LICENSE: 'license', FRAMEWORK: 'default_framework', OWNER: 'owner' };

/** Who may see a model, as two columns. A holder without a name holds nothing. */
const seenBy = (holder: Holder, model: Row | 'model') =>
  `${model}.visibility, case ${model}.visibility when 'public' then '' else coalesce(${model}.${holder}, '') end`;

function fillCounts(holder: Holder, field: string, value: string, from: string): string {
  return `insert into facet_count ${countsIn(holder, field, value, from)}`;
}

function countsIn(holder: Holder, field: string, value: string, from: string): string {
  return `select '${field}', ${value}, ${seenBy(holder, 'model')}, count(*) from ${from}
    where ${value} is not null group by 2, 3, 4`;
}

/** Counts the values of a model, and its tags, up or down. */
function countModel(holder: Holder, model: Row, by: 1 | -1): string {
  const columns = Object.entries(FACET_COLUMNS).map(
    ([field, column]) => `select '${field}' as field, ${model}.${column} as value`,
  );
  const tags = `select 'TAG', tag from model_tag where model_id = ${model}.id`;
  return count(
    holder,
    `select field, value, ${seenBy(holder, model)}, ${by} from (${[...columns, tags].join(' union all ')})
    where value is not null`,
  );
}

/** Counts nothing if the model is being deleted, because its tags were counted down before. */
function countTag(holder: Holder, tag: Row, by: 1 | -1): string {
  return count(
    holder,
    `select 'TAG', ${tag}.tag, ${seenBy(holder, 'model')}, ${by} from model where id = ${tag}.model_id`,
  );
}

function count(holder: Holder, rows: string): string {
  return `insert into facet_count (field, value, visibility, ${holder}, count) ${rows}
    on conflict do update set count = count + excluded.count;`;
}

/** The rows that each of these tables should have, as a query. Rows of `facet_count` that count nothing may remain. */
export const keptRows = {
  model_metric: () => `select distinct * from (${metricsIn(OF_MODEL, 'true')})`,
  model_score: () => scoresIn('true'),
  facet_count: () =>
    countedFacets()
      .map((facet) => countsIn('account', ...facet))
      .join(' union all '),
} as const;

/** `audit_log` is append-only. Who can write to the file can drop the triggers, but not repair the chain of digests unnoticed. */
export async function keepAuditLog(db: Kysely<unknown>): Promise<void> {
  const refuse = "begin select raise(abort, 'the audit log is append-only'); end";
  await run(db, [
    // `insert or replace` deletes a row without the trigger for that.
    `create trigger audit_log_insert before insert on audit_log
      when exists (select 1 from audit_log where sequence = new.sequence) ${refuse}`,
    `create trigger audit_log_update before update on audit_log ${refuse}`,
    `create trigger audit_log_delete before delete on audit_log ${refuse}`,
    `create trigger audit_head_delete before delete on audit_head ${refuse}`,
  ]);
}
