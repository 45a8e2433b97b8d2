/** The server process: how it starts, stops and ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { armFault, disarmFault, goOn, hasFired } from './support/faults.js';
import { type Data, post } from './support/graphql-client.js';
import { createStore } from './support/model-store.js';
import { COUNTING_LOOP, encodeModel } from './support/onnx.js';
import { haveEnded, isRunning, killIfRunning, treeOf } from './support/processes.js';
import { type ServerProcess, startServer } from './support/server.js';
import { until } from './support/until.js';

let dataDir: string;
const started: ServerProcess[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-main-'));
  await cp(process.env['MODELGRAPH_TEMPLATE'] as string, dataDir, { recursive: true });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.end('SIGKILL')));
  await disarmFault();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(env: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await startServer({ DATA_DIR: dataDir, WORKERS: '1', ...env });
  started.push(server);
  return server;
}

async function workerPids(server: ServerProcess): Promise<number[]> {
  const { data } = await post(server.url, '{ engine { workers { pid } } }');
  return data.engine.workers.map(({ pid }: Data) => pid);
}

const PREDICT_MANY = `mutation ($input: PredictManyInput!) {
  predictMany(input: $input) { results { prediction { id } problem { code } } } }`;

/** Sends four requests with 1,000 texts in all. Returns while the worker holds its first batch and runs nothing. */
async function predictAndHold(server: ServerProcess, action: 'pause' | 'hang') {
  await armFault('worker.run.begin', action);
  const requests = Array.from({ length: 4 }, (_, i) => {
    const inputs = Array.from({ length: 250 }, (_, j) => ({ text: `request ${i}, text ${j}` }));
    return post(server.url, PREDICT_MANY, { input: { model: 'spam-filter', inputs } });
  });
  const answers = Promise.all(requests);
  // A test that kills the server expects no answers.
  answers.catch(() => {});
  await until('the worker has reached its first batch', hasFired);
  // Three requests are at most 750 inputs. A request that arrives after the stop has begun is refused.
  await until('the server has received all four requests', async () => {
    const { data } = await post(server.url, '{ engine { queueDepth } }');
    return data.engine.queueDepth > 750;
  });
  return { answers };
}

async function isReady(server: ServerProcess): Promise<boolean> {
  return (await fetch(`${server.url}/health/ready`).catch(() => null))?.status === 200;
}

/** The first signal, received: the server is no longer ready, and still answers what is in flight. */
async function beginStop(server: ServerProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  server.process.kill(signal);
  await until('the server has begun to stop', async () => !(await isReady(server)));
}

test('SIGTERM answers every request in flight, ends with 0 and leaves no worker', async () => {
  const server = await start();
  const pids = await workerPids(server);
  const { answers } = await predictAndHold(server, 'pause');

  await beginStop(server);
  await goOn();

  expect(await server.ended).toBe(0);
  const results = (await answers).flatMap(({ data }) => data.predictMany.results);
  expect(results).toHaveLength(1_000);
  expect(results.filter(({ problem }: Data) => problem !== null)).toEqual([]);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('a stop closes idle connections before the requests in flight are answered', async () => {
  const server = await start();
  const { hostname, port } = new URL(server.url);
  const unused = connect(Number(port), hostname);
  const used = connect(Number(port), hostname);
  used.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await Promise.all([once(unused, 'connect'), once(used, 'data')]);
  const closed = Promise.all([once(unused, 'close'), once(used, 'close')]);
  const { answers } = await predictAndHold(server, 'pause');

  await beginStop(server);
  await closed;
  await goOn();

  const results = (await answers).flatMap(({ data }) => data.predictMany.results);
  expect(results.filter(({ problem }: Data) => problem !== null)).toEqual([]);
  expect(await server.ended).toBe(0);
});

test.each([
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
] as const)('after %s, %s ends the server at once, without waiting for requests in flight', async (first, second) => {
  const server = await start();
  const pids = await workerPids(server);
  await predictAndHold(server, 'hang');
  await beginStop(server, first);

  const code = await server.end(second);

  expect({ code, signal: server.process.signalCode }).toEqual({ code: null, signal: second });
  await haveEnded(pids);
});

test('SIGTERM while a version is loaded fails what waits for it, ends with 0 and leaves no process', async () => {
  const server = await start();
  const predict =
    'mutation { predict(input: { model: "penguin-mass", input: { row: { sex: "male" } } }) { problem { code } } }';
  await armFault('worker.load.opened', 'hang');
  const pids = treeOf(server.process.pid as number);
  const waiting = [
    post(server.url, predict),
    post(server.url, 'mutation { load(version: "penguins") { problem { code } } }'),
  ];
  await until('a worker is loading', hasFired);

  await beginStop(server);

  expect(await server.ended).toBe(0);
  const [predicted, loaded] = await Promise.all(waiting);
  expect(predicted?.data).toEqual({ predict: { problem: { code: 'SHUTTING_DOWN' } } });
  expect(loaded?.data).toEqual({ load: { problem: { code: 'SHUTTING_DOWN' } } });
  await haveEnded(pids);
});

test('SIGTERM during the import ends the server with 0, and nothing is recorded of the version that was examined', async () => {
  const store = await createStore();
  await cp('model-store/penguins', path.join(store.folder, 'penguins'), { recursive: true });
  const settings = {
    DATA_DIR: dataDir,
    MODEL_STORE: store.folder,
    WORKERS: '1',
    EXECUTION_PROVIDERS: 'cpu',
    PORT: '0',
  };
  const env = { PATH: process.env['PATH'], FAULT_FILE: process.env['FAULT_FILE'], ...settings };
  await rm(dataDir, { recursive: true });
  await armFault('worker.load.opened', 'hang');
  const server = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(server, 'exit');
  await until('a version is being examined', hasFired);
  const pids = treeOf(server.pid as number);

  server.kill('SIGTERM');

  expect(await ended).toEqual([0, null]);
  await haveEnded(pids);
  await disarmFault();
  const again = await start({ MODEL_STORE: store.folder });
  const { data } = await post(again.url, '{ version(ref: "penguins") { state } }');
  expect(data).toEqual({ version: { state: 'READY' } });
  await store.remove();
});

test('SIGTERM to npm start reaches the server, and no process is left', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-npm-'));
  const copied = ['package.json', 'package-lock.json', '.npmrc', '.swcrc', 'src', 'schema', 'dist'];
  await Promise.all(copied.map((name) => cp(name, path.join(folder, name), { recursive: true })));
  await symlink(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  // Newer than the sources, so that npm start does not build.
  await writeFile(path.join(folder, 'dist/.built'), '');
  const env = { ...process.env, DATA_DIR: dataDir, MODEL_STORE: path.resolve('model-store'), PORT: '0', WORKERS: '1' };
  const npm = spawn('npm', ['start'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(npm, 'exit');
  for await (const line of createInterface({ input: npm.stdout })) if (line.startsWith('ready ')) break;
  const pids = treeOf(npm.pid as number);

  npm.kill('SIGTERM');
  try {
    await ended;
    await haveEnded(pids);
  } finally {
    for (const pid of pids) killIfRunning(pid);
    await rm(folder, { recursive: true });
  }

  // npm, the server and its workers.
  expect(pids.length).toBeGreaterThan(2);
});

test('a server whose workers would need more memory than the budget refuses to start, and names settings and numbers', async () => {
  const env = { WORKERS: '2', WORKER_MEMORY_BYTES: '1000000000', MEMORY_BUDGET: '3000000000' };

  await expect(start(env)).rejects.toThrow(
    /^the server ended with 1 .*WORKERS=2 and WORKER_MEMORY_BYTES=1000000000 need 4000000000 bytes.* MEMORY_BUDGET=3000000000/s,
  );
});

test('workers end when their server is killed', async () => {
  const server = await start();
  const pids = await workerPids(server);

  await server.end('SIGKILL');
  await haveEnded(pids);

  expect(pids.length).toBeGreaterThan(0);
});

test('a worker that is stuck in native code ends when its server is killed', async () => {
  const store = await createStore();
  const trips = (count: number) => ({ tensors: [{ name: 'trips', datatype: 'INT64', shape: [1], data: [count] }] });
  await store.write('loop', {
    '1/model.onnx': encodeModel(COUNTING_LOOP),
    'model.yaml': `example: ${JSON.stringify(trips(3))}`,
  });
  const server = await start({ MODEL_STORE: store.folder });
  const pids = await workerPids(server);
  const predict = 'mutation ($input: PredictInput!) { predict(input: $input) { problem { code } } }';
  const input = { model: 'loop', input: trips(Number.MAX_SAFE_INTEGER), deadlineMs: 300 };
  await post(server.url, predict, { input });

  await server.end('SIGKILL');
  await haveEnded(pids);
  await store.remove();

  expect(pids.length).toBeGreaterThan(0);
});

test('invalid settings end the process with 1, and the message lists every one of them', async () => {
  const child = spawn(process.execPath, ['dist/main.js'], { env: { PORT: 'x', HOST: '0.0.0.0', WORKERS: '-1' } });

  const [message, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);

  expect(code).toBe(1);
  expect(message).toMatch(/PORT=x: expected a whole number from 0 to 65535\n\s+WORKERS=-1/);
});

test('a server whose port is in use ends with 1', async () => {
  const server = await start();
  const empty = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-main-'));

  const second = startServer({ DATA_DIR: empty, PORT: new URL(server.url).port });

  await expect(second).rejects.toThrow(/ended with 1 .*EADDRINUSE/);
  await rm(empty, { recursive: true, force: true });
});

test('a second server on the same data folder ends with 3 and names the first', async () => {
  const server = await start();

  const second = startServer({ DATA_DIR: dataDir });

  await expect(second).rejects.toThrow(new RegExp(`ended with 3 .*another server \\(process ${server.process.pid}\\)`));
});
