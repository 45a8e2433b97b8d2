/** SQL of the blobs that hold the answers of versions to the rows of datasets. */
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase } from '../storage/database.js';
import { maySeeModel } from './visibility.js';

/** Those of the blobs that evaluations need. */
export async function findBlobsOfEvaluations(
  db: CatalogDatabase,
  principal: Principal,
  digests: readonly string[],
): Promise<string[]> {
  if (digests.length === 0) return [];
  const rows = await db
    .selectFrom('evaluation_piece')
    .innerJoin('evaluation', 'evaluation.id', 'evaluation_piece.evaluation_id')
    .innerJoin('version', 'version.id', 'evaluation.version_id')
    .innerJoin('model', 'model.id', 'version.model_id')
    .where(maySeeModel(principal))
    .where('evaluation_piece.sha256', 'in', digests)
    .select('evaluation_piece.sha256')
    .distinct()
    .execute();
  return rows.map(({ sha256 }) => sha256);
}
