/** SQL of evaluations whose answers can be compared row by row. */
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { EvaluationJobTable } from '../storage/migrations/evaluation.table.js';
import { visibleEvaluations } from './evaluation.queries.js';

/** What the answers of two evaluations must have in common. */
export type Conditions = Pick<EvaluationJobTable, 'rows_sha256' | 'provider' | 'runtime'>;

/** Of a version on the dataset: the newest of those with the same conditions. */
export interface NewestEvaluation extends Conditions {
  readonly id: string;
  readonly version_id: string;
  readonly artifact_sha256: string;
}

/** Those that this server has finished; some versions may have several, and others none. */
export async function findNewestEvaluations(
  db: CatalogDatabase,
  principal: Principal,
  { datasetId, versionIds }: { readonly datasetId: string; readonly versionIds: readonly string[] },
): Promise<NewestEvaluation[]> {
  return visibleEvaluations(db, principal)
    .innerJoin('evaluation_job as job', 'job.evaluation_id', 'evaluation.id')
    .where('evaluation.version_id', 'in', versionIds)
    .where('evaluation.dataset_id', '=', datasetId)
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .groupBy(['evaluation.version_id', 'job.artifact_sha256', 'job.rows_sha256', 'job.provider', 'job.runtime'])
    .select(({ fn }) => [
      fn.max('evaluation.id').as('id'),
      'evaluation.version_id',
      'job.artifact_sha256',
      'job.rows_sha256',
      'job.provider',
      'job.runtime',
    ])
    .execute();
}

/** Digests of the pieces of the answers, in order. At most as many as the dataset has. */
export async function findAnswerDigests(
  db: CatalogDatabase,
  principal: Principal,
  evaluationId: string,
): Promise<string[]> {
  const rows = await visibleEvaluations(db, principal)
    .innerJoin('evaluation_piece as piece', 'piece.evaluation_id', 'evaluation.id')
    .where('evaluation.id', '=', evaluationId)
    .select('piece.sha256')
    .orderBy('piece.first_row')
    .execute();
  return rows.map(({ sha256 }) => sha256);
}
