/** SQL of what recent predictions are compared with: the answers of an evaluation, and the rows that it has answered. */
import type { Principal } from '../access/principal.js';
import { findEvaluationsOnTrainingData, visibleEvaluations } from '../evaluation/evaluation.queries.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { DatasetTable } from '../storage/migrations/catalog.table.js';
import { limitOf } from '../storage/sql.js';

export interface Reference extends Pick<DatasetTable, 'target' | 'columns'> {
  readonly id: string;
  readonly dataset_id: string;
}

/** Of these, the first that is not on training data counts. */
const MAX_CANDIDATES = 20;

/**
 * The newest evaluation of the version that this server has computed, that the principal may see, and that is not on data that the
 * version was trained on. The dataset still has the rows that were evaluated.
 */
export async function findReference(
  db: CatalogDatabase,
  principal: Principal,
  versionId: string,
): Promise<Reference | undefined> {
  const candidates = await visibleEvaluations(db, principal)
    .innerJoin('evaluation_job', 'evaluation_job.evaluation_id', 'evaluation.id')
    .select(['evaluation.id', 'evaluation.dataset_id', 'dataset.target', 'dataset.columns'])
    .where('evaluation.version_id', '=', versionId)
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .whereRef('evaluation_job.rows_sha256', '=', 'dataset.rows_sha256')
    .orderBy('evaluation.id', 'desc')
    .limit(limitOf(MAX_CANDIDATES))
    .execute();
  const ids = candidates.map(({ id }) => id);
  const trained = new Set(ids.length > 0 ? await findEvaluationsOnTrainingData(db, principal, ids) : []);
  return candidates.find(({ id }) => !trained.has(id));
}

/** Digests of the answers to some rows of a dataset, and of these rows. */
export interface ReferencePiece {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly answers: string;
  readonly rows: string;
}

/** In order. At most as many as a dataset has. */
export async function findReferencePieces(
  db: CatalogDatabase,
  principal: Principal,
  { id, dataset_id }: Reference,
): Promise<ReferencePiece[]> {
  return visibleEvaluations(db, principal)
    .innerJoin('evaluation_piece', 'evaluation_piece.evaluation_id', 'evaluation.id')
    .innerJoin('dataset_piece', (join) =>
      join
        .onRef('dataset_piece.first_row', '=', 'evaluation_piece.first_row')
        .on('dataset_piece.dataset_id', '=', dataset_id),
    )
    .where('evaluation.id', '=', id)
    .select([
      'evaluation_piece.first_row as firstRow',
      'evaluation_piece.row_count as rowCount',
      'evaluation_piece.sha256 as answers',
      'dataset_piece.sha256 as rows',
    ])
    .orderBy('evaluation_piece.first_row')
    .execute();
}
