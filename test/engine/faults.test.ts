/** Workers crash, hang and are killed, and nobody notices who need not. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { COUNTING_LOOP, CRASHING_DIVISION, encodeModel } from '../support/onnx.js';
import { createStore, type TestStore } from '../support/store.js';

const INT_MIN = -(2 ** 31);

const ANSWER = `prediction { output { ... on Tensors { tensors { data } } } timing { batchSize } }
  problem { code message retryable ... on InferenceFailed { reason } ... on DeadlineExceeded { phase } }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${ANSWER} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { ${ANSWER} } problem { message } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('division', {
    '1/model.onnx': encodeModel(CRASHING_DIVISION),
    'model.yaml': `example: ${JSON.stringify(division(6, 2))}`,
  });
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

const pids = () => app.app.engine.pool.all.filter(({ purpose }) => purpose === 'pool').map(({ pid }) => pid);

// Whole vectors are divided by instructions that do not trap; the last element of these sizes is divided alone.
test.each([1, 2, 7, 33])('an input that crashes the runtime fails alone in a batch of %i', async (size) => {
  const culprit = size - 1;
  const inputs = Array.from({ length: size }, (_, i) => (i === culprit ? division(INT_MIN, -1) : division(i * 7, 7)));

  const { predictMany } = await app.query(PREDICT_MANY, { input: { model: 'division', inputs } });

  for (const [i, { prediction, problem }] of predictMany.results.entries()) {
    if (i === culprit)
      expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', reason: expect.stringContaining('SIGFPE') });
    else expect(prediction.output.tensors[0].data).toEqual([i]);
  }
  expect(await predict('division', division(8, 2))).toMatchObject({ problem: null });
});

test('an error of the graph fails its input alone', async () => {
  const inputs = [division(6, 3), division(6, 0), division(8, 2)];

  const { predictMany } = await app.query(PREDICT_MANY, { input: { model: 'division', inputs } });

  expect(predictMany.results.map(({ problem }: Data) => problem?.code ?? null)).toEqual([
    null,
    'INFERENCE_FAILED',
    null,
  ]);
});

test('a run that does not end is stopped by the watchdog and fails alone', async () => {
  const stuck = predict('loop', loop(Number.MAX_SAFE_INTEGER));
  const others = await Promise.all(Array.from({ length: 20 }, (_, i) => predict('division', division(i, 1))));

  expect(others.every(({ problem }: Data) => problem === null)).toBe(true);
  expect((await stuck).problem).toMatchObject({
    code: 'INFERENCE_FAILED',
    reason: expect.stringContaining('did not end'),
  });
  expect(await predict('loop', loop(3))).toMatchObject({ problem: null });
});

test("a caller's deadline ends that caller's wait and no worker", async () => {
  const before = pids();

  const { problem } = await predict('loop', loop(Number.MAX_SAFE_INTEGER), { deadlineMs: 100 });

  expect(problem).toMatchObject({ code: 'DEADLINE_EXCEEDED', phase: 'run', retryable: true });
  expect(pids()).toEqual(before);
});

test('a worker that is killed in the middle of a batch fails no request', async () => {
  let isOver = false;
  const problems: Data[] = [];
  const client = async (i: number) => {
    while (!isOver) problems.push((await predict('division', division(i, 1), { record: false })).problem);
  };
  const clients = Array.from({ length: 16 }, (_, i) => client(i));
  for (let kills = 0; kills < 10; ) {
    const busy = app.app.engine.pool.ready.find(({ batches }) => batches.length > 0);
    if (busy && problems.length >= kills * 50 && process.kill(busy.pid, 'SIGKILL')) kills++;
    await new Promise(setImmediate);
  }
  isOver = true;
  await Promise.all(clients);

  expect(problems.filter((problem) => problem !== null)).toEqual([]);
  expect(problems.length).toBeGreaterThan(450);
});
