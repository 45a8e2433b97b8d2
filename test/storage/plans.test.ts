/** The query plans of every read that must stay fast in a large catalog. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { fillCatalogFile, fillPredictionsFile } from '../bench/growth-data.js';
import { runnableReads } from '../bench/growth-run.js';

/**
 * The scans that are allowed: they end when the page or the count is full, or read an index of about 150 bytes for each
 * model. A list of models reads its rows, with the cards, for the page only.
 */
const MODELS_BY_NAME = 'SCAN model USING COVERING INDEX model_listing';
const MODELS_IN_ANY_ORDER = 'SCAN model USING COVERING INDEX model_size';
const DATASETS_BY_NAME = 'SCAN dataset USING INDEX sqlite_autoindex_dataset_2';
const PREDICTIONS_BY_ID = 'SCAN prediction USING INDEX sqlite_autoindex_prediction_1';
const PREDICTIONS = 'SCAN prediction';

const byId = (alias: string, table = alias) => `SEARCH ${alias} USING INDEX sqlite_autoindex_${table}_1 (id=?)`;
const TAGGED = 'SEARCH model_tag USING COVERING INDEX model_tag_tag (tag=?)';
const FOUND = 'SEARCH model USING COVERING INDEX model_search (search_id=?)';
const DATASET_BY_NAME = 'SEARCH dataset USING INDEX sqlite_autoindex_dataset_2 (name=?)';
const SEEN_DATASET = 'SEARCH dataset EXISTS USING INDEX sqlite_autoindex_dataset_1 (id=?)';
const VALUE_OF_MODEL = 'SEARCH model_metric USING PRIMARY KEY (search_id=? AND name=? AND value>?)';
const VALUES = [
  'SEARCH model_metric USING COVERING INDEX model_metric_value (name=? AND value>?)',
  SEEN_DATASET,
  VALUE_OF_MODEL,
];
const VALUES_ON_DATASET = [
  'SEARCH model_metric USING COVERING INDEX model_metric_dataset (name=? AND dataset_id=? AND value>?)',
  DATASET_BY_NAME,
  VALUE_OF_MODEL,
];
const EVALUATED = [
  byId('dataset'),
  'SEARCH evaluation USING INDEX evaluation_dataset (dataset_id=?)',
  byId('version'),
  byId('model'),
];
const TRAINED = [
  byId('dataset'),
  'SEARCH trained USING COVERING INDEX version_dataset_dataset (dataset_id=?)',
  byId('version'),
  byId('model'),
];
const SINCE = 'SEARCH prediction USING INDEX sqlite_autoindex_prediction_1 (id>?)';
const OF_VERSION = 'SEARCH prediction USING INDEX prediction_version (version_id=?)';
const LABELED_OF_VERSION = 'SEARCH prediction USING INDEX prediction_version_label (version_id=? AND label=?)';
const NEWEST = 'SEARCH found USING COVERING INDEX sqlite_autoindex_prediction_1 (id=?)';
const USED_VERSIONS = [
  'SEARCH prediction USING COVERING INDEX prediction_version',
  'SEARCH prediction USING COVERING INDEX prediction_version (version_id>?)',
];
const ONE_OF_LABELS = 'SEARCH answer_label USING PRIMARY KEY (version_id=? AND label=?)';
const LABELED = [byId('prediction'), ...USED_VERSIONS, LABELED_OF_VERSION, ONE_OF_LABELS, NEWEST];

const TAGS = 'SEARCH model_tag USING COVERING INDEX sqlite_autoindex_model_tag_1 (model_id=?)';

const page = (...steps: string[]) => [...steps, byId('model'), TAGS];
const pageAndTotal = (name: string, ofPage: readonly string[], ofTotal: readonly string[]) => ({
  [name]: ofPage,
  [`${name}: total`]: ofTotal,
});
const models = (name: string, ...conditions: string[]) =>
  pageAndTotal(name, page(MODELS_BY_NAME, ...conditions), [MODELS_IN_ANY_ORDER, ...conditions]);
const search = (name: string) => pageAndTotal(`search: ${name}`, page(FOUND), [FOUND]);

/** How each read finds the rows of its tables, in the order of the plan and each step once. */
const PLANS: Readonly<Record<string, readonly string[]>> = {
  ...models('models'),
  'models after a cursor': [
    MODELS_BY_NAME,
    byId('model'),
    TAGS,
    'SEARCH model USING COVERING INDEX model_listing ((name,id)>(?,?))',
  ],
  'model by name and by id': ['SEARCH model USING INDEX sqlite_autoindex_model_2 (name=?)', TAGS, byId('model')],
  ...models('models of a common owner'),
  ...models('models of an owner nobody has'),
  ...models('models of a license nobody has'),
  ...models('models of a framework nobody has'),
  ...pageAndTotal('models of at most 0 bytes', page(MODELS_BY_NAME), [
    'SEARCH model USING COVERING INDEX model_size (default_bytes<?)',
  ]),
  ...models('models with a common tag', TAGGED),
  ...models('models with a tag nobody has', TAGGED),
  ...models('models by metric', ...VALUES),
  ...models('models by metric and dataset', ...VALUES_ON_DATASET),
  ...models('models by a metric that none reaches', ...VALUES),
  ...models('models by task, tag and metric', TAGGED, ...VALUES),
  ...pageAndTotal('models by creation and an owner nobody has', page('SCAN model USING COVERING INDEX model_created'), [
    MODELS_IN_ANY_ORDER,
  ]),
  ...pageAndTotal(
    'models by update and a metric that none reaches',
    page('SCAN model USING COVERING INDEX model_updated', ...VALUES),
    [MODELS_IN_ANY_ORDER, ...VALUES],
  ),
  'models by size': [
    'SEARCH model USING COVERING INDEX model_size (default_bytes>?)',
    MODELS_BY_NAME,
    byId('model'),
    TAGS,
  ],
  'models by accuracy on a dataset': [
    'SEARCH model_score USING COVERING INDEX model_score_value (name=? AND dataset_id=?)',
    DATASET_BY_NAME,
    FOUND,
    MODELS_BY_NAME,
    'SEARCH model_score USING PRIMARY KEY (search_id=? AND name=? AND dataset_id=?)',
    byId('model'),
    TAGS,
  ],
  'models by recent use': [
    'SEARCH model_use USING COVERING INDEX model_use_day (account=? AND used_on>?)',
    byId('model'),
    MODELS_BY_NAME,
    'SEARCH model_use USING INDEX sqlite_autoindex_model_use_1 (account=? AND model_id=?)',
    TAGS,
  ],
  ...search('a word of all models'),
  ...search('a word of 1 % of the models'),
  ...search('a prefix of two letters'),
  ...search('three words'),
  facets: ['SEARCH facet_count USING PRIMARY KEY (field=?)'],
  'facets of a filter': [MODELS_IN_ANY_ORDER, TAGGED, 'SEARCH facet_count USING PRIMARY KEY (field=?)'],
  'facets of a search': [FOUND, 'SEARCH model_tag USING COVERING INDEX sqlite_autoindex_model_tag_1 (model_id=?)'],
  '25 models with version and metrics': [
    ...page(MODELS_BY_NAME),
    byId('version'),
    byId('best', 'evaluation'),
    DATASET_BY_NAME,
    'SEARCH evaluation USING INDEX evaluation_version_dataset (version_id=? AND dataset_id=?)',
    'SEARCH metric USING INDEX sqlite_autoindex_metric_1 (evaluation_id=?)',
  ],
  '20 models with versions and evaluations': [
    ...page(MODELS_BY_NAME),
    byId('listed', 'version'),
    'SEARCH version USING COVERING INDEX version_model (model_id=?)',
    byId('owner', 'model'),
    byId('listed', 'evaluation'),
    byId('version'),
    'SEARCH evaluation USING INDEX evaluation_version (version_id=?)',
    byId('dataset'),
  ],
  datasets: [DATASETS_BY_NAME],
  ...pageAndTotal(
    'evaluations of a popular dataset',
    [byId('listed', 'evaluation'), ...EVALUATED],
    [byId('listed', 'evaluation'), ...EVALUATED],
  ),
  ...pageAndTotal(
    'trained versions of a popular dataset',
    [byId('listed', 'version'), ...TRAINED, byId('owner', 'model')],
    [byId('listed', 'version'), ...TRAINED, byId('owner', 'model')],
  ),
  ...pageAndTotal('predictions', [PREDICTIONS_BY_ID], [PREDICTIONS_BY_ID, PREDICTIONS]),
  ...pageAndTotal('predictions since', [SINCE], [SINCE]),
  ...pageAndTotal('predictions with a common label', LABELED, LABELED),
  ...pageAndTotal('predictions with a rare label', LABELED, LABELED),
  ...pageAndTotal('predictions with an unknown label', LABELED, LABELED),
  ...pageAndTotal(
    'predictions of a model',
    [byId('prediction'), OF_VERSION, NEWEST],
    [byId('prediction'), OF_VERSION, NEWEST],
  ),
  ...pageAndTotal(
    'predictions of a model nobody used',
    [byId('prediction'), OF_VERSION, NEWEST],
    [byId('prediction'), OF_VERSION, NEWEST],
  ),
  ...pageAndTotal(
    'predictions of a model with a rare label',
    [byId('prediction'), LABELED_OF_VERSION, ONE_OF_LABELS, NEWEST],
    [byId('prediction'), LABELED_OF_VERSION, ONE_OF_LABELS, NEWEST],
  ),
  ...pageAndTotal(
    'predictions of a model with an unknown label',
    [byId('prediction'), LABELED_OF_VERSION, ONE_OF_LABELS, NEWEST],
    [byId('prediction'), LABELED_OF_VERSION, ONE_OF_LABELS, NEWEST],
  ),
  'prediction by id': [byId('prediction')],
  'idempotency key': [
    'SEARCH idempotency USING INDEX sqlite_autoindex_idempotency_1 (principal_id=? AND key=?)',
    byId('prediction'),
  ],
};

let folder: string;
let databases: Databases;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-plans-'));
  await (await openDatabases(folder)).close();
  fillCatalogFile(folder, 30);
  fillPredictionsFile(folder, 100);
  databases = await openDatabases(folder);
});
afterAll(async () => {
  await databases.close();
  await rm(folder, { recursive: true, force: true });
});

/** Steps on tables and their indexes. The others are about rows that the statement has already. */
const isAccess = (step: string) => /^SEARCH |^SCAN (model|dataset|prediction|\w+ USING)\b/.test(step);

test('every read of a large catalog has its plan here', async () => {
  const names = (await runnableReads(databases)).map(({ name }) => name);

  expect(names).toEqual(Object.keys(PLANS));
});

test.each(Object.entries(PLANS))('%s: read by index', async (name, plan) => {
  const read = (await runnableReads(databases)).find((one) => one.name === name);
  const steps = ((await read?.plans()) ?? []).flat().filter(isAccess);

  expect([...new Set(steps)]).toEqual(plan);
});
