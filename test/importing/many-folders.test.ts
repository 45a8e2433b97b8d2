/** Stores with many folders: processes are shared between probes, and nothing is written for what has not changed. */
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { writeManyFolders } from '../support/many-folders.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, MEMORY_BOMB } from '../support/onnx.js';
import { until } from '../support/until.js';

const CONCURRENT_IMPORTS = 4;

let store: TestStore;
let dataDir: string;
let lines: Data[];
let app: TestApp | undefined;
beforeEach(async () => {
  store = await createStore();
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-many-'));
  lines = [];
});
afterEach(async () => {
  await disarmFault();
  await app?.app.stop();
  app = undefined;
  await store.remove();
  await rm(dataDir, { recursive: true, force: true });
});

/** Starts the app, and stops it first if it runs. Its log is in `lines`. */
async function start(settings: Parameters<typeof startTestApp>[0] = {}): Promise<TestApp> {
  await app?.app.stop();
  lines.length = 0;
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  app = await startTestApp({ modelStore: store.folder, dataDir, log, ...settings });
  return app;
}

const probeProcesses = () => lines.find(({ msg }) => msg === 'the model store was imported').probeProcesses;

async function states(): Promise<Record<string, Data>> {
  const { models } = await (app as TestApp).query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason } } } } }',
  );
  return Object.fromEntries(models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]]));
}

test('a few processes probe many folders, and a second start probes nothing and writes nothing', async () => {
  await writeManyFolders(store.folder, 40);
  await store.write('datasets/numbers', {
    'dataset.yaml': 'title: Numbers\ntask: tensor\nfile: data.jsonl',
    'data.jsonl': '{"x":1}\n',
  });
  await store.write('broken', { 'model.yaml': 'task: tensor', '1/model.onnx': Buffer.from('no graph') });
  await store.write('unreadable', { 'model.yaml': 'task: [' });

  await start();
  const first = await states();

  expect(Object.values(first).filter(({ state }) => state === 'READY')).toHaveLength(40);
  // One more for the broken graph, which is probed again in a process of its own.
  expect(probeProcesses()).toBeLessThanOrEqual(CONCURRENT_IMPORTS + 1);

  const { catalogFile } = (await start()).app.databases;
  const [written] = (await catalogFile.write('select total_changes() as rows', [])).rows;

  expect(probeProcesses()).toBe(0);
  expect(written).toEqual({ rows: 0 });
  expect(await states()).toEqual(first);
});

test.each(['SIGSEGV', 'SIGKILL', 'exit'])(
  'a process that ends by %s after it has probed other versions fails no version',
  async (how) => {
    await writeManyFolders(store.folder, 12);
    await armFault('worker.examined', how, 2);

    await start();

    expect(await disarmFault()).toBe(true);
    expect(Object.values(await states()).map(({ state }) => state)).toEqual(Array(12).fill('READY'));
    expect(probeProcesses()).toBeLessThanOrEqual(CONCURRENT_IMPORTS + 1);
  },
);

test('a version that crashes its process fails alone, and the versions before and after it are READY', async () => {
  await writeManyFolders(store.folder, 12);
  const tensor = (name: string, value: number) => `{ name: ${name}, datatype: INT32, shape: [1], data: [${value}] }`;
  for (const name of ['aaa', 'tiny-0005x', 'zzz'])
    await store.write(name, {
      'model.yaml': `example: { tensors: [${tensor('a', -(2 ** 31))}, ${tensor('b', -1)}] }`,
      '1/model.onnx': encodeModel(CRASHING_DIVISION),
    });

  await start();

  const failed = Object.entries(await states()).filter(([, { state }]) => state === 'FAILED');
  expect(Object.fromEntries(failed.map(([name, { stateReason }]) => [name, stateReason]))).toEqual({
    aaa: 'the inference process ended (signal SIGFPE)',
    'tiny-0005x': 'the inference process ended (signal SIGFPE)',
    zzz: 'the inference process ended (signal SIGFPE)',
  });
});

test('a version that failed for lack of memory is imported again when the limit has been raised', async () => {
  await writeManyFolders(store.folder, 1);
  await store.write('bomb', {
    '1/model.onnx': encodeModel(MEMORY_BOMB),
    'model.yaml': 'example: { tensors: [{ name: size, datatype: INT64, shape: [1], data: [50000000] }] }',
  });

  await start({ workerMemoryBytes: 200_000_000 });
  const { bomb: failed } = await states();
  await start({ workerMemoryBytes: 200_000_000 });
  const again = probeProcesses();
  await start({ workerMemoryBytes: 1_000_000_000 });

  expect(failed).toEqual({
    state: 'FAILED',
    stateReason: expect.stringContaining('WORKER_MEMORY_BYTES is 200000000: the import is retried when it is raised'),
  });
  expect(again).toBe(0);
  expect((await states())['bomb']).toEqual({ state: 'READY', stateReason: null });
});

test.each(['deleted', 'cut short'])(
  'a graph that was %s in the data folder is restored at the next start',
  async (how) => {
    await writeManyFolders(store.folder, 2);
    const { version } = await (await start()).query('{ version(ref: "tiny-0001") { artifact { sha256 } } }');
    const blob = path.join(dataDir, 'blobs/sha256', version.artifact.sha256.replace(/^../, '$&/'));
    await rm(blob);
    if (how === 'cut short') await writeFile(blob, 'GGUF');

    const { query } = await start();
    const { predict } = await query(
      'mutation { predict(input: { model: "tiny-0001", input: { row: { a: 1, b: 2 } } }) { problem { message } } }',
    );

    expect(predict.problem).toBeNull();
    expect(lines.map(({ msg }) => msg)).toContain('a lost blob was restored from the model store');
  },
);

const readiness = async () => {
  const answer = await fetch(`${app?.url}/health/ready`);
  return answer.json();
};

const PREDICT =
  'mutation { predict(input: { model: "tiny-0001", input: { row: { a: 1, b: 2 } } }) { problem { code } } }';

/** Damages the graphs of these models in the data folder, without changing their size. Returns how to undo it. */
async function damage(...names: readonly string[]): Promise<() => Promise<void>> {
  const saved = new Map<string, Buffer>();
  for (const name of names) {
    const { version } = await (app as TestApp).query(`{ version(ref: "${name}") { artifact { sha256 } } }`);
    const blob = path.join(dataDir, 'blobs/sha256', version.artifact.sha256.replace(/^../, '$&/'));
    const bytes = await readFile(blob);
    saved.set(blob, bytes);
    await writeFile(blob, Buffer.alloc(bytes.length));
  }
  return async () => {
    for (const [blob, bytes] of saved) await writeFile(blob, bytes);
  };
}

test.each([
  ['the first model', ''],
  ['a model marked preload', 'preload: true\n'],
])('the server is ready although %s cannot be loaded', async (_, setting) => {
  await writeManyFolders(store.folder, 3);
  await rename(path.join(store.folder, 'tiny-0002'), path.join(store.folder, 'first'));
  await appendFile(path.join(store.folder, 'first/model.yaml'), setting);
  await start();
  await damage('first');

  await start();

  expect(await readiness()).toEqual({ status: 'ready' });
  expect(lines.find(({ msg }) => msg === 'a version could not be loaded')).toMatchObject({
    reason: expect.stringContaining('the artifact is damaged'),
  });
});

test('the server is not ready while no model can be loaded, and ready once one has been', async () => {
  await writeManyFolders(store.folder, 3);
  await start();
  const repair = await damage('tiny-0000', 'tiny-0001', 'tiny-0002');

  await start();
  const before = await readiness();
  await repair();
  const { predict } = await (app as TestApp).query(PREDICT);

  expect(before).toMatchObject({ reason: expect.stringContaining('no model can answer') });
  expect(predict.problem).toBeNull();
  expect(await readiness()).toEqual({ status: 'ready' });
});

test('while the store is imported, /health/ready says how much is done', async () => {
  await writeManyFolders(store.folder, 3);
  const port = await freePort();
  await armFault('worker.examined', 'pause');
  const starting = start({ port });
  await until('a probe is paused', hasFired);

  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`);

  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: 'not ready',
    reason: expect.stringMatching(/^importing [012] of 3 model folders$/),
  });
  await goOn();
  await starting;
  expect((await fetch(`http://127.0.0.1:${port}/health/ready`)).status).toBe(200);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
