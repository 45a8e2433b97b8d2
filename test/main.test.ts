/** The process: how it starts, stops and dies. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Data, post } from './support/http.js';
import { COUNTING_LOOP, encodeModel } from './support/onnx.js';
import { type ServerProcess, startServer } from './support/server.js';
import { createStore } from './support/store.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-main-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function workerPids(server: ServerProcess): Promise<number[]> {
  const { data } = await post(server.url, '{ engine { workers { pid } } }');
  return data.engine.workers.map(({ pid }: Data) => pid);
}

test('F14: SIGTERM answers what is in flight, ends with 0 and leaves no worker', async () => {
  const server = await startServer({ DATA_DIR: dataDir });
  const pids = await workerPids(server);
  const inputs = Array.from({ length: 1_000 }, (_, i) => ({ text: `in flight ${i} `.repeat(100) }));
  const many =
    'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { id } problem { code } } } }';
  const answers = Array.from({ length: 4 }, () => post(server.url, many, { input: { model: 'spam-filter', inputs } }));
  let depth = 0;
  while (depth === 0) depth = (await post(server.url, '{ engine { queueDepth } }')).data.engine.queueDepth;

  const code = await server.end('SIGTERM');
  const results = (await Promise.all(answers)).flatMap(({ data }) => data.predictMany.results);

  expect(code).toBe(0);
  expect(results).toHaveLength(4_000);
  expect(results.filter(({ problem }: Data) => problem !== null)).toEqual([]);
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
});

test('F14: workers end with their server, also when it is killed', async () => {
  const server = await startServer({ DATA_DIR: dataDir });
  const pids = await workerPids(server);

  await server.end('SIGKILL');
  while (pids.some((pid) => existsSync(`/proc/${pid}`))) await new Promise(setImmediate);

  expect(pids.length).toBeGreaterThan(0);
});

test('a configuration that cannot be used ends with 1 and lists every problem', async () => {
  const child = spawn(process.execPath, ['dist/main.js'], { env: { PORT: 'x', HOST: '0.0.0.0', WORKERS: '-1' } });
  const said: string[] = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));

  const [code] = await once(child, 'exit');

  expect(code).toBe(1);
  expect(said.join('')).toMatch(/PORT=x: expected a whole number from 0 to 65535\n\s+WORKERS=-1/);
});

test('a port that is taken ends with 1', async () => {
  const server = await startServer({ DATA_DIR: dataDir });
  const second = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-main-'));

  await expect(startServer({ DATA_DIR: second, PORT: new URL(server.url).port })).rejects.toThrow('ended with 1');

  await server.end('SIGTERM');
  await rm(second, { recursive: true, force: true });
});

test('F14: a second SIGTERM ends at once what the first lets finish', async () => {
  const server = await startServer({ DATA_DIR: dataDir });
  const pids = await workerPids(server);
  const inputs = Array.from({ length: 1_000 }, (_, i) => ({ text: `slow ${i} `.repeat(1_200) }));
  const many = 'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } } }';
  const answer = post(server.url, many, { input: { model: 'spam-filter', inputs } }).catch(() => null);
  for (let depth = 0; depth === 0; )
    depth = (await post(server.url, '{ engine { queueDepth } }')).data.engine.queueDepth;
  server.process.kill('SIGTERM');
  while ((await fetch(`${server.url}/health/ready`).catch(() => null))?.status === 200) await new Promise(setImmediate);

  await server.end('SIGTERM');

  await answer;
  while (pids.some((pid) => existsSync(`/proc/${pid}`))) await new Promise(setImmediate);
});

test('F19: a second server on the same data ends with 3 and names the first', async () => {
  const server = await startServer({ DATA_DIR: dataDir });

  await expect(startServer({ DATA_DIR: dataDir })).rejects.toThrow('ended with 3');

  await server.end('SIGTERM');
});

test('F14: a worker that is stuck in native code ends with its server, also when that is killed', async () => {
  const store = await createStore();
  const trips = (count: number) => ({ tensors: [{ name: 'trips', datatype: 'INT64', shape: [1], data: [count] }] });
  await store.write('loop', {
    '1/model.onnx': encodeModel(COUNTING_LOOP),
    'model.yaml': `example: ${JSON.stringify(trips(3))}`,
  });
  const server = await startServer({ DATA_DIR: dataDir, MODEL_STORE: store.folder, WORKERS: '1' });
  const pids = await workerPids(server);
  const predict = 'mutation ($input: PredictInput!) { predict(input: $input) { problem { code } } }';
  const input = { model: 'loop', input: trips(Number.MAX_SAFE_INTEGER), deadlineMs: 300 };
  await post(server.url, predict, { input });

  await server.end('SIGKILL');
  while (pids.some((pid) => existsSync(`/proc/${pid}`))) await new Promise(setImmediate);
  await store.remove();

  expect(pids.length).toBeGreaterThan(0);
});
