/** SQL of evaluations that this server computes. */
import { type SqlBool, sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { maySeeDataset } from '../catalog/visibility.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { DatasetTable } from '../storage/migrations/catalog.table.js';
import type {
  EvaluationJobTable,
  EvaluationPartTable,
  EvaluationPieceTable,
  EvaluationTable,
} from '../storage/migrations/evaluation.table.js';
import { rowCount } from '../storage/sql.js';
import { insertMetrics, type NewMetric, visibleEvaluations } from './evaluation.queries.js';

type Trx = Transaction<CatalogTables>;

/** As text, so that SQLite sees that the index of these rows has them. */
const IS_UNFINISHED = sql<SqlBool>`evaluation.job_state in ('QUEUED', 'RUNNING')`;
const WITHOUT_RESULT = ['FAILED', 'CANCELLED'] as const;

export type NewJob = Pick<EvaluationTable, 'version_id' | 'dataset_id'> &
  Pick<
    EvaluationJobTable,
    'account' | 'artifact_sha256' | 'rows_sha256' | 'row_count' | 'slices' | 'importance' | 'provider' | 'runtime'
  >;

export type Job = EvaluationJobTable & Pick<EvaluationTable, 'version_id' | 'dataset_id' | 'job_state'>;

/** What decides how a version is evaluated on a dataset. */
export async function findEvaluatedDataset(
  db: CatalogDatabase,
  principal: Principal,
  id: string,
): Promise<
  Pick<DatasetTable, 'id' | 'name' | 'target' | 'columns' | 'row_count' | 'row_bytes' | 'rows_sha256'> | undefined
> {
  return db
    .selectFrom('dataset')
    .where(maySeeDataset(principal))
    .where('id', '=', id)
    .select(['id', 'name', 'target', 'columns', 'row_count', 'row_bytes', 'rows_sha256'])
    .executeTakeFirst();
}

/**
 * The evaluation of the same, unless it has failed or was cancelled. Until it has succeeded, another account could cancel its own.
 */
export async function findSameJob(trx: Trx, job: NewJob): Promise<string | undefined> {
  const found = await trx
    .selectFrom('evaluation')
    .innerJoin('evaluation_job', 'evaluation_job.evaluation_id', 'evaluation.id')
    .select('evaluation.id')
    .where('evaluation.version_id', '=', job.version_id)
    .where('evaluation.dataset_id', '=', job.dataset_id)
    .where('evaluation.job_state', 'not in', WITHOUT_RESULT)
    .where(({ or, eb }) =>
      or([eb('evaluation.job_state', '=', 'SUCCEEDED'), eb('evaluation_job.account', '=', job.account)]),
    )
    .where('evaluation_job.artifact_sha256', '=', job.artifact_sha256)
    .where('evaluation_job.rows_sha256', '=', job.rows_sha256)
    .where('evaluation_job.slices', '=', job.slices)
    .where('evaluation_job.importance', '=', job.importance)
    .where('evaluation_job.provider', '=', job.provider)
    .where('evaluation_job.runtime', '=', job.runtime)
    .orderBy('evaluation.id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return found?.id;
}

/** How many an account, or all, have; `isUnfinished`: only those that wait or are running. */
export async function countJobs(trx: Trx, account: string | null, isUnfinished: boolean): Promise<number> {
  let found = trx
    .selectFrom('evaluation_job')
    .innerJoin('evaluation', 'evaluation.id', 'evaluation_job.evaluation_id')
    .select(rowCount().as('count'));
  if (account !== null) found = found.where('evaluation_job.account', '=', account);
  if (isUnfinished) found = found.where(IS_UNFINISHED);
  return (await found.executeTakeFirstOrThrow()).count;
}

export async function insertJob(trx: Trx, { version_id, dataset_id, ...job }: NewJob, now: number): Promise<string> {
  const id = newId('Evaluation');
  await trx
    .insertInto('evaluation')
    .values({
      id,
      version_id,
      dataset_id,
      origin: 'COMPUTED',
      job_state: 'QUEUED',
      evaluated_rows: null,
      created_at: now,
      finished_at: null,
    })
    .execute();
  const nothingYet = { failed_rows: 0, row_problems: '[]', problem: null, attempts: 0 };
  await trx
    .insertInto('evaluation_job')
    .values({ ...job, ...nothingYet, evaluation_id: id })
    .execute();
  return id;
}

/** Deletes those of an account without a result that are older than its last `kept`. */
export async function forgetWithoutResult(trx: Trx, account: string, kept: number): Promise<void> {
  const found = trx
    .selectFrom('evaluation_job')
    .innerJoin('evaluation', 'evaluation.id', 'evaluation_job.evaluation_id')
    .select('evaluation.id')
    .where('evaluation_job.account', '=', account)
    .where('evaluation.job_state', 'in', WITHOUT_RESULT);
  await trx
    .deleteFrom('evaluation')
    .where('id', 'in', found)
    .where('id', 'not in', found.orderBy('evaluation.id', 'desc').limit(kept))
    .execute();
}

/** The oldest unfinished one of the next account that has any, after the account whose turn was last. */
export async function findNextJob(db: CatalogDatabase, lastAccount: string): Promise<Job | undefined> {
  return jobs(db)
    .where(IS_UNFINISHED)
    .orderBy(({ eb }) => eb('evaluation_job.account', '<=', lastAccount))
    .orderBy('evaluation_job.account')
    .orderBy('evaluation.id')
    .limit(1)
    .executeTakeFirst();
}

function jobs(db: CatalogDatabase | Trx) {
  return db
    .selectFrom('evaluation')
    .innerJoin('evaluation_job', 'evaluation_job.evaluation_id', 'evaluation.id')
    .selectAll('evaluation_job')
    .select(['evaluation.version_id', 'evaluation.dataset_id', 'evaluation.job_state']);
}

export async function findJob(trx: Trx, id: string): Promise<Job | undefined> {
  return jobs(trx).where('evaluation.id', '=', id).executeTakeFirst();
}

export type JobOfEvaluation = EvaluationJobTable & { readonly done_rows: number; readonly done_columns: number };

/** The jobs of evaluations that the principal may see, with the rows whose answers are stored, and the columns whose importance is. */
export async function findJobs(
  db: CatalogDatabase,
  principal: Viewer,
  ids: readonly string[],
): Promise<JobOfEvaluation[]> {
  return visibleEvaluations(db, principal)
    .innerJoin('evaluation_job', 'evaluation_job.evaluation_id', 'evaluation.id')
    .where('evaluation.id', 'in', ids)
    .selectAll('evaluation_job')
    .select((eb) =>
      eb
        .selectFrom('evaluation_piece')
        .select(sql<number>`coalesce(sum(evaluation_piece.row_count), 0)`.as('rows'))
        .whereRef('evaluation_piece.evaluation_id', '=', 'evaluation.id')
        .$asScalar()
        .$notNull()
        .as('done_rows'),
    )
    .select((eb) =>
      eb
        .selectFrom('evaluation_part')
        .select(rowCount().as('columns'))
        .whereRef('evaluation_part.evaluation_id', '=', 'evaluation.id')
        .where('evaluation_part.kind', '=', 'IMPORTANCE')
        .$asScalar()
        .$notNull()
        .as('done_columns'),
    )
    .execute();
}

export interface PartChoice {
  readonly kind: EvaluationPartTable['kind'];
  /** Null for all classes. */
  readonly label: string | null;
}

function partsOf(db: CatalogDatabase, viewer: Viewer, evaluationId: string, { kind, label }: PartChoice) {
  const parts = visibleEvaluations(db, viewer)
    .innerJoin('evaluation_part', 'evaluation_part.evaluation_id', 'evaluation.id')
    .where('evaluation.id', '=', evaluationId)
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .where('evaluation_part.kind', '=', kind)
    .orderBy('evaluation_part.ordinal');
  return label === null ? parts : parts.where('evaluation_part.label', '=', label);
}

export async function findParts(
  db: CatalogDatabase,
  viewer: Viewer,
  evaluationId: string,
  choice: PartChoice,
): Promise<Pick<EvaluationPartTable, 'label' | 'content'>[]> {
  return partsOf(db, viewer, evaluationId, choice)
    .select(['evaluation_part.label', 'evaluation_part.content'])
    .execute();
}

/** Without their contents. */
export async function findPartLabels(
  db: CatalogDatabase,
  viewer: Viewer,
  evaluationId: string,
  choice: PartChoice,
): Promise<Pick<EvaluationPartTable, 'label'>[]> {
  return partsOf(db, viewer, evaluationId, choice).select('evaluation_part.label').execute();
}

// ── the work of the server itself ──

export async function updateJob(
  trx: Trx,
  id: string,
  values: Partial<
    Pick<EvaluationJobTable, 'attempts' | 'provider' | 'runtime' | 'failed_rows' | 'row_problems' | 'problem'>
  >,
): Promise<void> {
  await trx.updateTable('evaluation_job').set(values).where('evaluation_id', '=', id).execute();
}

export async function setJobState(
  trx: Trx,
  id: string,
  values: Partial<Pick<EvaluationTable, 'job_state' | 'evaluated_rows' | 'finished_at'>>,
): Promise<void> {
  await trx.updateTable('evaluation').set(values).where('id', '=', id).execute();
}

export async function insertPiece(trx: Trx, piece: EvaluationPieceTable): Promise<void> {
  await trx.insertInto('evaluation_piece').values(piece).execute();
}

/** All that was found so far. */
export async function deleteAnswers(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom('evaluation_piece').where('evaluation_id', '=', id).execute();
  await trx.deleteFrom('evaluation_part').where('evaluation_id', '=', id).execute();
}

/** The importance of one column, before the other results. `ordinal`: of the column. */
export async function insertImportance(
  trx: Trx,
  part: Pick<EvaluationPartTable, 'evaluation_id' | 'ordinal' | 'label' | 'content'>,
): Promise<void> {
  await trx
    .insertInto('evaluation_part')
    .values({ ...part, kind: 'IMPORTANCE' })
    .execute();
}

/** Number of columns whose importance is stored. */
export async function countImportances(trx: Trx, id: string): Promise<number> {
  const found = await trx
    .selectFrom('evaluation_part')
    .select(rowCount().as('count'))
    .where('evaluation_id', '=', id)
    .where('kind', '=', 'IMPORTANCE')
    .executeTakeFirstOrThrow();
  return found.count;
}

/** Whether another account waits for an evaluation. */
export async function doOthersWait(db: CatalogDatabase, account: string): Promise<boolean> {
  const found = jobs(db).where(IS_UNFINISHED).where('evaluation_job.account', '!=', account);
  return (await found.limit(1).executeTakeFirst()) !== undefined;
}

/** In order. At most as many as the dataset has. */
export async function findAnswerPieces(trx: Trx, id: string): Promise<EvaluationPieceTable[]> {
  const pieces = trx.selectFrom('evaluation_piece').selectAll().where('evaluation_id', '=', id);
  return pieces.orderBy('first_row').execute();
}

export async function saveResult(
  trx: Trx,
  id: string,
  metrics: readonly NewMetric[],
  parts: readonly Pick<EvaluationPartTable, 'kind' | 'label' | 'content'>[],
): Promise<void> {
  await insertMetrics(trx, id, metrics);
  const ordinals = new Map<string, number>();
  for (const { kind, label, content } of parts) {
    const ordinal = ordinals.get(kind) ?? 0;
    ordinals.set(kind, ordinal + 1);
    await trx.insertInto('evaluation_part').values({ evaluation_id: id, kind, ordinal, label, content }).execute();
  }
}
