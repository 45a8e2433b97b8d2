/**
 * Fills the two databases of a data folder by SQL, so that a catalog of 100,000 models takes minutes.
 *
 * Each model has five versions, each version two evaluations of five metrics, and each card about 2 kB. One model in five
 * is evaluated on the same popular dataset; one in a hundred has the tag and the word "rare".
 */
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const FIRST_MS = 1_700_000_000_000;
const STEP = 10_000;
const VERSIONS_EACH = 5;
const DATASETS = 100;

/** A UUID version 7 with a prefix, in the order of `i`. */
const id = (type: string, i: string) =>
  `('${type}_' || substr(printf('%012x', ${FIRST_MS} + ${i}), 1, 8) || '-' || substr(printf('%012x', ${FIRST_MS} + ${i}), 9)
    || '-7000-8000-' || printf('%012x', ${i}))`;

const SERIES = 'with recursive series(i) as (select :from union all select i + 1 from series where i + 1 < :to)';

const WORDS = Array.from({ length: 400 }, (_, i) => `word${((i * 7919) % 100_003).toString(36)}`);

/** About 2 kB of text that differs between models, with words that all, half or one in a hundred of them have. */
const CARD = `json_object('markdown', '# Model number ' || i || char(10) || 'Classification of things by a network. '
  || case i % 2 when 0 then 'Tells apples from pears. ' else 'Tells cats from dogs. ' end
  || case i % 100 when 0 then 'A rare model. ' else '' end
  || 'Unique word u' || printf('%x', i * 2654435761 % 4294967296) || '. '
  || replace(printf('%.*c', 24, 'x'), 'x', substr(:words, 1 + (i * 31) % 2000, 75) || ' '))`;

const SPEC = JSON.stringify({
  task: 'TENSOR',
  inputKind: 'TENSORS',
  inputs: [],
  outputs: [],
  columns: [],
  labels: [],
  example: {},
});

const DATASET_OF = `case when (i / ${VERSIONS_EACH}) % 5 = 0 then 0 else 1 + (i / ${VERSIONS_EACH}) % ${DATASETS} end`;

const CATALOG: readonly (readonly [rowsPerModel: number, sql: string])[] = [
  [
    1,
    `insert into model (id, name, title, summary, task, owner, license, visibility, card, default_version_id, default_framework,
       default_bytes, created_at, updated_at)
     select ${id('model', 'i')}, printf('m%06d', i), 'Model number ' || i, 'Tells things apart',
       case i % 3 when 0 then 'TENSOR' else 'TABULAR_CLASSIFICATION' end, 'owner-' || (i % 50),
       case i % 5 when 0 then 'apache-2.0' else 'mit' end, 'public', ${CARD},
       ${id('version', `(i * ${VERSIONS_EACH} + ${VERSIONS_EACH - 1})`)}, case i % 2 when 0 then 'tensorflow' else 'scikit-learn' end,
       1000 + i * ${VERSIONS_EACH} + ${VERSIONS_EACH - 1}, ${FIRST_MS} + i, ${FIRST_MS} + i from series`,
  ],
  [
    1,
    `insert into model_tag (model_id, tag) select ${id('model', 'i')}, tag from series, (select 'all' as tag union select 'even' union select 'rare')
     where tag = 'all' or (tag = 'even' and i % 2 = 0) or (tag = 'rare' and i % 100 = 0)`,
  ],
  [
    VERSIONS_EACH,
    `insert into version (id, model_id, number, state, spec, source_sha256, artifact_sha256, artifact_bytes, parameter_count,
       framework, framework_name, variants, preload, test_dataset, created_at, updated_at)
     select ${id('version', 'i')}, ${id('model', `(i / ${VERSIONS_EACH})`)}, 1 + i % ${VERSIONS_EACH}, 'READY', '${SPEC}', printf('%064x', i),
       printf('%064x', i), 1000 + i, 10, case (i / 5) % 2 when 0 then 'tensorflow 2.0' else 'scikit-learn 1.0' end,
       case (i / 5) % 2 when 0 then 'tensorflow' else 'scikit-learn' end, '[]', 0, 'dataset-' || (${DATASET_OF}), ${FIRST_MS} + i, ${FIRST_MS} + i from series`,
  ],
  [
    VERSIONS_EACH,
    `insert into version_dataset (version_id, dataset_id) select ${id('version', 'i')}, ${id('dataset', `(${DATASET_OF})`)} from series`,
  ],
  [
    2 * VERSIONS_EACH,
    `insert into evaluation (id, version_id, dataset_id, origin, job_state, evaluated_rows, created_at, finished_at)
     select ${id('evaluation', 'j')}, ${id('version', 'i')}, ${id('dataset', `(${DATASET_OF})`)}, 'IMPORTED', 'SUCCEEDED', 100, ${FIRST_MS} + j, ${FIRST_MS} + j
     from (select i as j, i / 2 as i from series)`,
  ],
  [
    10 * VERSIONS_EACH,
    `insert into metric (evaluation_id, ordinal, name, value, higher_is_better)
     select ${id('evaluation', '(i / 5)')}, i % 5, case i % 5 when 0 then 'accuracy' when 1 then 'f1' when 2 then 'precision' when 3 then 'recall' else 'loss' end,
       ((i / 5) * 2654435761 % 4294967296) / 4294967296.0, 1 from series`,
  ],
];

const PREDICTION = `insert into prediction (id, version_id, principal_id, created_at, input, answer, label, timing, runtime)
  select ${id('prediction', 'i')}, ${id('version', '(i % 50)')}, 'anonymous', ${FIRST_MS} + i,
    '{"text":"' || printf('%.*c', 120, 'x') || i || '"}',
    '{"kind":"classification","label":"ham","score":0.9,"scores":[{"label":"ham","score":0.9},{"label":"spam","score":0.1}]}',
    case when i % 10000 = 0 then 'rare' when i % 10 = 0 then 'spam' else 'ham' end,
    '{"queueMs":0.1,"preprocessMs":0.2,"inferenceMs":0.7,"postprocessMs":0.1,"totalMs":1.3,"batchSize":1}',
    '{"provider":"cpu","worker":1}' from series`;

export function fillCatalogFile(dataDir: string, models: number): void {
  const db = openFast(path.join(dataDir, 'catalog.db'));
  const words = WORDS.join(' ').padEnd(2_100, ' word');
  db.prepare(
    `with recursive series(i) as (select 0 union all select i + 1 from series where i < ${DATASETS})
     insert into dataset (id, name, title, task, visibility, columns, preview, created_at, updated_at)
     select ${id('dataset', 'i')}, 'dataset-' || i, 'Dataset ' || i, 'TENSOR', 'public', '[]', '[]', 1, 1 from series`,
  ).run();
  for (const [rowsPerModel, sql] of CATALOG) {
    insertInSteps(db, sql, models * rowsPerModel, sql.includes(':words') ? { words } : {});
  }
  db.close();
}

export function fillPredictionsFile(dataDir: string, predictions: number): void {
  const db = openFast(path.join(dataDir, 'predictions.db'));
  insertInSteps(db, PREDICTION, predictions, {});
  db.close();
}

function openFast(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  db.exec(
    'pragma journal_mode = wal; pragma synchronous = off; pragma foreign_keys = off; pragma cache_size = -200000',
  );
  return db;
}

function insertInSteps(db: DatabaseSync, sql: string, rows: number, more: Record<string, string>): void {
  const statement = db.prepare(sql.replace(/^(insert[^)]*\))/, `$1 ${SERIES}`));
  for (let from = 0; from < rows; from += STEP)
    statement.run({ ...more, from: BigInt(from), to: BigInt(Math.min(from + STEP, rows)) });
}
