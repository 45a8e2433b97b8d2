/**
 * Folders written by transformers and optimum are imported as they are and give the answers of the pipelines of
 * transformers, which `goldens/make-hugging-face.py` computed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { AGGREGATIONS } from '#src/tasks/answer.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';

const STORE = path.resolve('test/importing/goldens/hugging-face');
const NAMES = readdirSync(STORE);
const NOT_NAMED = ['O'];

const SPANS = AGGREGATIONS.map((how) => `${how}: items(aggregation: ${how}) { label score word start end }`).join(' ');
const PREDICTION = `prediction { output {
    ... on Classification { label classes(first: 100) { label score } }
    ... on Embedding { vector }
    ... on Similarities { similarities: scores }
    ... on Detections { boxes: items { label score box { xmin ymin xmax ymax } } }
    ... on Tokens { ${SPANS} }
    ... on Answer { answer: text start end sureness: score }
    ... on Fillings { fillings: items(first: 8) { token text score sequence } } }
  timing { batchSize } runtime { artifactSha256 variant } }
  problem { code message }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${PREDICTION} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { ${PREDICTION} } problem { message } } }`;

interface Case {
  readonly input: Record<string, Data>;
  readonly expect: Record<string, Data>;
}
interface Goldens {
  readonly tolerance: number;
  readonly cases: readonly Case[];
}

const textOf = (name: string, file: string) => readFileSync(path.join(STORE, name, file), 'utf8');
const goldensOf = (name: string): Goldens => JSON.parse(textOf(name, 'golden.json'));

let app: TestApp;
let versions: Record<string, Data>;
beforeAll(async () => {
  app = await startTestApp({ modelStore: STORE });
  const { models } =
    await app.query(`{ models(first: 100) { nodes { name task license versions { nodes { state stateReason
    artifact { sha256 } variants { name sha256 reason maxBatch } signature { labels multiLabel maxTokens maskToken example }
    serving { maxBatch maxBatchReason } } } } } }`);
  const entries = models.nodes.map(({ versions, ...model }: Data) => [model.name, { ...model, ...versions.nodes[0] }]);
  versions = Object.fromEntries(entries);
});
afterAll(() => app.stop());

test('every folder is READY as it is', () => {
  const reasons = Object.fromEntries(NAMES.map((name) => [name, versions[name]?.stateReason]));

  expect(reasons).toEqual(Object.fromEntries(NAMES.map((name) => [name, null])));
  for (const name of NAMES) expect([name, versions[name].state]).toEqual([name, 'READY']);
});

test('every version batches inputs, also image models that keep the aspect ratio', () => {
  const alone = NAMES.filter((name) => versions[name].serving.maxBatch === 1);

  expect(alone.map((name) => [name, versions[name].serving.maxBatchReason])).toEqual([]);
});

describe.each(NAMES)('%s', (name) => {
  test('has the task, license and example of its card, and the labels and limits of its configuration', () => {
    const { task, license, signature } = versions[name];
    const card = textOf(name, 'README.md');
    const config = JSON.parse(textOf(name, 'config.json'));

    expect(license).toBe('mit');
    expect(task).toBe(/pipeline_tag: (.*)/.exec(card)?.[1]?.toUpperCase().replaceAll('-', '_'));
    expect(signature.multiLabel).toBe(config.problem_type === 'multi_label_classification');
    const isLabelled = /CLASSIFICATION|DETECTION/.test(task);
    if (isLabelled) expect(signature.labels).toEqual(Object.values(config.id2label));
    if (config.vocab_size) expect(signature.maxTokens).toBe(limitOf(name));
    for (const word of wordsOf(signature.example)) expect(card).toContain(JSON.stringify(word).slice(1, -1));
  });

  test('answers each golden input alone as transformers did', async () => {
    const { cases, tolerance } = goldensOf(name);

    for (const one of cases) {
      const { predict } = await app.query(PREDICT, { input: { model: name, input: one.input, record: false } });

      expectAnswer(predict, one, tolerance);
    }
  });

  test('answers all golden inputs in one request as transformers did', async () => {
    const { cases, tolerance } = goldensOf(name);
    const inputs = cases.map(({ input }) => input);

    const { predictMany } = await app.query(PREDICT_MANY, { input: { model: name, inputs, record: false } });

    expect(predictMany.problem).toBeNull();
    for (const [i, one] of cases.entries()) expectAnswer(predictMany.results[i], one, tolerance);
    expect(Math.max(...predictMany.results.map((r: Data) => r.prediction.timing.batchSize))).toBeGreaterThan(1);
  });

  test('predicts from its own example', async () => {
    const input = { model: name, input: versions[name].signature.example, record: false };

    const { predict } = await app.query(PREDICT, { input });

    expect(predict).toMatchObject({ problem: null, prediction: { output: expect.anything() } });
  });
});

test('Prediction.truncated is true for a text that is cut off, and false for one that is read in windows', async () => {
  const long = goldensOf('bert-sentiment').cases.at(-1)?.input['text'];
  const truncated = async (model: string, input: Data) => {
    const query = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { truncated } } }';
    return (await app.query(query, { input: { model, input } })).predict.prediction.truncated;
  };

  expect(await truncated('bert-sentiment', { text: long })).toBe(true);
  expect(await truncated('bert-sentiment', { text: 'x' })).toBe(false);
  expect(await truncated('bert-answers', { question: { question: 'Who?', context: long } })).toBe(false);
  expect(await truncated('bert-entities', { text: long })).toBe(false);
});

test('the file format of sentence-transformers 6 is read', async () => {
  const store = await createStore();
  const files = readdirSync(path.join(STORE, 'bert-sentences'), { recursive: true, withFileTypes: true });
  for (const file of files.filter((one) => one.isFile())) {
    const from = path.join(file.parentPath, file.name);
    const name = path.relative(path.join(STORE, 'bert-sentences'), from);
    await store.write('newer', { [name]: readFileSync(from) });
  }
  const modules = ['base.modules.transformer.Transformer', 'sentence_transformer.modules.pooling.Pooling'];
  const types = [...modules, 'base.modules.normalize.Normalize'].map((type) => `sentence_transformers.${type}`);
  await store.write('newer', {
    'modules.json': JSON.stringify(types.map((type, idx) => ({ idx, type }))),
    '1_Pooling/config.json': JSON.stringify({ embedding_dimension: 16, pooling_mode: 'mean', include_prompt: true }),
  });
  const other = await startTestApp({ modelStore: store.folder });

  const { version } = await other.query('{ version(ref: "newer") { state stateReason } }');

  expect(version).toEqual({ state: 'READY', stateReason: null });
  await other.stop();
  await store.remove();
});

describe('a quantized variant next to model.onnx', () => {
  const predict = async (variant?: string) => {
    const input = { model: 'bert-sentiment', input: { text: 'The movie was great!' }, variant, record: false };
    return (await app.query(PREDICT, { input })).predict;
  };

  test('is listed, and answers if it is requested by name', async () => {
    const { artifact, variants } = versions['bert-sentiment'];
    expect(variants).toMatchObject([{ name: 'quantized', reason: null }]);
    const [{ sha256 }] = variants;
    expect(sha256).not.toBe(artifact.sha256);

    const [plain, quantized] = [await predict(), await predict('quantized')];

    expect(plain.prediction.runtime).toEqual({ artifactSha256: artifact.sha256, variant: null });
    expect(quantized.prediction.runtime).toEqual({ artifactSha256: sha256, variant: 'quantized' });
    expect(quantized.prediction.output.label).toBe(plain.prediction.output.label);
    expect(scoresOf(quantized)).not.toEqual(scoresOf(plain));
  });

  test('an unknown variant is NOT_FOUND', async () => {
    const { prediction, problem } = await predict('q4f16');

    expect(prediction).toBeNull();
    expect(problem).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('q4f16') });
  });
});

function scoresOf({ prediction }: Data): number[] {
  return prediction.output.classes.map(({ score }: Data) => score);
}

/** The limit of sentence-transformers takes precedence over that of the tokenizer. */
function limitOf(name: string): number {
  const file = path.join(STORE, name, 'sentence_bert_config.json');
  const tokenizerLimit = JSON.parse(textOf(name, 'tokenizer_config.json')).model_max_length;
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).max_seq_length : tokenizerLimit;
}

/** All strings of an example, except images, which are not in the card. */
function wordsOf({ image: _, ...example }: Data): string[] {
  const texts = (value: Data): string[] =>
    typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap(texts);
  return texts(example);
}

function expectAnswer({ prediction, problem }: Data, { input, expect: expected }: Case, tolerance: number): void {
  expect(problem).toBeNull();
  const { output } = prediction;
  const near = (number: number) => expect.closeTo(number, -Math.log10(2 * tolerance));
  const scored = ({ score, ...rest }: Data) => ({ ...rest, score: near(score) });
  if (expected['scores']) {
    expect(output.label).toBe(expected['label']);
    const classes = Object.fromEntries(output.classes.map(({ label, score }: Data) => [label, score]));
    expect(classes).toEqual(
      Object.fromEntries(Object.entries(expected['scores']).map(([k, x]) => [k, near(x as number)])),
    );
  } else if (expected['vector']) expectNear(output.vector, expected['vector'], tolerance);
  else if (expected['similarities']) expectNear(output.similarities, expected['similarities'], tolerance);
  else if (expected['boxes']) expectBoxes(output.boxes, expected['boxes'], near);
  else if (expected['tokens']) {
    expect(output[expected['aggregation']]).toEqual(expected['tokens'].map(scored));
    for (const { label, word, start, end } of output[expected['aggregation']]) {
      expect(word).toBe(input['text'].slice(start, end));
      expect(NOT_NAMED).not.toContain(label);
    }
  } else if (expected['fillings']) expect(output.fillings).toMatchObject(expected['fillings'].map(scored));
  else if (expected['answer']) {
    const { text, start, end, score } = expected['answer'];
    expect(output).toEqual({ answer: text, start, end, sureness: near(score) });
    expect(input['question'].context.slice(start, end)).toBe(text);
  } else expect(output).toMatchObject({ answer: null, start: null, end: null });
}

function expectNear(found: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(found).toHaveLength(expected.length);
  const furthest = Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number)) / Math.max(1, Math.abs(x))));
  expect(furthest).toBeLessThanOrEqual(tolerance);
}

function expectBoxes(found: readonly Data[], expected: readonly Data[], near: (x: number) => unknown): void {
  expect(found.map(({ label, score }) => ({ label, score }))).toEqual(
    expected.map(({ label, score }) => ({ label, score: near(score) })),
  );
  for (const [i, { box }] of expected.entries()) {
    for (const edge of ['xmin', 'ymin', 'xmax', 'ymax'])
      expect(Math.abs(found[i].box[edge] - box[edge])).toBeLessThanOrEqual(1);
  }
}
