/** What callers send is encrypted wherever it is stored, and opens only where it was stored. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { firstIdAt } from '#src/storage/ids.js';
import { MasterKeys } from '#src/vault/master-keys.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { openDataKeys } from '../support/sealed-data.js';
import { until } from '../support/until.js';

const CANARY = 'canary-5d1f6a';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id } problem { code message ... on InvalidInput { problems { path code expected received } } } } }`;
const READ = `query ($id: ID!) { prediction(id: $id) { input truncated timing { totalMs } runtime { device }
  output { ... on Classification { label } } } }`;

/** Of all servers of this file, at every level. */
const lines: string[] = [];
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });

let dataDir: string;
let app: TestApp;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-encryption-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
  app = await startTestApp({ dataDir, log });
});
afterAll(async () => {
  await disarmFault();
  await app.app.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function restart(): Promise<void> {
  await app.app.stop();
  app = await startTestApp({ dataDir, log });
}

async function predict(text: string, options: Record<string, unknown> = {}): Promise<string> {
  const input = { model: 'spam-filter', input: { text }, ...options };
  const { prediction, problem } = (await app.query(PREDICT, { input })).predict;
  if (problem) throw new Error(problem.message);
  return prediction.id;
}

async function read(id: string): Promise<Data> {
  return (await app.query(READ, { id })).prediction;
}

/** The files of the data folder that have these bytes. */
async function filesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(file).catch(() => Buffer.alloc(0))).includes(text)) found.push(entry.name);
  }
  return found;
}

const long = (text: string) => `${text} and eggs `.repeat(2_000);

test('inputs and subjects are nowhere in the data folder, and are read back after a restart', async () => {
  const short = await predict(`${CANARY} short`, { subject: `${CANARY} subject` });
  const large = await predict(long(CANARY));
  const whileRunning = await filesWith(CANARY);
  await restart();

  expect([whileRunning, await filesWith(CANARY)]).toEqual([[], []]);
  expect(await read(short)).toMatchObject({
    input: { text: `${CANARY} short` },
    truncated: expect.any(Boolean),
    timing: { totalMs: expect.any(Number) },
    runtime: { device: expect.any(String) },
    output: { label: expect.any(String) },
  });
  expect((await read(large)).input).toEqual({ text: long(CANARY) });
});

test('each account and subject has a key of its own, and the same one until the day ends', async () => {
  const ids = [];
  for (const subject of [null, null, 'ann', 'ann', 'bob']) ids.push(await predict('same text', { subject }));
  const rows = await app.app.databases.predictionDb
    .selectFrom('prediction')
    .select('data_key')
    .where('id', 'in', ids)
    .orderBy('id')
    .execute();
  const [none, again, ann, annAgain, bob] = rows.map(({ data_key }) => data_key);

  expect([again, annAgain]).toEqual([none, ann]);
  expect(new Set([none, ann, bob]).size).toBe(3);
  const dataKeys = await openDataKeys(app.app.databases, dataDir);
  const owner = { account: 'days', keyId: null, subject: null };
  const midnight = Date.UTC(2026, 1, 1);
  const idAt = async (at: number) => (await dataKeys.sealing(owner, at)).key.id;
  const made = [
    await idAt(midnight - 1),
    await idAt(midnight),
    await idAt(midnight + 86_399_999),
    await idAt(midnight - 1),
  ];
  expect(made).toEqual([made[0], (made[0] as number) + 1, made[1], made[0]]);
});

test('what was moved from another row, or changed, is reported and not shown', async () => {
  const { predictionDb } = app.app.databases;
  const [mine, other] = [await predict('the first'), await predict('the second')];
  const take = () => predictionDb.selectFrom('prediction').select('sealed').where('id', '=', other);
  await predictionDb.updateTable('prediction').set({ sealed: take() }).where('id', '=', mine).execute();
  const changed = await predict('the third');
  await predictionDb
    .updateTable('prediction')
    .set({ sealed: randomBytes(10) })
    .where('id', '=', changed)
    .execute();

  for (const id of [mine, changed]) {
    const { data, errors } = await app.send(READ, { id });
    expect(data.prediction).toMatchObject({ input: null, output: null, timing: null });
    expect(errors?.every(({ extensions }: Data) => extensions.code === 'UNREADABLE_RECORD')).toBe(true);
  }
  expect((await read(other)).input).toEqual({ text: 'the second' });
});

test.each([
  ['', { code: 'EMPTY', expected: '1 to 200 characters', received: '""' }],
  ['x'.repeat(201), { code: 'TOO_LARGE', expected: '1 to 200 characters', received: '201 characters' }],
  ['\ud800', { code: 'UNREADABLE', expected: 'valid Unicode' }],
])('the subject %j is refused', async (subject, problem) => {
  const input = { model: 'spam-filter', input: { text: 'x' }, subject };
  const { predict: answer } = await app.query(PREDICT, { input });

  expect(answer).toMatchObject({
    prediction: null,
    problem: { problems: [{ path: ['input', 'subject'], ...problem }] },
  });
});

test.each([
  ['no key\n', 'line 1'],
  ['', 'expected 1 to 10 lines'],
  [`${Buffer.alloc(32).toString('base64')}\nAAAA\n`, 'line 2'],
])('%j is no file of master keys', async (text, message) => {
  const masterKeyFile = path.join(dataDir, 'wrong');
  await writeFile(masterKeyFile, text);

  await expect(
    new MasterKeys({ masterKey: null, masterKeyCommand: null, masterKeyFile }, dataDir).load(),
  ).rejects.toThrow(message);
});

test('the master key is made once, for this user alone, and another one is refused', async () => {
  const file = path.join(dataDir, 'master.key');
  const { mode } = await stat(file);
  const key = await readFile(file);
  await app.app.stop();

  await writeFile(file, `${randomBytes(32).toString('base64')}\n`);
  await expect(startTestApp({ dataDir, log })).rejects.toThrow('the master key is not the one');
  await rm(file);
  await expect(startTestApp({ dataDir, log })).rejects.toThrow('the master key could not be read');
  const masterKey = key.toString().trim();
  app = await startTestApp({ dataDir, masterKey, log });
  await expect(predict('with the key of the environment')).resolves.toBeDefined();
  await writeFile(file, key);
  await restart();

  expect(mode & 0o777).toBe(0o600);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot('a file of master keys that root replaces stays that of the user of the server', async () => {
  const file = path.join(dataDir, 'owned.key');
  await writeFile(file, `${randomBytes(32).toString('base64')}\n`);
  await chown(file, 1234, 5678);
  await chmod(file, 0o440);
  const masters = new MasterKeys({ masterKey: null, masterKeyCommand: null, masterKeyFile: file }, dataDir);
  await masters.load();
  await masters.write(masters.all);

  expect(await stat(file)).toMatchObject({ uid: 1234, gid: 5678, mode: 0o100440 });
  await rm(file);
});

test('the master key is replaced under load, also if the command was killed at any step', async () => {
  const run = promisify(execFile);
  const rotate = () =>
    run(process.execPath, ['dist/rotate-master-key.js'], { env: { ...process.env, DATA_DIR: dataDir } });
  const file = path.join(dataDir, 'master.key');
  const old = await readFile(file, 'utf8');
  const first = await predict('before', { subject: 'first' });
  let isOver = false;
  const made: string[] = [];
  const load = async () => {
    while (!isOver) made.push(await predict(`load ${made.length}`, { subject: `subject ${made.length}` }));
  };
  const loads = [load(), load()];

  for (const point of ['rotation.keyWritten', 'rotation.begun', 'rotation.step']) {
    await armFault(point, 'SIGKILL');
    await expect(rotate()).rejects.toMatchObject({ signal: 'SIGKILL' });
    expect(await disarmFault()).toBe(true);
  }
  const { stdout } = await rotate();
  const key = await readFile(file, 'utf8');
  const { stdout: again } = await rotate();
  const next = made.length + 5;
  await until('predictions are recorded with the new key', () => made.length > next);
  isOver = true;
  await Promise.all(loads);

  expect(stdout).toMatch(/^The master key was replaced; \d+ data keys/);
  expect(again).toMatch(/; [1-9]\d* data keys/);
  expect([old, key, await readFile(file, 'utf8')].map((text) => text.split('\n').length)).toEqual([2, 2, 2]);
  expect(key).not.toBe(old);
  expect((await read(first)).input).toEqual({ text: 'before' });
  await restart();
  const rows = await Promise.all([made[0], made.at(-1)].map((id) => read(id as string)));
  for (const { input } of rows) expect(input.text).toMatch(/^load \d+$/);
  await expect(predict('after')).resolves.toBeDefined();
});

test('a command may print the master key, and the new one before it when it is replaced', async () => {
  const [file, printed] = [path.join(dataDir, 'master.key'), path.join(dataDir, 'printed')];
  const old = await readFile(file, 'utf8');
  const id = await predict('by command');
  await rename(file, printed);
  const masterKeyCommand = `cat '${printed}'`;
  const env = { ...process.env, DATA_DIR: dataDir, MASTER_KEY_COMMAND: masterKeyCommand };
  const rotate = () => promisify(execFile)(process.execPath, ['dist/rotate-master-key.js'], { env });
  await app.app.stop();

  await expect(startTestApp({ dataDir, masterKeyCommand: 'echo no access >&2; exit 7', log })).rejects.toThrow(
    'MASTER_KEY_COMMAND ended with 7: no access',
  );
  await expect(rotate()).rejects.toMatchObject({ stderr: expect.stringContaining('let it print the new key') });
  const next = `${randomBytes(32).toString('base64')}\n`;
  await writeFile(printed, `${next}${old}`);
  await rotate();
  await writeFile(printed, next);
  app = await startTestApp({ dataDir, masterKeyCommand, log });
  expect((await read(id)).input).toEqual({ text: 'by command' });
  await app.app.stop();
  await rename(printed, file);
  app = await startTestApp({ dataDir, log });
});

test('of two commands at once that replace the master key, the second is refused', async () => {
  const run = promisify(execFile);
  const rotate = () =>
    run(process.execPath, ['dist/rotate-master-key.js'], { env: { ...process.env, DATA_DIR: dataDir } });
  const id = await predict('before both');

  await armFault('rotation.keyWritten', 'pause');
  const first = rotate();
  await until('the first one has written its key', hasFired);
  await expect(rotate()).rejects.toMatchObject({
    stderr: expect.stringContaining('another process is replacing the master key'),
  });
  await goOn();
  expect((await first).stdout).toMatch(/; [1-9]\d* data keys/);
  await disarmFault();

  await restart();
  expect((await read(id)).input).toEqual({ text: 'before both' });
});

test('predictions of an earlier release are encrypted in the background, whatever they have', async () => {
  const { predictionDb } = app.app.databases;
  const version = await app.query('{ version(ref: "spam-filter") { id } }');
  const made = Date.now() - 3_600_000;
  const ids = Array.from({ length: 250 }, (_, i) => firstIdAt('Prediction', made + i));
  const input = JSON.stringify({ text: `${CANARY} earlier` });
  const answer = JSON.stringify({ kind: 'classification', label: 'spam', scores: [['spam', 0.9]], labels: ['spam'] });
  const row = { version_id: version.version.id, principal_id: 'anonymous', created_at: made, label: 'spam' };
  const rows = ids.map((id, i) => ({
    ...row,
    id,
    input: i === 1 ? null : input,
    answer: i === 2 ? answer.replace('"labels"', `"x":"${'y'.repeat(20_000)}${CANARY}","labels"`) : answer,
    timing: '{"totalMs":1}',
    runtime: '{"device":"cpu"}',
  }));
  await predictionDb.insertInto('prediction').values(rows).execute();
  await restart();
  const open = () =>
    app.app.databases.predictionDb.selectFrom('prediction').select('id').where('data_key', 'is', null).execute();
  await until('all are encrypted', async () => (await open()).length === 0);
  await until('the log is emptied', async () => (await filesWith(CANARY)).length === 0);

  expect((await read(ids[0] as string)).input).toEqual({ text: `${CANARY} earlier` });
  expect(await read(ids[1] as string)).toMatchObject({ input: null, timing: { totalMs: 1 } });
  expect(await read(ids[2] as string)).toMatchObject({ output: { label: 'spam' } });
});

test('neither inputs and subjects nor keys are in logs, metrics or errors', async () => {
  const subject = `${CANARY} subject`;
  const { predictionDb } = app.app.databases;
  const id = await predict(`${CANARY} log`, { subject, idempotencyKey: `${CANARY} key` });
  await predictionDb.updateTable('prediction').set({ data_key: 1_000_000 }).where('id', '=', id).execute();
  const unreadable = await app.send(READ, { id });
  const refused = await app.send(PREDICT, { input: { model: CANARY, input: { text: CANARY }, subject } });
  const metrics = await (await fetch(`${app.url}/metrics`)).text();

  const master = (await readFile(path.join(dataDir, 'master.key'), 'utf8')).trim();
  const log = lines.join('');
  expect(unreadable.errors?.[0]?.extensions).toEqual({ code: 'UNREADABLE_RECORD' });
  expect(JSON.stringify([unreadable.errors, refused.data.predict.problem.problems])).not.toContain(CANARY);
  expect(lines.length).toBeGreaterThan(100);
  for (const text of [log, metrics]) {
    expect(text.includes(CANARY)).toBe(false);
    expect(text.includes(master)).toBe(false);
  }
});
