/** More versions than fit into memory: every request is answered, and the least valuable versions make room. */

import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { heavyModel } from '../support/onnx.js';
import { killIfRunning } from '../support/processes.js';
import { seeded } from '../support/seeded-random.js';

const MODELS = 16;
const MODEL_BYTES = 20_000_000;
/** Too little for all of the models. */
const WORKER_MEMORY_BYTES = 330_000_000;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (let number = 1; number <= MODELS; number++) {
    await store.write(`heavy-${number}`, {
      '1/model.onnx': heavyModel(number, MODEL_BYTES),
      'model.yaml': `example: ${JSON.stringify(INPUT)}`,
    });
  }
  app = await startTestApp({ modelStore: store.folder, workers: 1, workerMemoryBytes: WORKER_MEMORY_BYTES });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

const INPUT = { tensors: [{ name: 'index', datatype: 'INT64', shape: [1], data: [0] }] };

/** The number of the model that answered, or the problem. */
async function askedOf(number: number): Promise<number | Data> {
  const input = { model: `heavy-${number}`, input: INPUT, record: false };
  const { prediction, problem } = (await app.query(PREDICT, { input })).predict;
  return problem ?? prediction.output.tensors[0].data[0];
}

test('more models than fit into memory all answer, in any order and at the same time', async () => {
  const random = seeded(10);
  const order = Array.from({ length: 20 }, () => 1 + Math.floor(random() * MODELS));
  const inTurn = [];
  for (const number of order.slice(0, 8)) inTurn.push(await askedOf(number));
  const together = await Promise.all(order.map((number) => askedOf(number)));

  expect(inTurn).toEqual(order.slice(0, 8));
  expect(together).toEqual(order);
});

test('workers that are killed while they load and evict versions lose no request', async () => {
  const random = seeded(20);
  const order = Array.from({ length: 20 }, () => 1 + Math.floor(random() * MODELS));
  let answered = 0;
  const answers = Promise.all(order.map((number) => askedOf(number).finally(() => answered++)));
  let kills = 0;
  while (answered < order.length) {
    const loading = app.app.engine.workers.find(({ loading, unloading }) => loading.size > 0 && unloading.size > 0);
    if (loading && kills < 2 && answered >= kills * 6 && killIfRunning(loading.pid)) kills++;
    await new Promise(setImmediate);
  }

  expect(await answers).toEqual(order);
  expect(kills).toBeGreaterThan(0);
});

const SERVING = '{ serving { servingState replicas residentBytes } problem { code } }';

test('an operator loads and releases a version, and no request is lost meanwhile', async () => {
  const loaded = (await app.query(`mutation { load(version: "heavy-3") ${SERVING} }`)).load;
  const answers = Array.from({ length: 20 }, () => askedOf(3));
  const released = (await app.query(`mutation { unload(version: "heavy-3") ${SERVING} }`)).unload;
  const unknown = (await app.query(`mutation { load(version: "nothing") ${SERVING} }`)).load;

  expect(loaded).toMatchObject({ serving: { servingState: 'WARM', replicas: 1 }, problem: null });
  expect(loaded.serving.residentBytes).toBeGreaterThanOrEqual(MODEL_BYTES - 1000);
  expect(released.problem).toBeNull();
  expect(await Promise.all(answers)).toEqual(Array(20).fill(3));
  expect(unknown).toMatchObject({ serving: null, problem: { code: 'NOT_FOUND' } });
});

test('predictions on all versions are answered while operators load and release them under memory pressure', async () => {
  const random = seeded(30);
  const numbers = (count: number) => Array.from({ length: count }, () => 1 + Math.floor(random() * MODELS));
  let isDone = false;
  const operator = async (mutation: 'load' | 'unload') => {
    const problems: Data[] = [];
    while (!isDone) {
      const [number] = numbers(1);
      problems.push(
        (await app.query(`mutation { ${mutation}(version: "heavy-${number}") ${SERVING} }`))[mutation].problem,
      );
    }
    return problems;
  };
  const client = async (order: readonly number[]) => {
    const answers = [];
    for (const number of order) answers.push(await askedOf(number));
    return answers;
  };
  const orders = Array.from({ length: 4 }, () => numbers(8));
  const operators = Promise.all([operator('load'), operator('unload')]);
  const answers = await Promise.all(orders.map(client));
  isDone = true;

  expect(answers).toEqual(orders);
  expect((await operators).flat().filter((problem) => problem !== null)).toEqual([]);
});

test('a released version takes no memory until it is used again', async () => {
  await askedOf(5);
  const { unload } = await app.query(`mutation { unload(version: "heavy-5") ${SERVING} }`);

  expect(unload).toEqual({ serving: { servingState: 'COLD', replicas: 0, residentBytes: null }, problem: null });
  expect(await askedOf(5)).toBe(5);
});
