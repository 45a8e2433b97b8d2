/** One evaluation, from its first piece, or the one after the last that is stored, to its metrics. */
import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import { SYSTEM } from '../access/principal.js';
import { findVersionsByIds } from '../catalog/version.queries.js';
import { findPieces } from '../datasets/dataset-rows.queries.js';
import { AppError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { environmentOf } from '../serving/latency-records.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { DatasetPieceTable } from '../storage/migrations/catalog.table.js';
import { toFlag } from '../storage/sql.js';
import { withoutPaths } from '../without-paths.js';
import { encodeAnswers } from './answers-file.js';
import type { NewMetric } from './evaluation.queries.js';
import {
  type Answered,
  type EvaluationRun,
  type EvaluatorParts,
  type Running,
  runPartsOf,
} from './evaluation-parts.js';
import type { Importance } from './importance.js';
import { measureImportance } from './importance-run.js';
import {
  deleteAnswers,
  findAnswerPieces,
  findEvaluatedDataset,
  findJob,
  insertPiece,
  type Job,
  saveResult,
  setJobState,
  updateJob,
} from './job.queries.js';
import type { MeasuredMetric } from './measure.js';
import { measureInThread, UnmeasurableError } from './measuring.js';
import type { MeasuringTask } from './measuring-thread.js';
import { planOf } from './plan.js';
import type { FailedRow } from './row-answer.js';
import { runRows } from './row-runs.js';

type Trx = Transaction<CatalogTables>;

/** Metrics of fewer rows would not be those of the dataset. */
export const MAX_FAILED_SHARE = 0.05;
export const MAX_ROW_PROBLEMS = 20;
const MAX_MESSAGE_CHARACTERS = 500;
const OTHER_ROWS = 'the rows, columns or target of the dataset have changed since the evaluation was asked for';

/**
 * Ends with a result, or FAILED, or goes on when it is called again, because other accounts have their turn.
 *
 * @throws what may go better later; the reason of the signal
 */
export async function runEvaluation(parts: EvaluatorParts, job: Job, run: EvaluationRun): Promise<void> {
  const { db } = parts;
  try {
    await runAllRows(parts, job, run);
  } catch (error) {
    if (run.stop.signal.aborted) throw error;
    const problem = messageOf(error);
    const isFinal = error instanceof UnmeasurableError || (error instanceof AppError && !error.retryable);
    await db.transaction().execute(async (trx) => {
      if (isFinal) await fails(trx, run.id, problem);
      else await updateJob(trx, run.id, { problem });
    });
    if (!isFinal) throw error;
  }
}

function messageOf(error: unknown): string {
  return withoutPaths((error as Error).message).slice(0, MAX_MESSAGE_CHARACTERS);
}

async function runAllRows(parts: EvaluatorParts, job: Job, run: EvaluationRun): Promise<void> {
  const { db, serving, engine } = parts;
  const [version] = await findVersionsByIds(db, SYSTEM, [job.version_id]);
  const dataset = await findEvaluatedDataset(db, SYSTEM, job.dataset_id);
  // Deleted, and the evaluation with it.
  if (!version || !dataset) return;
  if (dataset.rows_sha256 !== job.rows_sha256) return db.transaction().execute((trx) => fails(trx, run.id, OTHER_ROWS));
  const resolved = await serving.resolve(version.ref, SYSTEM);
  const { spec } = resolved.engineVersion;
  const plan = planOf(spec, { target: dataset.target, columns: JSON.parse(dataset.columns) });
  const running = { run, plan, resolved };
  await beginAgainElsewhere(db, job, engine.provider);
  const pieces = await db.transaction().execute((trx) => findAnswerPieces(trx, run.id));
  const last = pieces.at(-1);
  for (let from = last ? last.first_row + last.row_count : 1; ; ) {
    run.stop.signal.throwIfAborted();
    const [piece] = await findPieces(db, SYSTEM, job.dataset_id, { from, limit: 1 });
    if (!piece) break;
    if (!(await answerPiece(parts, piece, { ...running, rowsSha256: job.rows_sha256 }))) return;
    run.answeredRows += piece.row_count;
    from = piece.first_row + piece.row_count;
  }
  const answered = await answeredRows(parts, job, running);
  const importance: Importance | null = JSON.parse(job.importance);
  if (importance && !(await measureImportance(parts, { ...running, account: job.account, importance, answered })))
    return;
  await finish(parts, job, { run, answered });
}

/** Answers of another execution provider, or of another runtime, may differ. */
async function beginAgainElsewhere(db: CatalogDatabase, job: Job, engineProvider: string): Promise<void> {
  const { provider, runtime } = environmentOf(engineProvider);
  if (job.provider === provider && job.runtime === runtime) return;
  await db.transaction().execute(async (trx) => {
    await deleteAnswers(trx, job.evaluation_id);
    await updateJob(trx, job.evaluation_id, { provider, runtime, failed_rows: 0, row_problems: '[]' });
  });
}

/** Returns whether the evaluation goes on: it may have been cancelled, deleted, or have too many rows without an answer. */
async function answerPiece(
  { db, blobs, engine }: EvaluatorParts,
  piece: DatasetPieceTable,
  { run, plan, resolved, rowsSha256 }: Running & { readonly rowsSha256: string },
): Promise<boolean> {
  const lines = (await blobs.get(piece.sha256)).toString('utf8').split('\n').slice(0, piece.row_count);
  const { answers, failed } = await runRows(
    runPartsOf({ engine, blobs }, { run, plan, resolved }),
    lines,
    piece.first_row,
  );
  faultPoint('evaluation.answered'); // @fault
  const sha256 = await blobs.put(encodeAnswers(answers));
  return db.transaction().execute(async (trx) => {
    const job = await findJob(trx, run.id);
    if (job?.job_state !== 'RUNNING') return false;
    if (job.rows_sha256 !== rowsSha256) {
      await fails(trx, run.id, OTHER_ROWS);
      return false;
    }
    const { first_row, row_count } = piece;
    await insertPiece(trx, { evaluation_id: run.id, first_row, row_count, sha256 });
    const known: FailedRow[] = JSON.parse(job.row_problems);
    const problems = [...known, ...failed].slice(0, MAX_ROW_PROBLEMS);
    const failedRows = job.failed_rows + failed.length;
    const progress = { attempts: 0, problem: null };
    await updateJob(trx, run.id, { failed_rows: failedRows, row_problems: JSON.stringify(problems), ...progress });
    if (failedRows <= MAX_FAILED_SHARE * job.row_count) return true;
    const share = `${MAX_FAILED_SHARE * 100}% of ${job.row_count}`;
    const [first] = problems;
    const reason = `${failedRows} rows were not answered so far, which is more than ${share}. Row ${first?.row}: ${first?.message}`;
    await fails(trx, run.id, reason.slice(0, MAX_MESSAGE_CHARACTERS));
    return false;
  });
}

async function answeredRows({ db, blobs }: EvaluatorParts, job: Job, { run, plan }: Running): Promise<Answered> {
  const stored = await db.transaction().execute((trx) => findAnswerPieces(trx, run.id));
  const rowsAt = await rowBlobs(db, job.dataset_id);
  return {
    labels: plan.answers === 'regression' ? null : plan.labels,
    seed: createHash('sha256').update(`${job.artifact_sha256} ${job.rows_sha256}`).digest('hex'),
    pieces: stored.map(({ sha256, first_row: firstRow }) => ({
      answers: blobs.pathOf(sha256),
      rows: blobs.pathOf(rowsAt.get(firstRow) ?? ''),
      firstRow,
    })),
  };
}

async function finish(
  { db }: EvaluatorParts,
  job: Job,
  { run: { id, stop }, answered }: { readonly run: EvaluationRun; readonly answered: Answered },
): Promise<void> {
  const task: MeasuringTask = { ...answered, slices: JSON.parse(job.slices) };
  const { metrics, parts } = await measureInThread(task, stop.signal);
  faultPoint('evaluation.measured'); // @fault
  await db.transaction().execute(async (trx) => {
    const now = await findJob(trx, id);
    if (now?.job_state !== 'RUNNING') return;
    if (now.rows_sha256 !== job.rows_sha256) return fails(trx, id, OTHER_ROWS);
    await saveResult(trx, id, metrics.map(toNewMetric), parts);
    await updateJob(trx, id, { attempts: 0, problem: null });
    const evaluated_rows = now.row_count - now.failed_rows;
    await setJobState(trx, id, { job_state: 'SUCCEEDED', evaluated_rows, finished_at: Date.now() });
  });
}

/** A step of pieces. */
const PIECES_A_STEP = 500;

/** Digests of the pieces of a dataset by their first rows. */
async function rowBlobs(db: CatalogDatabase, datasetId: string): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (let from = 1; ; ) {
    const pieces = await findPieces(db, SYSTEM, datasetId, { from, limit: PIECES_A_STEP });
    for (const { first_row, sha256 } of pieces) found.set(first_row, sha256);
    const last = pieces.at(-1);
    if (!last || pieces.length < PIECES_A_STEP) return found;
    from = last.first_row + last.row_count;
  }
}

/** Ends an evaluation without a result. */
export async function fails(trx: Trx, id: string, problem: string): Promise<void> {
  await updateJob(trx, id, { problem });
  await setJobState(trx, id, { job_state: 'FAILED', finished_at: Date.now() });
  await deleteAnswers(trx, id);
}

function toNewMetric({ undefinedReason, higherIsBetter, interval, ...metric }: MeasuredMetric): NewMetric {
  return {
    name: metric.name,
    average: metric.average,
    label: metric.label,
    value: metric.value,
    undefined_reason: undefinedReason,
    higher_is_better: toFlag(higherIsBetter),
    interval_low: interval?.low ?? null,
    interval_high: interval?.high ?? null,
    interval_level: interval?.level ?? null,
    interval_method: interval?.method ?? null,
  };
}
