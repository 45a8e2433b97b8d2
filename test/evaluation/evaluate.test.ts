/** Evaluations that the server computes, over real HTTP, of versions and datasets of the model store. */
import { saveDataset } from '#src/catalog/registration.queries.js';
import { insertJob } from '#src/evaluation/job.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';
import { compareCard } from './compare-card.ts';

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
const IMPORTED_ID = 'query ($ref: VersionRef!) { version(ref: $ref) { evaluation(origin: IMPORTED) { id } } }';
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

/** `npm run models:evaluate` compares all recipes. */
test.each([
  ['breast-cancer-forest', 'breast-cancer-test', 171],
  ['face-detector', 'face-photos-test', 39],
  ['penguins', 'penguins-test', 104],
  ['penguin-mass', 'penguin-mass-test', 103],
  ['spam-filter', 'spamassassin-test', 1_408],
])('the metrics on the card of %s are those that the server computes', async (name, dataset, rows) => {
  const compared = await compareCard((...sent) => evaluator.send(...sent), { version: name, dataset });

  expect(compared.evaluation).toMatchObject({
    jobState: 'SUCCEEDED',
    origin: 'COMPUTED',
    evaluatedRows: rows,
    failedRows: 0,
    executionProvider: 'cpu',
    progress: null,
    problem: null,
  });
  expect(compared.metrics.length).toBeGreaterThan(2);
  expect(compared.metrics.filter(({ isReproduced }) => !isReproduced)).toEqual([]);
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

test('an evaluation of rows or a target that the dataset no longer has does not go on, and is not found again', async () => {
  const { catalogDb } = app.app.databases;
  const first = await evaluated('penguins', 'penguins-test');
  const dataset = await catalogDb
    .selectFrom('dataset')
    .selectAll()
    .where('name', '=', 'penguins-test')
    .executeTakeFirstOrThrow();
  const {
    id: dataset_id,
    visibility: _,
    account: __,
    origin: ___,
    created_at: ____,
    updated_at: _____,
    ...row
  } = dataset;
  const version_id = (await evaluator.send('{ version(ref: "penguins") { id } }')).version.id;
  const of = { account: 'somebody', artifact_sha256: '', rows_sha256: 'other rows', row_count: 104 };
  const job = { ...of, slices: '[]', importance: 'null', provider: 'cpu', runtime: '', version_id, dataset_id };
  const id = await catalogDb.transaction().execute((trx) => insertJob(trx, job, Date.now()));
  for (const target of ['island', 'species'])
    await catalogDb.transaction().execute((trx) => saveDataset(trx, { ...row, target }, Date.now()));
  const again = await evaluated('penguins', 'penguins-test');

  expect(await ended(id)).toMatchObject({
    jobState: 'FAILED',
    problem: { message: expect.stringContaining('rows, columns or target of the dataset have changed') },
  });
  expect(again.id).not.toBe(first.id);
  expect(again.metrics).toEqual(first.metrics);
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

const PLOTS = `query ($id: ID!) { node(id: $id) { ... on Evaluation { ${[
  'CONFUSION_MATRIX',
  'ROC',
  'PRECISION_RECALL',
  'CALIBRATION',
]
  .map((kind) => `${kind}: plot(kind: ${kind}) { light: url dark: url(theme: DARK) altText width }`)
  .join(' ')} } } }`;

test('plots are read as SVG by signed URLs', async () => {
  const { id } = await evaluated('breast-cancer-forest', 'breast-cancer-test');
  const plots: Record<string, Data> = (await evaluator.send(PLOTS, { id })).node;
  const get = (url: string, options: RequestInit = {}) => fetch(`${app.url}${url}`, options);
  const imported = (await evaluator.send(IMPORTED_ID, { ref: 'breast-cancer-forest' })).version.evaluation;

  expect(Object.values<Data>(plots).map(({ altText }) => altText)).toEqual([
    expect.stringMatching(/^Confusion matrix of 171 rows and 2 classes\. 9\d\.\d% are predicted right\./),
    expect.stringMatching(/^ROC curve of one class\. Area under the curve: "benign" 0\.99\d\.$/),
    expect.stringMatching(
      /^Precision-recall curves of 2 classes\. Average precision: "malignant" 0\.9\d+; "benign" 0\.9\d+\.$/,
    ),
    expect.stringMatching(/^Calibration curve of one class\. .*"benign" 0\.0\d+\.$/),
  ]);
  for (const { light, dark, width } of Object.values<Data>(plots)) {
    const [first, second] = await Promise.all([get(light), get(dark)]);
    const etag = first.headers.get('etag') as string;
    const svg = await first.text();

    expect([first.status, second.status, width]).toEqual([200, 200, 400]);
    expect(first.headers.get('content-type')).toBe('image/svg+xml');
    expect(first.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
    expect(first.headers.get('cache-control')).toBe('private, max-age=300');
    expect(svg).toMatch(/^<svg [^>]*width="400"/);
    expect(await second.text()).not.toBe(svg);
    expect((await get(light, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const head = await get(light, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(Buffer.byteLength(svg))]);
  }
  expect((await evaluator.send(PLOTS, { id: imported.id })).node).toEqual({
    CONFUSION_MATRIX: null,
    ROC: null,
    PRECISION_RECALL: null,
    CALIBRATION: null,
  });
});

test('URLs of plots cannot be made up, and end with what their readers may see', async () => {
  await birds('plotted', 100, 0);
  const { id } = await evaluated('penguins', 'plotted');
  const other = await admin.withKey('plotters', ['EVALUATOR']);
  const urlFor = async (client: PublishingClient) => (await client.send(PLOTS, { id })).node?.CONFUSION_MATRIX.light;
  const statusOf = async (url: string) => (await fetch(`${app.url}${url}`)).status;
  const [mine, ofAdmin] = [await urlFor(evaluator), await urlFor(admin)];
  // Of three classes of the version, two occur.
  const { altText } = (await evaluator.send(PLOTS, { id })).node.ROC;
  expect(altText).toMatch(/^ROC curves of 2 classes\. .*"adelie" [01]\.\d+; "gentoo" [01]\.\d+\.$/);

  expect(await urlFor(other)).toBeUndefined();
  expect([await statusOf(mine), await statusOf(ofAdmin)]).toEqual([200, 200]);
  const changed = [
    mine.replace('confusion-matrix', 'roc'),
    mine.replace('light', 'dark'),
    mine.replace('light', 'pink'),
    mine.replace('.svg', ''),
    mine.replace('account=quality', 'account=plotters'),
    mine.replace('account=quality&', ''),
    mine.replace(/expires=(\d+)/, (_: string, at: string) => `expires=${Number(at) + 300}`),
    mine.replace(/expires=\d+/, 'expires=1'),
    mine.replace(/reader=[^&]+/, 'reader=local'),
    mine.replace(/signature=.*/, ''),
    mine.replace(/signature=.*/, 'signature=%F0%9F%90%A7'),
    `${mine}&signature=x`,
    `${mine}&account=quality`,
    ofAdmin.replace('?', '?account=quality&'),
    mine.replace(id, 'evaluation_nothing'),
  ];
  for (const url of changed) expect([url, await statusOf(url)]).toEqual([url, 404]);
  await evaluator.send('mutation { deleteDataset(input: { dataset: "plotted" }) { deletedId } }');
  expect([await statusOf(mine), await statusOf(ofAdmin)]).toEqual([404, 404]);
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
  expect(await refused('penguin-mass', 'penguins-test')).toMatchObject(
    ofDataset('the version answers numbers, and the target is none'),
  );
  expect(await refused('face-detector', 'fashion-mnist-test')).toMatchObject({
    problems: [{ path: ['input', 'dataset'], code: 'WRONG_KIND', expected: 'JSON', received: 'CATEGORY' }],
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

test('labels that differ in case only are refused: the version would seem to miss all rows of the class', async () => {
  const data = { format: 'CSV', content: 'message,label\nhello,ham\nwin a prize,Spam\n' };
  const input = { name: 'loud', task: 'TEXT_CLASSIFICATION', target: 'label', data };
  expect((await evaluator.send(REGISTER, { input })).registerDataset.problem).toBeNull();

  expect((await evaluate('spam-filter', 'loud')).problem).toMatchObject({
    problems: [{ path: ['input', 'dataset'], expected: '"spam"', received: '"Spam"' }],
  });
});

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
    problem: {
      message: expect.stringContaining('30 rows were not answered so far, which is more than 5% of 100. Row 1: '),
    },
  });
  expect(many.rowProblems).toHaveLength(20);
  // A failed one is computed again.
  expect((await evaluate('penguins', 'many-impossible')).evaluation.id).not.toBe(many.id);
});

test('an evaluation can be cancelled by the account that asked for it, and those of a deleted dataset are deleted', async () => {
  await birds('cancelled', 1_500, 0);
  const slices = [{ column: 'label' }];
  const { evaluation: before } = await evaluate('spam-filter', 'spamassassin-test', { slices });
  const { evaluation } = await evaluate('penguins', 'cancelled');
  const other = await admin.withKey('others', ['EVALUATOR']);
  const { evaluation: theirs } = await evaluate('spam-filter', 'spamassassin-test', { slices }, other);
  const cancel = async (client: PublishingClient, id: string) =>
    (await client.send(CANCEL, { input: { evaluation: id, reason: 'not needed' } })).cancelEvaluation;

  expect((await cancel(other, before.id)).problem).toMatchObject({ code: 'FORBIDDEN' });
  expect((await cancel(other, evaluation.id)).problem).toMatchObject({ code: 'NOT_FOUND' });
  expect((await cancel(evaluator, evaluation.id)).evaluation).toMatchObject({ jobState: 'CANCELLED' });
  expect((await cancel(evaluator, before.id)).evaluation).toMatchObject({ jobState: 'CANCELLED' });
  // Each account has its own until one has succeeded.
  const { node } = await other.send(READ, { id: theirs.id });
  expect(['QUEUED', 'RUNNING']).toContain(node.jobState);
  await cancel(other, theirs.id);
  expect(await ended(before.id)).toMatchObject({ metrics: [], progress: null });
  const again = (await evaluate('penguins', 'cancelled')).evaluation;
  expect(again.id).not.toBe(evaluation.id);
  await evaluator.send('mutation { deleteDataset(input: { dataset: "cancelled" }) { deletedId } }');
  expect((await evaluator.send(READ, { id: again.id })).node).toBeNull();
  // Nothing is left that could stop the next one.
  expect(await evaluated('penguin-mass', 'penguin-mass-test')).toMatchObject({ jobState: 'SUCCEEDED' });
});
