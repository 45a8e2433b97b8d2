/**
 * Imports the metrics stated in model cards (`model-index`) as IMPORTED evaluations: once for each version and dataset,
 * and never changed afterwards. A dataset that is known only from a card is registered without its data.
 */
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findDatasetsByNames } from '../catalog/dataset.queries.js';
import type { Dataset } from '../catalog/dataset.type.js';
import { saveDataset } from '../catalog/registration.queries.js';
import { unlessDiskIsFull } from '../importing/full-disk.js';
import type { ImportedCard } from '../importing/import.js';
import type { ImportedResult } from '../importing/manifest.js';
import type { CatalogDatabase } from '../storage/database.js';
import { toFlag } from '../storage/sql.js';
import type { TaskName } from '../tasks/tasks.js';
import { findNewestVersion, insertEvaluation, type NewMetric } from './evaluation.queries.js';
import { findImportedMetrics } from './imported.queries.js';
import { isHigherBetter } from './metric-names.js';

/** Returns the cards whose metrics could not be stored, because the disk is full or cannot be written. */
export async function importEvaluations(
  { db, log }: { db: CatalogDatabase; log: Logger },
  cards: readonly ImportedCard[],
): Promise<ImportedCard[]> {
  const failed: ImportedCard[] = [];
  for (const card of cards) {
    // A card may state the metrics of one dataset in several results.
    const byDataset = Map.groupBy(card.results, ({ dataset }) => JSON.stringify(dataset));
    const isStored = await unlessDiskIsFull(log, { folder: card.folder }, async () => {
      for (const results of byDataset.values()) await importResults({ db, log }, card, results);
      return true;
    });
    if (!isStored) failed.push(card);
  }
  return failed;
}

/**
 * A card describes the newest version. Older versions keep the metrics imported when they were the newest. A card that states
 * the metrics of an older version still describes that one: it was not changed for the new version.
 */
async function importResults(
  { db, log }: { db: CatalogDatabase; log: Logger },
  { modelId, task }: ImportedCard,
  results: readonly ImportedResult[],
): Promise<void> {
  const [{ dataset: named }] = results as [ImportedResult, ...ImportedResult[]];
  const metrics = results.flatMap((result) => result.metrics);
  const dataset = metrics.length > 0 ? await findOrRegister(db, named, task) : null;
  if (!dataset) {
    log.warn(
      { dataset: named.type },
      'a result in the model-index of a model card has no usable dataset name or no metrics; it was skipped',
    );
    return;
  }
  const newest = await findNewestVersion(db, SYSTEM, modelId, dataset.id);
  if (!newest || newest.imported > 0) return;
  const stated = metrics.map(toNewMetric);
  const earlier = await findImportedMetrics(db, SYSTEM, { modelId, datasetId: dataset.id });
  if (earlier.some((one) => valuesOf(one) === valuesOf(stated))) return;
  const evaluation = {
    version_id: newest.id,
    dataset_id: dataset.id,
    origin: 'IMPORTED' as const,
    evaluated_rows: dataset.rowCount,
  };
  await insertEvaluation(db, evaluation, stated, Date.now());
}

function valuesOf(metrics: readonly Pick<NewMetric, 'name' | 'average' | 'label' | 'value'>[]): string {
  return JSON.stringify(metrics.map(({ name, average, label, value }) => [name, average, label, value]));
}

/** The registered dataset that a card refers to, or a new one with the card's description and without data. */
async function findOrRegister(
  db: CatalogDatabase,
  stated: ImportedResult['dataset'],
  task: TaskName,
): Promise<Dataset | null> {
  const name = datasetNameOf(stated);
  if (name === '') return null;
  const find = async (names: string[]) => (await findDatasetsByNames(db, SYSTEM, names))[0] ?? null;
  const known = (await find([stated.type])) ?? (await find([name]));
  if (known) return known;
  const described = { title: stated.name ?? stated.type, split: stated.split ?? null, task };
  await db.transaction().execute((trx) => saveDataset(trx, { ...UNKNOWN, ...described, name }, Date.now()));
  return find([name]);
}

const UNKNOWN = {
  family: null,
  row_count: null,
  sha256: null,
  license: null,
  source: null,
  description: 'Known only from a model card; the data is not stored here.',
  target: null,
  columns: '[]',
  preview: '[]',
  rows_sha256: null,
  row_bytes: null,
  read_key: null,
};

/** A dataset name made of type, config and split, such as "glue-sst2-validation" for the Hub's "glue". */
function datasetNameOf({ type, config, split }: ImportedResult['dataset']): string {
  const words = [type, config, split].filter((word) => word != null && word !== 'default');
  const name = words
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-');
  return name.slice(0, MAX_NAME_CHARACTERS).replaceAll(/^-|-$/g, '');
}

const MAX_NAME_CHARACTERS = 64;

function toNewMetric({ type, value, args }: ImportedResult['metrics'][number]): NewMetric {
  const isNumber = Number.isFinite(value);
  return {
    name: type,
    average: args?.average ?? null,
    label: args?.label ?? null,
    value: isNumber ? value : null,
    undefined_reason: isNumber ? null : 'The model card does not state a finite number.',
    higher_is_better: toFlag(isHigherBetter(type)),
    interval_low: null,
    interval_high: null,
    interval_level: null,
    interval_method: null,
  };
}
