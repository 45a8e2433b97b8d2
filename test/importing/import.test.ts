/** Import of the model store: a version that cannot be served is FAILED with a reason, and the others are not affected. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, type GraphSpec } from '../support/onnx.js';

const ADD: GraphSpec = {
  inputs: [
    { name: 'a', type: 'FP32', shape: ['N'] },
    { name: 'b', type: 'FP32', shape: ['N'] },
  ],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
};

/** Returns its inputs, cut off at 0 and 1, so that they are probabilities. */
const SCORES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'scores', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    {
      op: 'HardSigmoid',
      inputs: ['x'],
      outputs: ['scores'],
      attributes: [
        { name: 'alpha', float: 1 },
        { name: 'beta', float: 0 },
      ],
    },
  ],
};

const scoring = (labels: string) => `task: tabular-classification
labels: ${labels}
columns: [{ name: p, type: number, example: 0.25 }, { name: q, type: number, example: 0.75 }]
output: { scores: scores }`;

const golden = (label: string, score: number) =>
  JSON.stringify({
    source: 'pencil and paper',
    tolerance: 1e-5,
    cases: [{ input: { row: { p: 0.25, q: 0.75 } }, expect: { label, scores: { no: 0.25, yes: score } } }],
  });

const onnx = encodeModel;
const INT_MIN_BY_MINUS_ONE =
  'example: { tensors: [{ name: a, datatype: INT32, shape: [1], data: [-2147483648] }, { name: b, datatype: INT32, shape: [1], data: [-1] }] }';

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

async function versions(): Promise<Record<string, Data>> {
  const { models } = await (app as TestApp).query(
    '{ models(first: 100) { nodes { name versions { nodes { number state stateReason } } } } }',
  );
  return Object.fromEntries(models.nodes.map(({ name, versions: { nodes } }: Data) => [name, nodes]));
}

test('a version that cannot be served is FAILED with a reason, and the others are READY', async () => {
  await store.write('good', { '1/model.onnx': onnx(ADD) });
  await store.write('no-graph', { 'model.yaml': 'task: tensor' });
  await store.write('no-file', { '1/notes.txt': 'soon' });
  await store.write('noise', { '1/model.onnx': Buffer.from('this is no graph at all') });
  await store.write('broken-yaml', { 'model.yaml': 'task: [', '1/model.onnx': onnx(ADD) });
  await store.write('unknown-key', { 'model.yaml': 'colour: red', '1/model.onnx': onnx(ADD) });
  await store.write('unknown-task', { 'model.yaml': 'task: fortune-telling', '1/model.onnx': onnx(ADD) });
  await store.write('three-labels', { 'model.yaml': scoring('[a, b, c]'), '1/model.onnx': onnx(SCORES) });
  await store.write('no-output', {
    'model.yaml': scoring('["no", "yes"]').replace('scores: scores', 'scores: logits'),
    '1/model.onnx': onnx(SCORES),
  });
  await store.write('bad-example', {
    'model.yaml': scoring('["no", "yes"]').replace('0.25', '"x"'),
    '1/model.onnx': onnx(SCORES),
  });
  await store.write('wrong-answer', {
    'model.yaml': scoring('["no", "yes"]'),
    '1/model.onnx': onnx(SCORES),
    '1/golden.json': golden('yes', 0.9),
  });
  await store.write('wrong-label', {
    'model.yaml': scoring('["no", "yes"]'),
    '1/model.onnx': onnx(SCORES),
    '1/golden.json': golden('no', 0.75),
  });
  await store.write('crasher', { 'model.yaml': INT_MIN_BY_MINUS_ONE, '1/model.onnx': onnx(CRASHING_DIVISION) });
  await store.write('Bad Name', { '1/model.onnx': onnx(ADD) });

  app = await startTestApp({ modelStore: store.folder });

  const found = await versions();
  const reasons = Object.fromEntries(Object.entries(found).map(([name, [version]]) => [name, version.stateReason]));
  expect(found['good'][0].state).toBe('READY');
  expect(reasons).toEqual({
    good: null,
    'no-graph': 'there is no graph: add 1/model.onnx, or onnx/model.onnx in a Hugging Face repository',
    'no-file': '1/model.onnx is missing',
    noise: expect.stringContaining('not a complete ONNX file'),
    'broken-yaml': expect.stringContaining('model.yaml is not valid YAML'),
    'unknown-key': expect.stringContaining('colour'),
    'unknown-task': expect.stringContaining('model.yaml: task'),
    'three-labels': 'model.yaml: the number of labels is 3, but output "scores" has shape [any, 2]',
    'no-output': 'model.yaml: output.scores is "logits", but the graph\'s outputs are scores',
    'bad-example': expect.stringContaining("the row of the columns' examples is not a valid input: example.row.p"),
    'wrong-answer': 'golden.json: case 0 differs from pencil and paper: score for yes is 0.75, expected 0.9',
    'wrong-label': 'golden.json: case 0 differs from pencil and paper: label is yes, expected no',
    crasher:
      'the graph cannot run the example in model.yaml: correct it, or the export. The graph crashes ONNX Runtime: the inference process ended (signal SIGFPE)',
  });
});

test('a prediction with a FAILED version has the problem NOT_READY with the reason', async () => {
  await store.write('noise', { '1/model.onnx': Buffer.from('this is no graph at all') });
  app = await startTestApp({ modelStore: store.folder });

  const { predict } = await app.query(
    'mutation { predict(input: { model: "noise", input: { text: "a" } }) { problem { code message retryable ... on NotReady { state } } } }',
  );

  expect(predict.problem).toMatchObject({
    code: 'NOT_READY',
    state: 'FAILED',
    retryable: false,
    message: expect.stringContaining('not a complete ONNX file'),
  });
});

test('a restart changes nothing, a new folder is a new version, and a published version is never changed', async () => {
  const card = (accuracy: number) =>
    `---\nmodel-index:\n- results:\n  - dataset: { type: sums }\n    metrics: [{ type: accuracy, value: ${accuracy} }]\n---\n# Adder\n`;
  await store.write('adder', { '1/model.onnx': onnx(ADD), 'README.md': card(0.5) });
  app = await startTestApp({ modelStore: store.folder });
  const rows = async () => {
    const { catalogDb: catalog } = (app as TestApp).app.databases;
    return {
      models: await catalog.selectFrom('model').selectAll().execute(),
      versions: await catalog.selectFrom('version').selectAll().execute(),
    };
  };
  const first = await rows();
  const restart = async () => {
    const dataDir = (app as TestApp).dataDir;
    await app?.app.stop();
    app = await startTestApp({ modelStore: store.folder, dataDir });
  };

  await restart();
  expect(await rows()).toEqual(first);

  await store.write('adder', {
    '1/model.onnx': onnx({ ...ADD, nodes: [{ op: 'Mul', inputs: ['a', 'b'], outputs: ['y'] }] }),
    '2/model.onnx': onnx({ ...ADD, nodes: [{ op: 'Sub', inputs: ['a', 'b'], outputs: ['y'] }] }),
  });
  await restart();

  const later = await rows();
  expect(later.versions).toHaveLength(2);
  expect(later.versions.find(({ number }) => number === 1)).toEqual(first.versions[0]);
  expect(later.models[0]?.default_version_id).toBe(later.versions.find(({ number }) => number === 2)?.id);
  // The card was not changed for version 2, so its metrics are those of version 1.
  const evaluated = async () => {
    const { catalogDb: catalog } = (app as TestApp).app.databases;
    const found = catalog.selectFrom('evaluation').innerJoin('version', 'version.id', 'evaluation.version_id');
    return (await found.select('version.number').execute()).map(({ number }) => number);
  };
  expect(await evaluated()).toEqual([1]);
  await store.write('adder', { 'README.md': card(0.6) });
  await restart();
  expect((await evaluated()).sort()).toEqual([1, 2]);
});

test('a FAILED version becomes READY under the same number once its files are corrected', async () => {
  await store.write('scorer', { 'model.yaml': scoring('[a]'), '1/model.onnx': onnx(SCORES) });
  app = await startTestApp({ modelStore: store.folder });
  const failed = (await versions())['scorer'][0];

  await store.write('scorer', { 'model.yaml': scoring('["no", "yes"]') });
  const { dataDir } = app;
  await app.app.stop();
  app = await startTestApp({ modelStore: store.folder, dataDir });

  expect(failed.state).toBe('FAILED');
  expect((await versions())['scorer']).toMatchObject([{ number: 1, state: 'READY', stateReason: null }]);
});

test('a dataset that does not match its sha256 or rowCount, or is damaged, is not registered', async () => {
  const rows = await readFile(path.join(STORE, 'datasets/breast-cancer-test/data.jsonl.gz'));
  const yaml = (line: string) => `title: T\ntask: tensor\nfile: data.jsonl.gz\n${line}`;
  await store.write('datasets/wrong-sha256', {
    'dataset.yaml': yaml(`sha256: "${'0'.repeat(64)}"`),
    'data.jsonl.gz': rows,
  });
  await store.write('datasets/wrong-row-count', { 'dataset.yaml': yaml('rowCount: 7'), 'data.jsonl.gz': rows });
  await store.write('datasets/damaged', { 'dataset.yaml': yaml(''), 'data.jsonl.gz': rows.subarray(0, 1_000) });
  await store.write('datasets/no-file', { 'dataset.yaml': 'title: T\ntask: tensor' });
  await store.write('datasets/valid', { 'dataset.yaml': yaml('rowCount: 171'), 'data.jsonl.gz': rows });

  app = await startTestApp({ modelStore: store.folder });

  const { datasets } = await app.query('{ datasets { nodes { name rowCount } } }');
  expect(datasets.nodes).toEqual([
    { name: 'no-file', rowCount: null },
    { name: 'valid', rowCount: 171 },
  ]);
});

test('a file that is damaged after the import is not run, and the log says why', async () => {
  await store.write('adder', { '1/model.onnx': onnx(ADD) });
  await store.write('other', { '1/model.onnx': onnx(SCORES), 'model.yaml': 'preload: true' });
  const lines: Data[] = [];
  const log = pino({ level: 'error' }, { write: (line) => lines.push(JSON.parse(line)) });
  app = await startTestApp({ modelStore: store.folder, log });
  const { version } = await app.query('{ version(ref: "adder") { artifact { sha256 } signature { example } } }');
  const { sha256 } = version.artifact;
  await writeFile(path.join(app.dataDir, 'blobs/sha256', sha256.slice(0, 2), sha256.slice(2)), onnx(SCORES));

  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { problem { code message } } }',
    {
      input: { model: 'adder', input: version.signature.example },
    },
  );

  expect(predict.problem).toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('the artifact is damaged'),
  });
  expect(lines.find(({ msg }) => msg === 'a worker could not load a version')).toMatchObject({
    ref: 'adder:1',
    message: expect.stringMatching(/the artifact is damaged: its SHA-256 is [0-9a-f]{64}/),
  });
});
