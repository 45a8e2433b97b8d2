/** SQL of metrics that model cards have stated. */
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase } from '../storage/database.js';
import { findMetrics, visibleEvaluations } from './evaluation.queries.js';

/** Of each version of a model that has them, on one dataset. */
export async function findImportedMetrics(
  db: CatalogDatabase,
  principal: Principal,
  { modelId, datasetId }: { readonly modelId: string; readonly datasetId: string },
) {
  const found = await visibleEvaluations(db, principal)
    .where('version.model_id', '=', modelId)
    .where('evaluation.dataset_id', '=', datasetId)
    .where('evaluation.origin', '=', 'IMPORTED')
    .select('evaluation.id')
    .execute();
  const metrics =
    found.length > 0
      ? await findMetrics(
          db,
          principal,
          found.map(({ id }) => id),
        )
      : [];
  return [...Map.groupBy(metrics, ({ evaluation_id }) => evaluation_id).values()];
}
