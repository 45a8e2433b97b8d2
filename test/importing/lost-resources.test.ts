/** Memory, disk space and blobs that were missing, and what the server does once they are there again. */
import 'reflect-metadata';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { importEvaluations } from '#src/evaluation/import.js';
import { StoreImporter } from '#src/importing/import.js';
import { ImportProgress } from '#src/importing/import-progress.js';
import { PublisherKeys } from '#src/signing/publisher-keys.js';
import { BlobFolder } from '#src/storage/blobs.js';
import type { Data } from '../support/app.js';
import { armFault, hasFired } from '../support/faults.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { writeManyFolders } from '../support/many-folders.js';
import { encodeModel, type GraphSpec, identity } from '../support/onnx.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';

let server: RestartableApp;
beforeEach(async () => {
  server = await RestartableApp.create();
});
afterEach(() => server.remove());

/** A row takes 10 MB, so a batch of 32 takes more than a small worker may allocate, and one row does not. */
const LARGE_ROWS: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
  nodes: [
    { op: 'ConstantOfShape', inputs: ['size'], outputs: ['table'] },
    { op: 'Add', inputs: ['x', 'table'], outputs: ['wide'] },
    { op: 'ReduceMax', inputs: ['wide'], outputs: ['y'], attributes: [{ name: 'axes', ints: [1] }] },
  ],
  ints: [{ name: 'size', shape: [2], data: [1, 2_500_000] }],
};
const LARGE_ROWS_YAML = 'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 1], data: [3] }] }';

const BATCHES = '{ version(ref: "large-rows") { state updatedAt serving { maxBatch maxBatchReason } } }';

test('a version whose batches lacked memory runs inputs one at a time, and is checked again when the limit is raised', async () => {
  await server.store.write('large-rows', { '1/model.onnx': encodeModel(LARGE_ROWS), 'model.yaml': LARGE_ROWS_YAML });
  const batches = async (workerMemoryBytes: number) =>
    (await (await server.start({ workerMemoryBytes })).query(BATCHES)).version;

  const small = await batches(300_000_000);
  const again = await batches(300_000_000);
  const large = await batches(1_500_000_000);

  expect(small).toMatchObject({
    state: 'READY',
    serving: { maxBatch: 1, maxBatchReason: expect.stringMatching(/could not be checked for lack of memory/) },
  });
  expect(small.serving.maxBatchReason).toMatch(/WORKER_MEMORY_BYTES is 300000000: .* again when it is raised/);
  expect(again).toEqual(small);
  expect(large.serving).toEqual({ maxBatch: 128, maxBatchReason: expect.stringMatching(/^tested 1 input/) });
});

const VARIANTS = '{ version(ref: "m:1") { state variants { name reason maxBatch } serving { maxBatch } } }';

test('a variant that lacked memory is probed again when the limit is raised', async () => {
  const yaml = 'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 1], data: [3] }] }';
  const plain = encodeModel(identity('x', 'FP32', ['N', 1]));
  const large = { ...LARGE_ROWS, ints: [{ name: 'size', shape: [2], data: [1, 50_000_000] }] };
  await server.store.write('m', { 'model.yaml': yaml, '1/model.onnx': plain, '1/model_fp16.onnx': encodeModel(large) });
  const variants = async (workerMemoryBytes: number) =>
    (await (await server.start({ workerMemoryBytes })).query(VARIANTS)).version.variants;

  const small = await variants(300_000_000);
  const raised = await variants(3_000_000_000);

  expect(small).toEqual([
    {
      name: 'fp16',
      maxBatch: null,
      reason: expect.stringMatching(/WORKER_MEMORY_BYTES is 300000000: it is tried again/),
    },
  ]);
  expect(raised).toEqual([{ name: 'fp16', maxBatch: expect.any(Number), reason: null }]);
});

test('a stop while a variant is examined leaves it usable', async () => {
  const graph = (data: number[]) =>
    encodeModel({
      ...identity('x', 'FP32', ['N', 1]),
      nodes: [{ op: 'Mul', inputs: ['x', 'w'], outputs: ['y'] }],
      floats: [{ name: 'w', shape: [1], data }],
    });
  await server.start();
  await armFault('worker.examined', 'pause', 2);
  await server.store.write('m', {
    'model.yaml': 'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 1], data: [3] }] }',
    '1/model.onnx': graph([1]),
    '1/model_fp16.onnx': graph([2]),
  });
  await until('the probe is paused', hasFired);

  const { query } = await server.start();

  expect((await query(VARIANTS)).version).toEqual({
    state: 'READY',
    variants: [{ name: 'fp16', reason: null, maxBatch: 128 }],
    serving: { maxBatch: 128 },
  });
});

test('a blob that is damaged is replaced when another model has the same graph', async () => {
  const files = huggingFaceFolders()['tiny-sst'] as Record<string, Buffer>;
  await server.store.write('first', files);
  const { query } = await server.start();
  const stored = await server.running.app.databases.catalogDb
    .selectFrom('version')
    .select(['artifact_sha256', 'spec'])
    .executeTakeFirstOrThrow();
  for (const digest of [stored.artifact_sha256, JSON.parse(stored.spec as string).text.tokenizerSha256]) {
    const blob = await fileOf(digest);
    const bytes = await readFile(blob);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    await writeFile(blob, bytes);
  }

  await server.store.write('second', files);
  await until(
    'the second model is imported',
    async () => (await states())['second'] !== undefined && (await states())['second']?.length === 1,
  );

  expect((await query('{ version(ref: "second:1") { state stateReason } }')).version).toEqual({
    state: 'READY',
    stateReason: null,
  });
});

const PREDICT = `mutation { predict(input: { model: "tiny-sst", input: { text: "good" }, record: false }) {
  prediction { output { __typename } } problem { code message } } }`;
const predict = async () => (await server.running.query(PREDICT)).predict;

async function fileOf(sha256: string): Promise<string> {
  return path.join(server.dataDir, 'blobs/sha256', sha256.replace(/^../, '$&/'));
}

test.each(['graph', 'tokenizer'] as const)(
  'a %s with a flipped byte is restored from the model store when its load fails',
  async (part) => {
    await server.store.write('tiny-sst', huggingFaceFolders()['tiny-sst'] as Record<string, Buffer>);
    await server.start();
    const row = await server.running.app.databases.catalogDb
      .selectFrom('version')
      .select(['artifact_sha256', 'spec'])
      .executeTakeFirstOrThrow();
    const digest = part === 'graph' ? row.artifact_sha256 : JSON.parse(row.spec as string).text.tokenizerSha256;
    const blob = await fileOf(digest);
    const bytes = await readFile(blob);
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    await writeFile(blob, damaged);

    await server.start();
    await until('the blob has been restored', async () => (await readFile(blob)).equals(bytes));
    const logged = server.lines.map(({ msg }) => msg);

    expect(await predict()).toEqual({ prediction: { output: { __typename: 'Classification' } }, problem: null });
    expect(logged).toContain('a worker could not load a version');
    expect(server.lines.find(({ msg }) => msg === 'a lost blob was restored from the model store')).toMatchObject({
      sha256: digest,
    });
  },
);

test('a graph that was lost while the server runs is restored, and the log names its path, which callers do not see', async () => {
  await server.store.write('tiny-sst', huggingFaceFolders()['tiny-sst'] as Record<string, Buffer>);
  const { query } = await server.start();
  const { version } = await query('{ version(ref: "tiny-sst") { artifact { sha256 } } }');
  const blob = await fileOf(version.artifact.sha256);
  await query('mutation { unload(version: "tiny-sst") { problem { code } } }');
  await rm(blob);

  const { problem } = await predict();
  await until('the blob has been restored', () => server.lines.some(({ msg }) => /was restored/.test(msg)));

  expect(problem).toMatchObject({ code: 'INFERENCE_FAILED' });
  expect(problem.message).not.toContain(server.dataDir);
  expect(server.lines.find(({ msg }) => msg === 'a worker could not load a version')).toMatchObject({
    message: expect.stringContaining(blob),
  });
  expect((await predict()).problem).toBeNull();
});

/** The states of the versions of each model. */
async function states(): Promise<Record<string, string[]>> {
  const { models } = await server.running.query('{ models { nodes { name versions { nodes { state } } } } }');
  return Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes.map(({ state }: Data) => state)]),
  );
}

test.each(['ENOSPC', 'EFBIG'])(
  'a disk that is full (%s) while a model is imported keeps no other model from answering',
  async (code) => {
    await writeManyFolders(server.store.folder, 3);
    await armFault('blob.write', code, 2);

    await server.start();
    const full = Object.values(await states()).flat();
    const logged = server.lines.filter(({ msg }) => /the disk is full/.test(msg));
    await server.start();

    expect(full).toEqual(['READY', 'READY']);
    expect(logged).toHaveLength(1);
    expect(Object.values(await states())).toEqual([['READY'], ['READY'], ['READY']]);
  },
);

test('a database that is full while a model is imported keeps no other model from answering', async () => {
  await writeManyFolders(server.store.folder, 1);
  await server.start();
  await writeManyFolders(server.store.folder, 3);
  // The first statements are those of opening the databases.
  await armFault('sqlite.write.query', 'SQLITE_FULL', 17);

  await server.start();
  const full = Object.values(await states()).flat();
  await server.start();

  expect(full).toEqual(['READY', 'READY']);
  expect(Object.values(await states())).toEqual([['READY'], ['READY'], ['READY']]);
});

test('datasets and metrics that a full database could not store are to be imported again', async () => {
  const results = '[{ dataset: { type: numbers }, metrics: [{ type: f1, value: 0.5 }] }]';
  await server.store.write('rated', {
    '1/model.onnx': encodeModel(identity('x', 'FP32', ['N', 2])),
    'README.md': `---\nmodel-index: [{ results: ${results} }]\n---\n# Rated\n`,
  });
  await server.store.write('datasets/numbers', { 'dataset.yaml': 'title: Numbers\ntask: tensor' });
  const { app, dataDir } = await server.start({ isAlone: true });
  await app.databases.catalogDb.deleteFrom('evaluation').execute();
  await server.store.write('datasets/numbers', { 'dataset.yaml': 'title: Other numbers\ntask: tensor' });
  const db = app.databases.catalogByKey;
  const log = pino({ level: 'silent' });
  const parts = { db, log, blobs: new BlobFolder(path.join(dataDir, 'blobs')), engine: app.engine };
  const publisherKeys = await PublisherKeys.open({ publisherKeysFile: null, requireSignature: false });
  const importer = new StoreImporter({ ...parts, progress: new ImportProgress(), publisherKeys }, server.store.folder);

  await armFault('sqlite.write.query', 'SQLITE_FULL');
  const { cards, toRetry } = await importer.importAll();
  await armFault('sqlite.write.query', 'SQLITE_FULL');
  const again = await importer.importFolder('datasets');
  await armFault('sqlite.write.query', 'SQLITE_FULL');
  const failed = await importEvaluations({ db, log }, cards);

  expect(toRetry).toEqual(['datasets']);
  expect(again).toMatchObject({ card: null, mustRetry: true, reason: 'the disk is full or cannot be written' });
  expect(failed).toEqual(cards);
  expect(cards).toMatchObject([{ folder: 'rated' }]);
  expect(await importEvaluations({ db, log }, cards)).toEqual([]);
});

test('if the disk is full when the first database is opened, the server refuses to start and says what to check', async () => {
  await armFault('sqlite.open', 'SQLITE_IOERR');

  await expect(server.start()).rejects.toThrow(/\.lock could not be opened: .*\. Check that the disk has room/);
});

test('a disk that is full while a lost graph is restored keeps no other model from answering, and the next start restores it', async () => {
  await writeManyFolders(server.store.folder, 2);
  const { query } = await server.start();
  const { version } = await query('{ version(ref: "tiny-0001") { artifact { sha256 } } }');
  const blob = await fileOf(version.artifact.sha256);
  await rm(blob);
  await armFault('blob.write', 'ENOSPC');

  await server.start();
  const asked = await Promise.all(['tiny-0000', 'tiny-0001'].map(tiny));
  await server.start();

  expect(asked.map(({ problem }) => problem?.code ?? null)).toEqual([null, 'INFERENCE_FAILED']);
  expect((await tiny('tiny-0001')).problem).toBeNull();
});

async function tiny(model: string): Promise<Data> {
  const input = `{ model: "${model}", input: { row: { a: 1, b: 2 } }, record: false }`;
  return (await server.running.query(`mutation { predict(input: ${input}) { problem { code message } } }`)).predict;
}
