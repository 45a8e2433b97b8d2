/** SQL of the versions that are chosen between: those with an evaluation on a dataset, and those without. */
import { type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { compiledFor, maySeeModel } from '../catalog/visibility.js';
import { toMetric, visibleEvaluations } from '../evaluation/evaluation.queries.js';
import type { Metric } from '../evaluation/evaluation.type.js';
import type { Values } from '../storage/compiled.js';
import type { CatalogDatabase } from '../storage/database.js';
import { type Ids, idsIn, idsOf, interruptible, limitOf } from '../storage/sql.js';
import type { TaskName } from '../tasks/tasks.js';

/** A version that could be chosen. */
export interface Option {
  readonly versionId: string;
  readonly ref: string;
  readonly license: string | null;
  readonly artifactBytes: number | null;
}

/** With its evaluation on the dataset. */
export interface Evaluated extends Option {
  readonly datasetId: string;
  readonly evaluationId: string;
  readonly isComputed: boolean;
  /** Null if the evaluation does not have it. */
  readonly metric: Metric | null;
}

/** Without an evaluation by this server of the rows that the dataset has. */
export interface Unevaluated extends Option {
  /** The newest one by this server: unfinished, without a result, or of other rows. Null if there is none. */
  readonly begunId: string | null;
}

/** Whether `candidate` is of the rows that `dataset` has now. What was imported does not say. */
const OF_PRESENT_ROWS = sql<SqlBool>`not exists (select 1 from evaluation_job
  where evaluation_job.evaluation_id = candidate.id and evaluation_job.rows_sha256 is not dataset.rows_sha256)`;

/** The evaluation that counts for a version: the newest by this server, otherwise the newest that was imported. */
const IS_BEST = sql<SqlBool>`evaluation.id = (select candidate.id from evaluation as candidate
  where candidate.version_id = evaluation.version_id and candidate.dataset_id = evaluation.dataset_id
    and candidate.job_state = 'SUCCEEDED' and ${OF_PRESENT_ROWS}
  order by case candidate.origin when 'COMPUTED' then 0 else 1 end, candidate.id desc limit 1)`;

/** Of several averages, the first one. */
const IS_FIRST = sql<SqlBool>`metric.ordinal = (select min(first.ordinal) from metric as first
  where first.evaluation_id = evaluation.id and first.name = metric.name and first.label is null)`;

/** Best first: by this server before others, then by the metric. */
const PLACE = sql<number>`row_number() over (partition by evaluation.dataset_id
  order by case evaluation.origin when 'COMPUTED' then 0 else 1 end,
    case when metric.value is null then 1 else 0 end,
    case metric.higher_is_better when 1 then -metric.value else metric.value end, evaluation.id desc)`;

interface Wanted {
  readonly datasets: Ids;
  readonly metric: string;
  /** Empty for all. */
  readonly task: string;
  readonly limit: number;
}

const evaluatedVersions = compiledFor((db, viewer, { datasets, metric, task, limit }: Wanted & Values) => {
  const placed = visibleEvaluations(db, viewer)
    .leftJoin('metric', (join) =>
      join
        .onRef('metric.evaluation_id', '=', 'evaluation.id')
        .on('metric.name', '=', metric)
        .on('metric.label', 'is', null)
        .on(IS_FIRST),
    )
    .where('evaluation.dataset_id', 'in', idsIn(datasets))
    .where(sql<SqlBool>`model.task = coalesce(nullif(${task}, ''), model.task)`)
    .where('version.state', '=', 'READY')
    .where(IS_BEST)
    .where(interruptible())
    .select([
      'evaluation.id as evaluation_id',
      'evaluation.dataset_id',
      'evaluation.version_id',
      'evaluation.origin',
      'model.name as model',
      'model.license',
      'version.number',
      'version.artifact_bytes',
      'metric.name',
      'metric.average',
      'metric.label',
      'metric.value',
      'metric.undefined_reason',
      'metric.higher_is_better',
      'metric.interval_low',
      'metric.interval_high',
      'metric.interval_level',
      'metric.interval_method',
      PLACE.as('place'),
    ]);
  return db.selectFrom(placed.as('placed')).selectAll().where('place', '<=', limitOf(limit)).orderBy('place');
});

/** At most `limit` for each dataset, best first. */
export async function findEvaluated(
  db: CatalogDatabase,
  principal: Principal,
  datasetIds: readonly string[],
  { metric, task, limit }: { readonly metric: string; readonly task: TaskName | null; readonly limit: number },
): Promise<Evaluated[]> {
  const rows = await evaluatedVersions(db, principal, { datasets: idsOf(datasetIds), metric, task: task ?? '', limit });
  return rows.map(({ name, higher_is_better, ...row }) => ({
    versionId: row.version_id,
    ref: `${row.model}:${row.number}`,
    license: row.license,
    artifactBytes: row.artifact_bytes,
    datasetId: row.dataset_id,
    evaluationId: row.evaluation_id,
    isComputed: row.origin === 'COMPUTED',
    metric: name === null || higher_is_better === null ? null : toMetric({ ...row, name, higher_is_better }),
  }));
}

function unevaluatedVersions(db: CatalogDatabase, viewer: Viewer, task: TaskName, datasetId: string) {
  return db
    .selectFrom('model')
    .innerJoin('version', 'version.model_id', 'model.id')
    .where(maySeeModel(viewer))
    .where('model.task', '=', task)
    .where('version.state', '=', 'READY')
    .where(interruptible())
    .where(
      sql<SqlBool>`not exists (select 1 from evaluation as candidate, dataset
        where candidate.version_id = version.id and candidate.dataset_id = ${datasetId}
          and candidate.job_state = 'SUCCEEDED' and candidate.origin = 'COMPUTED'
          and dataset.id = candidate.dataset_id and ${OF_PRESENT_ROWS})`,
    );
}

/** At most `limit`, default versions first, by name. The principal may see the dataset. */
export async function findUnevaluated(
  db: CatalogDatabase,
  principal: Principal,
  { task, datasetId, limit }: { readonly task: TaskName; readonly datasetId: string; readonly limit: number },
): Promise<Unevaluated[]> {
  const rows = await unevaluatedVersions(db, principal, task, datasetId)
    .select(['version.id', 'model.name as model', 'version.number', 'model.license', 'version.artifact_bytes'])
    .select((eb) =>
      eb
        .selectFrom('evaluation')
        .select('evaluation.id')
        .whereRef('evaluation.version_id', '=', 'version.id')
        .where('evaluation.dataset_id', '=', datasetId)
        .where('evaluation.origin', '=', 'COMPUTED')
        .orderBy('evaluation.id', 'desc')
        .limit(1)
        .as('begun_id'),
    )
    .orderBy(sql`case version.id when model.default_version_id then 0 else 1 end`)
    .orderBy('model.name')
    .orderBy('version.number', 'desc')
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    versionId: row.id,
    ref: `${row.model}:${row.number}`,
    license: row.license,
    artifactBytes: row.artifact_bytes,
    begunId: row.begun_id,
  }));
}
