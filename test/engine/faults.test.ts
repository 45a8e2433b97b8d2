/** Crashing, hanging and killed workers: only the inputs that cause a fault fail. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { COUNTING_LOOP, CRASHING_DIVISION, encodeModel, MEMORY_BOMB } from '../support/onnx.js';
import { until } from '../support/until.js';
import { readyWorkers } from '../support/workers.js';

const run = promisify(execFile);
const INT_MIN = -(2 ** 31);
/** INT_MIN / −1 traps only in scalar code. ONNX Runtime divides the last element of a batch of these sizes that way. */
const SIZES = [1, 2, 7, 33];

const ANSWER = `prediction { output { ... on Tensors { tensors { data } } } timing { batchSize } }
  problem { code message retryable ... on InferenceFailed { reason } ... on DeadlineExceeded { phase } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${ANSWER} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { ${ANSWER} } problem { message } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  // One version for each crash: an input that has crashed a version once is not run again.
  for (const name of ['division', 'division-rows', ...SIZES.map((size) => `division-${size}`)]) {
    await store.write(name, {
      '1/model.onnx': encodeModel(CRASHING_DIVISION),
      'model.yaml': `example: ${JSON.stringify(division(6, 2))}`,
    });
  }
  await store.write('loop', {
    '1/model.onnx': encodeModel(COUNTING_LOOP),
    'model.yaml': `maxRunMs: 1000\nexample: ${JSON.stringify(loop(3))}`,
  });
  app = await startTestApp({ modelStore: store.folder, workers: 2 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

function division(a: number, b: number) {
  const tensor = (name: string, value: number) => ({ name, datatype: 'INT32', shape: [1], data: [value] });
  return { tensors: [tensor('a', a), tensor('b', b)] };
}

function loop(trips: number) {
  return { tensors: [{ name: 'trips', datatype: 'INT64', shape: [1], data: [trips] }] };
}

async function predict(model: string, input: unknown, more: Record<string, unknown> = {}): Promise<Data> {
  return (await app.query(PREDICT, { input: { model, input, ...more } })).predict;
}

const pids = () => app.app.engine.workers.filter(({ purpose }) => purpose === 'pool').map(({ pid }) => pid);

test.each(SIZES)('an input that crashes the runtime fails alone in a batch of %i', async (size) => {
  const poison = size - 1;
  const inputs = Array.from({ length: size }, (_, i) => (i === poison ? division(INT_MIN, -1) : division(i * 7, 7)));

  const { predictMany } = await app.query(PREDICT_MANY, { input: { model: `division-${size}`, inputs } });

  for (const [i, { prediction, problem }] of predictMany.results.entries()) {
    if (i === poison)
      expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', reason: expect.stringContaining('SIGFPE') });
    else expect(prediction.output.tensors[0].data).toEqual([i]);
  }
  expect(await predict('division', division(8, 2))).toMatchObject({ problem: null });
});

test('an error in the graph fails only its own input', async () => {
  const inputs = [division(6, 3), division(6, 0), division(8, 2)];

  const { predictMany } = await app.query(PREDICT_MANY, { input: { model: 'division', inputs } });

  expect(predictMany.results.map(({ problem }: Data) => problem?.code ?? null)).toEqual([
    null,
    'INFERENCE_FAILED',
    null,
  ]);
});

test('the watchdog stops a run that never finishes, and only that input fails', async () => {
  const stuck = predict('loop', loop(Number.MAX_SAFE_INTEGER));
  const others = await Promise.all(Array.from({ length: 20 }, (_, i) => predict('division', division(i, 1))));

  expect(others.every(({ problem }: Data) => problem === null)).toBe(true);
  expect((await stuck).problem).toMatchObject({
    code: 'INFERENCE_FAILED',
    reason: expect.stringContaining('did not finish in time'),
  });
  expect(await predict('loop', loop(3))).toMatchObject({ problem: null });
});

test('a deadline that passes during a run fails the request and keeps the worker', async () => {
  const before = pids();

  const { problem } = await predict('loop', loop(Number.MAX_SAFE_INTEGER - 1), { deadlineMs: 300 });

  expect(problem).toMatchObject({ code: 'DEADLINE_EXCEEDED', phase: 'run', retryable: true });
  expect(pids()).toEqual(before);
});

test('killing workers in the middle of a batch fails no request', async () => {
  let isDone = false;
  const problems: Data[] = [];
  const client = async (i: number) => {
    while (!isDone) problems.push((await predict('division', division(i, 1), { record: false })).problem);
  };
  const clients = Array.from({ length: 16 }, (_, i) => client(i));
  for (let kills = 0; kills < 10; ) {
    const busy = readyWorkers(app.app.engine).find(({ batches }) => batches.length > 0);
    if (busy && problems.length >= kills * 50 && process.kill(busy.pid, 'SIGKILL')) kills++;
    await new Promise(setImmediate);
  }
  isDone = true;
  await Promise.all(clients);

  expect(problems.filter((problem) => problem !== null)).toEqual([]);
  expect(problems.length).toBeGreaterThan(450);
});

test('after all workers are killed, the warm spare answers and the pool returns to full size', async () => {
  await predict('division', division(9, 3), { record: false });
  const spare = () => app.app.engine.workers.find(({ purpose, loaded }) => purpose === 'spare' && loaded.size >= 1);
  await until('the spare has the version loaded', () => spare() !== undefined);
  const promoted = spare()?.pid;
  for (const pid of pids()) process.kill(pid, 'SIGKILL');

  const { problem } = await predict('division', division(9, 3), { record: false });

  expect(problem).toBeNull();
  expect(pids()).toContain(promoted);
  await until('two workers are ready', () => readyWorkers(app.app.engine).length >= 2);
});

test('a run that exceeds the memory limit fails alone, and its worker is recycled', async () => {
  const bombs = await createStore();
  await bombs.write('bomb', {
    '1/model.onnx': encodeModel(MEMORY_BOMB),
    'model.yaml': `example: ${JSON.stringify(bomb(1))}`,
  });
  const limited = await startTestApp({ modelStore: bombs.folder, workers: 1, workerMemoryBytes: 1_000_000_000 });
  const answer = async (size: number) =>
    (await limited.query(PREDICT, { input: { model: 'bomb', input: bomb(size) } })).predict;
  const before = readyWorkers(limited.app.engine).map(({ pid }) => pid);

  const { problem } = await answer(2_000_000_000);
  const after = await answer(10);
  const pidsNow = readyWorkers(limited.app.engine).map(({ pid }) => pid);
  await limited.stop();
  await bombs.remove();

  expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', reason: expect.stringContaining('more memory') });
  expect(after.problem).toBeNull();
  expect(pidsNow).not.toEqual(before);
});

test('an idle worker has used a small part of its limit, which counts only what it allocated itself', async () => {
  const [worker] = readyWorkers(app.app.engine);
  const { dataBytes, residentBytes } = (await worker?.memory()) ?? { dataBytes: 0, residentBytes: 0 };

  expect(dataBytes).toBeGreaterThan(20_000_000);
  expect(dataBytes).toBeLessThan(150_000_000);
  expect(residentBytes).toBeGreaterThan(50_000_000);
});

function bomb(size: number) {
  return { tensors: [{ name: 'size', datatype: 'INT64', shape: [1], data: [size] }] };
}

test('the server refuses to start if no worker can start, and names the setting to check', async () => {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-memory-'));
  // In a process of its own: the workers write V8's report of their failed allocation to stderr.
  const script = `
    const load = () => Promise.all([import('./dist/app.js'), import('./dist/config.js'), import('pino')]);
    load().then(async ([{ startApp }, { loadConfig }, { pino }]) => {
      const [dataDir] = process.argv.slice(1);
      const settings = { ...loadConfig({}), port: 0, dataDir, modelStore: '/nowhere', workers: 1, workerMemoryBytes: 5_000_000 };
      await startApp(settings, pino({ level: 'silent' })).catch(({ message }) => console.log(message));
      process.exit();
    });`;

  const { stdout, stderr } = await run(process.execPath, ['--eval', script, dataDir]);
  await rm(dataDir, { recursive: true, force: true });

  expect({ stdout, stderr }).toEqual({
    stdout: expect.stringMatching(/No inference worker can start: .*WORKER_MEMORY_BYTES/),
    stderr: expect.any(String),
  });
});

test('of rows that run together, exactly the one that crashes the runtime fails', async () => {
  const [a, b] = [Array.from({ length: 33 }, (_, i) => i * 7), Array.from({ length: 33 }, () => 7)];
  [a[32], b[32]] = [INT_MIN, -1];
  const tensors = Object.entries({ a, b }).map(([name, data]) => ({ name, datatype: 'INT32', shape: [33], data }));

  const columns = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
    columns { tensors { data } problems { row problem { code ... on InferenceFailed { reason } } } } } }`;
  const { predictMany } = await app.query(columns, { input: { model: 'division-rows', rows: { tensors } } });

  expect(predictMany.columns.problems).toEqual([
    { row: 32, problem: { code: 'INFERENCE_FAILED', reason: expect.stringContaining('SIGFPE') } },
  ]);
  expect(predictMany.columns.tensors[0].data).toEqual([...Array.from({ length: 32 }, (_, i) => i), 0]);
});
