/** Failures of the disk, the writer and the process at every step of a write. Nothing is visible in part, nothing is lost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openDatabases } from '#src/storage/database.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, failNthCalls } from '../support/faults.js';
import { sweptLog } from '../support/swept-log.ts';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id input } replayed problem { code retryable message } } }`;

let app: TestApp;
beforeAll(async () => {
  const { log, swept } = sweptLog();
  app = await startTestApp({ log });
  await swept;
});
afterAll(() => app.stop());
afterEach(() => disarmFault());

async function predict(text: string, more: Record<string, unknown> = {}): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'spam-filter', input: { text }, ...more } })).predict;
}

async function countPredictions(): Promise<number> {
  return (await app.query('{ predictions { totalCount } }')).predictions.totalCount;
}

const blobFiles = async () => (await readdir(path.join(app.dataDir, 'blobs/aside'))).length;

const DISK_FULL = { prediction: null, problem: { code: 'STORAGE_FULL', retryable: true } };

describe.each(['SQLITE_FULL', 'SQLITE_BUSY', 'exit'])('%s at the nth write', (action) => {
  test('withholds the answer, stores nothing, and the server recovers without a restart', async () => {
    let answer: Data;
    const before = await countPredictions();
    let acknowledged = 0;

    const writes = await failNthCalls(
      'sqlite.write.*',
      action,
      async () => {
        answer = await predict(`full ${action}`);
      },
      async (fired) => {
        if (fired) expect(answer).toMatchObject(DISK_FULL);
        else expect(answer.problem).toBeNull();
        acknowledged += answer.prediction ? 1 : 0;
        expect((await countPredictions()) - before).toBe(acknowledged);
        expect((await predict(`after ${action}`)).problem).toBeNull();
        acknowledged++;
      },
    );

    expect(writes).toBeGreaterThanOrEqual(3);
  });

  test('moves an alias completely or not at all', async () => {
    const set = `mutation ($alias: String!) { setAlias(input: { model: "spam-filter", alias: $alias, version: "spam-filter:2" }) {
      alias { name } problem { code } } }`;
    const aliases = async () =>
      (await app.query('{ model(name: "spam-filter") { aliases { name } } }')).model.aliases.map(
        ({ name }: Data) => name,
      );
    const alias = `live-${action.toLowerCase().replace('_', '-')}`;
    let answer: Data;

    const writes = await failNthCalls(
      'sqlite.write.*',
      action,
      async () => {
        answer = (await app.query(set, { alias })).setAlias;
      },
      async (fired) => {
        expect(answer.problem?.code ?? null).toBe(fired ? 'STORAGE_FULL' : null);
        expect((await aliases()).includes(alias)).toBe(!fired);
      },
    );

    expect(writes).toBeGreaterThanOrEqual(3);
  });
});

test.each(['ENOSPC', 'EIO'])('%s at the nth step of storing a large input leaves no partial file', async (action) => {
  const large = `large ${action} `.repeat(3_000);
  let answer: Data;

  const steps = await failNthCalls(
    'blob.*',
    action,
    async () => {
      answer = await predict(large);
    },
    async (fired) => {
      if (fired) expect(answer).toMatchObject(DISK_FULL);
      else expect(answer.prediction.input).toEqual({ text: large });
      expect(await blobFiles()).toBe(0);
    },
  );

  expect(steps).toBeGreaterThanOrEqual(5);
});

test('a writer that dies after its commit loses nothing, and the same key finds the prediction', async () => {
  await armFault('sqlite.committed', 'exit');
  const first = await predict('committed', { idempotencyKey: 'after-commit' });
  const fired = await disarmFault();

  const again = await predict('committed', { idempotencyKey: 'after-commit' });

  expect(fired).toBe(true);
  expect(first).toMatchObject(DISK_FULL);
  expect(again).toMatchObject({ replayed: true, problem: null });
});

test('predictions that are not recorded continue while nothing can be written', async () => {
  await armFault('sqlite.write.begin', 'hang');
  const stuck = predict('waits for the disk', { deadlineMs: 300 });

  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => predict(`free ${i}`, { record: false })));

  expect(answers.filter(({ problem }) => problem !== null)).toEqual([]);
  expect((await stuck).problem).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await app.stop();
  app = await startTestApp();
});

test('a reader that dies is replaced, and its query is repeated', async () => {
  await armFault('sqlite.read', 'exit');

  expect(await countPredictions()).toBeGreaterThanOrEqual(0);

  expect(await disarmFault()).toBe(true);
});

test('a second server on the same data folder refuses to start, and the lock ends with its holder', async () => {
  await expect(openDatabases(app.dataDir)).rejects.toMatchObject({
    exitCode: 3,
    message: expect.stringContaining(`STORE_LOCKED: another server (process ${process.pid})`),
  });
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-opening-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('opening', () => {
  async function openInChild(): Promise<string | number | null> {
    const script = `import('./dist/storage/database.js').then((m) => m.openDatabases(process.argv[1])).then((d) => d.close())`;
    const child = spawn(process.execPath, ['-e', script, folder], { env: process.env, stdio: 'ignore' });
    const [code, signal] = await once(child, 'exit');
    return signal ?? code;
  }

  async function isWhole(): Promise<boolean> {
    const databases = await openDatabases(folder);
    const models = await databases.catalogDb.selectFrom('model').select('id').execute();
    await databases.close();
    await rm(folder, { recursive: true });
    return models.length === 0;
  }

  test('migrations whose writer ends before every twentieth statement continue from there', async () => {
    let isOpen = false;

    const statements = await failNthCalls(
      'sqlite.write.query',
      'exit',
      async () => {
        const databases = await openDatabases(folder).catch(() => null);
        isOpen = databases !== null;
        await databases?.close();
      },
      async (fired) => {
        expect(isOpen).toBe(!fired);
        expect(await isWhole()).toBe(true);
      },
      20,
    );

    expect(statements).toBeGreaterThan(100);
  });

  test.each([1, 9, 20])('migrations that are killed before statement %i continue from there', async (nth) => {
    await armFault('sqlite.write.query', 'SIGKILL', nth);

    expect(await openInChild()).toBe('SIGKILL');

    await disarmFault();
    expect(await isWhole()).toBe(true);
  });
});

test('an older server refuses a newer schema and changes nothing', async () => {
  const databases = await openDatabases(folder);
  await databases.catalogFile.write("insert into kysely_migration values ('999_future', '2030-01-01')", []);
  await databases.close();

  await expect(openDatabases(folder)).rejects.toThrow(
    /written by a newer version of Modelgraph \(migration "999_future"/,
  );
});

test('a damaged file is not changed, and the message says what to do', async () => {
  await (await openDatabases(folder)).close();
  const file = path.join(folder, 'predictions.db');
  const bytes = await readFile(file);
  bytes.fill(0x5a, 0, 100);
  await writeFile(file, bytes);

  await expect(openDatabases(folder)).rejects.toThrow(/predictions\.db is damaged .*\.recover/);

  expect(await readFile(file)).toEqual(bytes);
});
