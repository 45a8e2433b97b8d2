/** Golden cases through GraphQL: alone and in a batch, each model gives the answers of its source framework. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';

const MODELS = [
  'breast-cancer-forest',
  'fashion-cnn',
  'fashion-mlp',
  'penguin-mass',
  'penguins',
  'spam-embeddings',
  'spam-filter',
];

const PREDICTION = `prediction { output {
  ... on Classification { label classes(first: 100) { label score } } ... on Regression { value } } timing { batchSize } }
  problem { code message }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${PREDICTION} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { ${PREDICTION} } problem { message } } }`;

interface Case {
  input: Record<string, unknown>;
  expect: { label?: string; scores?: Record<string, number>; value?: number; boxes?: Data[] };
}

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

describe.each(MODELS)('%s', (model) => {
  let cases: Case[];
  beforeAll(async () => {
    cases = await goldenOf(model);
  });

  test('has at least 50 golden cases, of every class', async () => {
    const { version } = await app.query(`{ version(ref: "${model}") { signature { labels } } }`);

    expect(cases.length).toBeGreaterThanOrEqual(50);
    const labels = cases.flatMap(({ expect }) => expect.label ?? []);
    expect(new Set(labels)).toEqual(new Set(version.signature.labels));
  });

  test('has a verification by all its golden cases', async () => {
    const { version } = await app.query(
      `{ version(ref: "${model}") { verification { cases tolerance maxDifference } } }`,
    );
    const { tolerance, maxDifference } = version.verification;

    expect(version.verification.cases).toBe(cases.length);
    expect(maxDifference).toBeGreaterThanOrEqual(0);
    expect(maxDifference).toBeLessThanOrEqual(tolerance);
  });

  test('answers each golden input alone as its source framework did', async () => {
    for (const { input, expect: expected } of cases) {
      const { predict } = await app.query(PREDICT, { input: { model, input, record: false } });

      expectAnswer(predict, expected);
    }
  });

  test('answers all golden inputs in one request as its source framework did', async () => {
    const inputs = cases.map(({ input }) => input);
    const { predictMany } = await app.query(PREDICT_MANY, { input: { model, inputs, record: false } });

    expect(predictMany.problem).toBeNull();
    for (const [i, { expect: expected }] of cases.entries()) expectAnswer(predictMany.results[i], expected);
    expect(Math.max(...predictMany.results.map((r: Data) => r.prediction.timing.batchSize))).toBeGreaterThan(1);
  });
});

/** golden.json is in the version's folder or in the model's. */
/** Of the only version. */
async function goldenOf(model: string): Promise<Case[]> {
  const folder = path.join(STORE, model);
  const version = (await readdir(folder)).find((name) => /^\d+$/.test(name));
  return JSON.parse(await readFile(path.join(folder, version as string, 'golden.json'), 'utf8')).cases;
}

test('face-detector finds the boxes of face-api in each golden image, alone and in a batch', async () => {
  const cases = await goldenOf('face-detector');
  const inputs = cases.map(({ input }) => input);
  const model = 'face-detector';

  const { predictMany } = await app.query(DETECT_MANY, { input: { model, inputs, record: false, deadlineMs: 60_000 } });
  const alone = [];
  for (const input of inputs) {
    const { predictMany: one } = await app.query(DETECT_MANY, { input: { model, inputs: [input], record: false } });
    alone.push(one.results[0]);
  }

  for (const [i, { expect: expected }] of cases.entries()) {
    expectBoxes(predictMany.results[i], expected.boxes ?? []);
    expectBoxes(alone[i], expected.boxes ?? []);
  }
});

const DETECT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results {
  prediction { output { ... on Detections { items { label score box { xmin ymin xmax ymax } } } } } problem { message } } } }`;

function expectBoxes({ prediction, problem }: Data, expected: readonly Data[]): void {
  expect(problem).toBeNull();
  const { items } = prediction.output;
  expect(items).toHaveLength(expected.length);
  for (const [i, { label, score, box }] of expected.entries()) {
    expect(items[i].label).toBe(label);
    expect(Math.abs(items[i].score - score)).toBeLessThanOrEqual(1e-4);
    for (const edge of ['xmin', 'ymin', 'xmax', 'ymax'])
      expect(Math.abs(items[i].box[edge] - box[edge])).toBeLessThanOrEqual(1);
  }
}

function expectAnswer({ prediction, problem }: Data, expected: Case['expect']): void {
  expect(problem).toBeNull();
  const { label, classes, value } = prediction.output;
  expect(label).toBe(expected.label);
  if (expected.value !== undefined) expect(Math.abs(value / expected.value - 1)).toBeLessThanOrEqual(1e-5);
  const scores = Object.fromEntries((classes ?? []).map((c: Data) => [c.label, c.score]));
  expect(Object.keys(scores).sort()).toEqual(Object.keys(expected.scores ?? {}).sort());
  for (const [name, score] of Object.entries(expected.scores ?? {}))
    expect(Math.abs(scores[name] - score)).toBeLessThanOrEqual(1e-5);
}
