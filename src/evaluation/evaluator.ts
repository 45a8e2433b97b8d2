/**
 * Evaluations that this server computes, in the background and one after the other: accounts take turns. One is recorded before
 * it is acknowledged. Its answers are stored piece by piece, so that one that a crash interrupts goes on at its last piece.
 */
import { appendAudit } from '../access/audit.queries.js';
import { checkGrant } from '../access/grants.js';
import { type Principal, SYSTEM } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import type { Model } from '../catalog/model.type.js';
import type { Version } from '../catalog/version.type.js';
import { ForbiddenError, NotFoundError, UploadLimitError } from '../errors.js';
import { RecordedWork } from '../recorded-work.js';
import { environmentOf } from '../serving/latency-records.js';
import type { EvaluationRun, EvaluatorParts } from './evaluation-parts.js';
import { fails, runEvaluation } from './evaluation-run.js';
import { checkImportance, type WantedImportance } from './importance.js';
import {
  countJobs,
  deleteAnswers,
  findEvaluatedDataset,
  findJob,
  findNextJob,
  findSameJob,
  forgetWithoutResult,
  insertJob,
  type Job,
  setJobState,
  updateJob,
} from './job.queries.js';
import { evaluablePlan } from './plan.js';
import { withoutRows } from './planned-dataset.js';
import { checkSlices, type WantedSlice } from './slices.js';

/** Evaluations that wait or are running. */
const MAX_WAITING = { ofAccount: 10, ofAll: 200 };
const MAX_KEPT = { ofAccount: 10_000, withoutResult: 100 };
/** One that ends the server, or fails for another reason than its rows, this often without any progress has failed. */
const MAX_ATTEMPTS = 3;

export interface WantedEvaluation {
  /** As it was named. */
  readonly version: string;
  readonly slices?: readonly WantedSlice[] | null;
  readonly importance?: WantedImportance | null;
  readonly reason?: string | null;
}

export class Evaluator {
  readonly #parts: EvaluatorParts;
  readonly #work: RecordedWork<Job>;
  #current: EvaluationRun | null = null;

  constructor(parts: EvaluatorParts) {
    this.#parts = parts;
    this.#work = new RecordedWork({
      findNext: (lastAccount) => findNextJob(parts.db, lastAccount),
      run: (job) => this.#run(job),
      report: (error) => parts.log.error({ err: error }, 'an evaluation could not go on; it is tried again'),
    });
  }

  /** Begins with what was recorded before, once the model store has been imported. */
  start(): void {
    this.#work.start();
  }

  /** What is running goes on at the next start. */
  async stop(): Promise<void> {
    const stopped = this.#work.stop();
    this.#current?.stop.abort(new Error('the server stops'));
    await stopped;
  }

  /**
   * Records an evaluation, or finds the same one, and returns its id.
   *
   * @throws InvalidInputError, NotFoundError, NotReadyError, ForbiddenError, UploadLimitError, StorageFullError
   */
  async evaluate(
    of: { readonly version: Version; readonly model: Model; readonly datasetId: string },
    wanted: WantedEvaluation,
    principal: Principal,
  ): Promise<{ readonly id: string; readonly isNew: boolean }> {
    const { db, serving, engine } = this.#parts;
    const { version, model } = of;
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    checkMayEvaluate(principal, model, wanted.version);
    const dataset = await findEvaluatedDataset(db, principal, of.datasetId);
    if (!dataset) throw new NotFoundError('The dataset');
    const { rows_sha256, row_count } = dataset;
    if (rows_sha256 === null || row_count === null) throw withoutRows(dataset.name);
    const { engineVersion } = await serving.resolve(version.ref, SYSTEM, { path: ['input'] });
    const columns = JSON.parse(dataset.columns);
    const plan = evaluablePlan(engineVersion.spec, { target: dataset.target, columns }, row_count);
    const slices = checkSlices(wanted.slices ?? [], columns, row_count * Math.max(1, plan.labels.length));
    const importance =
      wanted.importance == null
        ? null
        : checkImportance(wanted.importance, engineVersion.spec, {
            plan,
            rows: row_count,
            rowBytes: dataset.row_bytes ?? 0,
          });
    const { provider, runtime } = environmentOf(engine.provider);
    const job = {
      version_id: version.id,
      dataset_id: dataset.id,
      account: principal.id,
      artifact_sha256: engineVersion.artifactSha256,
      rows_sha256,
      row_count,
      slices: JSON.stringify(slices),
      importance: JSON.stringify(importance),
      provider,
      runtime,
    };
    const result = await db.transaction().execute(async (trx) => {
      const same = await findSameJob(trx, job);
      if (same) return { id: same, isNew: false };
      await forgetWithoutResult(trx, principal.id, MAX_KEPT.withoutResult);
      await checkRoom(trx, principal.id);
      const id = await insertJob(trx, job, Date.now());
      const after = { evaluation: id, dataset: dataset.name, slices, importance };
      await appendAudit(trx, principal, { action: 'evaluate', target: version.ref, reason, before: null, after });
      return { id, isNew: true };
    });
    this.#work.goOn();
    return result;
  }

  /**
   * Ends an evaluation that the caller may see, if it has no result yet.
   *
   * @throws InvalidInputError, NotFoundError, ForbiddenError, StorageFullError
   */
  async cancel(wanted: { evaluation: string; reason?: string | null }, principal: Principal): Promise<void> {
    const id = wanted.evaluation;
    const reason = checkReason(wanted.reason, ['input', 'reason']);
    await this.#parts.db.transaction().execute(async (trx) => {
      const job = await findJob(trx, id);
      if (!job) throw new NotFoundError(`The evaluation "${id.slice(0, 80)}", computed here,`);
      if (job.account !== principal.id && !principal.roles.includes('admin'))
        throw new ForbiddenError('Cancelling this evaluation', 'the account that asked for it');
      const before = { jobState: job.job_state };
      if (job.job_state !== 'QUEUED' && job.job_state !== 'RUNNING') return;
      await setJobState(trx, id, { job_state: 'CANCELLED', finished_at: Date.now() });
      await deleteAnswers(trx, id);
      const after = { jobState: 'CANCELLED' };
      await appendAudit(trx, principal, { action: 'cancelEvaluation', target: id, reason, before, after });
    });
    if (this.#current?.id === id) this.#current.stop.abort(new Error('the evaluation was cancelled'));
  }

  /** Rows per second since it was begun, or went on; null unless it is running and has answered some. */
  rowsPerSecond(id: string): number | null {
    if (this.#current?.id !== id || this.#current.answeredRows === 0) return null;
    return (this.#current.answeredRows * 1_000) / (performance.now() - this.#current.startedAt);
  }

  async #run(job: Job): Promise<void> {
    const { db, log } = this.#parts;
    const id = job.evaluation_id;
    if (job.attempts >= MAX_ATTEMPTS) {
      const reason = `the server ended, or failed, ${MAX_ATTEMPTS} times at the same rows or metrics`;
      await db.transaction().execute((trx) => fails(trx, id, job.problem ?? reason));
      return;
    }
    const isOpen = await db.transaction().execute(async (trx) => {
      const state = (await findJob(trx, id))?.job_state;
      if (state !== 'QUEUED' && state !== 'RUNNING') return false;
      await setJobState(trx, id, { job_state: 'RUNNING' });
      await updateJob(trx, id, { attempts: job.attempts + 1 });
      return true;
    });
    if (!isOpen) return;
    this.#current = { id, stop: new AbortController(), startedAt: performance.now(), answeredRows: 0 };
    const { signal } = this.#current.stop;
    if (!this.#work.isStarted) this.#current.stop.abort(new Error('the server stops'));
    try {
      await runEvaluation(this.#parts, job, this.#current);
      log.info({ evaluation: id }, 'an evaluation has ended');
    } catch (error) {
      // The attempt was not its own.
      if (!this.#work.isStarted)
        await db.transaction().execute((trx) => updateJob(trx, id, { attempts: job.attempts }));
      if (!signal.aborted) throw error;
    } finally {
      this.#current = null;
    }
  }
}

/** @throws ForbiddenError */
function checkMayEvaluate(principal: Principal, model: Model, ref: string): void {
  const { roles, id } = principal;
  if (!roles.includes('evaluator') && !roles.includes('admin') && model.account !== id)
    throw new ForbiddenError(`Evaluating "${model.name}"`, 'the role evaluator, or the account that owns the model');
  checkGrant(principal, model.name, ref, 'Evaluating');
}

/** @throws UploadLimitError */
async function checkRoom(trx: Parameters<typeof countJobs>[0], account: string): Promise<void> {
  const isFull =
    (await countJobs(trx, account, true)) >= MAX_WAITING.ofAccount ||
    (await countJobs(trx, null, true)) >= MAX_WAITING.ofAll;
  if (isFull) throw new UploadLimitError('Too many evaluations are waiting.');
  if ((await countJobs(trx, account, false)) >= MAX_KEPT.ofAccount)
    throw new UploadLimitError(`Your account has ${MAX_KEPT.ofAccount} evaluations, and may not have more.`);
}
