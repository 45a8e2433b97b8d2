/** The query plans of every read that must stay fast in a large catalog. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { fillCatalogFile, fillPredictionsFile } from '../bench/growth-data.js';
import { runnableReads } from '../bench/growth-run.js';

const TABLES = ['model', 'model_tag', 'version', 'version_dataset', 'dataset', 'evaluation', 'metric', 'prediction'];

/** Walks in the order of the list, until the page or the count is full. */
const BOUNDED = [
  'SCAN model USING INDEX sqlite_autoindex_model_2',
  'SCAN dataset USING INDEX sqlite_autoindex_dataset_2',
];

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

test.each([
  '25 models with version and metrics',
  '20 models with versions and evaluations',
  'models by metric',
  'models by metric and dataset',
  'models by task, tag and metric',
  'evaluations of a popular dataset: total',
  'trained versions of a popular dataset: total',
])('%s: scans no table that grows beyond the page', async (name) => {
  const plan = await planOf(name);

  expect(plan).not.toEqual([]);
  expect(scans(plan).filter((step) => !BOUNDED.includes(step))).toEqual([]);
});

test('a metric filter reads the evaluations of one version, and their metrics', async () => {
  const plan = await planOf('models by metric and dataset');

  expect(plan).toContain('SEARCH evaluation USING INDEX evaluation_version_dataset (version_id=? AND dataset_id=?)');
  expect(plan).toContain('SEARCH metric USING INDEX sqlite_autoindex_metric_1 (evaluation_id=?)');
});
