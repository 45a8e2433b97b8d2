/** Several classes for an input: manifests of graphs with one label per target, and of networks with several heads. */
import { readFileSync } from 'node:fs';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type NodeSpec } from '../support/onnx.js';

/** Two heads over x [N, 5]: `color` is x[0..2], with softmax if `activated`, and `size` is x[3..4]. */
function heads(activated: boolean): GraphSpec {
  const slice = (name: string, start: string, end: string): NodeSpec => ({
    op: 'Slice',
    inputs: ['x', start, end, 'axis'],
    outputs: [name],
  });
  const softmax = (name: string): NodeSpec => ({ op: 'Softmax', inputs: [`${name}_logits`], outputs: [name] });
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 5] }],
    outputs: [
      { name: 'color', type: 'FP32', shape: ['N', 3] },
      { name: 'size', type: 'FP32', shape: ['N', 2] },
    ],
    ints: [0, 3, 5]
      .map((n) => ({ name: `i${n}`, shape: [1], data: [n] }))
      .concat({ name: 'axis', shape: [1], data: [1] }),
    nodes: activated
      ? [slice('color_logits', 'i0', 'i3'), slice('size_logits', 'i3', 'i5'), softmax('color'), softmax('size')]
      : [slice('color', 'i0', 'i3'), slice('size', 'i3', 'i5')],
  };
}

/** Labels of two targets, of two classes each: whether each of two numbers is positive. */
const POSITIVES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'label', type: 'INT64', shape: ['N', 2] }],
  floats: [{ name: 'zero', shape: [1], data: [0] }],
  nodes: [
    { op: 'Greater', inputs: ['x', 'zero'], outputs: ['isPositive'] },
    { op: 'Cast', inputs: ['isPositive'], outputs: ['label'], attributes: [{ name: 'to', int: 7 }] },
  ],
};

function columns(count: number): string {
  const list = Array.from({ length: count }, (_, i) => `  - { name: c${i}, type: number }`);
  return `columns:\n${list.join('\n')}\n`;
}
const TASK = 'task: tabular-classification\n';
const FIVE = columns(5);
const NAMED = 'targets:\n  - { name: color, labels: [red, green, blue] }\n  - { name: size, labels: [small, large] }\n';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: GraphSpec, yaml: string) =>
    store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': TASK + yaml });
  await write('softmax', heads(true), NAMED + FIVE);
  await write('logits', heads(false), `output: { activation: softmax }\n${NAMED}${FIVE}`);
  await write('swapped', heads(true), `targets: [{ name: s, output: size }, { name: c, output: color }]\n${FIVE}`);
  await write('positives', POSITIVES, `labels: [no, yes]\ntargets: [first, second]\n${columns(2)}`);
  await write('named-by-labels', POSITIVES, `labels: [first, second]\n${columns(2)}`);
  await write('multi-label', POSITIVES, `labels: [first, second]\nmultiLabel: true\n${columns(2)}`);
  await write('no-activation', heads(false), NAMED + FIVE);
  await write('two-activations', heads(true), `output: { activation: softmax }\n${NAMED}${FIVE}`);
  await write('too-few-labels', heads(true), NAMED.replace(', blue', '') + FIVE);
  await write('no-such-output', heads(true), `targets: [{ name: a, output: shape }, b]\n${FIVE}`);
  await write('three-targets', POSITIVES, `targets: [a, b, c]\n${columns(2)}`);
  await write('same-name', heads(true), `targets: [a, a]\n${FIVE}`);
  const words = readFileSync('test/importing/goldens/several-answers/classes-words/1/model.onnx');
  const ofWords = (answers: string) =>
    `${TASK}targets: [{ name: answer, labels: [${answers}] }, level, color]\n${columns(4)}`;
  await store.write('three-answers', { '1/model.onnx': words, 'model.yaml': ofWords('a, b, c') });
  await store.write('other-order', { '1/model.onnx': words, 'model.yaml': ofWords('"yes", "no"') });
  app = await startTestApp({ modelStore: store.folder, workers: 1 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function targetsOf(model: string, values: readonly number[]): Promise<Data> {
  const row = Object.fromEntries(values.map((value, i) => [`c${i}`, value]));
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) { problem { message } prediction { output {
      ... on MultiClassification { targets { name label score classes(first: 9) { label score } } } } } } }`,
    { input: { model, input: { row } } },
  );
  return predict.prediction.output.targets;
}

const softmax = (logits: readonly number[]) => {
  const sum = logits.reduce((all, x) => all + Math.exp(x), 0);
  return logits.map((x) => Math.exp(x) / sum);
};

test.each(['softmax', 'logits'])('each head of a network is a target with its own classes: %s', async (model) => {
  const [color, size] = await targetsOf(model, [1, 3, 2, 0.5, -0.5]);
  const [red, green, blue] = softmax([1, 3, 2]);

  expect(color).toMatchObject({ name: 'color', label: 'green', score: expect.closeTo(green as number, 5) });
  expect(color.classes).toEqual([
    { label: 'green', score: expect.closeTo(green as number, 5) },
    { label: 'blue', score: expect.closeTo(blue as number, 5) },
    { label: 'red', score: expect.closeTo(red as number, 5) },
  ]);
  expect(size).toMatchObject({ name: 'size', label: 'small' });
});

test('targets may name their outputs in another order, and classes without names are numbered', async () => {
  const targets = await targetsOf('swapped', [1, 3, 2, -0.5, 0.5]);

  expect(targets).toMatchObject([
    { name: 's', label: '1' },
    { name: 'c', label: '1' },
  ]);
});

test('labels name the classes of all targets, and without scores there are none', async () => {
  expect(await targetsOf('positives', [-1, 1])).toEqual([
    { name: 'first', label: 'no', score: null, classes: [] },
    { name: 'second', label: 'yes', score: null, classes: [] },
  ]);
});

test('targets that do not fit the graph fail the version, and the reason says what to change', async () => {
  const { models } = await app.query('{ models { nodes { name versions { nodes { stateReason } } } } }');
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]),
  );

  expect(reasons).toMatchObject({
    'named-by-labels':
      'model.yaml: labels could name the 2 targets or their 2 classes: name the targets in targets, such as targets: [first, second], and list in labels only classes',
    'multi-label':
      'model.yaml: multiLabel is true, but the graph has no output with one score per label (skl2onnx exports an MLPClassifier of two labels with the scores of both classes of each): remove multiLabel and labels, and write targets: [first, second]',
    'no-activation':
      'model.yaml: add activation to target "color": softmax or sigmoid if output "color" has logits, or none if it has probabilities',
    'two-activations':
      'model.yaml: the activation of target "color" is softmax, but output "color" already has probabilities: remove activation',
    'too-few-labels': 'model.yaml: target "color" has 2 labels, but output "color" has scores for 3 classes',
    'no-such-output': 'model.yaml: target "a" needs output, the name of one of the graph\'s outputs: color, size',
    'three-targets': 'model.yaml: the number of targets is 3, but output "label" has 2 labels for each input',
    'three-answers': 'model.yaml: target "answer" has 3 labels, but the graph has 2 classes for it: no, yes',
    'other-order':
      'model.yaml: the labels of target "answer" are in another order than the graph\'s classes: remove them, or list them as no, yes',
    'same-name': 'model.yaml: target "a" is listed twice',
  });
});
