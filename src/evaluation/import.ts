/**
 * Takes over the metrics that model cards state (`model-index`), as IMPORTED evaluations: once for each version and
 * dataset, never changed afterwards.
 */
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findDatasetsByNames } from '../catalog/dataset.queries.js';
import type { ImportedCard } from '../serving/import.js';
import type { ImportedResult } from '../serving/manifest.js';
import type { CatalogDatabase } from '../storage/database.js';
import { findNewestVersion, insertEvaluation, type NewMetric } from './evaluation.queries.js';

export async function importEvaluations(
  { db, log }: { db: CatalogDatabase; log: Logger },
  cards: readonly ImportedCard[],
): Promise<void> {
  for (const { modelId, results } of cards) {
    for (const result of results) await importResult({ db, log }, modelId, result);
  }
}

/** A card describes the newest version: older ones keep what was imported when they were new. */
async function importResult(
  { db, log }: { db: CatalogDatabase; log: Logger },
  modelId: string,
  { dataset: { type: name }, metrics }: ImportedResult,
): Promise<void> {
  const [dataset] = await findDatasetsByNames(db, SYSTEM, [name]);
  if (!dataset) {
    log.warn({ dataset: name }, 'a model card states metrics on a dataset that is not registered; they are left out');
    return;
  }
  const newest = await findNewestVersion(db, SYSTEM, modelId, dataset.id);
  if (!newest || newest.imported > 0) return;
  const evaluation = {
    version_id: newest.id,
    dataset_id: dataset.id,
    origin: 'IMPORTED' as const,
    evaluated_rows: dataset.rowCount,
  };
  await insertEvaluation(db, evaluation, metrics.map(toNewMetric), Date.now());
}

const LOWER_IS_BETTER = new Set(['log_loss', 'loss', 'rmse', 'mae', 'mse', 'brier_score', 'perplexity', 'error_rate']);

function toNewMetric({ type, value, args }: ImportedResult['metrics'][number]): NewMetric {
  const isNumber = Number.isFinite(value);
  return {
    name: type,
    average: args?.average ?? null,
    label: args?.label ?? null,
    value: isNumber ? value : null,
    undefined_reason: isNumber ? null : 'the model card states no finite number',
    higher_is_better: Number(!LOWER_IS_BETTER.has(type)),
    interval_low: null,
    interval_high: null,
    interval_level: null,
    interval_method: null,
  };
}
