/** Faults injected at every point of a worker's lifecycle: no request fails, and no answer reaches another request. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { COUNTING_LOOP, CRASHING_DIVISION, encodeModel } from '../support/onnx.js';
import { until } from '../support/until.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;

/** Long enough for a replacement to start on a busy machine. */
const DEADLINE_MS = 50_000;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('division', {
    '1/model.onnx': encodeModel(CRASHING_DIVISION),
    'model.yaml': `example: ${JSON.stringify(division(6, 2))}`,
  });
  app = await startTestApp({ modelStore: store.folder, workers: 2 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});
afterEach(() => disarmFault());

function division(a: number, b: number) {
  const tensor = (name: string, value: number) => ({ name, datatype: 'INT32', shape: [1], data: [value] });
  return { tensors: [tensor('a', a), tensor('b', b)] };
}

/** Four clients send distinct values until the fault has fired, and five more each after that. */
async function predictUntilFired(): Promise<{ wrong: Data[]; answers: number }> {
  const wrong: Data[] = [];
  let answers = 0;
  const client = async (client: number) => {
    for (let i = 0, after = 0; after < 5; i++, after += hasFired() ? 1 : 0) {
      const value = client * 1_000_000 + i;
      const input = { model: 'division', input: division(value, 1), record: false, deadlineMs: DEADLINE_MS };
      const { prediction, problem } = (await app.query(PREDICT, { input })).predict;
      if (problem || prediction.output.tensors[0].data[0] !== value) wrong.push({ value, prediction, problem });
      answers++;
    }
  };
  await Promise.all([1, 2, 3, 4].map(client));
  return { wrong, answers };
}

const pool = () => app.app.engine.workers.filter(({ purpose }) => purpose !== 'quarantine');
const poolPids = () => pool().map(({ pid }) => pid);

describe.each([
  'worker.batch.received',
  'worker.batch.preprocessed',
  'worker.run.begin',
  'worker.run.end',
  'worker.reply.before',
  'worker.reply.after',
])('a worker at %s', (point) => {
  test.each(['SIGKILL', 'SIGSEGV'])('exits by %s and fails no request', async (signal) => {
    await armFault(point, signal);

    const { wrong, answers } = await predictUntilFired();

    expect(wrong).toEqual([]);
    expect(answers).toBeGreaterThanOrEqual(20);
  });
});

test.each([
  'worker.start',
  'worker.ready',
  'worker.load.begin',
  'worker.artifact.read',
  'worker.artifact.hashed',
  'worker.load.opened',
  'worker.load.warm',
])('a replacement that is killed at %s is replaced in turn', async (point) => {
  // Three processes in a row that are killed while they load the version would fail its predictions.
  await until('all workers have loaded', () => pool().every(({ isReady, loading }) => isReady && loading.size === 0));
  await armFault(point, 'SIGKILL');
  const killed = poolPids();
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  // An input that was sent to each of them in turn would use up its retries.
  await until('the killed workers have exited', () => !poolPids().some((pid) => killed.includes(pid)));

  const { wrong } = await predictUntilFired();

  expect(wrong).toEqual([]);
});

test.each([
  ['cut', 'a truncated reply'],
  ['flip', 'a reply with a flipped bit'],
  ['huge', 'a reply with an inflated length'],
  ['{"kind":"ready"}', 'a second "ready"'],
  ['{"kind":"loaded","key":"other"}', 'a version that was not to be loaded'],
  ['{"id":1000000}', 'a reply to nothing that was asked'],
  ['{"results":[]}', 'a batch without results'],
  ['{"results":[{"answer":{"kind":"regression","value":1,"unit":null}}]}', 'an answer of another task'],
  ['{"timing":{"preprocessMs":0,"inferMs":-1,"postprocessMs":0}}', 'a negative time'],
])('%s: %s never becomes an answer', async (how) => {
  await armFault('worker.reply.frame', how, 3);

  const { wrong } = await predictUntilFired();

  expect(wrong).toEqual([]);
});

test('the watchdog kills a worker that hangs in a run, and no request fails', async () => {
  await armFault('worker.run.begin', 'hang');

  const { wrong } = await predictUntilFired();

  expect(wrong).toEqual([]);
});

test('a probe that is killed once runs again, and the version becomes READY', async () => {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-probe-'));
  await armFault('worker.examined', 'SIGKILL');

  const second = await startTestApp({ modelStore: store.folder, dataDir, workers: 1 });
  const { version } = await second.query('{ version(ref: "division:1") { state stateReason } }');
  await second.stop();
  await rm(dataDir, { recursive: true, force: true });

  expect(await disarmFault()).toBe(true);
  expect(version).toEqual({ state: 'READY', stateReason: null });
});

test('replacing an artifact while it loads changes no answer', async () => {
  const { version } = await app.query('{ version(ref: "division:1") { artifact { sha256 } } }');
  const { sha256 } = version.artifact;
  const file = path.join(app.dataDir, 'blobs/sha256', sha256.slice(0, 2), sha256.slice(2));
  const bytes = await readFile(file);
  await armFault('worker.artifact.read', 'pause');
  for (const pid of poolPids()) process.kill(pid, 'SIGKILL');
  await until('a worker pauses in front of the artifact', hasFired);

  await writeFile(file, encodeModel(COUNTING_LOOP));
  await goOn();
  const { wrong } = await predictUntilFired();
  await writeFile(file, bytes);

  expect(wrong.filter(({ prediction }) => prediction !== null)).toEqual([]);
});

test('an unexpected error in a resolver is masked, carries an error id, and leaves the server running', async () => {
  await armFault('sqlite.read', 'EBADF');

  const { errors } = await app.send('{ predictions { totalCount } }');

  expect(await disarmFault()).toBe(true);
  expect(errors?.[0]).toMatchObject({
    message: expect.stringMatching(
      /^The server failed to process this request\. Give the operator this errorId: [0-9a-f-]{36}\.$/,
    ),
    extensions: { code: 'INTERNAL_SERVER_ERROR', errorId: expect.any(String) },
  });
  expect(JSON.stringify(errors)).not.toMatch(/EBADF|sqlite|select|\/tmp/i);
  expect((await app.query('{ predictions { totalCount } }')).predictions.totalCount).toBe(0);
});
