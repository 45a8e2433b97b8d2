/** Rows that are sent together, as columns or as tensors, and answers as columns. */
import { readFileSync } from 'node:fs';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import type { Folder } from '../support/hugging-face/folder.ts';
import { huggingFaceFolders } from '../support/hugging-face.ts';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type TypeName } from '../support/onnx.js';

const OUTPUT = `output { ... on Classification { label score classes(first: 100) { label score } } ... on Regression { value }
  ... on Values { values { value } } ... on Embedding { vector } ... on Tensors { tensors { name datatype shape data } } }`;
const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code message expected received } } }';
const RESULTS = `results { prediction { ${OUTPUT} } ${PROBLEM} }`;
const COLUMNS = `columns { count ids labels scores classScores values tensors { name datatype shape data } problems { row ${PROBLEM} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { ${RESULTS} ${COLUMNS} ${PROBLEM} } }`;
const ONLY_COLUMNS = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { ${COLUMNS} ${PROBLEM} } }`;

let store: TestStore;
let app: TestApp;
let shipped: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const type of ['FP32', 'INT64', 'UINT8', 'BYTES'] as const)
    await store.write(type.toLowerCase(), { '1/model.onnx': identity(type, ['N', 2]) });
  await store.write('alone', { '1/model.onnx': identity('FP32', [1, 2]) });
  await store.write('any', { '1/model.onnx': identity('FP32', ['N', 'K']) });
  await store.write('whole', { '1/model.onnx': identity('FP32', [3, 2]) });
  await store.write('ids', {
    '1/model.onnx': identity('INT64', ['N', 2]),
    'model.yaml':
      'task: tensor\ncolumns: [{ name: id, type: integer, example: 1 }, { name: group, type: integer, example: 2 }]',
  });
  await store.write('embedder', {
    '1/model.onnx': identity('FP32', ['N', 2]),
    'model.yaml':
      'task: feature-extraction\ncolumns: [{ name: a, type: number, example: 1 }, { name: b, type: number, example: 2 }]',
  });
  await store.write('pair', {
    '1/model.onnx': identity('FP32', ['N', 2]),
    'model.yaml': `task: tabular-regression\noutput: { value: y }\ntargets: [a, b]
columns: [{ name: a, type: number, minimum: 0, example: 1 }, { name: b, type: number, required: false, example: 2 }]`,
  });
  await store.write('tiny-nli', huggingFaceFolders()['tiny-nli'] as Folder);
  app = await startTestApp({ modelStore: store.folder });
  shipped = await startTestApp();
}, 60_000);
afterAll(async () => {
  await app.stop();
  await shipped.stop();
  await store.remove();
});

function identity(type: TypeName, shape: (number | string)[]): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}

async function predictMany(of: TestApp, input: Record<string, unknown>, query = PREDICT_MANY): Promise<Data> {
  return (await of.query(query, { input: { record: false, ...input } })).predictMany;
}

/** Different rows made from those of the golden cases. */
function goldenRows(model: string, count: number): Record<string, unknown>[] {
  const { cases } = JSON.parse(readFileSync(`${STORE}/${model}/1/golden.json`, 'utf8'));
  const rows = cases.map(({ input }: Data) => input.row).filter(Boolean) as Record<string, unknown>[];
  return Array.from({ length: count }, (_, i) => {
    const [row, other] = [rows[i % rows.length], rows[(i * 7 + 1) % rows.length]];
    return Object.fromEntries(
      Object.entries(row ?? {}).map(([name, value], k) => [name, k % 3 ? value : other?.[name]]),
    );
  });
}

function columnsOf(rows: readonly Record<string, unknown>[]): Record<string, unknown[]> {
  const names = Object.keys(rows[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? null)]));
}

test.each([
  ['breast-cancer-forest', 300],
  ['penguins', 50],
  ['penguin-mass', 50],
])('%s answers columns as it answers the same rows one by one', async (model, count) => {
  const rows = goldenRows(model, count);
  const inputs = rows.map((row) => ({ row }));

  const one = await predictMany(shipped, { model, inputs: inputs.slice(0, 100) });
  const columns = await predictMany(shipped, { model, rows: { columns: columnsOf(rows) } }, ONLY_COLUMNS);
  const both = await predictMany(shipped, { model, rows: { columns: columnsOf(rows.slice(0, 100)) } });

  expect(both.results).toEqual(one.results);
  const outputs = one.results.map(({ prediction }: Data) => prediction.output);
  const { labels, scores, classScores, values, problems } = columns.columns;
  expect(columns.columns.count).toBe(count);
  expect(problems).toEqual([]);
  for (const [i, { label, score, classes, value }] of outputs.entries()) {
    if (value !== undefined) expect(values[i]).toBeCloseTo(value, 5);
    else {
      expect(labels[i]).toBe(label);
      expect(scores[i]).toBeCloseTo(score, 8);
      const width = classScores.length / count;
      const own = classScores.slice(i * width, (i + 1) * width);
      expect([...own].sort((a, b) => b - a)).toEqual(classes.map((one: Data) => expect.closeTo(one.score, 8)));
    }
  }
  expect(columns.columns).toMatchObject(outputs[0].value === undefined ? { values: null } : { labels: null });
});

test('inputs of any kind are answered in columns too', async () => {
  const inputs = [{ text: 'free money, click now' }, { text: '' }, { text: 'see you at lunch' }];

  const { columns, results } = await predictMany(shipped, { model: 'spam-filter', inputs });

  expect(columns.labels).toEqual([results[0].prediction.output.label, null, results[2].prediction.output.label]);
  expect(columns.scores).toEqual([expect.any(Number), null, expect.any(Number)]);
  expect(columns.problems).toEqual([{ row: 1, problem: results[1].problem }]);
});

test('scores of classes that each input names itself are in no column', async () => {
  const input = (labels: readonly string[]) => ({ zeroShot: { text: 'a', labels } });
  const inputs = [input(['x', 'y']), input(['x', 'y', 'z'])];

  const { columns, results } = await predictMany(app, { model: 'tiny-nli', inputs });

  expect(columns.labels).toEqual(results.map(({ prediction }: Data) => prediction.output.label));
  expect(columns.scores).toEqual(results.map(({ prediction }: Data) => expect.closeTo(prediction.output.score, 8)));
  expect(columns.classScores).toBeNull();
});

test('embeddings are one list of numbers', async () => {
  const columns = { a: [1, 2], b: [3, 4] };

  const { columns: answers, results } = await predictMany(app, { model: 'embedder', rows: { columns } });

  expect(results.map(({ prediction }: Data) => prediction.output.vector)).toEqual([
    [1, 3],
    [2, 4],
  ]);
  expect(answers).toMatchObject({ values: [1, 3, 2, 4], labels: null, scores: null, tensors: null });
});

test('a row that is not valid fails alone, with the place of its value', async () => {
  const columns = { a: [1, -1, '2', 3, 1e39, 0.5], b: [10, 20, 30, null, 50, 60] };

  const many = await predictMany(app, { model: 'pair', rows: { columns } });

  const paths = many.columns.problems.map(({ row, problem }: Data) => [
    row,
    problem.problems?.map((p: Data) => [p.path.join('.'), p.code]),
  ]);
  expect(paths.slice(0, 2)).toEqual([
    [1, [['input.rows.columns.a.1', 'OUT_OF_RANGE']]],
    [2, [['input.rows.columns.a.2', 'WRONG_TYPE']]],
  ]);
  // The graph returns the missing number, which is no answer.
  expect(many.columns.problems[2]).toMatchObject({ row: 3, problem: { code: 'INFERENCE_FAILED' } });
  expect(paths[3]).toEqual([4, [['input.rows.columns.a.4', 'OUT_OF_RANGE']]]);
  expect(many.columns.values).toEqual([1, 10, null, null, null, null, null, null, null, null, 0.5, 60]);
});

test('whole numbers keep all digits', async () => {
  const columns = { id: ['9007199254740993', 2, '-9223372036854775808'], group: [1, 2, 3] };

  const { columns: answers } = await predictMany(app, { model: 'ids', rows: { columns } }, ONLY_COLUMNS);

  expect(answers.problems).toEqual([]);
  expect(answers.tensors).toEqual([
    { name: 'y', datatype: 'INT64', shape: [3, 2], data: ['9007199254740993', 1, 2, 2, '-9223372036854775808', 3] },
  ]);
});

const base64 = (values: Float32Array) => Buffer.from(values.buffer).toString('base64');

test.each([
  ['fp32', 'FP32', { base64: base64(Float32Array.of(1, 2, 3, 4, 5, 6)) }],
  [
    'fp32',
    'FP32',
    {
      data: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    },
  ],
  ['fp32', 'FP32', { data: [1, 2, 3, 4, 5, 6] }],
  ['alone', 'FP32', { data: [1, 2, 3, 4, 5, 6] }],
  ['any', 'FP32', { data: [1, 2, 3, 4, 5, 6] }],
  ['int64', 'INT64', { data: [1, 2, 3, 4, 5, 6] }],
  ['uint8', 'UINT8', { data: [1, 2, 3, 4, 5, 6] }],
])('a tensor has one row for each answer: %s %s %j', async (model, datatype, values) => {
  const tensors = [{ name: 'x', datatype, shape: [3, 2], ...values }];

  const { columns, results } = await predictMany(app, { model, rows: { tensors } });

  expect(columns.tensors).toEqual([{ name: 'y', datatype, shape: [3, 2], data: [1, 2, 3, 4, 5, 6] }]);
  expect(results.map(({ prediction }: Data) => prediction.output.tensors[0].data)).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
});

test('texts in a tensor are answered by row', async () => {
  const tensors = [{ name: 'x', datatype: 'BYTES', shape: [2, 2], data: ['a', 'b', 'c', 'ü'] }];

  const { columns } = await predictMany(app, { model: 'bytes', rows: { tensors } });

  expect(columns.tensors).toEqual([{ name: 'y', datatype: 'BYTES', shape: [2, 2], data: ['a', 'b', 'c', 'ü'] }]);
});

test.each([
  ['base64', { base64: base64(Float32Array.of(1, 2, Number.NaN, 4, 5, 6)) }, 'NOT_FINITE'],
  ['data', { data: [1, 2, 'three', 4, 5, 6] }, 'WRONG_TYPE'],
  [
    'data',
    {
      data: [
        [1, 2],
        ['three', 4],
        [5, 6],
      ],
    },
    'WRONG_TYPE',
  ],
])('a bad value in a tensor fails its row alone: %s %j', async (field, values, code) => {
  const tensors = [{ name: 'x', datatype: 'FP32', shape: [3, 2], ...values }];

  const { columns } = await predictMany(app, { model: 'fp32', rows: { tensors } });

  expect(columns.problems).toMatchObject([{ row: 1, problem: { problems: [{ code }] } }]);
  expect(columns.problems[0].problem.problems[0].path).toEqual(['input', 'rows', 'tensors', '0', field, '2']);
  expect(columns.tensors[0]).toMatchObject({ shape: [3, 2], data: [1, 2, 0, 0, 5, 6] });
});

const tensor = (shape: readonly number[], data: readonly unknown[]) => [{ name: 'x', datatype: 'FP32', shape, data }];
const thousandAndOne = Array.from({ length: 1_001 }, () => 1);

test.each<readonly [string, string, Record<string, unknown>, string, string]>([
  ['no columns', 'pair', { rows: { columns: {} } }, 'input.rows.columns.a', 'MISSING'],
  ['empty columns', 'pair', { rows: { columns: { a: [], b: [] } } }, 'input.rows.columns', 'EMPTY'],
  ['an unknown column', 'pair', { rows: { columns: { a: [1], c: [1] } } }, 'input.rows.columns.c', 'UNKNOWN_NAME'],
  ['a missing column', 'pair', { rows: { columns: { b: [1] } } }, 'input.rows.columns.a', 'MISSING'],
  ['a column that is no list', 'pair', { rows: { columns: { a: 1 } } }, 'input.rows.columns.a', 'WRONG_TYPE'],
  [
    'columns of different length',
    'pair',
    { rows: { columns: { a: [1, 2], b: [1] } } },
    'input.rows.columns.b',
    'WRONG_SHAPE',
  ],
  ['too many rows', 'pair', { rows: { columns: { a: thousandAndOne } } }, 'input.rows.columns', 'TOO_LARGE'],
  ['columns for tensors', 'fp32', { rows: { columns: { a: [1] } } }, 'input.rows.columns', 'WRONG_KIND'],
  ['a tensor without rows', 'fp32', { rows: { tensors: tensor([0, 2], []) } }, 'input.rows.tensors.0.shape.0', 'EMPTY'],
  [
    'a tensor of too many rows',
    'fp32',
    { rows: { tensors: tensor([1_001, 0], []) } },
    'input.rows.tensors.0.shape.0',
    'TOO_LARGE',
  ],
  [
    'a tensor of another width',
    'fp32',
    { rows: { tensors: tensor([1, 3], [1, 2, 3]) } },
    'input.rows.tensors.0.shape.1',
    'WRONG_SHAPE',
  ],
  [
    'a tensor with too few values',
    'fp32',
    { rows: { tensors: tensor([2, 2], [1, 2, 3]) } },
    'input.rows.tensors.0.data',
    'WRONG_SHAPE',
  ],
  ['no tensor', 'fp32', { rows: { tensors: [] } }, 'input.rows.tensors', 'MISSING'],
  [
    'a graph whose first dimension is no row',
    'whole',
    { rows: { tensors: tensor([3, 2], [1, 2, 3, 4, 5, 6]) } },
    'input.rows.tensors',
    'WRONG_KIND',
  ],
  ['both inputs and rows', 'pair', { inputs: [], rows: { columns: { a: [1] } } }, 'input.inputs', 'WRONG_KIND'],
  ['neither inputs nor rows', 'pair', {}, 'input.inputs', 'WRONG_KIND'],
])('%s is a problem of the whole request', async (_, model, input, at, code) => {
  const { results, columns, problem } = await predictMany(app, { model, ...input });

  expect({ results, columns }).toEqual({ results: null, columns: null });
  expect(problem.problems.map((one: Data) => [one.path.join('.'), one.code])).toEqual([[at, code]]);
});

test('recorded rows are in the history as if they were sent one by one', async () => {
  const rows = goldenRows('penguin-mass', 5);
  const history =
    'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Prediction { recorded input output { ... on Regression { value } } } } }';

  const { columns } = await predictMany(
    shipped,
    { model: 'penguin-mass', record: true, rows: { columns: columnsOf(rows) } },
    ONLY_COLUMNS,
  );
  const { nodes } = await shipped.query(history, { ids: columns.ids });

  expect(nodes.map(({ input }: Data) => input.row)).toEqual(
    rows
      .map((row) => columnsOf([row]))
      .map((one) => Object.fromEntries(Object.entries(one).map(([name, [value]]) => [name, value]))),
  );
  expect(nodes.map(({ output }: Data) => output.value)).toEqual(
    columns.values.map((value: number) => expect.closeTo(value, 5)),
  );
});

test('a recorded row of a tensor can be sent again', async () => {
  const tensors = [{ name: 'x', datatype: 'FP32', shape: [2, 2], base64: base64(Float32Array.of(1, 2, 3, 4)) }];
  const input = 'query ($id: ID!) { prediction(id: $id) { input } }';

  const { columns } = await predictMany(app, { model: 'fp32', record: true, rows: { tensors } }, ONLY_COLUMNS);
  const { prediction } = await app.query(input, { id: columns.ids[1] });
  const again = await predictMany(app, { model: 'fp32', inputs: [prediction.input] });

  expect(again.results[0].prediction.output.tensors[0].data).toEqual([3, 4]);
});

test('nothing is recorded of rows with problems', async () => {
  const { columns } = await predictMany(
    app,
    { model: 'pair', record: true, rows: { columns: { a: [1, -1], b: [1, 1] } } },
    ONLY_COLUMNS,
  );

  expect(columns.ids).toEqual([expect.stringMatching(/^prediction_/), null]);
});
