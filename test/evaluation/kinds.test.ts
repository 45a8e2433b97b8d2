/** Evaluations of answers that are no class and no number, of tiny models whose answers a short calculation yields. */
import sharp from 'sharp';
import { ColumnAnswers } from '#src/evaluation/column-answers.js';
import { measure } from '#src/evaluation/measure.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import type { Folder } from '../support/hugging-face/folder.ts';
import { huggingFaceFolders } from '../support/hugging-face.ts';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel } from '../support/onnx.ts';
import { until } from '../support/until.js';

const PROBLEM = 'problem { message ... on InvalidInput { problems { path message expected received } } }';
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } ${PROBLEM} } }`;
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } ${PROBLEM} } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState evaluatedRows problem { message } rowProblems { row message }
  metrics { name average label value interval { low high method } } slices { value rows metrics { name value } } roc: plot(kind: ROC) { altText } } } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const folders = huggingFaceFolders();
  for (const name of ['tiny-ner', 'tiny-qa', 'tiny-ranker', 'tiny-sentences', 'tiny-topics', 'tiny-segformer'])
    await store.write(name, folders[name] as Folder);
  await store.write('pair', {
    '1/model.onnx': encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    }),
    'model.yaml': `task: tabular-regression\noutput: { value: y }\ntargets: [sum, difference]
columns: [{ name: a, type: number, example: 1 }, { name: b, type: number, example: 2 }]`,
  });
  await store.write('birds-and-tools', {
    '1/model.onnx': encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['N', 4] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 4] }],
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    }),
    'config.json': '{ "id2label": { "0": "crane", "1": "wall", "2": "crane", "3": "rope" } }',
    'model.yaml': `task: tabular-classification\noutput: { scores: y, activation: softmax }
columns: [${['a', 'b', 'c', 'd'].map((name) => `{ name: ${name}, type: number, example: 1 }`)}]`,
  });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

interface Wanted {
  readonly target: string | null;
  readonly rows: readonly object[];
  readonly slices?: readonly object[];
}

/** Rows are repeated with a number, so that there are intervals: of 12 groups. */
async function evaluated(model: string, { target, rows, slices = [] }: Wanted): Promise<Data> {
  const all = Array.from({ length: 12 }, (_, i) => ({ ...rows[i % rows.length], group: i < 6 ? 1 : 2 }));
  const content = all.map((row) => `${JSON.stringify(row)}\n`).join('');
  const data = { format: 'JSON_LINES', content };
  const input = { name: `rows-of-${model}`, task: 'TENSOR', target, allowDuplicates: true, data };
  expect((await app.query(REGISTER, { input })).registerDataset.problem).toBeNull();
  const { evaluation, problem } = (
    await app.query(EVALUATE, { input: { version: model, dataset: input.name, slices } })
  ).evaluate;
  expect(problem).toBeNull();
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = (await app.query(READ, { id: evaluation.id })).node;
    return ['SUCCEEDED', 'FAILED'].includes(found.jobState);
  });
  expect(found).toMatchObject({ jobState: 'SUCCEEDED', problem: null, evaluatedRows: 12 });
  return found;
}

const valueIn = ({ metrics }: Data, name: string, label: string | null = null, average: string | null = null) =>
  metrics.find((one: Data) => one.name === name && one.label === label && one.average === average)?.value;

test('entities are compared by type and place', async () => {
  const found = await evaluated('tiny-ner', {
    target: 'entities',
    rows: [
      {
        text: 'paris is new york',
        entities: [
          { label: 'LOC', start: 0, end: 5 },
          { label: 'LOC', start: 9, end: 17 },
        ],
      },
      { text: 'the movie', entities: [] },
      { text: 'berlin', entities: [{ label: 'PER', start: 0, end: 6 }] },
    ],
  });

  // Of three that are found, two are right; of three that are there, two are found.
  expect(valueIn(found, 'precision', null, 'micro')).toBeCloseTo(2 / 3, 12);
  expect(valueIn(found, 'recall', 'LOC')).toBe(1);
  expect(valueIn(found, 'recall', 'PER')).toBe(0);
});

test('answers to questions are compared by their words', async () => {
  const found = await evaluated('tiny-qa', {
    target: 'answers',
    rows: [
      { question: 'capital of france?', context: 'paris is the capital', answers: ['The Paris', 'paris is'] },
      { question: 'capital of france?', context: 'the movie was great', answers: [] },
      { question: 'capital of germany?', context: 'berlin is the capital', answers: ['the capital'] },
    ],
    slices: [{ column: 'group' }],
  });

  expect(valueIn(found, 'exact_match')).toBeCloseTo(2 / 3, 12);
  expect(found.metrics[0].interval).toMatchObject({ method: 'wilson' });
  expect(found.slices).toMatchObject([
    { value: 1, rows: 6, metrics: [{ name: 'exact_match', value: 2 / 3 }, { name: 'f1' }] },
    { value: 2, rows: 6 },
  ]);
});

test('ranked documents, similarities, and several labels or targets are measured', async () => {
  const ranked = await evaluated('tiny-ranker', {
    target: 'relevance',
    rows: [
      { query: 'the movie', documents: ['paris', 'film', 'film film'], relevance: [0, 1, 2] },
      { query: 'the movie', documents: ['film film', 'paris'], relevance: [0, 1] },
    ],
  });
  expect(valueIn(ranked, 'ndcg_at_10')).toBeCloseTo((1 + 1 / Math.log2(3)) / 2, 12);

  const similar = await evaluated('tiny-sentences', {
    target: 'score',
    rows: [
      { sentence1: 'great', sentence2: 'good', score: 4 },
      { sentence1: 'great', sentence2: 'great', score: 5 },
      { sentence1: 'great', sentence2: 'paris', score: 0.5 },
    ],
  });
  expect(valueIn(similar, 'spearman_correlation')).toBeCloseTo(1, 12);

  const topics = await evaluated('tiny-topics', {
    target: 'topics',
    rows: [
      { text: 'great paris', topics: ['praise', 'place'] },
      { text: 'bad', topics: ['blame', 'place'] },
    ],
  });
  expect(valueIn(topics, 'subset_accuracy')).toBe(0.5);
  expect(valueIn(topics, 'recall', 'place')).toBe(0.5);

  const pair = await evaluated('pair', {
    target: null,
    slices: [{ column: 'group', equals: 1 }],
    rows: [
      { a: 1, b: 2, sum: 1, difference: 3 },
      { a: 4, b: 5, sum: 5, difference: 6 },
    ],
  });
  expect([valueIn(pair, 'mae', 'sum'), valueIn(pair, 'mae', 'difference')]).toEqual([0.5, 1]);
  expect(pair.metrics[0]).toMatchObject({ name: 'mae', average: 'targets', label: null, value: 0.75 });
  expect(pair.metrics[0].interval).toMatchObject({ method: 'bca_bootstrap' });
  expect(pair.slices[0].metrics.filter(({ name }: Data) => name === 'mae')).toEqual([
    { name: 'mae', value: 0.75 },
    { name: 'mae', value: 0.5 },
    { name: 'mae', value: 1 },
  ]);
  const { leaderboard } = (
    await app.query('{ dataset(name: "rows-of-pair") { leaderboard(metric: "mae") { rank metric { value } } } }')
  ).dataset;
  expect(leaderboard).toEqual([{ rank: 1, metric: { value: 0.75 } }]);
});

test('classes with the same label are one class, and a class that does not occur has no curve', async () => {
  const found = await evaluated('birds-and-tools', {
    target: 'label',
    rows: [
      { a: Math.log(2), b: Math.log(3), c: Math.log(2), d: 0, label: 'crane' },
      { a: 0, b: Math.log(6), c: 0, d: 0, label: 'wall' },
      { a: Math.log(2), b: 0, c: Math.log(5), d: 0, label: 'crane' },
    ],
  });

  expect(valueIn(found, 'accuracy')).toBeCloseTo(2 / 3, 12);
  expect(valueIn(found, 'roc_auc', null, 'macro')).toBe(1);
  // Of two classes with the same label, the scores are added up.
  expect(valueIn(found, 'log_loss')).toBeCloseTo(-Math.log((4 / 8) * (6 / 9) * (7 / 9)) / 3, 6);
  expect(found.roc.altText).toBe('ROC curves of 2 classes. Area under the curve: "crane" 1.000; "wall" 1.000.');
});

test('masks are compared by pixel, and rows whose truth does not fit are named', async () => {
  const red = sharp({ create: { width: 8, height: 8, channels: 3, background: '#ff0000' } });
  const image = (await red.png().toBuffer()).toString('base64');
  const predict = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { output {
    ... on Masks { items { label runLengths } } } } problem { message } } }`;
  const { prediction } = (
    await app.query(predict, { input: { model: 'tiny-segformer', input: { image: { base64: image } } } })
  ).predict;
  const [mask] = prediction.output.items;
  const half = { label: mask.label, runLengths: [0, 32] };
  const found = await evaluated('tiny-segformer', { target: 'masks', rows: [{ image, masks: [half] }] });

  // The truth of the other half is unknown.
  expect(valueIn(found, 'iou', mask.label)).toBe(1);
  expect(valueIn(found, 'mean_iou')).toBe(1);
});

test('what a target must be is said, and rows that have something else fail alone', async () => {
  const rows = Array.from({ length: 97 }, (_, i) => ({
    query: 'the movie',
    documents: ['film', 'paris'],
    relevance: i === 6 ? [1] : [1, 0],
    i,
  }));
  const wrong = [
    { query: null, documents: ['film'], relevance: [1], i: 40 },
    { query: 'the movie', documents: 'film', relevance: [1], i: 41 },
    { query: 'the movie', documents: [1, {}], relevance: [1, 0], i: 42 },
  ];
  const content = [...rows, ...wrong].map((row) => `${JSON.stringify(row)}\n`).join('');
  const data = { format: 'JSON_LINES', content };
  const input = { name: 'one-wrong', task: 'TEXT_RANKING', target: 'relevance', data };
  expect((await app.query(REGISTER, { input })).registerDataset.problem).toBeNull();
  const evaluate = async (version: string) =>
    (await app.query(EVALUATE, { input: { version, dataset: 'one-wrong' } })).evaluate;
  const { evaluation } = await evaluate('tiny-ranker');
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = (await app.query(READ, { id: evaluation.id })).node;
    return found.jobState === 'SUCCEEDED';
  });

  expect(found.evaluatedRows).toBe(96);
  expect(found.rowProblems).toEqual([
    { row: 7, message: expect.stringContaining('no list of 2 numbers') },
    { row: 98, message: 'the row has no text in the column "query"' },
    { row: 99, message: 'the row has no list of texts in the column "documents"' },
    { row: 100, message: 'the row has no list of texts in the column "documents"' },
  ]);
  expect((await evaluate('tiny-qa')).problem.problems).toMatchObject([
    { path: ['input', 'dataset'], message: 'the dataset lacks a column that the version reads' },
  ]);
  expect((await evaluate('tiny-sentences')).problem.problems).toMatchObject([{ expected: 'NUMBER or INTEGER' }]);
  expect((await evaluate('pair')).problem.problems).toMatchObject([{ expected: 'a column "sum"' }]);
});

test('more labels than a metric can have end the evaluation', async () => {
  const rows = Array.from({ length: 150 }, (_, i) => ({
    text: 'paris',
    entities: [{ label: `L${i}`, start: 0, end: 5 }],
  }));
  const content = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const data = { format: 'JSON_LINES', content };
  const input = { name: 'many-labels', task: 'TOKEN_CLASSIFICATION', target: 'entities', data };
  expect((await app.query(REGISTER, { input })).registerDataset.problem).toBeNull();
  const wanted = { input: { version: 'tiny-ner', dataset: 'many-labels' } };
  const { id } = (await app.query(EVALUATE, wanted)).evaluate.evaluation;
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = (await app.query(READ, { id })).node;
    return found.jobState === 'FAILED';
  });

  expect(found.problem.message).toBe('the targets have more than 103 labels besides those of the version');
});

test('of many classes, only metrics over all of them are measured, and looking them up takes no time', () => {
  const labels = Array.from({ length: 100_000 }, (_, i) => `LABEL_${i}`);
  const begun = performance.now();
  const plan = { answers: 'classification', target: 'label', labels } as const;
  new ColumnAnswers({ ...plan, columns: [], image: null, itemOf: null, inputOf: () => ({}) }, labels);
  const ms = performance.now() - begun;
  const numbers = Float64Array.of(0, 1, 1, 2, 99_999);
  const answers = {
    rows: Uint32Array.of(1, 2, 3, 4, 5),
    truth: numbers,
    predicted: numbers,
    scores: null,
    items: null,
  };
  const names = (count: number) =>
    measure({
      labels: labels.slice(0, count),
      answers: { ...answers, truth: numbers.map((i) => i % count), predicted: numbers.map((i) => i % count) },
      seed: 's',
    }).length;

  expect(ms).toBeLessThan(2_000);
  expect([names(1_000), names(100_000)]).toEqual([expect.any(Number), names(1_001)]);
  expect(names(1_000)).toBeGreaterThan(3_000);
  expect(names(1_001)).toBeLessThan(30);
});
