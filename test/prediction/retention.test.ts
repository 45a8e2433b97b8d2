/** What the sweeper deletes in a large data folder, and what it keeps. */
import 'reflect-metadata';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Sweeper } from '#src/prediction/sweeper.js';
import { BlobFolder } from '#src/storage/blobs.js';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { firstIdAt } from '#src/storage/ids.js';
import { fillCatalogFile, fillPredictionsFile } from '../bench/growth-data.js';
import { sweeperParts } from '../support/sealed-data.js';

/** More versions than a statement can have parameters. */
const MODELS = 6_600;
const PREDICTIONS = 2_000;

let folder: string;
let databases: Databases;
let blobs: BlobFolder;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-retention-'));
  await (await openDatabases(folder)).close();
  blobs = new BlobFolder(path.join(folder, 'blobs'));
  await blobs.open();
});
afterEach(async () => {
  await databases.close();
  await rm(folder, { recursive: true, force: true });
});

async function sweep(now: number): Promise<number> {
  const parts = await sweeperParts(databases, folder);
  return new Sweeper(parts, { retentionDays: 30 }).sweep(now);
}

async function countPredictions(): Promise<number> {
  return (await databases.predictionDb.selectFrom('prediction').select('id').execute()).length;
}

test('predictions are deleted in a catalog of 33,000 versions', async () => {
  fillCatalogFile(folder, MODELS);
  fillPredictionsFile(folder, PREDICTIONS);
  databases = await openDatabases(folder);

  expect(await sweep(Date.now())).toBe(PREDICTIONS);
  expect(await countPredictions()).toBe(0);
});

test('a model keeps its predictions for its own number of days', async () => {
  fillCatalogFile(folder, 20);
  fillPredictionsFile(folder, PREDICTIONS);
  databases = await openDatabases(folder);
  // Each of 50 versions has 40 predictions, so each of the first ten models has 200.
  const days = async (name: string, retention_days: number, origin: 'store' | 'account' = 'store') =>
    databases.catalogDb.updateTable('model').set({ retention_days, origin }).where('name', '=', name).execute();
  await days('m000000', 3_650);
  await days('m000001', 1);
  // An account keeps them no longer than the operator.
  await days('m000002', 3_650, 'account');
  await days('m000003', 1, 'account');
  const made = 1_700_000_000_000;

  expect(await sweep(made + 2 * 86_400_000)).toBe(400);
  expect(await sweep(made + 29 * 86_400_000)).toBe(0);
  expect(await sweep(made + 31 * 86_400_000)).toBe(PREDICTIONS - 600);
  expect(await countPredictions()).toBe(200);
});

test('idempotency keys are deleted after a day, however many there are', async () => {
  databases = await openDatabases(folder);
  const row = (i: number) => ({ principal_id: 'p', key: `k${i}`, prediction_id: 'i', request_sha256: 'd' });
  for (const [from, created_at] of [
    [0, 1],
    [2_000, 200_000_000],
  ] as const)
    await databases.predictionDb
      .insertInto('idempotency')
      .values(Array.from({ length: 1_200 }, (_, i) => ({ ...row(from + i), created_at })))
      .execute();

  await sweep(200_000_001);

  expect(await databases.predictionDb.selectFrom('idempotency').select('key').execute()).toHaveLength(1_200);
});

test('a blob that is stored again while it is deleted stays', async () => {
  databases = await openDatabases(folder);
  for (let i = 0; i < 100; i++) {
    const digest = await blobs.put(`input ${i}`);
    await utimes(blobs.pathOf(digest), 1, 1);

    await Promise.all([blobs.deleteUnused(digest, 500_000), blobs.put(`input ${i}`)]);

    expect((await blobs.get(digest)).toString()).toBe(`input ${i}`);
  }
});

const HOUR_MS = 3_600_000;

/** A blob as the server leaves it: last stored this many hours before `NOW`. */
async function storedBlob(text: string, hoursAgo: number): Promise<string> {
  const digest = await blobs.put(text);
  const stored = new Date(NOW - hoursAgo * HOUR_MS);
  await utimes(blobs.pathOf(digest), stored, stored);
  return digest;
}

const NOW = Date.now() + 365 * 24 * HOUR_MS;

async function sweepForTwoDays(): Promise<void> {
  for (let hour = 0; hour < 48; hour++) await sweep(NOW + (hour - 47) * HOUR_MS);
}

async function which(digests: Readonly<Record<string, string>>): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(digests).map(async ([name, digest]) => ((await blobs.size(digest).catch(() => null)) ? [name] : [])),
  );
  return found.flat();
}

test('a blob without a row is deleted after a day; those of predictions and versions, and young ones, stay', async () => {
  fillCatalogFile(folder, 60);
  databases = await openDatabases(folder);
  const { catalogDb, predictionDb } = databases;
  const old = async (name: string) => storedBlob(name, 24 * 90);
  const orphans = Object.fromEntries(
    await Promise.all(Array.from({ length: 40 }, async (_, i) => [`orphan ${i}`, await old(`orphan ${i}`)])),
  );
  const used = {
    input: await old('input'),
    graph: await old('graph'),
    variant: await old('variant'),
    tokenizer: await old('tokenizer'),
    tokenizerOfVariant: await old('tokenizerOfVariant'),
    young: await storedBlob('young', 12),
  };
  const prediction = { version_id: 'v', principal_id: 'p', answer: '{}', timing: '{}', runtime: '{}' };
  await predictionDb
    .insertInto('prediction')
    .values({ ...prediction, id: firstIdAt('Prediction', NOW), created_at: NOW, input_sha256: used.input })
    .execute();
  const last = await catalogDb.selectFrom('version').select('id').orderBy('id', 'desc').executeTakeFirstOrThrow();
  const text = (tokenizerSha256: string) => ({ text: { tokenizerSha256 } });
  await catalogDb
    .updateTable('version')
    .set({
      artifact_sha256: used.graph,
      spec: JSON.stringify(text(used.tokenizer)),
      variants: JSON.stringify([{ sha256: used.variant, spec: text(used.tokenizerOfVariant) }]),
    })
    .where('id', '=', last.id)
    .execute();

  await sweepForTwoDays();

  expect(await which({ ...orphans, ...used })).toEqual(Object.keys(used));
});

test('an input that was stored again for a new prediction is kept while orphans are deleted', async () => {
  databases = await openDatabases(folder);
  const digest = await storedBlob('again', 24 * 90);
  await blobs.put('again');
  const renewed = new Date(NOW - HOUR_MS);
  await utimes(blobs.pathOf(digest), renewed, renewed);

  for (let hour = 0; hour < 24; hour++) await sweep(NOW - hour * HOUR_MS);

  expect(await which({ again: digest })).toEqual(['again']);
});
