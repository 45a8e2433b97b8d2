/** The price of an operation reflects the work that it causes: elements and fields, bytes, computation and rows. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { getIntrospectionQuery } from 'graphql';
import { LIMITS } from '#src/api/limits.js';
import { runOf, runsOfMany } from '#src/prediction/prediction-cost.js';
import { dearModels } from '../endurance/cost-audit/models.ts';
import { STORE, startTestApp, type TestApp } from '../support/app.js';
import { type Folder, node } from '../support/hugging-face/folder.ts';
import { huggingFaceFolders } from '../support/hugging-face.ts';
import { pixelBomb } from '../support/images.ts';
import type { TestStore } from '../support/model-store.ts';
import { encodeModel } from '../support/onnx.ts';
import { createTasksStore } from '../support/tasks-table.js';

let app: TestApp;
let store: TestStore;
beforeAll(async () => {
  store = await createTasksStore();
  for (const name of ['dear-entities', 'dear-images', 'tokenizer-t5'])
    await store.write(name, dearModels()[name] as Folder);
  const topics = huggingFaceFolders()['tiny-topics'] as Folder;
  const settings = { ...JSON.parse(String(topics['tokenizer_config.json'])), truncation_side: 'left' };
  await store.write('left-topics', { ...topics, 'tokenizer_config.json': JSON.stringify(settings) });
  await store.write('spam-rows', {
    '1/model.onnx': readFileSync(path.join(STORE, 'spam-filter/2/model.onnx')),
    'model.yaml': `task: tabular-classification
labels: [ham, spam]
columns: [{ name: text, type: text, example: hello }]
output: { scores: probabilities, activation: none }`,
  });
  await store.write('many-labels', manyLabels(5_000));
  await store.write('many-boxes', manyBoxes(1_000, 300));
  await store.write('outer', { '1/model.onnx': outerProduct() });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

function manyLabels(count: number): Folder {
  const graph = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1] }],
    outputs: [{ name: 'p', type: 'FP32', shape: ['N', count] }],
    nodes: [node('MatMul', ['x', 'w'], 'l'), node('Softmax', ['l'], 'p', [{ name: 'axis', int: 1 }])],
    floats: [{ name: 'w', shape: [1, count], data: Float32Array.from({ length: count }, (_, i) => i / count) }],
  });
  const labels = Array.from({ length: count }, (_, i) => `label ${i}`);
  const card = {
    task: 'tabular-classification',
    labels,
    columns: [{ name: 'x', type: 'number' }],
    output: { scores: 'p' },
  };
  return { '1/model.onnx': graph, 'model.yaml': JSON.stringify(card) };
}

/** A detector that does not suppress overlaps, whose scores are the same for all images. */
function manyBoxes(boxes: number, count: number): Folder {
  const graph = encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 32, 32] }],
    outputs: [
      { name: 'boxes', type: 'FP32', shape: ['N', boxes, 4] },
      { name: 'scores', type: 'FP32', shape: ['N', boxes, count] },
    ],
    nodes: [
      node('ReduceSum', ['x', 'axes'], 'sum', [{ name: 'keepdims', int: 1 }]),
      node('Squeeze', ['sum', 'three'], 'flat'),
      node('Mul', ['flat', 'zero'], 'zeros'),
      node('Expand', ['zeros', 'boxes_shape'], 'boxes'),
      node('Expand', ['zeros', 'scores_shape'], 'scores'),
    ],
    floats: [{ name: 'zero', shape: [1], data: [0] }],
    ints: [
      { name: 'axes', shape: [3], data: [1, 2, 3] },
      { name: 'three', shape: [1], data: [3] },
      { name: 'boxes_shape', shape: [3], data: [1, boxes, 4] },
      { name: 'scores_shape', shape: [3], data: [1, boxes, count] },
    ],
  });
  const labels = Array.from({ length: count }, (_, i) => `label ${i}`);
  const output = { boxes: 'boxes', scores: 'scores', activation: 'none' };
  const card = { task: 'object-detection', labels, output, image: { size: { width: 32, height: 32 } } };
  return { '1/model.onnx': graph, 'model.yaml': JSON.stringify(card) };
}

/** Of a row with itself: the output is as large as the square of the input. */
function outerProduct(): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: [1, 'n'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n', 'm'] }],
    nodes: [node('Transpose', ['x'], 'turned', [{ name: 'perm', ints: [1, 0] }]), node('MatMul', ['turned', 'x'], 'y')],
  });
}

const MANY = 'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } } }';
const ONE = (output: string) =>
  `mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ${output} } } problem { code } } }`;

async function costOf(query: string, variables?: Record<string, unknown>): Promise<number> {
  const { extensions, errors } = await app.send(query, variables);
  if (!extensions) throw new Error(JSON.stringify(errors));
  return extensions['cost'].requested;
}

test('a predictMany of 128 small images that decode to 25 megapixels costs too much', async () => {
  const base64 = pixelBomb(5_000, 5_000).toString('base64');
  const inputs = (count: number) => Array.from({ length: count }, () => ({ image: { base64 } }));
  const input = { model: 'fashion-cnn', inputs: inputs(128), record: false };

  const { status, errors } = await app.send(MANY, { input });

  expect(status).toBe(400);
  expect(errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
  expect(await costOf(MANY, { input: { ...input, inputs: inputs(1) } })).toBeGreaterThan(25 * 128);
});

test('45 aliases of the spans of a text of 100,000 characters cost too much; one does not', async () => {
  const spans = (count: number) =>
    ONE(
      `... on Tokens { ${Array.from({ length: count }, (_, i) => `s${i}: items(aggregation: NONE) { label score word start end }`).join(' ')} }`,
    );
  const input = { model: 'tiny-ner', input: { text: 'paris '.repeat(16_666) }, record: false };

  const one = await app.send(spans(1), { input });
  const many = await app.send(spans(45), { input });

  expect(one.errors).toBeUndefined();
  expect(one.data.predict.problem).toBeNull();
  expect(many.errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
  expect(many.extensions?.['cost'].requested).toBeGreaterThan(40 * (one.extensions?.['cost'].requested / 2));
});

test('the outputs of other tasks cost nothing, and an embedding costs its dimensions, not those of all tokens', async () => {
  const input = (model: string, text: string) => ({ input: { model, input: { text }, record: false } });
  const short = 'paris '.repeat(100);
  const vector = ONE('... on Embedding { vector vectorBase64 }');
  const all = ONE(`... on Embedding { vector vectorBase64 } ... on Fillings { items(first: 20) { sequence } }
    ... on Tokens { items { label word } } ... on Tensors { tensors { data } }`);

  const one = await costOf(vector, input('tiny-embed', short));
  expect(await costOf(vector, input('tiny-embed', 'paris'))).toBeGreaterThan(one - 10);
  expect(await costOf(all, input('tiny-embed', short))).toBeLessThan(one + 10);
});

test('a predictMany of 1,000 sentences costs less than the limit', async () => {
  const inputs = Array(1_000).fill({ text: 'the movie was great, and Paris is the capital of France' });
  const query = MANY.replace('problem', 'prediction { output { ... on Embedding { vector } } } problem');

  expect(await costOf(query, { input: { model: 'tiny-embed', inputs } })).toBeLessThan(LIMITS.maxCost);
});

test('an image costs more the more pixels the graph reads; 1,000 small images cost less than the limit', async () => {
  const base64 = pixelBomb(28, 28).toString('base64');
  const cost = (model: string) =>
    costOf(MANY, { input: { model, inputs: Array(1_000).fill({ image: { base64 } }), record: false } });

  const [small, large] = [await cost('fashion-cnn'), await cost('face-detector')];

  expect(small).toBeLessThan(LIMITS.maxCost);
  expect(large).toBeGreaterThan(2 * small);
});

test('the price counts the operations of the graph', async () => {
  const base64 = pixelBomb(32, 32).toString('base64');
  const image = (model: string) => costOf(MANY, { input: { model, inputs: [{ image: { base64 } }], record: false } });
  const text = (model: string) => costOf(MANY, { input: { model, inputs: [{ text: 'paris '.repeat(10) }] } });

  // Three convolutions of 64 channels at 32 x 32 pixels: 77 million operations, 38 points.
  expect((await image('dear-images')) - (await image('tiny-vit'))).toBeGreaterThan(30);
  // A layer of 192 channels: half a million operations for each of 32 tokens, 8 points.
  expect((await text('dear-entities')) - (await text('tiny-ner'))).toBeGreaterThan(5);
});

test('one input is accepted however large the model is, and costs what it computes; several are not', async () => {
  // The end is invalid, so that the text is not run.
  const text = `${'paris '.repeat(16_000)}\0`;
  const send = (count: number) =>
    app.send(MANY, { input: { model: 'dear-entities', inputs: Array(count).fill({ text }), record: false } });

  const [one, two] = [await send(1), await send(2)];

  expect(one.data.predictMany.results[0].problem.code).toBe('INVALID_INPUT');
  expect(one.extensions?.['cost'].requested).toBeGreaterThan(LIMITS.maxCost);
  expect(two.errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
  expect(two.extensions?.['cost'].requested).toBeGreaterThan(2 * LIMITS.maxCost);
});

test('characters cost the tokens that the tokenizer can make of them', async () => {
  const cost = (character: string) =>
    costOf(MANY, { input: { model: 'tokenizer-t5', inputs: [{ text: character.repeat(5_000) }], record: false } });

  const [letters, ideographs, expanding] = [await cost('a'), await cost('漢'), await cost('\u{fdfa}')];

  expect(ideographs - letters).toBeGreaterThan(0.7 * 5_000 * 0.01);
  expect(expanding - letters).toBeGreaterThan(17 * 5_000 * 0.01);
});

test('a text that is truncated costs less if its beginning has enough words', async () => {
  const cost = (text: string) => costOf(MANY, { input: { model: 'tiny-sst', inputs: [{ text }], record: false } });

  const [words, oneWord] = [await cost('word '.repeat(20_000)), await cost('w'.repeat(100_000))];

  expect(oneWord).toBeGreaterThan(words + 400);
});

test('a text whose beginning is left out is tokenized as a whole, and costs as much', async () => {
  const cost = (model: string) =>
    costOf(MANY, { input: { model, inputs: [{ text: `${'word '.repeat(19_000)}\0` }], record: false } });

  const [right, left] = [await cost('tiny-topics'), await cost('left-topics')];

  expect(left).toBeGreaterThan(right + 95_000 * 0.003);
});

test('a template is tokenized and read once for each label, and costs as often', async () => {
  const labels = (count: number) => Array.from({ length: count }, (_, i) => `l${i}`);
  const cost = (count: number, hypothesisTemplate?: string) => {
    const zeroShot = { text: 'film', labels: labels(count), hypothesisTemplate };
    return costOf(MANY, { input: { model: 'tiny-nli', inputs: [{ zeroShot }], record: false } });
  };
  const long = `${'電影'.repeat(490)}{}`;

  const one = (await cost(1, long)) - (await cost(1));
  const hundred = (await cost(100, long)) - (await cost(100));

  expect(hundred).toBeGreaterThan(100 * 980 * (0.003 + 0.01));
  expect(hundred).toBeGreaterThan(90 * one);
});

test('twenty texts with 100 labels each cost less than a third of the limit', async () => {
  const zeroShot = {
    text: 'A movie about travel and food.',
    labels: Array.from({ length: 100 }, (_, i) => `label ${i}`),
  };
  const input = { model: 'tiny-nli', inputs: Array(20).fill({ zeroShot }), record: false };

  expect(await costOf(MANY, { input })).toBeLessThan(LIMITS.maxCost / 3);
});

test.each([
  ['many-labels', { row: { x: 1 } }, 4_900 * 0.002],
  ['many-boxes', { image: { base64: pixelBomb(32, 32).toString('base64') } }, 1_000 * 300 * 0.0004],
])('%s: scores cost something, selected or not', async (model, input, least) => {
  const cost = (count: number) => costOf(MANY, { input: { model, inputs: Array(count).fill(input), record: false } });

  expect((await cost(3)) - (await cost(2))).toBeGreaterThan(least);
});

test('1,000 rows with three labels, and 20 photos of 2 megapixels, cost less than the limit', async () => {
  const base64 = pixelBomb(1_920, 1_080).toString('base64');
  const rows = { model: 'penguins', inputs: Array(1_000).fill({ row: {} }), record: false };
  const photos = { model: 'fashion-cnn', inputs: Array(20).fill({ image: { base64 } }), record: false };

  expect(await costOf(MANY, { input: rows })).toBeLessThan(LIMITS.maxCost * 0.8);
  expect(await costOf(MANY, { input: photos })).toBeLessThan(LIMITS.maxCost * 0.8);
});

test('a filter by metric, a search, facets and totals add the rows that they may read', async () => {
  const listing = (variables: Record<string, unknown>, more = '') =>
    costOf(
      `query ($search: String, $filter: ModelFilter) { models(search: $search, filter: $filter, first: 1) { ${more} nodes { name } } }`,
      variables,
    );

  const plain = await listing({});

  expect(await listing({ filter: { metric: { metric: 'accuracy', min: 0.5 } } })).toBeGreaterThan(plain + 400);
  expect(await listing({ filter: { tags: ['a'] } })).toBeGreaterThan(plain + 20);
  expect(await listing({ search: 'spam' })).toBeGreaterThan(plain + 100);
  expect(await listing({}, 'facets { field }')).toBeGreaterThan(plain + 100);
  expect(await listing({}, 'totalCount')).toBeGreaterThan(plain);
});

test('twenty filters by metric in one operation cost too much', async () => {
  const fields = Array.from({ length: 20 }, (_, i) => `m${i}: models(filter: $filter) { totalCount }`).join(' ');

  const { errors } = await app.send(`query ($filter: ModelFilter) { ${fields} }`, {
    filter: { metric: { metric: 'accuracy' } },
  });

  expect(errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
});

const OPERATIONS = readdirSync('schema/operations').filter((file) => file.endsWith('.graphql'));

/** Explanations and judgements of gates run models, and compare versions: 6,000 points for these two alone. */
const SHARES: Readonly<Record<string, number>> = { '19-answer-with-evidence.graphql': 2 / 3 };

test.each(OPERATIONS)('%s costs at most a third of the limit, or what its fields alone cost', async (file) => {
  const read = (name: string) => readFileSync(path.join('schema/operations', name), 'utf8');
  const variables = file.replace('.graphql', '.variables.json');
  const given = readdirSync('schema/operations').includes(variables) ? JSON.parse(read(variables)) : {};

  expect(await costOf(read(file), given)).toBeLessThan(LIMITS.maxCost * (SHARES[file] ?? 1 / 3));
});

test('the introspection query of explorers costs at most a fifth of the limit', async () => {
  expect(await costOf(getIntrospectionQuery({ inputValueDeprecation: true }))).toBeLessThan(LIMITS.maxCost / 5);
});

test('an alias costs as much as the field; a field that is selected twice costs once', async () => {
  const cost = (fields: string) => costOf(`{ models(first: 100) { nodes { ${fields} } } }`);

  const [one, twice, aliased, spread] = [
    await cost('version { ref signature { example } }'),
    await cost('version { ref signature { example } } version { signature { example } }'),
    await cost('version { ref signature { example } } v: version { ref signature { example } }'),
    await cost('version { ref signature { example } } ... on Model { ... { version { ref } } }'),
  ];

  expect(twice).toBe(one);
  expect(spread).toBe(one);
  expect(aliased).toBeGreaterThan(1.5 * one);
});

test('fields that a directive leaves out are free', async () => {
  const query =
    'query ($on: Boolean!) { models(first: 100) { nodes { name ...@include(if: $on) { versions { nodes { id } } } } } }';
  const skipped =
    'query ($on: Boolean!) { models(first: 100) { nodes { name versions @skip(if: $on) { nodes { id } } } } }';
  const plain = await costOf('{ models(first: 100) { nodes { name } } }');

  const without = [await costOf(query, { on: false }), await costOf(skipped, { on: true })];

  expect(without).toEqual([plain, plain]);
  expect(await costOf(query, { on: true })).toBeGreaterThan(plain);
});

test('the classes of an answer cost no more than the version has labels', async () => {
  const input = { model: 'penguins', input: { row: {} }, record: false };
  const classes = (first: number) =>
    costOf(ONE(`... on Classification { classes(first: ${first}) { label score } }`), { input });

  expect(await classes(2_000_000_000)).toBe(await classes(3));
});

test('the price of an answer grows with the aliases that make it larger', async () => {
  const fields = (count: number) => Array.from({ length: count }, (_, i) => `i${i}: input`).join(' ');
  const input = { model: 'spam-filter', input: { text: 'word '.repeat(20_000) }, record: false };
  const query = (count: number) =>
    `mutation ($input: PredictInput!) { predict(input: $input) { prediction { ${fields(count)} } } }`;

  const [one, ten] = [await costOf(query(1), { input }), await costOf(query(10), { input })];

  expect(ten - one).toBeGreaterThan(9 * 20);
});

test('one tensor that is not in a list costs as much as a list of one', async () => {
  const query = ONE('... on Classification { label score classes { label } }');
  const tensor = {
    name: 'input',
    datatype: 'FP32',
    shape: [1, 100],
    base64: Buffer.alloc(4 * 100_000).toString('base64'),
  };
  const cost = (tensors: unknown) => costOf(query, { input: { model: 'fashion-mlp', input: { tensors } } });

  expect(await cost(tensor)).toBe(await cost([tensor]));
});

test('a price depends only on the document, the variables and the version', async () => {
  const query = ONE('... on Classification { label score classes { label } }');
  const input = { model: 'spam-filter', input: { text: 'Lunch tomorrow?' } };

  const first = await costOf(query, { input });
  const again = await costOf(query, { input });
  const elsewhere = await costOf(`# another text\n${query}`, { input });
  const literal = await costOf(
    'mutation { predict(input: { model: "spam-filter", input: { text: "Lunch tomorrow?" } }) { prediction { output { ... on Classification { label score classes { label } } } } problem { code } } }',
  );

  expect([again, elsewhere, literal]).toEqual([first, first, first]);
});

test('one input in 480 places of a document costs 480 times as much as in one, and its contents are read once', async () => {
  let reads = 0;
  const sentences = Array.from({ length: 100 }, () => 'ж'.repeat(1_000));
  const counted = new Proxy(sentences, {
    get(list, key, receiver) {
      if (key === '50') reads++;
      return Reflect.get(list, key, receiver);
    },
  });
  const input = { similarity: { source: 'a', sentences: counted } };
  const many = { inputs: Array(480).fill(input), record: false };

  const [one, all] = [runOf({ input: { input, record: false } }, null), runsOfMany({ input: many }, null)];

  expect(all.points).toBeCloseTo(480 * one.points);
  expect(reads).toBe(1);
});

test('a text that a variable puts in 50 places of a document is read once for its price', async () => {
  const text = 'ж'.repeat(99_991);
  const forms = [
    '{ text: $t }',
    '{ promptedText: { text: $t, prompt: "a" } }',
    '{ similarity: { source: "a", sentences: [$t] } }',
    '{ ranking: { query: $t, documents: ["a"] } }',
    '{ ranking: { query: "a", documents: [$t] } }',
    '{ zeroShot: { text: $t, labels: ["a"] } }',
    '{ question: { question: "a", context: $t } }',
  ];
  const original = Buffer.byteLength;
  const reads: number[] = [];
  for (const form of forms) {
    let count = 0;
    Buffer.byteLength = (value, encoding) => {
      if (value === text) count++;
      return original(value, encoding);
    };
    const places = Array(50).fill(form).join(' ');
    const { errors } = await app.send(
      `mutation ($t: String!) { predictMany(input: { model: "tiny-sst", record: false, inputs: [${places}] }) { results { problem { code } } } }`,
      { t: text },
    );
    Buffer.byteLength = original;
    expect(errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
    reads.push(count);
  }

  expect(Math.max(...reads)).toBe(1);
});

test.each([
  [
    'the data of tensors',
    (value: unknown) => ({ tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: value }] }),
  ],
  ['values of a series', (value: unknown) => ({ series: { values: value } })],
  ['values in a row', (value: unknown) => ({ row: { a: [value] } })],
])('%s that are in 480 places of a document are read once for their price', (_, inputOf) => {
  let reads = 0;
  const values = new Proxy(Array(1_000).fill(1), {
    get(list, key, receiver) {
      if (key === '50') reads++;
      return Reflect.get(list, key, receiver);
    },
  });
  const inputs = (count: number) => ({ inputs: Array.from({ length: count }, () => inputOf(values)), record: false });

  const [one, all] = [runsOfMany({ input: inputs(1) }, null), runsOfMany({ input: inputs(480) }, null)];

  expect(all.points).toBeCloseTo(480 * one.points);
  expect(reads).toBe(1);
});

test('strings in a row and in a tensor cost their characters, and all values in a nested list count', async () => {
  const row = (text: string) => costOf(MANY, { input: { model: 'penguins', inputs: [{ row: { island: text } }] } });
  const tensor = (data: unknown) =>
    costOf(MANY, {
      input: { model: 'spam-filter', inputs: [{ tensors: [{ name: 'text', datatype: 'BYTES', shape: [1], data }] }] },
    });
  const megabyte = 'x'.repeat(1_000_000);

  expect((await row(megabyte)) - (await row('x'))).toBeGreaterThan(60);
  expect((await tensor([megabyte])) - (await tensor(['x']))).toBeGreaterThan(60);
  expect((await tensor([[], Array(10_000).fill('x')])) - (await tensor([['x']]))).toBeGreaterThan(35);
  expect(
    (await tensor(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, 0])))) - (await tensor(['x'])),
  ).toBeGreaterThan(35);
});

test('strings that the graph itself tokenizes cost as much in a tensor and in a row as in a text', async () => {
  const cost = (model: string, input: unknown) => costOf(MANY, { input: { model, inputs: [input], record: false } });
  // The end is invalid, so that nothing is run.
  const words = `${'free money now '.repeat(6_000)}\0`;
  const tensor = (data: unknown, shape: number[]) => ({ tensors: [{ name: 'text', datatype: 'BYTES', shape, data }] });

  const text = await cost('spam-filter', { text: words });
  const tensors = await cost('spam-filter', tensor([[words]], [1, 1]));
  const row = await cost('spam-rows', { row: { text: words } });

  expect(text).toBeGreaterThan(90_000 * 0.003);
  expect(tensors).toBeGreaterThan(text - 5);
  expect(row).toBeGreaterThan(text - 5);
  // As many strings as a body may hold; more than the longest text is refused before it is read.
  expect(await cost('spam-filter', tensor(Array(100).fill(words), [100, 1]))).toBeGreaterThan(99 * (text - 10));
  expect(await cost('spam-filter', tensor(['x'.repeat(1_000_000)], [1, 1]))).toBeLessThan(2 * text);
});

test('a predictMany of 1,000 rows with a short text each costs less than the limit', async () => {
  const inputs = Array(1_000).fill({ row: { text: 'the parcel arrived late, and the box was damaged' } });

  expect(await costOf(MANY, { input: { model: 'spam-rows', inputs, record: false } })).toBeLessThan(LIMITS.maxCost);
});

test('outputs with two open dimensions cost the square of the largest size that was sent, up to 16 MiB for an input', async () => {
  const cost = (size: number, count = 1) => {
    const tensors = [{ name: 'x', datatype: 'FP32', shape: [1, size], data: Array(size).fill(1) }];
    return costOf(MANY, { input: { model: 'outer', inputs: Array(count).fill({ tensors }), record: false } });
  };

  const [small, large, largest] = [await cost(10), await cost(1_000), await cost(10_000)];

  expect(small).toBeLessThan(20);
  expect(large).toBeGreaterThan((4 * 1_000 ** 2) / 16_384);
  expect(largest).toBeGreaterThan(1_024);
  expect(largest).toBeLessThan(1_200);
  expect(await cost(2_000, 10)).toBeGreaterThan(9_000);
});
