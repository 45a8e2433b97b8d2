/** Text models answer what their source frameworks answer, which `goldens/make-texts.py` computed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { maxTokensOf, readHuggingFaceFiles } from '#src/importing/hugging-face.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';

const STORE = path.resolve('test/importing/goldens/texts');
const NAMES = readdirSync(STORE);

const OUTPUT = `output { ... on Classification { label classes(first: 100) { label score } } ... on Embedding { vector }
  ... on Similarities { similarities: scores }
  ... on Ranking { ranked: items { index text score } } ... on Fillings { fillings: items(first: 5) { token text score } }
  ... on Tokens { NONE: items(aggregation: NONE) { ...Span } SIMPLE: items { ...Span } FIRST: items(aggregation: FIRST) { ...Span }
    AVERAGE: items(aggregation: AVERAGE) { ...Span } MAX: items(aggregation: MAX) { ...Span } } }`;
const SPAN = 'fragment Span on LabelledSpan { label score start end }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { ${OUTPUT} } problem { code message } } } ${SPAN}`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { ${OUTPUT} } problem { code message } } problem { message } } } ${SPAN}`;

interface Case {
  readonly input: Data;
  readonly expect: Data;
}

function goldenOf(name: string): { readonly tolerance: number; readonly cases: readonly Case[] } {
  const files = ['1/golden.json', 'golden.json'].map((file) => path.join(STORE, name, file));
  return JSON.parse(readFileSync(files.find(existsSync) as string, 'utf8'));
}

let app: TestApp;
let versions: Record<string, Data>;
beforeAll(async () => {
  app = await startTestApp({ modelStore: STORE });
  const { models } = await app.query(`{ models(first: 100) { nodes { name task version { state stateReason
    signature { labels maxTokens prompts { name text isDefault } } serving { maxBatch maxBatchReason } } } } }`);
  versions = Object.fromEntries(
    models.nodes.map(({ version, ...model }: Data) => [model.name, { ...model, ...version }]),
  );
});
afterAll(() => app.stop());

test('every folder is READY as it is', () => {
  const reasons = Object.fromEntries(NAMES.map((name) => [name, versions[name]?.stateReason]));

  expect(reasons).toEqual(Object.fromEntries(NAMES.map((name) => [name, null])));
});

describe.each(NAMES)('%s', (name) => {
  test('answers each golden input alone as its framework did', async () => {
    const { cases, tolerance } = goldenOf(name);

    for (const { input, expect: expected } of cases) {
      const { predict } = await app.query(PREDICT, { input: { model: name, input, record: false } });

      expectNear(predict, expected, tolerance);
    }
  });

  test('answers all golden inputs in one request as its framework did', async () => {
    const { cases, tolerance } = goldenOf(name);
    const inputs = cases.map(({ input }) => input);

    const { predictMany } = await app.query(PREDICT_MANY, { input: { model: name, inputs, record: false } });

    expect(predictMany.problem).toBeNull();
    for (const [i, { expect: expected }] of cases.entries()) expectNear(predictMany.results[i], expected, tolerance);
  });
});

test.each(['two-labels-text', 'two-labels-tokens'])(
  'the labels of %s are those that transformers leaves out',
  (name) => {
    expect(versions[name].signature.labels).toEqual(['LABEL_0', 'LABEL_1']);
  },
);

test('static embeddings are batched, unless the graph mixes the texts of a run', () => {
  expect(versions['static-model2vec'].serving).toEqual({
    maxBatch: 128,
    maxBatchReason: expect.stringContaining('alone and in batches with other inputs'),
  });
  expect(versions['static-model2vec-one-text'].serving).toEqual({
    maxBatch: 1,
    maxBatchReason: expect.stringContaining('depends on the other inputs'),
  });
});

test('a caller who sends tokens and offsets gets what the graph returns for them, and nothing of other callers', async () => {
  const tensor = (name: string, ...data: number[]) => ({ name, datatype: 'INT64', shape: [data.length], data });
  const inputs = [
    [tensor('input_ids', 5, 6, 7), tensor('offsets', 0)],
    [tensor('input_ids', 5, 6, 7, 8), tensor('offsets', 1)],
    [tensor('input_ids', 5, 6, 7), tensor('offsets', 0)],
  ].map((tensors) => ({ tensors }));
  const query = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction {
    timing { batchSize } output { ... on Tensors { tensors { name data } } } } problem { message } } } }`;

  const { predictMany } = await app.query(query, { input: { model: 'static-sentences', inputs, record: false } });

  const [first, , third] = predictMany.results.map(({ prediction }: Data) => prediction.output.tensors[0].data);
  expect(first).toHaveLength(8);
  expect(third).toEqual(first);
});

test('the signature lists the prompts and says which one is the default', () => {
  const passage = { name: 'passage', text: '[MASK] Paris, the passage :', isDefault: false };

  expect(versions['prompts-default'].signature.prompts).toEqual([
    { name: 'document', text: '', isDefault: false },
    passage,
    { name: 'query', text: 'query: ', isDefault: true },
  ]);
  expect(versions['prompts-by-name'].signature.prompts).toContainEqual(passage);
  expect(versions['cased'].signature.prompts).toEqual([]);
});

test.each([
  [
    'prompts-by-name',
    { promptedText: { text: 'x', prompt: 'title' } },
    ['promptedText', 'prompt'],
    'one of document, passage, query',
  ],
  [
    'cased',
    { promptedText: { text: 'x', prompt: 'query' } },
    ['promptedText', 'prompt'],
    'no prompt: this model has none',
  ],
  [
    'prompts-default',
    { similarity: { source: 'x', sentences: ['y'], sentencesPrompt: 'q' } },
    ['similarity', 'sentencesPrompt'],
    'one of document, passage, query',
  ],
])('%s refuses a prompt that it does not have', async (model, input, path, expected) => {
  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { problem { code ... on InvalidInput { problems { path code expected } } } } }',
    { input: { model, input, record: false } },
  );

  const problem = { path: ['input', 'input', ...path], code: 'UNKNOWN_NAME', expected };
  expect(predict.problem).toEqual({ code: 'INVALID_INPUT', problems: [problem] });
});

test.each([
  ['documents', { query: 'x', documents: Array(257).fill('y') }, 'TOO_LARGE', 'a list of 1 to 256 elements'],
  ['documents', { query: 'x', documents: [] }, 'EMPTY', 'a list of 1 to 256 elements'],
  [
    'documents',
    { query: 'x', documents: Array(11).fill('y'.repeat(99_999)) },
    'TOO_LARGE',
    'at most 1000000 characters in all',
  ],
  ['query', { query: ' ', documents: ['y'] }, 'EMPTY', 'a non-empty text'],
  ['prompt', { query: 'x', documents: ['y'], prompt: 'z' }, 'UNKNOWN_NAME', 'one of other, query'],
])('a ranking with wrong %s is refused', async (key, ranking, code, expected) => {
  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { problem { code ... on InvalidInput { problems { path code expected } } } } }',
    { input: { model: 'ranking-prompt', input: { ranking }, record: false } },
  );

  expect(predict.problem.problems).toEqual([{ path: ['input', 'input', 'ranking', key], code, expected }]);
});

test('a ranking returns as many documents as are asked for, best first, and is kept complete', async () => {
  const documents = ['the movie was good', 'bad plot', 'paris'];
  const input = { model: 'ranking', input: { ranking: { query: 'the movie', documents } } };
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id
    output { ... on Ranking { items { index text score } best: items(first: 1) { index } } } } } }`;

  const { prediction } = (await app.query(query, { input })).predict;
  const stored = await app.query(
    'query ($id: ID!) { prediction(id: $id) { output { ... on Ranking { items { index text score } best: items(first: 1) { index } } } } }',
    { id: prediction.id },
  );

  expect(prediction.output.items.map(({ index, text }: Data) => documents[index] === text)).toEqual([true, true, true]);
  expect(prediction.output.best).toEqual([{ index: prediction.output.items[0].index }]);
  expect(stored.prediction.output).toEqual(prediction.output);
});

test('the length of a cross-encoder is the smallest that its files give', async () => {
  const store = await createStore();
  await store.write('ranker', {
    'config_sentence_transformers.json': JSON.stringify({ model_type: 'CrossEncoder' }),
    'sentence_bert_config.json': JSON.stringify({ max_seq_length: 16 }),
    'tokenizer_config.json': JSON.stringify({ model_max_length: 24 }),
  });

  expect(maxTokensOf(await readHuggingFaceFiles([path.join(store.folder, 'ranker')]))).toBe(16);
  await store.remove();
});

test('a prompt counts in the cost of a prediction', async () => {
  const costOf = async (prompt: string) => {
    const inputs = Array(100).fill({ promptedText: { text: 'bad', prompt } });
    const input = { model: 'prompts-default', inputs, record: false };
    return (await app.send(PREDICT_MANY, { input })).extensions?.['cost'].requested;
  };

  expect(await costOf('passage')).toBeGreaterThan(await costOf('document'));
});

function expectNear({ prediction, problem }: Data, expected: Data, tolerance: number): void {
  expect(problem).toBeNull();
  const near = (number: number) => expect.closeTo(number, -Math.log10(2 * tolerance));
  const { output } = prediction;
  if (expected.scores) {
    expect(output.label).toBe(expected.label);
    const classes = Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]));
    expect(classes).toEqual(
      Object.fromEntries(Object.entries(expected.scores).map(([label, score]) => [label, near(score as number)])),
    );
  } else if (expected.tokens) {
    const spans = output[expected.aggregation ?? 'SIMPLE'];
    expect(spans).toEqual(expected.tokens.map((token: Data) => ({ ...token, score: near(token.score) })));
  } else if (expected.fillings) {
    expect(output.fillings).toEqual(expected.fillings.map((one: Data) => ({ ...one, score: near(one.score) })));
  } else if (expected.ranking) expectRanking(output.ranked, expected.ranking, near);
  else if (expected.vector) expect(output.vector).toEqual(expected.vector.map(near));
  else expect(output.similarities).toEqual(expected.similarities.map(near));
}

function expectRanking(ranked: readonly Data[], scores: readonly number[], near: (x: number) => unknown): void {
  const byDocument = ranked.toSorted((a, b) => a.index - b.index);
  expect(byDocument.map(({ score }) => score)).toEqual(scores.map(near));
  expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).toSorted((a, b) => b - a));
}
