/** Evaluations that the server computes, over real HTTP, of versions and datasets of the model store. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';

const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code message expected received } } }';
const METRICS = 'metrics { name average label value undefinedReason interval { low high level method } }';
const EVALUATION = `id origin jobState evaluatedRows failedRows rowProblems { row message } finishedAt executionProvider
  runtimeVersion progress { percent rowsPerSecond remainingMs } problem { code message } ${METRICS}`;
const EVALUATE = `mutation ($input: EvaluateInput!) { evaluate(input: $input) { evaluation { id jobState origin } ${PROBLEM} } }`;
const CANCEL = `mutation ($input: CancelEvaluationInput!) { cancelEvaluation(input: $input) { evaluation { id jobState } ${PROBLEM} } }`;
const READ = `query ($id: ID!) { node(id: $id) { ... on Evaluation { ${EVALUATION}
  confusionMatrix { labels cells } slices { column value minimum maximum rows ${METRICS} }
  roc: curves(kind: ROC) { label x y thresholds counts } pr: curves(kind: PR) { label x y }
  calibration: curves(kind: CALIBRATION) { label x y thresholds counts } } } }`;
const IMPORTED = `query ($ref: VersionRef!) { version(ref: $ref) { evaluation(origin: IMPORTED) { dataset { name } ${METRICS} } } }`;
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) { dataset { id } ${PROBLEM} } }`;

let app: TestApp;
let admin: PublishingClient;
let evaluator: PublishingClient;
let publisher: PublishingClient;
beforeAll(async () => {
  app = await startTestApp();
  admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  evaluator = await admin.withKey('quality', ['EVALUATOR']);
  publisher = await admin.withKey('team', ['PUBLISHER']);
});
afterAll(() => app.stop());

async function evaluate(version: string, dataset: string, more: object = {}, client = evaluator): Promise<Data> {
  return (await client.send(EVALUATE, { input: { version, dataset, ...more } })).evaluate;
}

async function ended(id: string): Promise<Data> {
  let found: Data = null;
  await until('the evaluation has ended', async () => {
    found = (await evaluator.send(READ, { id })).node;
    return ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(found.jobState);
  });
  return found;
}

async function evaluated(version: string, dataset: string, more: object = {}): Promise<Data> {
  const { evaluation, problem } = await evaluate(version, dataset, more);
  expect(problem).toBeNull();
  return ended(evaluation.id);
}

const keyOf = ({ name, average, label }: Data) => [name, average, label].join(' ');

test.each([
  ['breast-cancer-forest', 171],
  ['penguins', 104],
  ['penguin-mass', 103],
  ['spam-filter', 1_408],
])('the metrics on the card of %s are those that the server computes', async (name, rows) => {
  const { evaluation: imported } = (await evaluator.send(IMPORTED, { ref: name })).version;
  const computed = await evaluated(name, imported.dataset.name);

  expect(computed).toMatchObject({
    jobState: 'SUCCEEDED',
    origin: 'COMPUTED',
    evaluatedRows: rows,
    failedRows: 0,
    executionProvider: 'cpu',
    progress: null,
    problem: null,
  });
  const byKey = new Map<string, Data>(computed.metrics.map((metric: Data) => [keyOf(metric), metric]));
  const compared = imported.metrics.filter((metric: Data) => byKey.has(keyOf(metric)));
  expect(compared.length).toBeGreaterThan(2);
  for (const metric of compared) {
    const { value, interval } = byKey.get(keyOf(metric));
    expect(value / metric.value).toBeCloseTo(1, 5);
    if (interval) expect(interval.low).toBeLessThanOrEqual(metric.value);
    if (interval) expect(interval.high).toBeGreaterThanOrEqual(metric.value);
  }
});

test('the same evaluation is not computed again, and another one of the same rows has the same numbers', async () => {
  const first = await evaluated('penguins', 'penguins-test');
  const again = await evaluate('penguins', 'penguins-test', {}, admin);
  const slices = [{ column: 'island' }, { column: 'beak_length', minimum: 45 }, { column: 'sex', equals: 'male' }];
  const other = await evaluated('penguins', 'penguins-test', { slices });

  expect(again.evaluation).toMatchObject({ id: first.id, jobState: 'SUCCEEDED' });
  expect(other.id).not.toBe(first.id);
  expect(other.metrics).toEqual(first.metrics);
  const accuracy = first.metrics.find(({ name }: Data) => name === 'accuracy');
  expect(accuracy.interval).toMatchObject({ level: 0.95, method: 'wilson' });
  expect(first.metrics.find(({ name }: Data) => name === 'balanced_accuracy').interval.method).toBe('bca_bootstrap');
  const islands = other.slices.slice(0, 3);
  expect(islands.map(({ value }: Data) => value).sort()).toEqual(['biscoe', 'dream', 'torgersen']);
  expect(islands.reduce((sum: number, { rows }: Data) => sum + rows, 0)).toBe(104);
  expect(other.slices.slice(3)).toMatchObject([
    { column: 'beak_length', value: null, minimum: 45, maximum: null },
    { column: 'sex', value: 'male' },
  ]);
  for (const { rows, metrics } of other.slices) {
    const { value } = metrics.find(({ name }: Data) => name === 'accuracy');
    expect(Math.abs(Math.round(value * rows) - value * rows)).toBeLessThan(1e-9);
  }
});

test('an evaluation has a confusion matrix and curves of each class', async () => {
  const { confusionMatrix, roc, pr, calibration, metrics } = await evaluated(
    'breast-cancer-forest',
    'breast-cancer-test',
  );

  expect(confusionMatrix.labels).toEqual(['malignant', 'benign']);
  const counts = confusionMatrix.cells.map(([, , count]: number[]) => count as number);
  expect(counts.reduce((sum: number, count: number) => sum + count, 0)).toBe(171);
  for (const curves of [roc, pr, calibration])
    expect(curves.map(({ label }: Data) => label)).toEqual(['malignant', 'benign']);
  for (const { x, y, thresholds } of roc) {
    expect([x[0], y[0], x.at(-1), y.at(-1)]).toEqual([0, 0, 1, 1]);
    expect(thresholds).toHaveLength(x.length - 1);
    const area = x
      .slice(1)
      .reduce((sum: number, to: number, i: number) => sum + ((to - x[i]) * (y[i] + y[i + 1])) / 2, 0);
    expect(area).toBeCloseTo(metrics.find(({ name }: Data) => name === 'roc_auc').value, 6);
  }
  const binned = calibration[0].counts.reduce((sum: number, count: number) => sum + count, 0);
  expect(binned).toBe(171);
});

test('what does not fit together is refused', async () => {
  const refused = async (version: string, dataset: string, more: object = {}, client = evaluator) => {
    const { evaluation, problem } = await evaluate(version, dataset, more, client);
    expect(evaluation).toBeNull();
    return problem;
  };
  const ofDataset = (message: string) => ({
    code: 'INVALID_INPUT',
    problems: [{ path: ['input', 'dataset'], message }],
  });

  expect(await refused('penguins', 'debian-faq')).toMatchObject(ofDataset('its rows are not stored here'));
  expect(await refused('penguins', 'breast-cancer-test')).toMatchObject({ code: 'INVALID_INPUT' });
  expect(await refused('spam-filter', 'penguins-test')).toMatchObject({ code: 'INVALID_INPUT' });
  expect(await refused('face-detector', 'face-photos-test')).toMatchObject({
    problems: [{ path: ['input', 'version'], code: 'WRONG_KIND' }],
  });
  const slices = [{ column: 'wings' }, { column: 'beak_length' }, { column: 'island', minimum: 1 }];
  expect(await refused('penguins', 'penguins-test', { slices })).toMatchObject({
    problems: [
      { path: ['input', 'slices', '0', 'column'], code: 'UNKNOWN_NAME' },
      { path: ['input', 'slices', '1', 'column'], code: 'WRONG_KIND' },
      { path: ['input', 'slices', '2', 'column'], code: 'WRONG_KIND' },
    ],
  });
  expect(await refused('penguins', 'penguins-test', {}, publisher)).toMatchObject({ code: 'FORBIDDEN' });
  expect(await refused('penguins', 'no-such-dataset')).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused('penguins:99', 'penguins-test')).toMatchObject({ code: 'NOT_FOUND' });
});

/** Rows of birds, of which so many have a beak of an impossible length. */
async function birds(name: string, count: number, impossible: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => ({
    beak_length: i < impossible ? 9_999 + i : 35 + i / 100,
    island: ['biscoe', 'dream'][i % 2],
    species: ['adelie', 'gentoo'][i % 2],
  }));
  const content = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const data = { format: 'JSON_LINES', content };
  const input = { name, task: 'TABULAR_CLASSIFICATION', target: 'species', data };
  expect((await evaluator.send(REGISTER, { input })).registerDataset.problem).toBeNull();
}

test('rows without an answer are counted and named, and too many of them end the evaluation', async () => {
  await birds('few-impossible', 100, 3);
  await birds('many-impossible', 100, 30);
  const few = await evaluated('penguins', 'few-impossible');
  const many = await evaluated('penguins', 'many-impossible');

  expect(few).toMatchObject({ jobState: 'SUCCEEDED', evaluatedRows: 97, failedRows: 3 });
  expect(few.rowProblems.map(({ row }: Data) => row)).toEqual([1, 2, 3]);
  expect(few.rowProblems[0].message).toMatch(/beak_length/);
  expect(many).toMatchObject({
    jobState: 'FAILED',
    evaluatedRows: null,
    failedRows: 30,
    metrics: [],
    problem: { message: expect.stringContaining('30 rows were not answered so far, which is more than 5% of 100') },
  });
  expect(many.rowProblems).toHaveLength(20);
  // A failed one is computed again.
  expect((await evaluate('penguins', 'many-impossible')).evaluation.id).not.toBe(many.id);
});

test('an evaluation can be cancelled by the account that asked for it, and those of a deleted dataset are deleted', async () => {
  await birds('cancelled', 1_500, 0);
  const { evaluation: before } = await evaluate('spam-filter', 'spamassassin-test', {
    slices: [{ column: 'label' }],
  });
  const { evaluation } = await evaluate('penguins', 'cancelled');
  const other = await admin.withKey('others', ['EVALUATOR']);
  const cancel = async (client: PublishingClient, id: string) =>
    (await client.send(CANCEL, { input: { evaluation: id, reason: 'not needed' } })).cancelEvaluation;

  expect((await cancel(other, before.id)).problem).toMatchObject({ code: 'FORBIDDEN' });
  expect((await cancel(other, evaluation.id)).problem).toMatchObject({ code: 'NOT_FOUND' });
  expect((await cancel(evaluator, evaluation.id)).evaluation).toMatchObject({ jobState: 'CANCELLED' });
  expect((await cancel(evaluator, before.id)).evaluation).toMatchObject({ jobState: 'CANCELLED' });
  expect(await ended(before.id)).toMatchObject({ metrics: [], progress: null });
  const again = (await evaluate('penguins', 'cancelled')).evaluation;
  expect(again.id).not.toBe(evaluation.id);
  await evaluator.send('mutation { deleteDataset(input: { dataset: "cancelled" }) { deletedId } }');
  expect((await evaluator.send(READ, { id: again.id })).node).toBeNull();
  // Nothing is left that could stop the next one.
  expect(await evaluated('penguin-mass', 'penguin-mass-test')).toMatchObject({ jobState: 'SUCCEEDED' });
});
