/** What a model store may hold: whatever cannot be served says why, and stops nothing else. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import { VOCABULARY } from '../support/hugging-face/text-folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, type GraphSpec, TYPE } from '../support/onnx.js';

const ADD: GraphSpec = {
  inputs: [
    { name: 'a', type: 'FP32', shape: ['N'] },
    { name: 'b', type: 'FP32', shape: ['N'] },
  ],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
};

/** Every answer is scaled by the largest input of the whole batch. */
const SCALED_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'ReduceMax', inputs: ['x'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Div', inputs: ['x', 'max'], outputs: ['y'] },
  ],
};

/** The same with whole numbers, in percent. */
const WHOLE_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'INT64', shape: ['N', 2] }],
  nodes: [
    { op: 'ReduceMax', inputs: ['x'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Mul', inputs: ['x', 'hundred'], outputs: ['percent'] },
    { op: 'Div', inputs: ['percent', 'max'], outputs: ['y'] },
  ],
  ints: [{ name: 'hundred', shape: [], data: [100] }],
};

/** y = INT_MIN / (x − 2). */
const CRASHING_AT_ONE: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'INT64', shape: ['N', 2] }],
  nodes: [
    { op: 'Sub', inputs: ['x', 'two'], outputs: ['less'] },
    { op: 'Div', inputs: ['least', 'less'], outputs: ['y'] },
  ],
  ints: [
    { name: 'two', shape: [], data: [2] },
    { name: 'least', shape: [], data: [-(2 ** 63)] },
  ],
};

/** The same for whole numbers of a row. */
const COUNTS_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'scores', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'Cast', inputs: ['x'], outputs: ['floats'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    { op: 'ReduceMax', inputs: ['floats'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Div', inputs: ['floats', 'max'], outputs: ['scores'] },
  ],
};

/** Embeddings as a dynamically quantised graph has them: in steps of a 255th of what the whole batch spans. */
const quantized = (inputs: readonly string[]): GraphSpec => ({
  inputs: inputs.map((name) => ({ name, type: 'INT64', shape: ['N', 'L'] })),
  outputs: [{ name: 'logits', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'Gather', inputs: ['words', 'input_ids'], outputs: ['exact'] },
    { op: 'DynamicQuantizeLinear', inputs: ['exact'], outputs: ['whole', 'step', 'zero'] },
    { op: 'DequantizeLinear', inputs: ['whole', 'step', 'zero'], outputs: ['embedded'] },
    { op: 'Cast', inputs: ['attention_mask'], outputs: ['present'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    { op: 'Unsqueeze', inputs: ['present', 'axis_2'], outputs: ['mask'] },
    { op: 'Mul', inputs: ['embedded', 'mask'], outputs: ['hidden'] },
    { op: 'ReduceSum', inputs: ['hidden', 'axis_1'], outputs: ['logits'], attributes: [{ name: 'keepdims', int: 0 }] },
  ],
  floats: [
    {
      name: 'words',
      shape: [VOCABULARY.length, 2],
      data: VOCABULARY.flatMap((word, i) => ({ good: [-6, 6], great: [-9_000, 9_000] })[word] ?? [(i % 7) / 3, 0.25]),
    },
  ],
  ints: [
    { name: 'axis_1', shape: [1], data: [1] },
    { name: 'axis_2', shape: [1], data: [2] },
  ],
});

const SCORES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'scores', type: 'FP32', shape: ['N', 2] }],
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['scores'] }],
};

const scoring = (labels: string, more = '') => `task: tabular-classification
labels: ${labels}
columns: [{ name: p, type: number, example: 0.25 }, { name: q, type: number, example: 0.75 }]
output: { scores: scores }
${more}`;

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
    '{ models(first: 100) { nodes { name versions { nodes { number state stateReason serving { maxBatch maxBatchReason } } } } } }',
  );
  return Object.fromEntries(models.nodes.map(({ name, versions: { nodes } }: Data) => [name, nodes]));
}

test('what cannot be served is FAILED with its reason, and the rest serves', async () => {
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
    'no-graph': 'there is no graph: expected onnx/model.onnx (Hugging Face), or 1/model.onnx',
    'no-file': '1/model.onnx is missing',
    noise: expect.stringContaining('not a complete ONNX file'),
    'broken-yaml': expect.stringContaining('model.yaml is no YAML'),
    'unknown-key': expect.stringContaining('colour'),
    'unknown-task': expect.stringContaining('model.yaml: task'),
    'three-labels': 'model.yaml: 3 labels, but output "scores" has shape [any, 2]',
    'no-output': 'model.yaml: output.scores is "logits", but the graph\'s outputs are scores',
    'bad-example': expect.stringContaining('the example does not fit: example.row.p'),
    'wrong-answer': 'golden.json: case 0: score 0.75 instead of 0.9 for yes, which is what pencil and paper answered',
    'wrong-label': 'golden.json: case 0: label yes instead of no, which is what pencil and paper answered',
    crasher: 'the inference process ended (signal SIGFPE)',
  });
});

test('predicting with a version that failed says so', async () => {
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

test('a version whose answers depend on its batch mates runs alone, and says why', async () => {
  const example = 'example: { tensors: [{ name: x, datatype: FP32, shape: [1, 2], data: [1, 2] }] }';
  await store.write('shy', { 'model.yaml': example, '1/model.onnx': onnx(SCALED_BY_THE_BATCH) });
  await store.write('sociable', { '1/model.onnx': onnx(ADD) });
  app = await startTestApp({ modelStore: store.folder });

  const found = await versions();

  expect(found['shy'][0].serving).toEqual({
    maxBatch: 1,
    maxBatchReason: 'in a batch of 2, output "y" depends on the other inputs',
  });
  expect(found['sociable'][0].serving.maxBatch).toBe(128);
});

test('whole numbers and tokens are compared beside others too', async () => {
  const example = 'example: { tensors: [{ name: x, datatype: INT64, shape: [1, 2], data: [1, 2] }] }';
  const columns = 'columns: [{ name: p, type: integer, example: 1 }, { name: q, type: integer, example: 2 }]';
  await store.write('tensor', { 'model.yaml': example, '1/model.onnx': onnx(WHOLE_BY_THE_BATCH) });
  await store.write('columns', {
    'model.yaml': scoring('["no", "yes"]').replace(/columns: .*/, columns),
    '1/model.onnx': onnx(COUNTS_BY_THE_BATCH),
  });
  const names = ['input_ids', 'attention_mask'];
  await store.write('texts', {
    ...huggingFaceFolders()['tiny-sst'],
    'README.md': '---\nwidget: [{ text: good }]\n---',
    'onnx/model.onnx': encodeModel(quantized(names), { opset: 17 }),
  });
  await store.write('token-ids', { '1/model.onnx': encodeModel(quantized(names), { opset: 17 }) });
  await store.write('dividing', {
    'model.yaml': INT_MIN_BY_MINUS_ONE.replace('-2147483648', '7').replace('-1', '2'),
    '1/model.onnx': onnx(CRASHING_DIVISION),
  });
  await store.write('fragile', {
    'model.yaml': example.replace('data: [1, 2]', 'data: [3, 3]'),
    '1/model.onnx': onnx(CRASHING_AT_ONE),
  });
  app = await startTestApp({ modelStore: store.folder });

  const found = await versions();

  const serving = Object.entries(found).map(([name, [version]]) => [name, version.serving ?? version.stateReason]);
  const alone = (output: string) => ({
    maxBatch: 1,
    maxBatchReason: expect.stringContaining(`output "${output}" depends on the other inputs`),
  });
  expect(Object.fromEntries(serving)).toEqual({
    tensor: alone('y'),
    columns: alone('scores'),
    texts: alone('logits'),
    'token-ids': alone('logits'),
    fragile: { maxBatch: 1, maxBatchReason: 'beside other inputs, the inference process ended (signal SIGFPE)' },
    dividing: { maxBatch: 128, maxBatchReason: expect.stringContaining('beside') },
  });
});

test('starting again changes nothing; a new folder is a new version; a published one is never rewritten', async () => {
  await store.write('adder', { '1/model.onnx': onnx(ADD) });
  app = await startTestApp({ modelStore: store.folder });
  const rows = async () => {
    const { catalog } = (app as TestApp).app.databases;
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
    '1/model.onnx': onnx(SCALED_BY_THE_BATCH),
    '2/model.onnx': onnx({ ...ADD, nodes: [{ op: 'Sub', inputs: ['a', 'b'], outputs: ['y'] }] }),
  });
  await restart();

  const later = await rows();
  expect(later.versions).toHaveLength(2);
  expect(later.versions.find(({ number }) => number === 1)).toEqual(first.versions[0]);
  expect(later.models[0]?.default_version_id).toBe(later.versions.find(({ number }) => number === 2)?.id);
});

test('a version that failed becomes READY under its number when it is mended', async () => {
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

test('a dataset whose rows are not what its description says is not registered', async () => {
  const rows = await readFile(path.join(STORE, 'datasets/breast-cancer-test/data.jsonl.gz'));
  const yaml = (more: string) => `title: T\ntask: tensor\nfile: data.jsonl.gz\n${more}`;
  await store.write('datasets/lies-about-digest', {
    'dataset.yaml': yaml(`sha256: "${'0'.repeat(64)}"`),
    'data.jsonl.gz': rows,
  });
  await store.write('datasets/lies-about-rows', { 'dataset.yaml': yaml('rowCount: 7'), 'data.jsonl.gz': rows });
  await store.write('datasets/is-broken', { 'dataset.yaml': yaml(''), 'data.jsonl.gz': rows.subarray(0, 1_000) });
  await store.write('datasets/has-no-rows', { 'dataset.yaml': 'title: T\ntask: tensor' });
  await store.write('datasets/is-fine', { 'dataset.yaml': yaml('rowCount: 171'), 'data.jsonl.gz': rows });

  app = await startTestApp({ modelStore: store.folder });

  const { datasets } = await app.query('{ datasets { nodes { name rowCount } } }');
  expect(datasets.nodes).toEqual([
    { name: 'has-no-rows', rowCount: null },
    { name: 'is-fine', rowCount: 171 },
  ]);
});

test('a file that was damaged after import is not run', async () => {
  await store.write('adder', { '1/model.onnx': onnx(ADD) });
  await store.write('other', { '1/model.onnx': onnx(SCORES), 'model.yaml': 'preload: true' });
  app = await startTestApp({ modelStore: store.folder });
  const { version } = await app.query('{ version(ref: "adder") { artifact { sha256 } signature { example } } }');
  const { writeFile } = await import('node:fs/promises');
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
});
