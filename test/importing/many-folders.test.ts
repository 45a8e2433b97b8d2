/** Stores with many folders: processes are shared between probes, and nothing is written for what has not changed. */
import { once } from 'node:events';
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import type { Data } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { writeManyFolders } from '../support/many-folders.js';
import { CRASHING_DIVISION, encodeModel, MEMORY_BOMB } from '../support/onnx.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';

const CONCURRENT_IMPORTS = 4;

let server: RestartableApp;
beforeEach(async () => {
  server = await RestartableApp.create();
});
afterEach(() => server.remove());

const probeProcesses = () => server.lines.find(({ msg }) => msg === 'the model store was imported').probeProcesses;

async function states(): Promise<Record<string, Data>> {
  const { models } = await server.running.query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason } } } } }',
  );
  return Object.fromEntries(models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]]));
}

test('a few processes probe many folders, and a second start probes nothing and writes nothing', async () => {
  await writeManyFolders(server.store.folder, 40);
  await server.store.write('datasets/numbers', {
    'dataset.yaml': 'title: Numbers\ntask: tensor\nfile: data.jsonl',
    'data.jsonl': '{"x":1}\n',
  });
  await server.store.write('broken', { 'model.yaml': 'task: tensor', '1/model.onnx': Buffer.from('no graph') });
  await server.store.write('unreadable', { 'model.yaml': 'task: [' });

  await server.start();
  const first = await states();

  expect(Object.values(first).filter(({ state }) => state === 'READY')).toHaveLength(40);
  // One more for the broken graph, which is probed again in a process of its own.
  expect(probeProcesses()).toBeLessThanOrEqual(CONCURRENT_IMPORTS + 1);

  const { catalogFile } = (await server.start()).app.databases;
  const [written] = (await catalogFile.write('select total_changes() as rows', [])).rows;

  expect(probeProcesses()).toBe(0);
  expect(written).toEqual({ rows: 0 });
  expect(await states()).toEqual(first);
});

test.each(['SIGSEGV', 'exit'])(
  'a process that ends by %s after it has probed other versions fails no version',
  async (how) => {
    await writeManyFolders(server.store.folder, 12);
    await armFault('worker.examined', how, 2);

    await server.start();

    expect(await disarmFault()).toBe(true);
    expect(Object.values(await states()).map(({ state }) => state)).toEqual(Array(12).fill('READY'));
    expect(probeProcesses()).toBeLessThanOrEqual(CONCURRENT_IMPORTS + 1);
  },
);

test('a version that crashes its process fails alone, and the versions before and after it are READY', async () => {
  await writeManyFolders(server.store.folder, 12);
  const tensor = (name: string, value: number) => `{ name: ${name}, datatype: INT32, shape: [1], data: [${value}] }`;
  for (const name of ['aaa', 'tiny-0005x', 'zzz'])
    await server.store.write(name, {
      'model.yaml': `example: { tensors: [${tensor('a', -(2 ** 31))}, ${tensor('b', -1)}] }`,
      '1/model.onnx': encodeModel(CRASHING_DIVISION),
    });

  await server.start();

  const failed = Object.entries(await states()).filter(([, { state }]) => state === 'FAILED');
  expect(Object.fromEntries(failed.map(([name, { stateReason }]) => [name, stateReason]))).toEqual({
    aaa: expect.stringContaining('the inference process ended (signal SIGFPE)'),
    'tiny-0005x': expect.stringContaining('the inference process ended (signal SIGFPE)'),
    zzz: expect.stringContaining('the inference process ended (signal SIGFPE)'),
  });
});

test('a version that failed for lack of memory is imported again when the limit has been raised', async () => {
  await writeManyFolders(server.store.folder, 1);
  await server.store.write('bomb', {
    '1/model.onnx': encodeModel(MEMORY_BOMB),
    'model.yaml': 'example: { tensors: [{ name: size, datatype: INT64, shape: [1], data: [50000000] }] }',
  });

  await server.start({ workerMemoryBytes: 200_000_000 });
  const { bomb: failed } = await states();
  await server.start({ workerMemoryBytes: 200_000_000 });
  const again = probeProcesses();
  await server.start({ workerMemoryBytes: 1_000_000_000 });

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
    await writeManyFolders(server.store.folder, 2);
    const { version } = await (await server.start()).query('{ version(ref: "tiny-0001") { artifact { sha256 } } }');
    const blob = path.join(server.dataDir, 'blobs/sha256', version.artifact.sha256.replace(/^../, '$&/'));
    await rm(blob);
    if (how === 'cut short') await writeFile(blob, 'GGUF');

    const { query } = await server.start();
    const { predict } = await query(
      'mutation { predict(input: { model: "tiny-0001", input: { row: { a: 1, b: 2 } } }) { problem { message } } }',
    );

    expect(predict.problem).toBeNull();
    expect(server.lines.map(({ msg }) => msg)).toContain('a lost blob was restored from the model store');
  },
);

const readiness = async () => {
  const answer = await fetch(`${server.running.url}/health/ready`);
  return answer.json();
};

const PREDICT =
  'mutation { predict(input: { model: "tiny-0001", input: { row: { a: 1, b: 2 } } }) { problem { code } } }';

/** Damages the graphs of these models in the data folder, without changing their size. Returns how to undo it. */
async function damage(...names: readonly string[]): Promise<() => Promise<void>> {
  const saved = new Map<string, Buffer>();
  for (const name of names) {
    const { version } = await server.running.query(`{ version(ref: "${name}") { artifact { sha256 } } }`);
    const blob = path.join(server.dataDir, 'blobs/sha256', version.artifact.sha256.replace(/^../, '$&/'));
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
  await writeManyFolders(server.store.folder, 3);
  await rename(path.join(server.store.folder, 'tiny-0002'), path.join(server.store.folder, 'first'));
  await appendFile(path.join(server.store.folder, 'first/model.yaml'), setting);
  await server.start();
  await damage('first');

  await server.start();

  expect(await readiness()).toEqual({ status: 'ready' });
  expect(server.lines.find(({ msg }) => msg === 'a version could not be loaded')).toMatchObject({
    reason: expect.stringContaining('the artifact is damaged'),
  });
});

test('the server is not ready while no model can be loaded, and ready once one has been', async () => {
  await writeManyFolders(server.store.folder, 3);
  await server.start();
  const repair = await damage('tiny-0000', 'tiny-0001', 'tiny-0002');

  await server.start();
  const before = await readiness();
  await repair();
  const { predict } = await server.running.query(PREDICT);

  expect(before).toMatchObject({ reason: expect.stringContaining('no model can answer') });
  expect(predict.problem).toBeNull();
  expect(await readiness()).toEqual({ status: 'ready' });
});

test('while the store is imported, /health/ready says how much is done', async () => {
  await writeManyFolders(server.store.folder, 3);
  const port = await freePort();
  await armFault('worker.examined', 'pause');
  const starting = server.start({ port });
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
