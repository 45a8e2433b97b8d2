/** All SQL for evaluations and their metrics. Lists are read for many parents in one statement. */
import { type ExpressionBuilder, type SqlBool, sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { compiledFor, maySeeDataset, maySeeModel } from '../catalog/visibility.js';
import { create } from '../graphql/create.js';
import type { Values } from '../storage/compiled.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { EvaluationTable, MetricTable } from '../storage/migrations/evaluation.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pagesByParent } from '../storage/pages.js';
import { countUpToCap, type Ids, idsIn, idsOf, isSet, jsonListOf, limitOf, rowCount, rowsOf } from '../storage/sql.js';
import { Evaluation, type EvaluationOrigin, type Interval, type Metric } from './evaluation.type.js';

export type EvaluationParent = 'version' | 'dataset';
export type NewMetric = Omit<MetricTable, 'evaluation_id' | 'ordinal'>;

/** Evaluations whose model and dataset the principal may both see. */
export function visibleEvaluations(db: CatalogDatabase, principal: Viewer) {
  return db
    .selectFrom('evaluation')
    .innerJoin('version', 'version.id', 'evaluation.version_id')
    .innerJoin('model', 'model.id', 'version.model_id')
    .innerJoin('dataset', 'dataset.id', 'evaluation.dataset_id')
    .where(maySeeModel(principal))
    .where(maySeeDataset(principal));
}

export async function findEvaluationsByIds(
  db: CatalogDatabase,
  principal: Viewer,
  ids: readonly string[],
): Promise<Evaluation[]> {
  const rows = await visibleEvaluations(db, principal)
    .selectAll('evaluation')
    .where('evaluation.id', 'in', ids)
    .execute();
  return rows.map((row) => toEvaluation(row));
}

interface Range {
  readonly parents: Ids;
  readonly limit: number;
  /** The evaluation after which the page begins; empty for the first page. */
  readonly after: string;
}

/** One limited subquery for each parent, which reads no more of its index than a page has. */
function evaluationPages(parent: EvaluationParent, hasCursor: boolean) {
  return compiledFor((db, viewer, { parents, limit, after }: Range & Values) => {
    const newest = evaluationsOf(db, viewer, parent)
      .select('evaluation.id')
      .orderBy('evaluation.id', 'desc')
      .limit(limitOf(limit));
    return db
      .selectFrom(rowsOf(parents).as('parent'))
      .crossJoin('evaluation as listed')
      .where('listed.id', 'in', hasCursor ? newest.where('evaluation.id', '<', after) : newest)
      .selectAll('listed')
      .select('parent.id as parent_id')
      .orderBy('listed.id', 'desc');
  });
}

const EVALUATION_PAGES = {
  version: { first: evaluationPages('version', false), next: evaluationPages('version', true) },
  dataset: { first: evaluationPages('dataset', false), next: evaluationPages('dataset', true) },
} as const;

/** A page of evaluations for each parent, newest first. @throws BadArgumentError */
export async function findEvaluationPages(
  db: CatalogDatabase,
  principal: Principal,
  parent: EvaluationParent,
  parentIds: readonly string[],
  { first, after: cursor }: PageArgs,
): Promise<Map<string, Page<Evaluation>>> {
  const parents = idsOf(parentIds);
  const limit = checkFirst(first) + 1;
  const after = cursor == null ? '' : positionIn(parent, parentIds[0] as string, cursor);
  const find = EVALUATION_PAGES[parent][cursor == null ? 'first' : 'next'];
  return pagesByParent(
    parentIds,
    await find(db, principal, { parents, limit, after }),
    { first, after: cursor },
    {
      toNode: (row) => toEvaluation(row),
      listOf: (parentId) => listId('evaluations', parent, parentId),
      keyOf: ({ id }) => [id],
      countTotals: () =>
        db
          .selectFrom(rowsOf(parents).as('parent'))
          .select(['parent.id as parent_id', countUpToCap(evaluationsOf(db, principal, parent)).as('count')])
          .execute(),
    },
  );
}

/** The id of the evaluation that a cursor marks. @throws BadArgumentError if the cursor belongs to another parent */
export function positionIn(parent: EvaluationParent, parentId: string, after: string): string {
  return decodeCursor(listId('evaluations', parent, parentId), after, ['string'])[0] as string;
}

/** The visible evaluations of the row `parent` of the outer query. */
function evaluationsOf(db: CatalogDatabase, principal: Viewer, parent: EvaluationParent) {
  return visibleEvaluations(db, principal).where(
    sql<SqlBool>`${sql.ref(`evaluation.${parent}_id`)} = ${sql.ref('parent.id')}`,
  );
}

export interface EvaluationChoice {
  readonly dataset?: string | null | undefined;
  readonly origin?: keyof typeof EvaluationOrigin | null | undefined;
  /** Whether their metrics are read with them. */
  readonly hasMetrics?: boolean;
}

const METRIC_COLUMNS = [
  'name',
  'average',
  'label',
  'value',
  'undefined_reason',
  'higher_is_better',
  'interval_low',
  'interval_high',
  'interval_level',
  'interval_method',
] as const satisfies (keyof MetricTable)[];

interface Choice {
  readonly versions: Ids;
  /** Empty if the choice does not name it. */
  readonly dataset: string;
  readonly origin: string;
}

/** What differs between the texts of these queries. */
interface ChoiceForm {
  readonly hasDataset: boolean;
  readonly hasOrigin: boolean;
  readonly hasMetrics: boolean;
}

/** One limited subquery for each version, so that the others are not read. */
function bestEvaluations({ hasDataset, hasOrigin, hasMetrics }: ChoiceForm) {
  return compiledFor((db, viewer, { versions, dataset, origin }: Choice & Values) => {
    let candidates = visibleEvaluations(db, viewer)
      .select('evaluation.id')
      .where(sql<SqlBool>`${sql.ref('version.id')} = ${sql.ref('wanted.id')}`)
      .where('evaluation.job_state', '=', 'SUCCEEDED')
      .orderBy((eb) => eb.case('evaluation.origin').when('COMPUTED').then(0).else(1).end())
      .orderBy('evaluation.id', 'desc')
      .limit(sql.lit(1));
    candidates = hasDataset
      ? candidates.where('dataset.name', '=', dataset)
      : candidates.whereRef('dataset.name', '=', 'version.test_dataset');
    if (hasOrigin) candidates = candidates.where('evaluation.origin', '=', origin as Evaluation['origin']);
    return db
      .selectFrom(rowsOf(versions).as('wanted'))
      .crossJoin('evaluation as best')
      .where('best.id', '=', candidates)
      .selectAll('best')
      .select((eb) => [hasMetrics ? metricsOf(eb).as('metrics') : sql<string | null>`null`.as('metrics')]);
  });
}

function metricsOf(eb: ExpressionBuilder<CatalogTables & { best: EvaluationTable }, 'best'>) {
  const rows = eb.selectFrom('metric').selectAll().whereRef('evaluation_id', '=', 'best.id').orderBy('ordinal');
  return jsonListOf(rows, sql`json_array(${sql.join(METRIC_COLUMNS.map((column) => sql.ref(column)))})`);
}

/** Eight at most, by their forms. */
const known = new Map<string, ReturnType<typeof bestEvaluations>>();

function bestEvaluationsOf(form: ChoiceForm) {
  const key = JSON.stringify(form);
  const find = known.get(key) ?? bestEvaluations(form);
  known.set(key, find);
  return find;
}

/**
 * For each version, its newest evaluation that SUCCEEDED on the dataset (by default the version's test dataset).
 * COMPUTED evaluations take precedence over IMPORTED ones. With their metrics only if `hasMetrics`.
 */
export async function findBestEvaluations(
  db: CatalogDatabase,
  principal: Principal,
  versionIds: readonly string[],
  { dataset, origin, hasMetrics = false }: EvaluationChoice,
): Promise<Evaluation[]> {
  const find = bestEvaluationsOf({ hasDataset: dataset != null, hasOrigin: origin != null, hasMetrics });
  const values = { versions: idsOf(versionIds), dataset: dataset ?? '', origin: origin ?? '' };
  return (await find(db, principal, values)).map((row) => toEvaluation(row, toMetrics(row.metrics)));
}

/** Visibility is checked for each evaluation, not for each of its metrics. */
const metricsByEvaluation = compiledFor((db, viewer, { ids }: { ids: Ids }) =>
  db
    .selectFrom('metric')
    .select(['metric.evaluation_id', ...METRIC_COLUMNS])
    .where(
      'metric.evaluation_id',
      'in',
      visibleEvaluations(db, viewer).select('evaluation.id').where('evaluation.id', 'in', idsIn(ids)),
    )
    .orderBy('metric.evaluation_id')
    .orderBy('metric.ordinal'),
);

export async function findMetrics(
  db: CatalogDatabase,
  principal: Viewer,
  evaluationIds: readonly string[],
): Promise<(MetricValues & { evaluation_id: string })[]> {
  return metricsByEvaluation(db, principal, { ids: idsOf(evaluationIds) });
}

/**
 * Those of the evaluations whose version was trained on the dataset itself, or on one with the same file or the same rows that
 * the principal may see.
 */
export async function findEvaluationsOnTrainingData(
  db: CatalogDatabase,
  principal: Principal,
  evaluationIds: readonly string[],
): Promise<string[]> {
  const rows = await visibleEvaluations(db, principal)
    .select('evaluation.id')
    .where('evaluation.id', 'in', evaluationIds)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('version_dataset')
          .innerJoin(
            selectFrom('dataset').where(maySeeDataset(principal)).select(['id', 'sha256', 'rows_sha256']).as('trained'),
            'trained.id',
            'version_dataset.dataset_id',
          )
          .select('trained.id')
          .whereRef('version_dataset.version_id', '=', 'evaluation.version_id')
          .where(({ or, eb }) =>
            or([
              eb('trained.id', '=', eb.ref('evaluation.dataset_id')),
              eb('trained.sha256', '=', eb.ref('dataset.sha256')),
              eb('trained.rows_sha256', '=', eb.ref('dataset.rows_sha256')),
            ]),
          ),
      ),
    )
    .execute();
  return rows.map(({ id }) => id);
}

/** The newest READY version of a model, and how many evaluations on the dataset were already imported for it. */
export async function findNewestVersion(
  db: CatalogDatabase,
  principal: Principal,
  modelId: string,
  datasetId: string,
): Promise<{ id: string; imported: number } | undefined> {
  return db
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .where(maySeeModel(principal))
    .select('version.id')
    .select((eb) =>
      eb
        .selectFrom('evaluation')
        .select(rowCount().as('count'))
        .whereRef('evaluation.version_id', '=', 'version.id')
        .where('evaluation.dataset_id', '=', datasetId)
        .where('evaluation.origin', '=', 'IMPORTED')
        .$asScalar()
        .$notNull()
        .as('imported'),
    )
    .where('version.model_id', '=', modelId)
    .where('version.state', '=', 'READY')
    .orderBy('version.number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Adds a finished evaluation and its metrics in one transaction. */
export async function insertEvaluation(
  db: CatalogDatabase,
  evaluation: Pick<EvaluationTable, 'version_id' | 'dataset_id' | 'origin' | 'evaluated_rows'>,
  metrics: readonly NewMetric[],
  now: number,
): Promise<void> {
  const id = newId('Evaluation');
  await db.transaction().execute(async (trx) => {
    const row = { ...evaluation, id, job_state: 'SUCCEEDED' as const, created_at: now, finished_at: now };
    await trx.insertInto('evaluation').values(row).execute();
    await insertMetrics(trx, id, metrics);
  });
}

/** Rows that one statement adds. */
const METRICS_A_STATEMENT = 100;

export async function insertMetrics(
  trx: Transaction<CatalogTables>,
  evaluationId: string,
  metrics: readonly NewMetric[],
): Promise<void> {
  const rows = metrics.map((metric, ordinal) => ({ ...metric, evaluation_id: evaluationId, ordinal }));
  for (let at = 0; at < rows.length; at += METRICS_A_STATEMENT)
    await trx
      .insertInto('metric')
      .values(rows.slice(at, at + METRICS_A_STATEMENT))
      .execute();
}

function toEvaluation(row: EvaluationTable, metrics: Metric[] | null = null): Evaluation {
  return create(Evaluation, {
    id: row.id,
    versionId: row.version_id,
    datasetId: row.dataset_id,
    knownMetrics: metrics,
    origin: row.origin,
    jobState: row.job_state,
    evaluatedRows: row.evaluated_rows,
    createdAt: new Date(row.created_at),
    finishedAt: row.finished_at === null ? null : new Date(row.finished_at),
  });
}

function toMetrics(json: string | null): Metric[] | null {
  if (json === null) return null;
  const rows: ValuesOf<MetricColumns>[] = JSON.parse(json);
  return rows.map(([name, average, label, value, reason, higher, low, high, level, method]) =>
    toMetric({
      name,
      average,
      label,
      value,
      undefined_reason: reason,
      higher_is_better: higher,
      interval_low: low,
      interval_high: high,
      interval_level: level,
      interval_method: method,
    }),
  );
}

type MetricColumns = typeof METRIC_COLUMNS;
type MetricValues = Pick<MetricTable, MetricColumns[number]>;
type ValuesOf<Columns extends readonly (keyof MetricTable)[]> = {
  readonly [I in keyof Columns]: MetricTable[Columns[I]];
};

export function toMetric(row: MetricValues): Metric {
  // An object literal: `create` takes ten times as long, and a page has hundreds of metrics.
  return {
    name: row.name,
    average: row.average,
    label: row.label,
    value: row.value,
    undefinedReason: row.undefined_reason,
    higherIsBetter: isSet(row.higher_is_better),
    interval: intervalOf(row),
  };
}

function intervalOf(row: MetricValues): Interval | null {
  const { interval_low: low, interval_high: high, interval_level: level, interval_method: method } = row;
  return low === null || high === null || level === null || method === null ? null : { low, high, level, method };
}
