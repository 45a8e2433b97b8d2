/** Fills the catalog with many models, using the functions of the import. */
import { addVersion, type NewVersion, saveDataset, saveModel } from '#src/catalog/registration.queries.js';
import { insertEvaluation } from '#src/evaluation/evaluation.queries.js';
import type { CatalogDatabase } from '#src/storage/database.js';

export const VERSIONS_EACH = 5;

/** Adds `count` models m000, m001 …, each with five versions that were trained on one dataset and evaluated on it twice. */
export async function fillCatalog(db: CatalogDatabase, count: number): Promise<void> {
  await db.transaction().execute((trx) => saveDataset(trx, dataset(), 1));
  const { id: datasetId } = await db
    .selectFrom('dataset')
    .select('id')
    .where('name', '=', 'numbers')
    .executeTakeFirstOrThrow();
  for (let i = 0; i < count; i++) {
    const versionIds = await db.transaction().execute(async (trx) => {
      const modelId = await saveModel(trx, modelOf(i), 1_000 + i);
      const ids: string[] = [];
      for (let number = 1; number <= VERSIONS_EACH; number++) {
        ids.push(await addVersion(trx, versionOf(modelId, number, i), ['numbers'], 1_000 + i));
      }
      return ids;
    });
    for (const versionId of versionIds) {
      for (const value of [0.5, i / count]) {
        const evaluation = {
          version_id: versionId,
          dataset_id: datasetId,
          origin: 'IMPORTED' as const,
          evaluated_rows: 10,
        };
        await insertEvaluation(db, evaluation, [metricOf(value)], 1_000 + i);
      }
    }
  }
}

/** The model with this number. */
export function modelOf(i: number) {
  return {
    name: `m${String(i).padStart(3, '0')}`,
    title: `Model number ${i}`,
    summary: i % 2 === 0 ? 'Tells apples from pears' : 'Tells cats from dogs',
    task: i % 3 === 0 ? 'TENSOR' : 'TABULAR_CLASSIFICATION',
    owner: `owner-${i % 4}`,
    account: `owner-${i % 4}`,
    license: i % 5 === 0 ? 'apache-2.0' : 'mit',
    retention_days: null,
    tags: [i % 2 === 0 ? 'even' : 'odd', 'all'],
    card: JSON.stringify({ markdown: `# Model number ${i}` }),
  };
}

/** A READY version; its framework depends on whether `i` is even. */
export function versionOf(modelId: string, number: number, i: number): NewVersion {
  const spec = { task: 'TENSOR', inputKind: 'TENSORS', inputs: [], outputs: [], columns: [], labels: [], example: {} };
  return {
    model_id: modelId,
    number,
    state: 'READY',
    state_reason: null,
    spec: JSON.stringify(spec),
    source_sha256: `${i}-${number}`,
    artifact_sha256: `${i}-${number}`.padStart(64, '0'),
    artifact_bytes: 1_000 * (i + 1),
    parameter_count: 10,
    opset: 13,
    producer: null,
    framework: i % 2 === 0 ? 'tensorflow 2.0' : 'scikit-learn 1.0',
    framework_name: i % 2 === 0 ? 'tensorflow' : 'scikit-learn',
    variants: '[]',
    preload: 0,
    test_dataset: 'numbers',
    verification: null,
    signed_by: null,
  };
}

function dataset() {
  return {
    name: 'numbers',
    title: 'Numbers',
    family: null,
    split: 'test',
    task: 'TENSOR',
    row_count: 2,
    sha256: null,
    license: null,
    source: null,
    description: null,
    target: null,
    columns: '[]',
    preview: '[{"x":1},{"x":2}]',
    rows_sha256: null,
    row_bytes: null,
    read_key: null,
  };
}

/** An accuracy over all classes. */
export function metricOf(value: number) {
  return {
    name: 'accuracy',
    average: null,
    label: null,
    value,
    undefined_reason: null,
    higher_is_better: 1,
    interval_low: null,
    interval_high: null,
    interval_level: null,
    interval_method: null,
  };
}
