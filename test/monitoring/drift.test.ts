/** Recent predictions are compared with the answers of an evaluation and with its rows. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { DriftSample, type Watched } from '#src/monitoring/drift-sample.js';
import { measureDrift } from '#src/monitoring/measure-drift.js';
import { Xoshiro128 } from '#src/statistics/random.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';

const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id } problem { message } } }`;
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } problem { message } } }`;
const STATE = 'query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState } } }';
const PREDICT = `mutation ($input: PredictManyInput!) { predictMany(input: $input) { columns { labels } problem { message } } }`;
const TEST = 'statistic pValue adjustedPValue';
const DRIFT = `query ($ref: VersionRef! = "penguins") { version(ref: $ref) { live { predictions drift { evaluation { id } referenceRows recentPredictions
  undefinedReason measures { subject name referenceCount recentCount stabilityIndex kolmogorovSmirnov { ${TEST} } chiSquare { ${TEST} } verdict undefinedReason } } } } }`;

let app: TestApp;
let admin: PublishingClient;
let evaluator: PublishingClient;
beforeAll(async () => {
  app = await startTestApp();
  admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  evaluator = await admin.withKey('quality', ['EVALUATOR', 'PREDICTOR']);
});
afterAll(() => app.stop());

type Row = Record<string, unknown>;

async function rowsOf(dataset: string): Promise<Row[]> {
  const lines = gunzipSync(await readFile(`model-store/datasets/${dataset}/data.jsonl.gz`)).toString();
  return lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function predict(client: PublishingClient, rows: readonly Row[]): Promise<void> {
  const names = ['beak_length', 'beak_depth', 'flipper_length', 'body_mass', 'island', 'sex'];
  const columns = Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? null)]));
  const { problem } = (await client.send(PREDICT, { input: { model: 'penguins', rows: { columns } } })).predictMany;
  expect(problem).toBeNull();
}

async function evaluated(version: string, dataset: string): Promise<string> {
  const { evaluation } = (await evaluator.send(EVALUATE, { input: { version, dataset } })).evaluate;
  await until('the evaluation has ended', async () => {
    return (await evaluator.send(STATE, { id: evaluation.id })).node.jobState === 'SUCCEEDED';
  });
  return evaluation.id;
}

async function register(name: string, rows: readonly Row[]): Promise<Data> {
  const content = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const data = { format: 'JSON_LINES', content };
  const input = { name, task: 'TABULAR_CLASSIFICATION', target: 'species', data };
  return (await evaluator.send(REGISTER, { input })).registerDataset.dataset;
}

/** Registers the rows as the dataset "birds", on which the version was trained. */
async function registerTraining(version: string, rows: readonly Row[]): Promise<void> {
  const dataset = await register('birds', rows);
  const { id } = (await admin.send('query ($ref: VersionRef!) { version(ref: $ref) { id } }', { ref: version }))
    .version;
  const row = { version_id: id, dataset_id: dataset.id };
  await app.app.databases.catalogDb.insertInto('version_dataset').values(row).execute();
}

const driftOf = async (client: PublishingClient, ref?: string): Promise<Data> =>
  (await client.send(DRIFT, { ref })).version.live.drift;
const named = ({ measures }: Data, wanted: string | null) => measures.find(({ name }: Data) => name === wanted);

test('drift is measured against the newest evaluation that is not on training data, for the own account', async () => {
  const rows = await rowsOf('penguins-test');
  const [steady, shifted, few] = (await Promise.all(
    ['steady', 'shifted', 'few'].map((account) => admin.withKey(account, ['PREDICTOR'])),
  )) as [PublishingClient, PublishingClient, PublishingClient];
  await predict(steady, rows);
  await predict(
    shifted,
    rows.map((row) => ({ ...row, flipper_length: Number(row['flipper_length'] ?? 200) + 40, island: 'dream' })),
  );
  await predict(few, rows.slice(0, 99));
  expect(await driftOf(evaluator)).toMatchObject({
    evaluation: null,
    measures: [],
    undefinedReason: expect.any(String),
  });
  const id = await evaluated('penguins', 'penguins-test');
  await registerTraining('penguins', rows.slice(4));
  await evaluated('penguins', 'birds');

  const [same, moved, small, all] = [
    await driftOf(steady),
    await driftOf(shifted),
    await driftOf(few),
    await driftOf(admin),
  ];

  expect(same).toMatchObject({ evaluation: { id }, referenceRows: 104, recentPredictions: 104, undefinedReason: null });
  expect(same.measures.map(({ subject }: Data) => subject)).toEqual([
    'ANSWER',
    ...Array(3).fill('SCORE'),
    ...Array(6).fill('INPUT'),
  ]);
  for (const { stabilityIndex, verdict } of same.measures.filter(({ stabilityIndex }: Data) => stabilityIndex !== null))
    expect([stabilityIndex, verdict]).toEqual([0, 'NO_DRIFT_SHOWN']);
  expect(named(same, 'island').chiSquare).toMatchObject({ statistic: 0, pValue: 1 });
  expect(named(moved, 'flipper_length')).toMatchObject({ subject: 'INPUT', chiSquare: null, verdict: 'DRIFT' });
  expect(named(moved, 'flipper_length').kolmogorovSmirnov.adjustedPValue).toBeLessThan(1e-6);
  expect(named(moved, 'island')).toMatchObject({ kolmogorovSmirnov: null, verdict: 'DRIFT' });
  expect(named(moved, 'body_mass')).toMatchObject({ verdict: 'NO_DRIFT_SHOWN' });
  for (const measure of small.measures)
    expect(measure).toMatchObject({
      recentCount: expect.any(Number),
      stabilityIndex: null,
      verdict: null,
      undefinedReason: expect.any(String),
    });
  expect(small.recentPredictions).toBe(99);
  expect(all.recentPredictions).toBe(104 + 104 + 99);
});

test('columns of texts that the version reads as categories are compared, whatever the type in the dataset', async () => {
  await register('own-birds', (await rowsOf('penguins-test')).slice(2));
  const id = await evaluated('penguins', 'own-birds');

  const drift = await driftOf(evaluator);

  expect(drift.evaluation).toEqual({ id });
  expect(named(drift, 'island')).toMatchObject({ subject: 'INPUT', referenceCount: 102 });
});

test('of texts, answers and scores are compared', async () => {
  const id = await evaluated('spam-filter', 'spamassassin-test');

  const { measures, ...drift } = await driftOf(evaluator, 'spam-filter');

  expect(drift).toEqual({ evaluation: { id }, referenceRows: 1_408, recentPredictions: 0, undefinedReason: null });
  expect(measures.map(({ subject, name, referenceCount }: Data) => [subject, name, referenceCount])).toEqual([
    ['ANSWER', null, 1_408],
    ['SCORE', 'ham', 1_408],
    ['SCORE', 'spam', 1_408],
  ]);
});

test('values of the same distribution show no drift, and others do', () => {
  const watched: Watched[] = [
    { subject: 'ANSWER', name: null, type: 'CATEGORY' },
    { subject: 'INPUT', name: 'size', type: 'NUMBER' },
  ];
  const random = Xoshiro128.seeded('drift');
  const sampleOf = (shift: number, count = 150) => {
    const sample = new DriftSample(watched, ['yes', 'no']);
    for (let i = 0; i < count; i++) {
      const value = random.uniform() + shift;
      sample.add({ answer: value > 0.5 ? 'yes' : 'no', scores: null, row: { size: i % 50 === 0 ? null : value } });
    }
    return sample;
  };
  const verdicts = (measured: ReturnType<typeof measureDrift>) => measured.map(({ verdict }) => verdict);

  let shown = 0;
  for (let i = 0; i < 10; i++) if (verdicts(measureDrift(watched, sampleOf(0), sampleOf(0))).includes('DRIFT')) shown++;
  const moved = measureDrift(watched, sampleOf(0), sampleOf(0.3));

  expect(shown).toBeLessThanOrEqual(1);
  expect(verdicts(moved)).toEqual(['DRIFT', 'DRIFT']);
  expect(moved[1]).toMatchObject({ referenceCount: 147, recentCount: 147 });
  expect(verdicts(measureDrift(watched, sampleOf(0), sampleOf(0.3, 99)))).toEqual([null, null]);
});

test('scores of a label that a version has twice are added up, as those of evaluations are', () => {
  const watched: Watched[] = ['crane', 'rope'].map((name) => ({ subject: 'SCORE', name, type: 'NUMBER' }));
  const sample = new DriftSample(watched, ['crane', 'wall', 'crane', 'rope']);
  sample.add({ answer: 'crane', scores: [0.25, 0.125, 0.5, 0.125], row: null });

  expect([sample.valuesOf(0), sample.valuesOf(1)]).toEqual([
    { type: 'NUMBER', numbers: Float64Array.of(0.75) },
    { type: 'NUMBER', numbers: Float64Array.of(0.125) },
  ]);
});
