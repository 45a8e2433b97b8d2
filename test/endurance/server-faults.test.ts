/** Kills the server at every fault point of a start, a prediction, a sweep and a stop. It must restart without losing data. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { armFault, disarmFault, hasFired } from '../support/faults.js';
import { type Data, post } from '../support/graphql-client.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel } from '../support/onnx.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { until } from '../support/until.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } replayed problem { code } } }`;

let store: TestStore;
let dataDir: string;
beforeAll(async () => {
  store = await createStore();
  await store.write('division', {
    '1/model.onnx': encodeModel(CRASHING_DIVISION),
    'model.yaml': `example: ${JSON.stringify(division(1))}`,
  });
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-points-'));
});
afterAll(async () => {
  await store.remove();
  await rm(dataDir, { recursive: true, force: true });
});
const started: ServerProcess[] = [];
afterEach(async () => {
  await disarmFault();
  await Promise.all(started.splice(0).map((server) => server.end('SIGKILL')));
});

function division(rows: number) {
  const tensor = (name: string) => ({ name, datatype: 'INT32', shape: [rows], data: Array(rows).fill(1) });
  return { tensors: [tensor('a'), tensor('b')] };
}

async function start(folder = dataDir): Promise<ServerProcess> {
  const server = await startServer({ DATA_DIR: folder, MODEL_STORE: store.folder, WORKERS: '1' });
  started.push(server);
  return server;
}

async function predict(server: ServerProcess, idempotencyKey: string, rows: number): Promise<Data> {
  const input = { model: 'division', input: division(rows), idempotencyKey };
  return (await post(server.url, PREDICT, { input })).data.predict;
}

/** So many rows that the input is stored as a file and not in the database. */
const LARGE = 8_000;

test('a server killed at any point of a prediction keeps acknowledged predictions and records a repeated one once', async () => {
  const points = [
    ...['predict.answered', 'predict.recorded', 'sqlite.write.row', 'sqlite.write.commit', 'sqlite.committed'].map(
      (point) => ({ point, rows: 1 }),
    ),
    ...['predict.inputKept', 'blob.write', 'blob.rename', 'blob.stored'].map((point, i) => ({
      point,
      rows: LARGE + i,
    })),
  ];
  let server = await start();
  let acknowledged = 0;
  for (const { point, rows } of points) {
    await armFault(point, 'SIGKILL');
    const answer = await predict(server, point, rows).catch(() => 'nobody answered');
    expect({ point, answer, fired: await disarmFault() }).toEqual({ point, answer: 'nobody answered', fired: true });
    await server.end('SIGKILL');

    server = await start();
    const again = await predict(server, point, rows);
    const twice = await predict(server, point, rows);
    acknowledged++;
    const { data } = await post(server.url, '{ predictions { totalCount } }');

    expect(again.problem).toBeNull();
    expect(twice).toMatchObject({ replayed: true, prediction: { id: again.prediction.id } });
    expect({ point, kept: data.predictions.totalCount }).toEqual({ point, kept: acknowledged });
  }
  await server.end('SIGTERM');
});

const STARTS = [
  'sqlite.open',
  'import.begin',
  'import.stored',
  'import.probed',
  'import.saved',
  'start.imported',
  'sweeper.deleted',
];

test('the server starts after earlier starts were killed, each at a later point', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-start-'));
  const fired: string[] = [];
  for (const point of STARTS) {
    await armFault(point, 'SIGKILL');
    // The sweeper starts just before the server is ready, so the server may be ready for a moment.
    const killed = await start(folder).catch(() => null);
    if (killed) await until(`the server has reached ${point}`, hasFired);
    await killed?.end('SIGKILL');
    if (await disarmFault()) fired.push(point);
  }

  const server = await start(folder);
  const { data } = await post(server.url, '{ models { totalCount nodes { versions { nodes { ref state } } } } }');
  await server.end('SIGTERM');
  await rm(folder, { recursive: true, force: true });

  expect(fired).toEqual(STARTS);
  expect(data.models).toEqual({
    totalCount: 1,
    nodes: [{ versions: { nodes: [{ ref: 'division:1', state: 'READY' }] } }],
  });
});

test.each(['stop.begin', 'stop.drained'])(
  'a stop that is killed at %s loses no acknowledged prediction',
  async (point) => {
    const server = await start();
    const { prediction } = await predict(server, `before ${point}`, 1);
    await armFault(point, 'SIGKILL');
    await server.end('SIGTERM');

    expect(await disarmFault()).toBe(true);
    const next = await start();
    const { data } = await post(next.url, 'query ($id: ID!) { prediction(id: $id) { id } }', { id: prediction.id });
    await next.end('SIGTERM');

    expect(data.prediction).toEqual({ id: prediction.id });
  },
);
