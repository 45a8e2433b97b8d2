/** What was erased is nowhere anymore, whenever the server was killed meanwhile, and all else is left. */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { checkFolder, repairFolder } from '#src/maintenance/check.js';
import { findRowsToErase } from '#src/prediction/erasure.queries.js';
import { requestDigest } from '#src/prediction/idempotency.js';
import { openDatabases } from '#src/storage/database.js';
import { firstIdAt } from '#src/storage/ids.js';
import { NO_SETTINGS } from '#src/vault/master-keys.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import { post } from '../support/graphql-client.js';
import { createStore } from '../support/model-store.js';
import { startServer } from '../support/server.js';
import { until } from '../support/until.js';

const CANARY = 'canary-91b3e0';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { replayed prediction { id } problem { message } } }`;
const READ = 'query ($id: ID!) { prediction(id: $id) { input } }';
const ERASE = `mutation ($input: ErasePredictionsInput!) { erasePredictions(input: $input) {
  erasure { id deleted leftInBackups finishedAt } problem { code ... on InvalidInput { problems { path code } } } } }`;
const DELETE = `mutation ($ids: [ID!]!) { deletePredictions(ids: $ids, reason: "asked for") {
  erasure { deleted finishedAt } problem { code ... on InvalidInput { problems { path code } } } } }`;

const large = `${CANARY} and eggs `.repeat(2_000);

let dataDir: string;
let app: TestApp;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-erasure-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  app = await startTestApp({ dataDir });
});
afterAll(async () => {
  await disarmFault();
  await app.app.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function predict(options: Record<string, unknown>, text = 'some text'): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'spam-filter', input: { text }, ...options } })).predict;
}

async function idOf(options: Record<string, unknown>, text?: string): Promise<string> {
  return (await predict(options, text)).prediction.id;
}

async function erase(input: Record<string, unknown>): Promise<Data> {
  return (await app.query(ERASE, { input: { account: 'anonymous', ...input } })).erasePredictions;
}

async function isThere(id: string): Promise<boolean> {
  return (await app.query(READ, { id })).prediction !== null;
}

/** The files of the data folder that have these bytes. */
async function filesWith(bytes: string | Buffer): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(file).catch(() => Buffer.alloc(0))).includes(bytes)) found.push(entry.name);
  }
  return found;
}

const countBlobs = async () => (await readdir(path.join(dataDir, 'blobs/sha256'), { recursive: true })).length;

test('digests of requests, idempotency keys and labels say nothing without the keys', async () => {
  const text = `${CANARY} digest`;
  await predict({ idempotencyKey: `${CANARY} key` }, text);
  const again = await predict({ idempotencyKey: `${CANARY} key` }, text);
  const { label } = await app.app.databases.predictionDb
    .selectFrom('prediction')
    .select('label')
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow();

  expect(again.replayed).toBe(true);
  expect(await filesWith(requestDigest({ model: 'spam-filter', input: { text } }))).toEqual([]);
  expect(await filesWith(CANARY)).toEqual([]);
  expect(label).toMatch(/^[\w-]{22}$/);
});

test('all of a subject is erased, with its keys, and can be read in no copy; the rest stays', async () => {
  const { predictionDb, keyDb } = app.app.databases;
  const kept = await idOf({ subject: 'bob' });
  const blobs = await countBlobs();
  const ids = [await idOf({ subject: 'ann' }), await idOf({ subject: 'ann' }, large)];
  await predict({ subject: 'ann', idempotencyKey: 'once' });
  const { data_key } = await predictionDb
    .selectFrom('prediction')
    .select('data_key')
    .where('id', '=', ids[0] as string)
    .executeTakeFirstOrThrow();
  const { wrapped } = await keyDb
    .selectFrom('data_key')
    .select('wrapped')
    .where('id', '=', data_key as number)
    .executeTakeFirstOrThrow();
  const bytes = Buffer.from(wrapped);
  const before = await filesWith(bytes);
  await app.app.databases.predictionsFile.truncateLog();
  const copy = path.join(dataDir, '../', `${path.basename(dataDir)}-copy.db`);
  await cp(path.join(dataDir, 'predictions.db'), copy);

  const { erasure, problem } = await erase({ subject: 'ann', reason: 'asked for' });

  expect(problem).toBeNull();
  expect(erasure).toMatchObject({ deleted: 3, leftInBackups: 0, finishedAt: expect.any(String) });
  expect(before.length).toBeGreaterThan(0);
  expect(await filesWith(bytes)).toEqual([]);
  expect(await Promise.all([...ids, kept].map(isThere))).toEqual([false, false, true]);
  expect(await countBlobs()).toBeLessThanOrEqual(blobs + 1);
  expect(await predict({ subject: 'ann', idempotencyKey: 'once' })).toMatchObject({ replayed: false, problem: null });
  const { auditLog } = await app.query('{ auditLog(first: 1) { nodes { action target reason after } } }');
  expect(auditLog.nodes[0]).toMatchObject({ action: 'erasePredictions', target: 'predictions of anonymous' });
  expect(JSON.stringify(auditLog)).not.toContain('ann"');

  // As if the predictions of a backup were restored.
  await app.app.stop();
  for (const end of ['', '-wal', '-shm']) await rm(path.join(dataDir, `predictions.db${end}`), { force: true });
  await cp(copy, path.join(dataDir, 'predictions.db'));
  await rm(copy);
  app = await startTestApp({ dataDir });
  const left = async () => {
    const found: string[] = [];
    for await (const { code, message } of checkFolder(dataDir, { ...NO_SETTINGS, progress: () => {}, isAlone: false }))
      found.push(`${code} ${message}`);
    return found.filter((one) => one.startsWith('ERASED_LEFT'));
  };
  expect(await left()).toEqual([
    'ERASED_LEFT 3 predictions are encrypted with keys that were destroyed after they were recorded',
  ]);
  const restored = await app.send(READ, { id: ids[0] as string });
  expect(restored.errors?.[0]?.extensions).toMatchObject({ code: 'UNREADABLE_RECORD' });
  expect((await app.query(READ, { id: kept })).prediction.input).toEqual({ text: 'some text' });

  expect((await app.query(DELETE, { ids: [ids[0]] })).deletePredictions.erasure.deleted).toBe(1);
  await app.app.stop();
  const repairing = { ...NO_SETTINGS, store: STORE, reason: null, progress: () => {} };
  for await (const { problem, failure } of repairFolder(dataDir, repairing))
    if (problem.code === 'ERASED_LEFT') expect(failure).toBeNull();
  expect(await left()).toEqual([]);
  app = await startTestApp({ dataDir });
  expect(await Promise.all([...ids, kept].map(isThere))).toEqual([false, false, true]);
});

test('while another process reads, others predict, and what was erased in the log is not said to be gone', async () => {
  const { predictionsFile, catalogDb } = app.app.databases;
  await predictionsFile.truncateLog();
  const reader = new DatabaseSync(path.join(dataDir, 'predictions.db'), { readOnly: true });
  const id = await idOf({});
  reader.exec('begin');
  reader.prepare('select count(*) from prediction').get();
  const deleting = app.query(DELETE, { ids: [id] });
  const begun = performance.now();
  let slowest = 0;
  while (performance.now() - begun < 1_000) {
    const sent = performance.now();
    await idOf({});
    slowest = Math.max(slowest, performance.now() - sent);
  }
  const { deletePredictions } = await deleting;
  reader.close();

  expect(deletePredictions).toEqual({ erasure: { deleted: 1, finishedAt: null }, problem: null });
  expect(slowest).toBeLessThan(2_000);
  const left = catalogDb.selectFrom('erasure').select('id').where('finished_at', 'is', null);
  expect(await left.execute()).toHaveLength(1);
});

test('a deletion of named predictions does not wait for an erasure that takes long', async () => {
  const id = await idOf({});
  const { catalogDb, predictionDb } = app.app.databases;
  const row = await predictionDb.selectFrom('prediction').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  // Before any prediction of the other tests.
  const made = Date.now() - 3_600_000;
  const rows = Array.from({ length: 4_000 }, (_, i) => ({ ...row, id: firstIdAt('Prediction', made + i) }));
  for (let at = 0; at < rows.length; at += 500)
    await predictionDb
      .insertInto('prediction')
      .values(rows.slice(at, at + 500))
      .execute();
  const range = { from: new Date(made).toISOString(), to: new Date(made + 4_000).toISOString() };
  let isOver = false;
  const erasing = erase(range).then((erased) => {
    isOver = true;
    return erased;
  });
  const requested = catalogDb.selectFrom('erasure').select('id').where('made_from', '=', made);
  await until('it was requested', async () => (await requested.execute()).length === 1);
  const { deletePredictions } = await app.query(DELETE, { ids: [id] });
  const wasOver = isOver;

  expect(deletePredictions.erasure).toMatchObject({ deleted: 1, finishedAt: expect.any(String) });
  expect(wasOver).toBe(false);
  expect((await erasing).erasure).toMatchObject({ deleted: 4_000, finishedAt: expect.any(String) });
});

test('an erasure that goes on after a restart leaves what was recorded since it was requested', async () => {
  const { catalogDb } = app.app.databases;
  const today = new Date().toISOString().slice(0, 10);
  const before = await idOf({});
  await new Promise((resolve) => setTimeout(resolve, 5));
  const requested_at = Date.now();
  const later = await idOf({});
  const erasure = {
    id: 'erasure_interrupted',
    account: 'anonymous',
    subject: null,
    key_id: null,
    // Not all of the day, so that its key is kept.
    made_from: Date.parse(today) + 1,
    made_before: 2 ** 48 - 1,
    predictions: null,
    last_data_key: 1_000_000,
    deleted: 0,
    left_in_backups: 0,
    requested_at,
    finished_at: null,
  };
  await catalogDb.insertInto('erasure').values(erasure).execute();
  await app.app.stop();
  app = await startTestApp({ dataDir });
  const open = () => app.app.databases.catalogDb.selectFrom('erasure').select('id').where('finished_at', 'is', null);
  await until('it is complete', async () => (await open().execute()).length === 0);

  expect(await Promise.all([before, later].map(isThere))).toEqual([false, true]);
});

test('what was recorded before the clock was set back is erased too', async () => {
  const id = await idOf({ subject: 'early' });
  const ahead = firstIdAt('Prediction', Date.now() + 3_600_000);
  const { predictionDb } = app.app.databases;
  await predictionDb.updateTable('prediction').set({ id: ahead }).where('id', '=', id).execute();

  expect((await erase({ subject: 'early' })).erasure.deleted).toBe(1);
});

test('predictions of others are passed in steps, however few the account has', async () => {
  const { predictionDb } = app.app.databases;
  const kept = await idOf({ subject: 'others' });
  const row = await predictionDb.selectFrom('prediction').selectAll().where('id', '=', kept).executeTakeFirstOrThrow();
  const made = Date.now();
  const others = Array.from({ length: 600 }, (_, i) => firstIdAt('Prediction', made + i));
  const rows = others.map((id) => ({ ...row, id, principal_id: 'others' }));
  for (const some of [rows.slice(0, 300), rows.slice(300)])
    await predictionDb.insertInto('prediction').values(some).execute();
  const id = firstIdAt('Prediction', made + 700);
  await predictionDb
    .insertInto('prediction')
    .values({ ...row, id })
    .execute();
  const range = { made_from: made, made_before: made + 1_000, predictions: null };
  const step = await findRowsToErase(predictionDb, range, { after: '', last: id, limit: 100 });

  expect(step.map((one) => one.id)).toEqual(others.slice(0, 100));
  expect((await erase({ subject: 'others' })).erasure.deleted).toBe(2);
  const left = predictionDb.selectFrom('prediction').select('id').where('principal_id', '=', 'others');
  expect(await left.where('id', 'in', others).execute()).toHaveLength(600);
  await predictionDb.deleteFrom('prediction').where('id', 'in', others).execute();
});

test('keys of whole days are destroyed; those of parts of days, and of months of an earlier version, are kept', async () => {
  const day = (days: number, hours = 0) =>
    Math.floor(Date.now() / 86_400_000 - 9 + days) * 86_400_000 + hours * 3_600_000;
  const made = [day(0, 10), day(1) - 1, day(1), day(1, 12), day(2), day(4)];
  const ids = made.map((ms) => firstIdAt('Prediction', ms));
  const plain = {
    version_id: 'v',
    principal_id: 'anonymous',
    answer: '{}',
    timing: '{}',
    runtime: '{}',
    input: '{"text":"x"}',
  };
  const { predictionDb } = app.app.databases;
  const rows = ids.map((id, i) => ({ ...plain, id, created_at: made[i] as number }));
  await predictionDb.insertInto('prediction').values(rows).execute();
  await app.app.stop();
  // As if an earlier release had stored them: they are encrypted now.
  app = await startTestApp({ dataDir });
  const stored = async () => {
    const query = app.app.databases.predictionDb
      .selectFrom('prediction')
      .select(['id', 'data_key'])
      .where('id', 'in', ids);
    return new Map((await query.execute()).map(({ id, data_key }) => [id, data_key]));
  };
  await until('all are encrypted', async () => [...(await stored()).values()].every((key) => key !== null));
  const keys = await stored();
  const month = {
    kind: 'data',
    account: 'anonymous',
    api_key: '',
    subject: '',
    master_id: 'x',
    uses: 0,
    created_at: 0,
  } as const;
  const ofMonth = await app.app.databases.keyDb
    .insertInto('data_key')
    .values({ ...month, period: new Date(day(4)).toISOString().slice(0, 7), wrapped: Buffer.from('x') })
    .returning('id')
    .executeTakeFirstOrThrow();
  await app.app.databases.predictionDb
    .updateTable('prediction')
    .set({ data_key: ofMonth.id })
    .where('id', '=', ids[5] as string)
    .execute();
  const steps = [];
  for (const [from, to] of [
    [day(0), day(1)],
    [day(1, 11), day(2)],
    [day(1), day(2)],
    [day(4), day(5)],
  ] as const) {
    const range = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const { deleted, leftInBackups } = (await erase(range)).erasure;
    const left = await app.app.databases.keyDb.selectFrom('data_key').select('id').execute();
    const kept = ids.map((id) => left.some((key) => key.id === (id === ids[5] ? ofMonth.id : keys.get(id))));
    steps.push({ deleted, leftInBackups, kept: kept.map(Number).join('') });
  }

  expect(steps).toEqual([
    { deleted: 2, leftInBackups: 0, kept: '001111' },
    { deleted: 1, leftInBackups: 1, kept: '001111' },
    { deleted: 1, leftInBackups: 0, kept: '000011' },
    { deleted: 1, leftInBackups: 1, kept: '000011' },
  ]);
  expect((await app.query(READ, { id: ids[4] as string })).prediction).toEqual({ input: { text: 'x' } });
});

test('a range of time is erased, and what was made outside of it stays', async () => {
  const outside = await idOf({});
  await new Promise((resolve) => setTimeout(resolve, 5));
  const from = new Date().toISOString();
  const inside = await idOf({});
  await new Promise((resolve) => setTimeout(resolve, 5));
  const to = new Date().toISOString();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const later = await idOf({});

  expect((await erase({ from, to })).erasure.deleted).toBe(1);
  expect(await Promise.all([outside, inside, later].map(isThere))).toEqual([true, false, true]);

  // Until now, so that the key of today goes too.
  expect((await erase({ to: new Date(Date.now() + 60_000).toISOString() })).problem).toBeNull();
  expect(await Promise.all([outside, later].map(isThere))).toEqual([false, false]);
  expect(await isThere(await idOf({}))).toBe(true);
});

test.each(['9999-12-31T23:59:59Z', '2999-01-15T00:00:00Z'])(
  'an erasure from %s on erases nothing, and what is there can be read',
  async (from) => {
    const id = await idOf({}, 'kept');

    expect((await erase({ from })).erasure).toMatchObject({ deleted: 0, finishedAt: expect.any(String) });
    expect((await app.query(READ, { id })).prediction).toEqual({ input: { text: 'kept' } });
  },
);

test('one deletes predictions of one’s own, and no others', async () => {
  const mine = await idOf({});
  const other = await idOf({});
  await app.app.databases.predictionDb
    .updateTable('prediction')
    .set({ principal_id: 'others' })
    .where('id', '=', other)
    .execute();

  const { deletePredictions } = await app.query(DELETE, { ids: [mine, other] });

  expect(deletePredictions).toMatchObject({ erasure: { deleted: 1, finishedAt: expect.any(String) }, problem: null });
  expect(await isThere(mine)).toBe(false);
  const left = app.app.databases.predictionDb.selectFrom('prediction').select('id').where('id', '=', other);
  expect(await left.execute()).toHaveLength(1);
});

test('ids that nobody has add nothing to the catalog', async () => {
  const { catalogDb } = app.app.databases;
  const entries = () => catalogDb.selectFrom('audit_log').select('sequence').execute();
  const before = (await entries()).length;
  const ids = Array.from({ length: 100 }, (_, i) => `prediction_${i}`);

  expect((await app.query(DELETE, { ids })).deletePredictions).toEqual({
    erasure: { deleted: 0, finishedAt: expect.any(String) },
    problem: null,
  });
  expect(await entries()).toHaveLength(before);
  const erasures = await catalogDb.selectFrom('erasure').select('predictions').execute();
  expect(erasures.filter(({ predictions }) => predictions?.includes('prediction_1'))).toEqual([]);
});

test.each([
  [ERASE, { input: { account: 'anonymous' } }, { path: ['input'], code: 'MISSING' }],
  [ERASE, { input: { account: 'anonymous', subject: '' } }, { path: ['input', 'subject'], code: 'EMPTY' }],
  [
    ERASE,
    { input: { account: 'anonymous', from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' } },
    { path: ['input', 'to'], code: 'OUT_OF_RANGE' },
  ],
  [ERASE, { input: { account: 'anonymous', keyId: 'x', reason: ' ' } }, { path: ['input', 'reason'], code: 'EMPTY' }],
  [DELETE, { ids: [] }, { path: ['ids'], code: 'EMPTY' }],
  [DELETE, { ids: Array(101).fill('prediction_x') }, { path: ['ids'], code: 'TOO_LARGE' }],
  [DELETE, { ids: ['model_x'] }, { path: ['ids', '0'], code: 'WRONG_KIND' }],
])('%s with %j erases nothing', async (document, variables, problem) => {
  const [payload] = Object.values<Data>(await app.query(document, variables));

  expect(payload).toMatchObject({ erasure: null, problem: { code: 'INVALID_INPUT', problems: [problem] } });
});

test('an erasure that fails keeps neither later ones nor the sweeper from running', async () => {
  const [erased, ofDeleted] = [await idOf({}), await idOf({})];
  const { catalogDb, predictionDb } = app.app.databases;
  const wanted = { account: 'anonymous', subject: null, key_id: null, made_from: 0, made_before: 2 ** 48 - 1 };
  const state = { last_data_key: 2 ** 30, deleted: 0, left_in_backups: 0, requested_at: Date.now(), finished_at: null };
  const lists = { erasure_0: 'no JSON', erasure_1: JSON.stringify([erased]) };
  for (const [id, predictions] of Object.entries(lists))
    await catalogDb
      .insertInto('erasure')
      .values({ ...wanted, ...state, id, predictions })
      .execute();
  await predictionDb.updateTable('prediction').set({ version_id: 'version_x' }).where('id', '=', ofDeleted).execute();
  await catalogDb.insertInto('deleted_version').values({ version_id: 'version_x', deleted_at: 0 }).execute();
  await app.app.stop();
  app = await startTestApp({ dataDir });
  await until('the sweeper has run', async () => {
    const deleted = await app.app.databases.catalogDb.selectFrom('deleted_version').select('version_id').execute();
    return deleted.length === 0 && !(await isThere(erased));
  });

  expect(await isThere(ofDeleted)).toBe(false);
  await app.app.databases.catalogDb.deleteFrom('erasure').where('id', '=', 'erasure_0').execute();
});

test('erasure, and the encryption of what an earlier release stored, go on after the server was killed at any step', async () => {
  const store = await createStore();
  await cp(path.resolve('model-store/spam-filter'), path.join(store.folder, 'spam-filter'), { recursive: true });
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-erasure-kill-'));
  const env = { DATA_DIR: folder, MODEL_STORE: store.folder };
  let server = await startServer(env, { keepsStderr: true });
  const send = async (subject: string) => {
    const input = { model: 'spam-filter', input: { text: 'x' }, subject };
    return (await post(server.url, PREDICT, { input })).data.predict.prediction.id as string;
  };
  const read = async (id: string) => (await post(server.url, READ, { id })).data.prediction;

  for (const point of ['erasure.requested', 'erasure.keysDestroyed', 'erasure.rowsDeleted']) {
    const [erased, kept] = [await send(point), await send('somebody else')];
    await armFault(point, 'SIGKILL');
    await post(server.url, ERASE, { input: { account: 'anonymous', subject: point } }).catch(() => null);
    await server.ended;
    expect(await disarmFault()).toBe(true);
    server = await startServer(env, { keepsStderr: true });
    await until(`the erasure killed at ${point} is complete`, async () => (await read(erased)) === null);
    expect(await read(kept)).toEqual({ input: { text: 'x' } });
  }
  await server.end('SIGTERM');
  // As an earlier release left them: more than are encrypted in one step.
  const databases = await openDatabases(folder);
  const open = await databases.catalogDb.selectFrom('erasure').select('id').where('finished_at', 'is', null).execute();
  const made = Date.now() - 3_600_000;
  const earlier = Array.from({ length: 150 }, (_, i) => firstIdAt('Prediction', made + i));
  const row = {
    version_id: 'v',
    principal_id: 'anonymous',
    created_at: made,
    answer: '{}',
    timing: '{}',
    runtime: '{}',
  };
  const rows = earlier.map((id) => ({ ...row, id, input: `{"text":"${CANARY}"}` }));
  await databases.predictionDb.insertInto('prediction').values(rows).execute();
  await databases.close();
  await armFault('seal.committed', 'SIGKILL');
  await startServer(env, { keepsStderr: true }).then(
    ({ ended }) => ended,
    () => null,
  );
  expect(await disarmFault()).toBe(true);
  server = await startServer(env, { keepsStderr: true });
  const files = ['predictions.db', 'predictions.db-wal'].map((name) => path.join(folder, name));
  const isPlain = async () =>
    (await Promise.all(files.map((file) => readFile(file)))).some((it) => it.includes(CANARY));
  await until('all are encrypted', async () => !(await isPlain()));
  expect(await read(earlier.at(-1) as string)).toEqual({ input: { text: CANARY } });
  await server.end('SIGTERM');
  await Promise.all([store.remove(), rm(folder, { recursive: true, force: true })]);

  expect(open).toEqual([]);
});
