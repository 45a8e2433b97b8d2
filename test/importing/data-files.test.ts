/** Graphs whose weights are in data files: as PyTorch and the onnx package write them, and what is refused. */
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Data } from '../support/app.js';
import { encodeModel, type GraphSpec, type Initializer } from '../support/onnx.js';
import { RestartableApp } from '../support/restartable-app.js';
import { until } from '../support/until.js';

const GOLDENS = path.resolve('test/importing/goldens/data-files');
/** Its shapes are in a data file too, where ONNX Runtime cannot infer shapes from them. */
const REFUSED = 'attributes-external';

let server: RestartableApp;
beforeEach(async () => {
  server = await RestartableApp.create();
});
afterEach(() => server.remove());

const VERSIONS = `{ models(first: 100) { nodes { name versions { nodes { state stateReason artifact { sizeBytes dataFiles { location sha256 sizeBytes } } } } } } }`;

async function versions(): Promise<Record<string, Data>> {
  const { models } = await server.running.query(VERSIONS);
  return Object.fromEntries(models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]]));
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile() && !/golden\.json|model\.yaml|model_b/.test(entry.name));
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await readFile(path.join(parentPath, name))).length),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

test('graphs with data files answer what PyTorch answers, in every layout that exporters write', async () => {
  await cp(GOLDENS, server.store.folder, { recursive: true });

  await server.start();
  const { [REFUSED]: refused, ...found } = await versions();

  const names = (await readdir(GOLDENS)).filter((name) => name !== REFUSED);
  const sizes = await Promise.all(names.map((name) => sizeOf(path.join(GOLDENS, name))));
  expect(found).toEqual(
    Object.fromEntries(
      names.map((name, i) => {
        const artifact = { sizeBytes: sizes[i], dataFiles: expect.anything() };
        return [name, { state: 'READY', stateReason: null, artifact }];
      }),
    ),
  );
  const data = await readFile(path.join(GOLDENS, 'mlp/1/model.onnx.data'));
  const sha256 = createHash('sha256').update(data).digest('hex');
  expect(found['mlp']?.artifact.dataFiles).toEqual([{ location: 'model.onnx.data', sha256, sizeBytes: data.length }]);
  expect(refused).toMatchObject({
    state: 'FAILED',
    stateReason: expect.stringMatching(
      /^the tensor val_5 is a shape, and must be in the graph itself: save .*size_threshold=1024/,
    ),
  });
});

// ── small graphs ──

const W: Initializer = { name: 'w', shape: [4], data: [1, 2, 3, 4], file: { location: 'w.data', offset: 8 } };
const DATA = Buffer.concat([Buffer.alloc(8), Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)]);
const EXAMPLE = 'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 4], data: [1, 1, 1, 1] }] }';

/** y = x + w */
function adding(w: Initializer): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 4] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 4] }],
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    floats: [w],
  });
}

const at = (location: string, more: Partial<Initializer['file']> = {}) =>
  adding({ ...W, file: { location, offset: 8, ...more } });

test.each([
  [
    'an absolute path',
    at('/etc/passwd'),
    /"passwd" by an absolute path, but data files are read from the version's folder only/,
  ],
  [
    'a path that leaves the folder',
    at('../secret'),
    /"\.\.\/secret", but data files are read from the version's folder/,
  ],
  ['a path that leaves the folder later', at('a/../../secret'), /are read from the version's folder only/],
  [
    'an address in memory',
    at('*/_ORT_MEM_ADDR_/*'),
    /keeps weights in the file "\*\/_ORT_MEM_ADDR_\/\*", which is missing/,
  ],
  ['no name', at(''), /keeps weights in the file "", but/],
  ['a file that is missing', at('model.data'), /"model\.data", which is missing/],
  [
    'the data of a graph with another name',
    at('net.onnx.data'),
    /which is missing: .* rename model\.onnx\.data to net\.onnx\.data/,
  ],
  ['a link out of the folder', at('link'), /"link", which is a link to a file outside of the version's folder/],
  ['a folder that is a link', at('out/secret'), /"out\/secret", which is a link to a file outside/],
  ['a folder', at('folder'), /"folder", which is not a regular file/],
  [
    'a file that is too short',
    at('w.data', { offset: 12 }),
    /needs bytes 12 to 28 of w\.data, which has 24: the file is cut off/,
  ],
  ['an offset beyond any file', at('w.data', { offset: 999_999_999_999_999 }), /needs bytes 999999999999999 to/],
  ['a negative offset', at('w.data', { offset: -4 }), /has the offset "-4"/],
  ['an offset that is no number', at('w.data', { offset: '0x8' }), /has the offset "0x8"/],
  [
    'fewer bytes than the shape requires',
    at('w.data', { length: 8 }),
    /has 8 bytes in w\.data; its shape \[4\] requires 16/,
  ],
  ['a location that is given twice', at('w.data', { again: '/etc/passwd' }), /names its place in a data file twice/],
])('data is refused in %s', async (_, graph, reason) => {
  await server.store.write('secret', { 'model.yaml': '' });
  await writeFile(path.join(server.store.folder, 'adding-secret'), 'x');
  const files = {
    '1/model.onnx': graph,
    '1/w.data': DATA,
    '1/model.onnx.data': DATA,
    'model.yaml': EXAMPLE,
    secret: DATA,
  };
  await server.store.write('adding', files);
  const folder = path.join(server.store.folder, 'adding/1');
  await symlink('../secret', path.join(folder, 'link'));
  await symlink('..', path.join(folder, 'out'));
  await mkdir(path.join(folder, 'folder'));

  await server.start();

  expect((await versions())['adding']).toMatchObject({ state: 'FAILED', stateReason: expect.stringMatching(reason) });
});

const PREDICT = `mutation ($data: JSON!) { predict(input: { model: "adding", input: { tensors: [{ name: "x", datatype: "FP32", shape: [1, 4], data: $data }] }, record: false }) {
  prediction { output { ... on Tensors { tensors { data } } } } problem { code message } } }`;

async function added(): Promise<unknown> {
  const { predict } = await server.running.query(PREDICT, { data: [0, 0, 0, 0] });
  return predict.problem ?? predict.prediction.output.tensors[0].data;
}

test('a link within the folder is followed, and the spare that replaces a killed worker has the data too', async () => {
  await server.store.write('adding', { '1/model.onnx': at('link'), '1/weights/w.data': DATA, 'model.yaml': EXAMPLE });
  await symlink('weights/w.data', path.join(server.store.folder, 'adding/1/link'));
  const { query } = await server.start();

  const before = await added();
  const { engine } = await query('{ engine { workers { pid } } }');
  for (const { pid } of engine.workers) process.kill(pid, 'SIGKILL');

  expect(before).toEqual([1, 2, 3, 4]);
  await until('a new worker answers', async () => Array.isArray(await added()));
  expect(await added()).toEqual([1, 2, 3, 4]);
});

test('a published version keeps its weights when its data file changes, and gets them back when they are lost', async () => {
  await server.store.write('adding', { '1/model.onnx': at('w.data'), '1/w.data': DATA, 'model.yaml': EXAMPLE });
  await server.start();
  const [{ spec }] = (await server.running.app.databases.catalogFile.read('select spec from version', [])).rows as [
    Data,
  ];
  const [{ sha256 }] = JSON.parse(spec).dataFiles;
  const blob = path.join(server.dataDir, 'blobs/sha256', sha256.replace(/^../, '$&/'));

  await server.store.write('adding', { '1/w.data': Buffer.alloc(24) });
  await server.start();
  const changed = await added();
  const warned = server.lines.map(({ msg }) => msg);
  await server.store.write('adding', { '1/w.data': DATA });
  await rm(blob);
  await server.start();

  expect(changed).toEqual([1, 2, 3, 4]);
  expect(warned).toContainEqual(expect.stringMatching(/the files of a published version have changed/));
  expect(await readFile(blob)).toEqual(DATA);
  expect(await added()).toEqual([1, 2, 3, 4]);
});

test('a data file with a flipped byte is restored from the model store when its load fails', async () => {
  await server.store.write('adding', { '1/model.onnx': at('w.data'), '1/w.data': DATA, 'model.yaml': EXAMPLE });
  await server.start();
  const [{ spec }] = (await server.running.app.databases.catalogFile.read('select spec from version', [])).rows as [
    Data,
  ];
  const [{ sha256 }] = JSON.parse(spec).dataFiles;
  const blob = path.join(server.dataDir, 'blobs/sha256', sha256.replace(/^../, '$&/'));
  const damaged = Buffer.from(DATA);
  damaged.writeUInt8(1, 10);
  await rm(blob);
  await writeFile(blob, damaged);

  await server.start();
  await until('the blob has been restored', async () => (await readFile(blob)).equals(DATA));

  await until('the log says so', () =>
    server.lines.some(({ msg }) => msg === 'a lost blob was restored from the model store'),
  );
  await until('the version answers', async () => Array.isArray(await added()));
  expect(await added()).toEqual([1, 2, 3, 4]);
});

/** y = a / b + w, as a division of integers, which can crash the process. */
const DIVISION: GraphSpec = {
  inputs: ['a', 'b'].map((name) => ({ name, type: 'INT32', shape: ['N'] })),
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [
    { op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] },
    { op: 'Cast', inputs: ['quotient'], outputs: ['float'], attributes: [{ name: 'to', int: 1 }] },
    { op: 'Add', inputs: ['float', 'w'], outputs: ['y'] },
  ],
  floats: [{ ...W, shape: [1], data: [1] }],
};

test('the quarantine worker loads data files: next to an input that crashes the process, others are answered', async () => {
  const tensors = (a: number, b: number) =>
    Object.entries({ a, b }).map(([name, value]) => ({
      name,
      datatype: 'INT32',
      shape: [1],
      data: [value],
    }));
  const yaml = `example: { tensors: ${JSON.stringify(tensors(2, 1))} }`;
  await server.store.write('dividing', { '1/model.onnx': encodeModel(DIVISION), '1/w.data': DATA, 'model.yaml': yaml });
  const { query } = await server.start();
  const many = `mutation ($inputs: [ModelInput!]!) { predictMany(input: { model: "dividing", inputs: $inputs, record: false }) {
    results { prediction { output { ... on Tensors { tensors { data } } } } problem { code } } } }`;

  const inputs = [tensors(4, 2), tensors(-(2 ** 31), -1), tensors(6, 2)].map((tensors) => ({ tensors }));
  const { results } = (await query(many, { inputs })).predictMany;

  expect(results.map(({ prediction, problem }: Data) => problem?.code ?? prediction.output.tensors[0].data)).toEqual([
    [3],
    'INFERENCE_FAILED',
    [4],
  ]);
});
