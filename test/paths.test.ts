/** No absolute path of the server's machine reaches a caller, whatever fails. */
import { mkdir, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withoutPaths } from '#src/without-paths.js';
import { type Data, startTestApp, type TestApp } from './support/app.js';
import { createStore, type TestStore } from './support/model-store.js';
import { encodeModel, identity } from './support/onnx.js';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('a-preloaded', {
    '1/model.onnx': encodeModel(identity('x', 'INT64', ['N'])),
    'model.yaml': EXAMPLE,
  });
  await store.write('lost', {
    '1/model.onnx': encodeModel(identity('y', 'INT64', ['N'])),
    'model.yaml': EXAMPLE.replace('"x"', '"y"'),
  });
  await mkdir(path.join(store.folder, 'looping/1'), { recursive: true });
  await symlink('README.md', path.join(store.folder, 'looping/README.md'));
  await store.write('looping', { '1/model.onnx': encodeModel(identity('x', 'INT64', ['N'])) });
  await store.write('unreadable', { 'model.yaml': EXAMPLE });
  await mkdir(path.join(store.folder, 'unreadable/1'), { recursive: true });
  await symlink('model.onnx', path.join(store.folder, 'unreadable/1/model.onnx'));
  await store.write('text', {
    '1/model.onnx': encodeModel(identity('x', 'INT64', ['N'])),
    '1/tokenizer.json': '{"model":{}}',
    'model.yaml': 'task: text-classification\n',
  });
  app = await startTestApp({ modelStore: store.folder, empty: true });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

const INPUT = { tensors: [{ name: 'x', datatype: 'INT64', shape: [1], data: [1] }] };
const EXAMPLE = `example: ${JSON.stringify(INPUT)}\n`;

const ROOTS = [os.tmpdir(), process.cwd(), os.homedir()];

function expectNoPath(answer: unknown): void {
  const text = JSON.stringify(answer);
  for (const root of ROOTS) expect(text).not.toContain(`${root}/`);
}

test('why a version failed names files without their folders', async () => {
  const { models } = await app.query(
    '{ models(first: 100) { nodes { name versions { nodes { state stateReason } } } } }',
  );

  const failed = models.nodes
    .flatMap(({ versions }: Data) => versions.nodes)
    .filter(({ state }: Data) => state === 'FAILED');
  expect(failed.map(({ stateReason }: Data) => stateReason).join('\n')).toMatch(/README\.md cannot be read: ELOOP/);
  expectNoPath(models);
});

test('the problem of a failed version, and of one whose file is lost, have none', async () => {
  const predict =
    'mutation ($input: PredictInput!) { predict(input: $input) { problem { code message ... on InferenceFailed { reason } } } }';
  await rm(path.join(app.dataDir, 'blobs/sha256'), { recursive: true });

  const answers = await Promise.all(
    ['lost', 'looping', 'unreadable', 'text'].map((model) => app.send(predict, { input: { model, input: INPUT } })),
  );

  for (const { data } of answers) expect(data.predict.problem.message).not.toBe('');
  expectNoPath(answers);
});

test('the engine and the health routes have none', async () => {
  const { engine } = await app.query('{ engine { providers { name reason } } }');
  const ready = await fetch(`${app.url}/health/ready`);

  expectNoPath([engine, await ready.text()]);
});

test.each([
  [
    `ENOENT: no such file or directory, open '${os.tmpdir()}/a b/c.onnx'`,
    "ENOENT: no such file or directory, open 'c.onnx'",
  ],
  [`cannot read ${os.tmpdir()}/a/model.onnx: too large`, 'cannot read model.onnx: too large'],
  ['Load model from file:///usr/share/m.onnx failed', 'Load model from m.onnx failed'],
  ['/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 gave up', 'op_kernel.cc:83 gave up'],
  [
    '/usr/lib/x86_64/libcudart.so.12: cannot open shared object file',
    'libcudart.so.12: cannot open shared object file',
  ],
  ['C:\\Users\\me\\model.onnx is damaged', 'model.onnx is damaged'],
  ["EACCES: permission denied, mkdir '/root'", "EACCES: permission denied, mkdir 'root'"],
])('%s → %s', (text, shown) => {
  expect(withoutPaths(text)).toBe(shown);
});

test.each([
  "Non-zero status code while running Add node. Name:'/encoder/layer.0/Add'",
  'expected 1/2 of a/b/c, such as https://example.com/usr/a, or and/or',
  'input, inputs.0.text: the text is empty',
])('%s stays', (text) => {
  expect(withoutPaths(text)).toBe(text);
});
