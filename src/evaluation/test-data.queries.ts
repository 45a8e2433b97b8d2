/** SQL of the datasets that show how good a version is. */
import type { Principal } from '../access/principal.js';
import { maySeeDataset } from '../catalog/visibility.js';
import type { CatalogDatabase } from '../storage/database.js';
import { visibleEvaluations } from './evaluation.queries.js';

const MAX_EVALUATED_ON = 5;

/** The test dataset that its model states, also if the version was not evaluated on it; then those of its newest evaluations. */
export async function findTestDatasetIds(
  db: CatalogDatabase,
  principal: Principal,
  versionId: string,
): Promise<string[]> {
  const stated = await db
    .selectFrom('version')
    .innerJoin('dataset', 'dataset.name', 'version.test_dataset')
    .where('version.id', '=', versionId)
    .where(maySeeDataset(principal))
    .select('dataset.id')
    .execute();
  const evaluated = await visibleEvaluations(db, principal)
    .where('evaluation.version_id', '=', versionId)
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .groupBy('evaluation.dataset_id')
    .orderBy((eb) => eb.fn.max('evaluation.id'), 'desc')
    .limit(MAX_EVALUATED_ON)
    .select('evaluation.dataset_id as id')
    .execute();
  return [...new Set([...stated, ...evaluated].map(({ id }) => id))];
}
