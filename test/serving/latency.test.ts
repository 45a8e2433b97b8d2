/** The latency of a version by batch size: measured once per machine when the server is idle, and kept. */
import { rm } from 'node:fs/promises';
import { saveLatency } from '#src/serving/latency.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { heavyModel } from '../support/onnx.js';
import { until } from '../support/until.js';

const EXAMPLE = { tensors: [{ name: 'index', datatype: 'INT64', shape: [1], data: [0] }] };

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const [name, maxBatch] of [
    ['batches', 12],
    ['alone', 1],
  ] as const)
    await store.write(name, {
      '1/model.onnx': heavyModel(maxBatch, 4_000),
      'model.yaml': `preload: true\nmaxBatch: ${maxBatch}\nexample: ${JSON.stringify(EXAMPLE)}`,
    });
  app = await startTestApp({ modelStore: store.folder, workers: 2, measureLatency: true });
});
afterAll(async () => {
  await app.app.stop();
  await rm(app.dataDir, { recursive: true, force: true });
  await store.remove();
});

const SERVING = `query ($ref: VersionRef!) { version(ref: $ref) { id serving { servingState bestBatchSize
  latency { batchSize p50Ms p95Ms itemsPerSecond } } } }`;

async function servingOf(ref: string): Promise<Data> {
  return (await app.query(SERVING, { ref })).version.serving;
}

/** Asks the database: nothing is measured while requests arrive. */
async function isMeasured(model: string): Promise<boolean> {
  const found = await app.app.databases.catalogDb
    .selectFrom('latency')
    .innerJoin('version', 'version.id', 'latency.version_id')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select('latency.points')
    .where('model.name', '=', model)
    .executeTakeFirst();
  return found !== undefined;
}

test('a version that batches is measured at powers of two and its largest batch, another one alone', async () => {
  await until('both are measured', async () => (await isMeasured('batches')) && (await isMeasured('alone')));
  const { latency, bestBatchSize } = await servingOf('batches');
  const alone = await servingOf('alone');

  expect(latency.map(({ batchSize }: Data) => batchSize)).toEqual([1, 2, 4, 8, 12]);
  for (const { batchSize, p50Ms, p95Ms, itemsPerSecond } of latency) {
    expect(p50Ms).toBeGreaterThan(0);
    expect(p95Ms).toBeGreaterThanOrEqual(p50Ms);
    expect(itemsPerSecond).toBeCloseTo((1_000 * batchSize) / p50Ms, 3);
  }
  expect([1, 2, 4, 8, 12]).toContain(bestBatchSize);
  expect([alone.latency.length, alone.bestBatchSize]).toEqual([1, 1]);
});

test('the payload of load shows the latency, too', async () => {
  await until('it is measured', () => isMeasured('alone'));
  const { load } = await app.query(
    'mutation { load(version: "alone") { serving { bestBatchSize latency { batchSize } } } }',
  );

  expect(load.serving).toEqual({ bestBatchSize: 1, latency: [{ batchSize: 1 }] });
});

test('a page of versions reads all curves with one statement', async () => {
  const { catalogFile } = app.app.databases;
  const before = catalogFile.statementCount;
  await app.query('{ models(first: 2) { nodes { version { serving { maxBatch } } } } }');
  const without = catalogFile.statementCount;
  await app.query(
    '{ models(first: 2) { nodes { version { serving { maxBatch bestBatchSize latency { p50Ms } } } } } }',
  );

  expect(catalogFile.statementCount - without).toBe(without - before + 1);
});

test('a server that starts again has the curves and does not measure again', async () => {
  await until('both are measured', async () => (await isMeasured('batches')) && (await isMeasured('alone')));
  const before = { batches: await servingOf('batches'), alone: await servingOf('alone') };
  await app.app.stop();

  app = await startTestApp({ dataDir: app.dataDir, modelStore: store.folder, workers: 1, measureLatency: true });
  await app.query('mutation { unload(version: "alone") { problem { code } } }');
  const after = { batches: await servingOf('batches'), alone: await servingOf('alone') };
  const rows = await app.app.databases.catalogDb.selectFrom('latency').selectAll().execute();

  expect(after.batches).toEqual(before.batches);
  expect(after.alone).toEqual({ ...before.alone, servingState: 'COLD' });
  expect(rows).toHaveLength(2);
  for (const { resident_bytes } of rows) expect(resident_bytes).toBeGreaterThan(2 ** 20);
});

test('a curve of another machine, provider or runtime is not shown, and only the eight newest are kept', async () => {
  await until('it is measured', () => isMeasured('alone'));
  const { id, serving } = (await app.query(SERVING, { ref: 'alone' })).version;
  const { catalogDb } = app.app.databases;
  const own = await catalogDb.selectFrom('latency').selectAll().where('version_id', '=', id).executeTakeFirstOrThrow();
  const others = (['machine', 'provider', 'runtime'] as const).map((part) => ({ ...own, [part]: 'another' }));
  const older = Array.from({ length: 8 }, (_, i) => ({ ...own, machine: `older ${i}`, measured_at: i }));
  for (const row of [...others, ...older].map((row) => ({ ...row, points: '[]' }))) await saveLatency(catalogDb, row);

  const kept = await catalogDb.selectFrom('latency').select('machine').where('version_id', '=', id).execute();

  expect(await servingOf('alone')).toEqual(serving);
  expect(kept).toHaveLength(8);
  expect(kept.map(({ machine }) => machine)).toEqual(expect.arrayContaining([own.machine, 'another', 'older 7']));
});
