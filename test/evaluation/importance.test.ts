/** How much metrics depend on the columns of rows, over real HTTP: beside scikit-learn, and beside shuffles by hand. */
import { createHash } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { checkImportance } from '#src/evaluation/importance.js';
import type { Plan } from '#src/evaluation/plan.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import type { TestStore } from '../support/model-store.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';
import { type ToldRow, toldModels, toldRows, VERSIONS } from './told-models.js';

const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code message expected received } } }';
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } ${PROBLEM} } }`;
const CANCEL = `mutation ($input: CancelEvaluationInput!) { cancelEvaluation(input: $input) { evaluation { jobState } } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState finishedAt progress { percent } problem { message }
  metrics { name label value } importance { repeats featureCount metric { name average value higherIsBetter }
    features { feature mean standardDeviation permuted undefinedReason } }
  plot(kind: IMPORTANCE) { url altText } } } }`;
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } ${PROBLEM} } }`;
const DIGESTS = `query ($ref: VersionRef!, $dataset: String!) { version(ref: $ref) { artifact { sha256 } } dataset(name: $dataset) { rowsSha256 } }`;
const PREDICT = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { columns { values } } }`;

const GOLDEN: Data = JSON.parse(await readFile(new URL('importance.json', import.meta.url), 'utf8'));

let store: TestStore;
let app: TestApp;
let admin: PublishingClient;
let evaluator: PublishingClient;
let other: PublishingClient;
beforeAll(async () => {
  store = await toldModels();
  for (const name of [
    'penguins',
    'penguin-mass',
    'datasets/penguins-test',
    'datasets/penguin-mass-test',
    'spam-filter',
  ])
    await cp(path.join(STORE, name), path.join(store.folder, name), { recursive: true });
  app = await startTestApp({ modelStore: store.folder });
  admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  evaluator = await admin.withKey('quality', ['EVALUATOR']);
  other = await admin.withKey('others', ['EVALUATOR']);
  await register('numbers', 'TABULAR_REGRESSION', NUMBERS);
  await register('long', 'TABULAR_REGRESSION', LONG);
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

/** Version 1 is wrong by 0 to 0.4. */
const NUMBERS = Array.from({ length: 60 }, (_, i): ToldRow => [10 + (i % 7), 10 + (i % 7) + (i % 5) / 10, i]);
const LONG = Array.from({ length: 340 }, (_, i): ToldRow => [i, i + 0.5]);

async function register(name: string, task: string, rows: readonly ToldRow[]): Promise<void> {
  const data = { format: 'JSON_LINES', content: toldRows(rows) };
  const input = { name, task, target: 'truth', visibility: 'PUBLIC', data };
  expect((await evaluator.send(REGISTER, { input })).registerDataset.problem).toBeNull();
}

async function evaluate(
  version: string,
  dataset: string,
  importance: object | null,
  client = evaluator,
): Promise<Data> {
  return (await client.send(EVALUATE, { input: { version, dataset, importance } })).evaluate;
}

async function read(id: string): Promise<Data> {
  return (await evaluator.send(READ, { id })).node;
}

async function ended(id: string): Promise<Data> {
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = await read(id);
    return ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(found.jobState);
  });
  return found;
}

async function evaluated(version: string, dataset: string, importance: object | null): Promise<Data> {
  const { evaluation, problem } = await evaluate(version, dataset, importance);
  expect(problem).toBeNull();
  return ended(evaluation.id);
}

const REPEATS = 10;

test.each([
  ['penguins', 'accuracy', true],
  ['penguin-mass', 'mae', false],
])('the importances of %s are those that scikit-learn finds', async (name, metric, higherIsBetter) => {
  const { jobState, importance, metrics } = await evaluated(name, `${name}-test`, { repeats: REPEATS });
  const golden: [string, { mean: number; standardDeviation: number }][] = Object.entries(GOLDEN[name]);

  expect(jobState).toBe('SUCCEEDED');
  expect(importance).toMatchObject({ repeats: REPEATS, featureCount: 6, metric: { name: metric, higherIsBetter } });
  expect(importance.metric.value).toBe(metrics.find((one: Data) => one.name === metric).value);
  const means = importance.features.map(({ mean }: Data) => mean);
  expect(means).toEqual(means.toSorted((a: number, b: number) => b - a));
  for (const [feature, { mean, standardDeviation }] of golden) {
    const found = importance.features.find((one: Data) => one.feature === feature);
    // Of other shuffles: within four and a half standard errors.
    expect(Math.abs(found.mean - mean)).toBeLessThan((4.5 * standardDeviation) / Math.sqrt(REPEATS));
    expect(found.standardDeviation / standardDeviation).toBeGreaterThan(0.3);
    expect(found.standardDeviation / standardDeviation).toBeLessThan(1.8);
  }
});

test('an importance is the loss that shuffling by hand causes, and 0 of columns that no answer depends on', async () => {
  const { importance, metrics, plot } = await evaluated('told-number:1', 'numbers', {
    metric: { name: 'mae' },
    repeats: 3,
  });
  const { version, dataset } = await evaluator.send(DIGESTS, { ref: 'told-number:1', dataset: 'numbers' });
  const digests = `${version.artifact.sha256} ${dataset.rowsSha256}`;
  const seed = createHash('sha256').update(digests).digest('hex');
  const rows: Data[] = toldRows(NUMBERS)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const errorOf = async (order: Uint32Array) => {
    const shuffled = { v1: Array.from(order, (from) => rows[from].v1) };
    const columns = { ...Object.fromEntries(NAMES.map((name) => [name, rows.map((row) => row[name])])), ...shuffled };
    const { predictMany } = await admin.send(PREDICT, {
      input: { model: 'told-number:1', rows: { columns }, record: false },
    });
    const answers: number[] = predictMany.columns.values;
    return rows.reduce((sum, { truth }, i) => sum + Math.abs(truth - (answers[i] as number)), 0) / rows.length;
  };
  const orders = [1, 2, 3].map((repeat) =>
    Xoshiro128.seeded(`${seed} importance ${repeat} v1`).permutation(rows.length),
  );
  // Answers as JSON have the digits of 32 bits.
  const permuted = await Promise.all(orders.map(errorOf));
  const baseline = metrics.find(({ name }: Data) => name === 'mae').value;
  const losses = permuted.map((error) => error - baseline);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / 3;

  const [first, ...dummies] = importance.features;
  expect(first.feature).toBe('v1');
  for (const [i, error] of permuted.entries()) expect(first.permuted[i]).toBeCloseTo(error, 6);
  expect(first.mean).toBeCloseTo(mean, 6);
  expect(first.mean).toBeGreaterThan(1);
  expect(first.standardDeviation).toBeCloseTo(
    Math.sqrt(losses.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 3),
    6,
  );
  expect(dummies).toEqual(
    ['v2', 'v3', 'v4', 'v5'].map((feature) => ({
      feature,
      mean: 0,
      standardDeviation: 0,
      permuted: [baseline, baseline, baseline],
      undefinedReason: null,
    })),
  );
  expect(plot.altText).toMatch(
    /^Permutation importance: loss of Mean absolute error \(0\.2\) .* mean and deviation of 3: "v1" \d\.\d+ ± 0\.\d+; "v2" 0 ± 0; /,
  );
  const svg = await fetch(`${app.url}${plot.url}`);
  expect([svg.status, await svg.text()]).toEqual([200, expect.stringContaining('Permutation importance')]);
});

const NAMES = Array.from({ length: VERSIONS }, (_, i) => `v${i + 1}`);

test('the same importance is not computed again, and more repeats begin with the same shuffles', async () => {
  const three = await evaluate('told-number:1', 'numbers', { metric: { name: 'mae' }, repeats: 3 });
  const usual = await evaluate('told-number:1', 'numbers', { repeats: 3 }, other);
  const four = await evaluated('told-number:1', 'numbers', { repeats: 4 });
  const first = (await ended(three.evaluation.id)).importance.features[0];

  expect(usual.evaluation.id).toBe(three.evaluation.id);
  expect(four.importance.features[0].permuted.slice(0, 3)).toEqual(first.permuted);
});

test('there is a reason where a metric is undefined', async () => {
  const { jobState, importance, plot } = await evaluated('told-number:1', 'long', { metric: { name: 'mape' } });

  expect({ jobState, plot }).toEqual({ jobState: 'SUCCEEDED', plot: null });
  expect(importance).toMatchObject({ repeats: 5, metric: { name: 'mape', value: null } });
  expect(importance.features.map(({ feature }: Data) => feature)).toEqual(NAMES);
  for (const { feature: _, undefinedReason, ...numbers } of importance.features) {
    expect(numbers).toEqual({ mean: null, standardDeviation: null, permuted: null });
    expect(undefinedReason).toMatch(/\w/);
  }
});

test('other accounts have their turn between two columns, and a cancelled importance leaves nothing', async () => {
  const { evaluation: long } = await evaluate('told-number:1', 'long', { repeats: 30 });
  const { evaluation: short } = await evaluate('told-number:3', 'numbers', null, other);
  const { jobState, importance, plot } = await ended(short.id);
  const { progress, ...meanwhile } = await read(long.id);

  expect({ jobState, importance, plot }).toEqual({ jobState: 'SUCCEEDED', importance: null, plot: null });
  expect(meanwhile.jobState).toBe('RUNNING');
  expect(meanwhile).toMatchObject({ importance: null, plot: null, metrics: [] });
  // The rows as they are, and one of the columns or more.
  expect(progress.percent).toBeGreaterThanOrEqual((100 * 31) / 151);
  expect(progress.percent).toBeLessThan(100);
  const cancelled = (await evaluator.send(CANCEL, { input: { evaluation: long.id } })).cancelEvaluation.evaluation;
  expect(cancelled.jobState).toBe('CANCELLED');
  expect(await read(long.id)).toMatchObject({ jobState: 'CANCELLED', importance: null, plot: null, metrics: [] });
});

test('what has no importance is refused', async () => {
  const refused = async (importance: object, version = 'told-number:1', dataset = 'numbers') => {
    const { evaluation, problem } = await evaluate(version, dataset, importance);
    expect(evaluation).toBeNull();
    return problem.problems;
  };
  const path = ['input', 'importance'];
  const texts = { name: 'texts', task: 'TEXT_CLASSIFICATION', target: 'label' };
  const content = '{"text":"buy now","label":"spam"}\n{"text":"hello","label":"ham"}\n';
  await evaluator.send(REGISTER, { input: { ...texts, data: { format: 'JSON_LINES', content } } });

  expect(await refused({}, 'spam-filter', 'texts')).toMatchObject([
    { path, code: 'WRONG_KIND', expected: 'a version that reads rows', received: 'TEXT' },
  ]);
  for (const repeats of [0, -1, 31])
    expect(await refused({ repeats })).toMatchObject([
      { path: [...path, 'repeats'], code: 'OUT_OF_RANGE', expected: '1 to 30', received: `${repeats}` },
    ]);
  expect(await refused({ metric: { name: 'accuracy' } })).toMatchObject([
    { path: [...path, 'metric'], code: 'UNKNOWN_NAME', expected: expect.stringContaining('mae'), received: 'accuracy' },
  ]);
  const plan = { answers: 'regression', labels: [], columns: ['a', 'b'] } as unknown as Plan;
  const spec = { task: 'TABULAR_REGRESSION' } as Parameters<typeof checkImportance>[1];
  const check = (rows: number, repeats: number, of = plan, rowBytes = 0) =>
    checkImportance({ repeats }, spec, { plan: of, rows, rowBytes });
  expect(check(1_000_000, 5)).toMatchObject({ name: 'mae', repeats: 5, columns: 2 });
  const several = { ...plan, answers: 'values', labels: ['x', 'y'] } as Plan;
  expect(check(10, 5, several)).toMatchObject({ name: 'mae', average: 'targets', label: null, higherIsBetter: false });
  expect(() => check(1_000_000, 6)).toThrow('1000000 rows of 2 columns are too many for so many repeats');
  expect(() => check(10, 5, plan, 2 ** 29)).toThrow('its rows are too large for an importance');
});
