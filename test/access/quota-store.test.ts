/** What was used of a quota is stored: for other processes, across restarts, and when a process is killed. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Kysely } from 'kysely';
import type { Quota, QuotaLimits } from '#src/access/quota.js';
import { addQuotaUse, findQuotaUse } from '#src/access/quota.queries.js';
import { Quotas } from '#src/access/quotas.js';
import { openDatabases, type PredictionTables } from '#src/storage/database.js';
import { SqliteFile } from '#src/storage/sqlite.js';
import { SqliteFileDialect } from '#src/storage/sqlite-dialect.js';
import type { Data } from '../support/graphql-client.js';
import { startServer } from '../support/server.ts';
import { until } from '../support/until.js';

const LIMITS: QuotaLimits = {
  operationsPerSecond: 100,
  operationsPerDay: 250,
  computeMsPerSecond: null,
  computeMsPerDay: null,
  bytesPerSecond: null,
  bytesPerDay: null,
};
const ONE = { operations: 1, computeMs: 0.5, bytes: 10 };

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-quotas-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** The predictions of a data folder, opened as many processes would open it. */
async function openStores(count: number) {
  await (await openDatabases(dataDir)).close();
  const files = await Promise.all(
    Array.from({ length: count }, () => SqliteFile.open(path.join(dataDir, 'predictions.db'))),
  );
  const databases = files.map((file) => new Kysely<PredictionTables>({ dialect: new SqliteFileDialect(file) }));
  return { databases, close: () => Promise.all(files.map((file) => file.close())) };
}

const fail = (error: unknown): never => {
  throw error;
};

test('two processes over one store give out a quota once, apart from what one uses between reports', async () => {
  const { databases, close } = await openStores(2);
  const all = databases.map((db) => new Quotas(db, fail));
  const quotas = all.map((one) => one.of('key a', LIMITS) as Quota);
  await Promise.all(all.map((one) => one.load()));
  const taken = [0, 0];
  const begun = performance.now();
  while (performance.now() - begun < 2_500) {
    for (const [i, quota] of quotas.entries()) if (quota.take(ONE) === null) taken[i] = (taken[i] as number) + 1;
    await sleep(1);
  }
  await Promise.all(all.map((one) => one.stop()));
  const [stored] = await findQuotaUse(databases[0] as (typeof databases)[0], 0);
  await close();

  const total = (taken[0] as number) + (taken[1] as number);
  expect(total).toBeGreaterThanOrEqual(250);
  // A bucket of each, and what one of them takes in a second.
  expect(total).toBeLessThanOrEqual(250 + 100);
  expect(Math.min(...taken)).toBeGreaterThan(20);
  expect(stored).toMatchObject({ caller: 'key a', operations: total, compute_ms: total / 2, bytes: total * 10 });
});

test('what is added to a day counts, to the day before does not, and a new day begins at 0', async () => {
  const { databases, close } = await openStores(1);
  const [db] = databases as [(typeof databases)[0]];
  const use = (day: number, operations: number, caller = 'a') => ({
    caller,
    day,
    operations,
    compute_ms: 0.25,
    bytes: 1,
  });
  const stored: unknown[] = [];
  for (const one of [use(10, 5), use(10, -2), use(11, 1), use(10, 7), use(11, 1), use(99, 3), use(12, 4)])
    stored.push((await addQuotaUse(db, [one]))[0]);
  const many = await addQuotaUse(
    db,
    Array.from({ length: 500 }, (_, i) => use(12, i, `key ${i}`)),
  );
  await close();

  expect(stored).toMatchObject([
    { day: 10, operations: 5, compute_ms: 0.25 },
    { day: 10, operations: 3, compute_ms: 0.5 },
    { day: 11, operations: 1 },
    { day: 11, operations: 1 },
    { day: 11, operations: 2, bytes: 2 },
    { day: 99, operations: 3 },
    { day: 12, operations: 4, bytes: 1 },
  ]);
  expect(many).toHaveLength(500);
});

test('while the store fails, quotas hold in memory, and what was used is stored later', async () => {
  const { databases, close } = await openStores(1);
  const [db] = databases as [(typeof databases)[0]];
  const errors: unknown[] = [];
  let isFailing = true;
  const failing = new Proxy(db, {
    get: (target, name) => {
      if (isFailing) throw new Error('no disk');
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const all = new Quotas(failing, (error) => errors.push(error));
  const quota = all.of('key a', { ...LIMITS, operationsPerSecond: null }) as Quota;
  for (let i = 0; i < 250; i++) expect(quota.take(ONE)).toBeNull();
  expect(quota.take(ONE)).toMatchObject({ quota: 'OPERATIONS_PER_DAY', used: 250 });
  await until('a report has failed', async () => errors.length > 0);
  isFailing = false;
  await all.stop();
  const [stored] = await findQuotaUse(db, 0);
  await close();

  expect(stored).toMatchObject({ operations: 250, bytes: 2_500 });
});

test('a server that is killed knows what was used today when it starts again', async () => {
  const env = { DATA_DIR: dataDir, MODEL_STORE: path.join(dataDir, 'none'), WORKERS: '1' };
  const keys = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['dist/keys.js', ...args], { env: { ...process.env, ...env } });
  const { stdout } = await keys(
    'create',
    '--account',
    'team',
    '--name',
    'a',
    '--roles',
    'viewer',
    '--limits',
    'operationsPerDay=40',
  );
  const usage = async (url: string): Promise<Data> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${stdout.trim()}` },
      body: '{"query":"{ a: viewer { account } b: viewer { usage { operations bytes } } }"}',
    });
    return ((await response.json()) as Data).data?.b.usage ?? response.status;
  };
  const first = await startServer(env);
  for (let i = 0; i < 10; i++) await usage(first.url);
  await sleep(1_000);
  const before = await usage(first.url);
  await first.end('SIGKILL');
  const second = await startServer(env);
  const after = await usage(second.url);
  let status: unknown = null;
  for (let i = 0; i < 20 && status !== 429; i++) status = await usage(second.url);
  await second.end('SIGKILL');

  expect(before.operations).toBe(22);
  // What was not reported yet, that is, the last request, may be lost when the process is killed, and nothing else.
  expect([22, 24]).toContain(after.operations);
  expect(status).toBe(429);
});
