/** Every golden input, through GraphQL, alone and in a batch, answers what its source framework answered. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';

const MODELS = ['breast-cancer-forest', 'fashion-mlp', 'penguin-mass', 'penguins', 'spam-filter'];

const PREDICTION = `prediction { output {
  ... on Classification { label classes(first: 100) { label score } } ... on Regression { value } } timing { batchSize } }
  problem { code message }`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${PREDICTION} } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { ${PREDICTION} } problem { message } } }`;

interface Case {
  input: Record<string, unknown>;
  expect: { label?: string; scores?: Record<string, number>; value?: number };
}

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

describe.each(MODELS)('%s', (model) => {
  let cases: Case[];
  beforeAll(async () => {
    const golden = JSON.parse(await readFile(path.join(STORE, model, '1/golden.json'), 'utf8'));
    cases = golden.cases;
  });

  test('has at least 50 golden cases, of every class', async () => {
    const { version } = await app.query(`{ version(ref: "${model}") { signature { labels } } }`);

    expect(cases.length).toBeGreaterThanOrEqual(50);
    const labels = cases.flatMap(({ expect }) => expect.label ?? []);
    expect(new Set(labels)).toEqual(new Set(version.signature.labels));
  });

  test('answers each golden input alone as its source framework did', async () => {
    for (const { input, expect: wanted } of cases) {
      const { predict } = await app.query(PREDICT, { input: { model, input, record: false } });

      expectAnswer(predict, wanted);
    }
  });

  test('answers all golden inputs at once as its source framework did', async () => {
    const inputs = cases.map(({ input }) => input);
    const { predictMany } = await app.query(PREDICT_MANY, { input: { model, inputs, record: false } });

    expect(predictMany.problem).toBeNull();
    for (const [i, { expect: wanted }] of cases.entries()) expectAnswer(predictMany.results[i], wanted);
    expect(Math.max(...predictMany.results.map((r: Data) => r.prediction.timing.batchSize))).toBeGreaterThan(1);
  });
});

function expectAnswer({ prediction, problem }: Data, wanted: Case['expect']): void {
  expect(problem).toBeNull();
  const { label, classes, value } = prediction.output;
  expect(label).toBe(wanted.label);
  if (wanted.value !== undefined) expect(Math.abs(value / wanted.value - 1)).toBeLessThanOrEqual(1e-5);
  const scores = Object.fromEntries((classes ?? []).map((c: Data) => [c.label, c.score]));
  expect(Object.keys(scores).sort()).toEqual(Object.keys(wanted.scores ?? {}).sort());
  for (const [name, score] of Object.entries(wanted.scores ?? {}))
    expect(Math.abs(scores[name] - score)).toBeLessThanOrEqual(1e-5);
}
