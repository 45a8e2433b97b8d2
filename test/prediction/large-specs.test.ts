/** Refused inputs of models with many categories, columns, graph inputs and prompts: problems stay short, and each list is read once. */
import { contentsOf } from '#src/prediction/input-contents.js';
import { checkInput, type VersionSpec } from '#src/tasks/tasks.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import type { Folder } from '../support/hugging-face/folder.js';
import { node } from '../support/hugging-face/folder.ts';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { gradient } from '../support/images.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel } from '../support/onnx.ts';

const CATEGORIES = Array.from({ length: 5_000 }, (_, i) => `category ${i}`);
const LONG_NAME = `${'n'.repeat(10_000)}a`;
const MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code
  ... on InvalidInput { problems { path code message expected received } } } } problem { code } } }`;
let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const category = (name: string, categories: readonly string[]) => ({ name, type: 'category', categories });
  const long = Array.from({ length: 10 }, (_, i) => `${i}${'x'.repeat(5_000)}`);
  await store.write('categories', {
    '1/model.onnx': weighted(2),
    'model.yaml': JSON.stringify({
      task: 'tabular-regression',
      columns: [category('many', CATEGORIES), category('long', long)],
    }),
  });
  await store.write('steps', {
    '1/model.onnx': summed(1_000),
    'model.yaml': JSON.stringify({
      task: 'tabular-regression',
      columns: Array.from({ length: 1_000 }, (_, i) => ({ name: `measurement ${i}`, type: 'number' })),
    }),
  });
  await store.write('wide', { '1/model.onnx': sumOf([...Array.from({ length: 199 }, (_, i) => `x${i}`), LONG_NAME]) });
  await store.write('prompts', {
    ...(huggingFaceFolders()['tiny-sentences'] as Folder),
    'config_sentence_transformers.json': JSON.stringify({
      prompts: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`prompt ${i}`, 'query: '])),
    }),
  });
  for (const [name, iou] of [
    ['overlaps', { iou: 0.5 }],
    ['no-overlaps', {}],
  ] as const)
    await store.write(name, {
      '1/model.onnx': boxes(3_000),
      'model.yaml': JSON.stringify({
        task: 'object-detection',
        labels: ['a', 'b'],
        output: {
          boxes: 'boxes',
          scores: 'scores',
          boxUnit: 'pixels',
          boxFormat: 'corners',
          activation: 'none',
          ...iou,
        },
        image: { size: { width: 32, height: 32 } },
      }),
    });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

function weighted(columns: number): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', columns] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
    nodes: [node('MatMul', ['x', 'w'], 'y')],
    floats: [{ name: 'w', shape: [columns, 1], data: Array(columns).fill(1) }],
  });
}

/** Of a time series, over its steps. */
function summed(columns: number): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 'T', columns] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', columns] }],
    nodes: [node('ReduceSum', ['x', 'axis'], 'y', [{ name: 'keepdims', int: 0 }])],
    ints: [{ name: 'axis', shape: [1], data: [1] }],
  });
}

function sumOf(names: readonly string[]): Buffer {
  return encodeModel({
    inputs: names.map((name) => ({ name, type: 'FP32', shape: ['N', 1] })),
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
    nodes: [node('Sum', [...names], 'y')],
  });
}

/** The same box `count` times for each image, with scores of two labels. */
function boxes(count: number): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 32, 32] }],
    outputs: [
      { name: 'boxes', type: 'FP32', shape: ['N', count, 4] },
      { name: 'scores', type: 'FP32', shape: ['N', count, 2] },
    ],
    nodes: [
      node('ReduceSum', ['x', 'axes'], 'sum', [{ name: 'keepdims', int: 1 }]),
      node('Squeeze', ['sum', 'three'], 'flat'),
      node('Mul', ['flat', 'zero'], 'zeros'),
      node('Add', ['zeros', 'box'], 'boxes'),
      node('Add', ['zeros', 'score'], 'scores'),
    ],
    floats: [
      { name: 'zero', shape: [1], data: [0] },
      { name: 'box', shape: [1, count, 4], data: Array.from({ length: count }, () => [1, 1, 9, 9]).flat() },
      { name: 'score', shape: [1, count, 2], data: Array(2 * count).fill(0.9) },
    ],
    ints: [
      { name: 'axes', shape: [3], data: [1, 2, 3] },
      { name: 'three', shape: [1], data: [3] },
    ],
  });
}

async function send(model: string, inputs: readonly unknown[]) {
  const { data, errors, extensions } = await app.send(MANY, { input: { model, inputs, record: false } });
  if (!data) throw new Error(JSON.stringify(errors));
  const problems: Data[][] = data['predictMany'].results.map(({ problem }: Data) => problem.problems);
  return { problems, price: extensions?.['cost'].requested as number };
}

const FIRST_20 = CATEGORIES.slice(0, 20).join(', ');

test.each([
  ['categories', { row: { many: 'unknown', long: null } }, `one of ${FIRST_20} … (5000 in all)`],
  ['steps', { series: { values: [[]] } }, /^a list of 1000: measurement 0, .*, measurement 19 … \(1000 in all\)$/],
  ['wide', { tensors: [{ name: 'y', datatype: 'FP32', shape: [] }] }, /^each of x0, .*, x19 … \(200 in all\), once$/],
  ['prompts', { promptedText: { text: 'a', prompt: 'unknown' } }, /^one of prompt 0, .*, prompt 19 … \(100 in all\)$/],
])('%s: a problem names the first twenty of a long list, and how many there are', async (model, input, expected) => {
  const { problems } = await send(model, [input]);

  expect(problems[0]?.[0]?.['expected']).toEqual(
    typeof expected === 'string' ? expected : expect.stringMatching(expected),
  );
});

test('a problem shortens long names and says how many there are', async () => {
  const { problems } = await send('categories', [{ row: { many: CATEGORIES[0], long: 'unknown' } }]);

  expect(problems[0]?.map(({ expected }) => expected)).toEqual([
    expect.stringMatching(/^one of 0x{59}…, 1x{59}…, .* … \(10 in all\)$/),
  ]);
});

test('a problem shortens the name of a graph input and a shape', async () => {
  const tensor = (more: object) => ({ tensors: [{ name: LONG_NAME, datatype: 'FP32', shape: [1, 1], ...more }] });
  const { problems } = await send('wide', [tensor({ datatype: 'INT64' }), tensor({ shape: Array(2_000).fill(1) })]);

  const short = `${'n'.repeat(60)}…`;
  expect(problems.map(([first]) => [first?.['message'], first?.['received']])).toEqual([
    [`the datatype does not match input "${short}"`, '"INT64"'],
    [`input "${short}" has 2 dimensions`, `"[${Array(20).fill(1).join(', ')} …"`],
  ]);
});

test('an input of 1,900 unknown tensors has twenty problems, and costs for each tensor', async () => {
  const tensors = (count: number) => ({
    tensors: Array.from({ length: count }, () => ({ name: 'y', datatype: 'FP32', shape: [] })),
  });

  const [one, many] = [await send('wide', [tensors(1)]), await send('wide', [tensors(1_900)])];

  expect(many.problems[0]).toHaveLength(20);
  expect(many.price - one.price).toBeGreaterThan(1_899 * 0.05);
});

test('an image costs more for each box and label that may be compared with others to suppress overlaps', async () => {
  const base64 = (await gradient(32, 32).png().toBuffer()).toString('base64');
  const costs = [];
  for (const model of ['overlaps', 'no-overlaps']) {
    const { data, extensions } = await app.send(
      'mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on Detections { items { label } } } } } }',
      { input: { model, input: { image: { base64 } }, record: false } },
    );
    const items: unknown[] = data?.['predict'].prediction.output.items ?? [];
    costs.push({ items: items.length, cost: extensions?.['cost'].requested as number });
  }

  const [suppressed, all] = costs;
  expect([suppressed?.items, all?.items]).toEqual([2, 300]);
  expect((suppressed?.cost ?? 0) - (all?.cost ?? 0)).toBe((6_000 * 20) / 1_000);
});

const base = {
  outputs: [],
  labels: [],
  image: null,
  text: null,
  example: {},
  maxBatch: 1,
  maxBatchReason: '',
  maxRunMs: 1,
  task: 'TABULAR_REGRESSION',
  head: { kind: 'values', outputs: [] },
};
const column = { required: true, input: 'x', missing: '', minimum: null, maximum: null, unit: null, categories: [] };

/** Counts the elements that are read. */
function counted<T>(list: readonly T[]): { readonly list: readonly T[]; reads(): number } {
  let reads = 0;
  const get = (target: readonly T[], key: string | symbol, receiver: unknown) => {
    if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
    return Reflect.get(target, key, receiver);
  };
  return { list: new Proxy(list, { get }), reads: () => reads };
}

test.each([
  ['known', CATEGORIES.at(-1)],
  ['unknown', 'unknown'],
  ['missing', undefined],
])('1,000 rows with a category that is %s read the categories of each column once', (_, value) => {
  const categories = counted(CATEGORIES);
  const columns = Array.from({ length: 3 }, (_, i) => ({
    ...column,
    name: `c${i}`,
    type: 'CATEGORY',
    categories: categories.list,
  }));
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [null, 3] }];
  const spec = { ...base, inputKind: 'ROW', columns, inputs } as unknown as VersionSpec;
  const row = { c0: value, c1: value, c2: value };

  for (let i = 0; i < 1_000; i++) {
    try {
      checkInput(spec, { row }, []);
    } catch {}
  }

  // Besides, each problem shows the first twenty.
  const shown = value === CATEGORIES.at(-1) ? 0 : 3 * 1_000 * 21;
  expect(categories.reads()).toBeLessThanOrEqual(3 * CATEGORIES.length + shown);
});

test('the values of a row stop being checked at the twentieth problem', () => {
  const columns = counted(
    Array.from({ length: 1_000 }, (_, i) => ({ ...column, name: `c${i}`, type: 'NUMBER', input: `c${i}` })),
  );
  const inputs = counted(columns.list.map(({ name }) => ({ name, datatype: 'FP32', shape: [null, 1] })));
  const spec = { ...base, inputKind: 'ROW', columns: columns.list, inputs: inputs.list } as unknown as VersionSpec;

  for (let i = 0; i < 100; i++) expect(() => checkInput(spec, { row: {} }, [])).toThrow('(and 19 more)');

  expect(columns.reads()).toBeLessThan(10_000);
  expect(inputs.reads()).toBeLessThan(10_000);
});

test('1,000 tensors of a graph with 1,000 inputs are found without searching the inputs for each', () => {
  const names = Array.from({ length: 1_000 }, (_, i) => `x${i}`);
  const inputs = counted(names.map((name) => ({ name, datatype: 'FP32', shape: [null, 1] })));
  const spec = {
    ...base,
    task: 'TENSOR',
    head: { kind: 'tensors' },
    inputKind: 'TENSORS',
    columns: [],
    inputs: inputs.list,
  };
  const tensors = names.map((name) => ({ name, datatype: 'FP32', shape: [1, 1], data: [1] }));

  const item = checkInput(spec as unknown as VersionSpec, { tensors } as never, []);

  expect(item).toMatchObject({ kind: 'tensors', rows: 1 });
  expect(inputs.reads()).toBeLessThan(10_000);
});

test('the default prompt is read once for the prices of all sentences', () => {
  const prompt = 'é '.repeat(2_000);
  const prompts = { list: [{ name: 'q', text: prompt }], default: 'q' };
  const text = { prompts, maxTokens: 128, longInputs: 'truncate', stride: 0 };
  const spec = { ...base, task: 'SENTENCE_SIMILARITY', inputs: [], columns: [], text } as unknown as VersionSpec;
  const original = Buffer.byteLength;
  let read = 0;
  Buffer.byteLength = (value, encoding) => {
    read += (value as string).length;
    return original(value, encoding);
  };

  const sentences = Array.from({ length: 256 }, (_, i) => `sentence ${i}`);
  const { tokens } = contentsOf({ similarity: { source: 'a', sentences } }, spec);
  Buffer.byteLength = original;

  expect(tokens).toBeGreaterThan(257 * 1_000);
  expect(read).toBeLessThan(10 * prompt.length);
});
