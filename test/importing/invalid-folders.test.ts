/** Invalid and unusual folders in the model store: the reason names what is wrong, and the server starts anyway. */
import { execFileSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec } from '../support/onnx.js';

const identity = (shape: (number | string)[]): GraphSpec => ({
  inputs: [{ name: 'x', type: 'FP32', shape }],
  outputs: [{ name: 'y', type: 'FP32', shape }],
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
});

const PAIR = encodeModel(identity(['N', 2]));

/** Not batch invariant: adds the largest value of the whole batch to every answer. */
const SHIFTED_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'ReduceMax', inputs: ['x'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Add', inputs: ['x', 'max'], outputs: ['y'] },
  ],
};

const scoring = (labels: string, columns: string) => `task: tabular-classification
labels: ${labels}
columns: ${columns}
output: { scores: y }`;

const COLUMNS = '[{ name: p, type: number, example: 1 }, { name: q, type: number, example: 2 }]';

let store: TestStore;
let app: TestApp | undefined;
beforeEach(async () => {
  store = await createStore();
});
afterEach(async () => {
  await app?.stop();
  app = undefined;
  await store.remove();
});

async function start(): Promise<TestApp> {
  app = await startTestApp({ modelStore: store.folder });
  return app;
}

async function reasons(): Promise<Record<string, string | null>> {
  const { models } = await (await start()).query(
    '{ models(first: 100) { nodes { name versions { nodes { stateReason } } } } }',
  );
  return Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0]?.stateReason ?? null]),
  );
}

test('pipes and devices in place of files fail only their own models, and linked folders are imported', async () => {
  await store.write('good', { '1/model.onnx': PAIR });
  await store.write('.elsewhere/linked', { '1/model.onnx': PAIR });
  await store.write('pipe', { '1/readme.txt': '' });
  await store.write('card-pipe', { '1/model.onnx': PAIR });
  await store.write('device', { '1/readme.txt': '' });
  const at = (name: string) => path.join(store.folder, name);
  execFileSync('mkfifo', [at('pipe/1/model.onnx'), at('card-pipe/README.md')]);
  await symlink('/dev/zero', at('device/1/model.onnx'));
  await symlink(at('.elsewhere/linked'), at('linked'));

  expect(await reasons()).toEqual({
    good: null,
    linked: null,
    pipe: 'model.onnx cannot be read: it is not a regular file',
    'card-pipe': 'README.md cannot be read: it is not a regular file',
    device: 'model.onnx cannot be read: it is not a regular file',
  });
});

test('a folder in place of a file fails only its own model', async () => {
  await store.write('good', { '1/model.onnx': PAIR });
  await store.write('yaml-folder', { '1/model.onnx': PAIR, 'model.yaml/inside': '' });
  await store.write('card-folder', { '1/model.onnx': PAIR, 'README.md/inside': '' });
  await store.write('graph-folder', { '1/model.onnx/inside': '' });

  expect(await reasons()).toEqual({
    good: null,
    'yaml-folder': 'model.yaml cannot be read: it is not a regular file',
    'card-folder': 'README.md cannot be read: it is not a regular file',
    'graph-folder': '1/model.onnx is missing',
  });
});

test('if several folders have the same model name, only the first is imported', async () => {
  await store.write('My_Pair', { '1/model.onnx': PAIR, 'README.md': '# The first' });
  await store.write('my-pair', { '1/model.onnx': PAIR, 'README.md': '# The second' });
  await store.write('my.pair', { '1/model.onnx': Buffer.from('noise'), 'README.md': '# The third' });

  const { models } = await (await start()).query('{ models { nodes { name title versions { nodes { state } } } } }');

  expect(models.nodes).toEqual([{ name: 'my-pair', title: 'The first', versions: { nodes: [{ state: 'READY' }] } }]);
});

test('a manifest with contradictions, or one that would exhaust the server, fails with the reason', async () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x]', ...'bcdefg'.split('').map(layer)].join('\n');
  await store.write('column-twice', {
    '1/model.onnx': PAIR,
    'model.yaml': scoring('["no", "yes"]', COLUMNS.replace('q', 'p')),
  });
  await store.write('label-twice', { '1/model.onnx': PAIR, 'model.yaml': scoring('["no", "no"]', COLUMNS) });
  await store.write('no-scores', {
    '1/model.onnx': PAIR,
    'model.yaml': scoring('["no", "yes"]', COLUMNS).replace(/output.*/, ''),
  });
  await store.write('alias-bomb', { '1/model.onnx': PAIR, 'model.yaml': bomb });
  await store.write('deep-yaml', {
    '1/model.onnx': PAIR,
    'model.yaml': `example: ${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  });
  await store.write('huge-input', { '1/model.onnx': encodeModel(identity(['N', 10_000, 10_000])) });
  await store.write('no-cases', {
    '1/model.onnx': PAIR,
    '1/golden.json': '{ "source": "nobody", "tolerance": 1e-5, "cases": [] }',
  });

  expect(await reasons()).toEqual({
    'column-twice': 'model.yaml: column "p" is listed twice',
    'label-twice': 'model.yaml: label "no" is listed twice',
    'no-scores':
      'model.yaml: output is missing: if "y" holds one probability per label, write output: { scores: y }; if it holds logits, add activation: softmax or sigmoid',
    'alias-bomb': expect.stringContaining('Excessive alias count'),
    'deep-yaml': expect.stringContaining('model.yaml is not valid YAML'),
    'huge-input':
      'input "x" has shape [any, 10000, 10000], which is too large for a generated example: add example to model.yaml',
    'no-cases': expect.stringContaining('at least one case is required'),
  });
});

function layer(name: string): string {
  const before = String.fromCharCode(name.charCodeAt(0) - 1);
  return `${name}: &${name} [${Array(8).fill(`*${before}`).join(', ')}]`;
}

test('batch invariance is checked with perturbed inputs, so an example of zeros does not hide a dependence', async () => {
  await store.write('shifted', { '1/model.onnx': encodeModel(SHIFTED_BY_THE_BATCH) });

  const { version } = await (await start()).query('{ version(ref: "shifted") { serving { maxBatch } } }');

  expect(version.serving.maxBatch).toBe(1);
});

test('a graph that outputs only labels is a classifier without scores', async () => {
  const choice: GraphSpec = {
    ...identity(['N', 2]),
    outputs: [{ name: 'best', type: 'INT64', shape: ['N'] }],
    nodes: [
      {
        op: 'ArgMax',
        inputs: ['x'],
        outputs: ['best'],
        attributes: [
          { name: 'axis', int: 1 },
          { name: 'keepdims', int: 0 },
        ],
      },
    ],
  };
  await store.write('chooser', {
    '1/model.onnx': encodeModel(choice),
    'model.yaml': `task: tabular-classification\ncolumns: ${COLUMNS}`,
  });

  const { predict } = await (await start()).query(
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on Classification { label score classes { label } } } } problem { message } } }',
    { input: { model: 'chooser', input: { row: { p: 1, q: 5 } } } },
  );

  expect(predict).toEqual({ prediction: { output: { label: '1', score: null, classes: [] } }, problem: null });
});

test('a card with Windows line endings, or with nothing but front matter, is read', async () => {
  const card = ['---', 'license: mit', '---', '# A title', '', 'A summary.', '', '## Intended use', '', 'Much.', ''];
  await store.write('windows', { '1/model.onnx': PAIR, 'README.md': card.join('\r\n') });
  await store.write('front-only', { '1/model.onnx': PAIR, 'README.md': '---\nlicense: mit\n---' });

  const { models } = await (await start()).query(
    '{ models { nodes { name title summary license card { intendedUse markdown } } } }',
  );

  expect(models.nodes).toEqual([
    {
      name: 'front-only',
      title: 'front-only',
      summary: null,
      license: 'mit',
      card: { intendedUse: null, markdown: '' },
    },
    {
      name: 'windows',
      title: 'A title',
      summary: 'A summary.',
      license: 'mit',
      card: { intendedUse: 'Much.', markdown: expect.stringMatching(/^# A title/) },
    },
  ]);
});

test('a metric that is not a number is null with a reason', async () => {
  const results = '[{ dataset: { type: d }, metrics: [{ type: f1, value: .nan }, { type: accuracy, value: 0.5 }] }]';
  await store.write('datasets/d', { 'dataset.yaml': 'title: D\ntask: tensor' });
  await store.write('modest', {
    '1/model.onnx': PAIR,
    'README.md': `---\nmodel-index: [{ results: ${results} }]\n---\n# Modest\n`,
  });

  const { version } = await (await start()).query(
    '{ version(ref: "modest") { evaluation(dataset: "d") { metrics { name value undefinedReason } } } }',
  );

  expect(version.evaluation.metrics).toEqual([
    { name: 'f1', value: null, undefinedReason: 'The model card does not state a finite number.' },
    { name: 'accuracy', value: 0.5, undefinedReason: null },
  ]);
});

test('a dataset whose file is missing, is a folder or a pipe, or has no objects is left out, and the server starts', async () => {
  const yaml = (file: string) => ({ 'dataset.yaml': `title: T\ntask: tensor\nfile: ${file}` });
  await store.write('datasets/no-file', yaml('rows.jsonl'));
  await store.write('datasets/no-packed-file', yaml('rows.jsonl.gz'));
  await store.write('datasets/a-folder', { ...yaml('rows'), 'rows/inside': '' });
  await store.write('datasets/a-pipe', yaml('rows.jsonl'));
  execFileSync('mkfifo', [path.join(store.folder, 'datasets/a-pipe/rows.jsonl')]);
  await store.write('datasets/numbers-only', { ...yaml('rows.jsonl'), 'rows.jsonl': '1\n2\n' });
  await store.write('datasets/fine', { ...yaml('rows.jsonl'), 'rows.jsonl': '{"a":1}\n{"a":2}\n' });

  const { datasets } = await (await start()).query('{ datasets { nodes { name rowCount preview } } }');

  expect(datasets.nodes).toEqual([{ name: 'fine', rowCount: 2, preview: [{ a: 1 }, { a: 2 }] }]);
});
