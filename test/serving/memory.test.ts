/** Versions that do not fit, or fit barely, into the memory of a worker. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Config } from '#src/config.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, heavyModel, MEMORY_BOMB } from '../support/onnx.js';
import { readyWorkers } from '../support/workers.js';

const INPUT = { tensors: [{ name: 'index', datatype: 'INT64', shape: [1], data: [0] }] };
const YAML = `example: ${JSON.stringify(INPUT)}\n`;
const LARGE_BYTES = 80_000_000;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message retryable } } }`;
const LOAD = 'mutation { load(version: "large") { serving { servingState } problem { code retryable message } } }';
const SERVING = '{ version(ref: "large") { serving { servingState replicas } } }';

let store: TestStore;
let dataDir: string;
let app: TestApp | undefined;
beforeEach(async () => {
  store = await createStore();
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-memory-'));
});
afterEach(async () => {
  await app?.stop();
  app = undefined;
  await Promise.all([store.remove(), rm(dataDir, { recursive: true, force: true })]);
});

async function start(settings: Partial<Config>): Promise<TestApp> {
  await app?.stop();
  app = await startTestApp({ modelStore: store.folder, dataDir, ...settings });
  return app;
}

async function predict(model: string, input: unknown = INPUT): Promise<Data> {
  return (await (app as TestApp).query(PREDICT, { input: { model, input, record: false } })).predict;
}

test('a version that is too large for an empty worker is FAILED in memory, the reason has the numbers, and others answer', async () => {
  await store.write('large', { '1/model.onnx': heavyModel(1, LARGE_BYTES), 'model.yaml': YAML });
  await store.write('small', { '1/model.onnx': heavyModel(2, 1_000), 'model.yaml': `${YAML}preload: true\n` });
  await start({ workerMemoryBytes: 1_000_000_000 });
  const { query } = await start({ workerMemoryBytes: 200_000_000 });

  const { prediction, problem } = await predict('large');
  const again = await query(LOAD);

  expect(prediction).toBeNull();
  expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', retryable: false });
  expect(problem.message).toMatch(
    /does not fit into the memory of an empty worker: its artifact has 800\d{5} bytes, and a worker may use 200000000 bytes/,
  );
  expect(problem.message).toMatch(/Raise WORKER_MEMORY_BYTES and MEMORY_BUDGET/);
  expect(again.load).toEqual({ serving: null, problem });
  expect((await query(SERVING)).version.serving).toEqual({ servingState: 'FAILED', replicas: 0 });
  expect((await predict('small')).prediction.output.tensors[0].data).toEqual([2]);
});

test('inputs that are too large to run beside other versions are answered, and replace three workers at most', async () => {
  const sum = (size: number) => ({ tensors: [{ name: 'size', datatype: 'INT64', shape: [1], data: [size] }] });
  const others = ['a', 'b', 'c', 'd'];
  for (const [i, name] of others.entries())
    await store.write(name, { '1/model.onnx': heavyModel(i, 30_000_000), 'model.yaml': YAML });
  await store.write('sum', {
    '1/model.onnx': encodeModel(MEMORY_BOMB),
    'model.yaml': `example: ${JSON.stringify(sum(1))}`,
  });
  const { engine } = (await start({ workers: 1, workerMemoryBytes: 300_000_000 })).app;
  const pids = new Set<number | undefined>();
  const answers: Data[] = [];
  for (let i = 0; i < 6; i++) {
    for (const name of others) await predict(name);
    pids.add(readyWorkers(engine)[0]?.pid);
    // 120 MB: beside the others, and alone.
    answers.push(await predict('sum', sum(30_000_000 + i)));
  }
  pids.add(readyWorkers(engine)[0]?.pid);

  expect(answers.map(({ problem }) => problem)).toEqual(Array(6).fill(null));
  expect(answers.every(({ prediction }) => prediction.output.tensors[0].data[0] === 0)).toBe(true);
  expect(pids.size).toBe(4);
  expect((await predict('sum', sum(2_000_000_000))).problem.code).toBe('INFERENCE_FAILED');
});
