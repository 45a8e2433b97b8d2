/** The query plans of every read that must stay fast in a large catalog. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { fillCatalogFile, fillPredictionsFile } from '../bench/growth-data.js';
import { runnableReads } from '../bench/growth-run.js';

const TABLES = ['model', 'model_tag', 'version', 'version_dataset', 'dataset', 'evaluation', 'metric', 'prediction'];

/** Scans that end when the page or the count is full, or that read an index of about 150 bytes for each model. */
const BOUNDED: Readonly<Record<string, readonly string[]>> = {
  models: ['SCAN model USING COVERING INDEX model_listing', 'SCAN model USING COVERING INDEX model_search'],
  facets: ['SCAN model USING COVERING INDEX model_listing', 'SCAN model USING COVERING INDEX model_search'],
  datasets: ['SCAN dataset USING INDEX sqlite_autoindex_dataset_2'],
  predictions: ['SCAN prediction USING INDEX sqlite_autoindex_prediction_1', 'SCAN prediction'],
};
const ALSO_MODELS = ['25 models with version and metrics', '20 models with versions and evaluations'];

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

async function planOf(name: string): Promise<string[]> {
  const read = (await runnableReads(databases)).find((one) => one.name === name);
  return (await read?.plans())?.flat() ?? [];
}

const scans = (plan: string[]) =>
  plan.filter((step) => TABLES.some((table) => step === `SCAN ${table}` || step.startsWith(`SCAN ${table} `)));

test('no read scans a table that grows, except an index as far as a page or a count goes', async () => {
  const wrong: string[] = [];
  for (const { name, plans } of await runnableReads(databases)) {
    const family = ALSO_MODELS.includes(name) ? 'models' : (/^\w+/.exec(name)?.[0] as string);
    // Lists of predictions with a filter use an index that starts with what is filtered.
    const allowed = /^predictions (with|of)/.test(name) ? [] : (BOUNDED[family] ?? []);
    const found = scans((await plans()).flat()).filter((step) => !allowed.includes(step));
    wrong.push(...found.map((step) => `${name}: ${step}`));
  }

  expect(wrong).toEqual([]);
});

test('lists of models read their rows, with the cards, for the page only', async () => {
  for (const { name, plans } of await runnableReads(databases)) {
    if (!/^(models|search|facets)/.test(name)) continue;
    const [first = []] = await plans();
    const rowReads = first.filter((step) => /^(SCAN|SEARCH) model (?!USING COVERING)/.test(step));

    expect({ name, rowReads }).toEqual({
      name,
      rowReads: /total$|^facets/.test(name) ? [] : ['SEARCH model USING INDEX sqlite_autoindex_model_1 (id=?)'],
    });
  }
});

test.each([
  ['predictions with a rare label', 'SEARCH prediction USING INDEX prediction_label (label=?)'],
  ['predictions of a model', 'SEARCH prediction USING INDEX prediction_version (version_id=?)'],
  [
    'predictions of a model with a rare label',
    'SEARCH prediction USING INDEX prediction_version_label (version_id=? AND label=?)',
  ],
  [
    'models by metric and dataset',
    'SEARCH evaluation USING COVERING INDEX evaluation_version_dataset (version_id=? AND dataset_id=?)',
  ],
  ['models by metric', 'SEARCH metric USING INDEX sqlite_autoindex_metric_1 (evaluation_id=?)'],
  ['evaluations of a popular dataset', 'SEARCH evaluation USING INDEX evaluation_dataset (dataset_id=?)'],
  ['search: three words', 'SEARCH model USING COVERING INDEX model_search (search_id=?)'],
])('%s: %s', async (name, step) => {
  expect(await planOf(name)).toContain(step);
});
