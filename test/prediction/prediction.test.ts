/** Predictions: running, recording, replaying, history and retention. */
import { existsSync } from 'node:fs';
import { Sweeper } from '#src/prediction/sweeper.js';
import { firstIdAt } from '#src/storage/ids.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { sweeperParts } from '../support/sealed-data.js';

const RECORDED = `{ id recorded createdAt input output { ... on Classification { label score classes { label score } } }
  predictedBy { ref } timing { queueMs prepareMs inferMs finishMs totalMs batchSize } runtime { executionProvider artifactSha256 } }`;
const FIELDS = `prediction ${RECORDED}
  problem { code message ... on IdempotencyConflict { earlier } ... on NotReady { state } } replayed`;
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { ${FIELDS} } }`;
const HISTORY = `query ($filter: PredictionFilter, $first: Int! = 20, $after: String) {
  predictions(filter: $filter, first: $first, after: $after) { totalCount nodes { id input output { ... on Classification { label } } }
    pageInfo { hasNextPage endCursor } } }`;

const DAY_MS = 86_400_000;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterEach(async () => {
  const { predictions } = await app.query('{ predictions(first: 100) { nodes { id } } }');
  const ids = predictions.nodes.map(({ id }: Data) => id);
  if (ids.length > 0)
    await app.query('mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { problem { code } } }', { ids });
});
afterAll(() => app.stop());

async function predict(input: Record<string, unknown>): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'spam-filter', ...input } })).predict;
}

async function restart(): Promise<void> {
  await app.app.stop();
  app = await startTestApp({ dataDir: app.dataDir });
}

const text = (value: string) => ({ input: { text: value } });

test('a prediction has its version, answer, runtime and timing', async () => {
  const { prediction, problem, replayed } = await predict(text('free money, click now'));

  expect({ problem, replayed }).toEqual({ problem: null, replayed: false });
  expect(prediction.predictedBy.ref).toBe('spam-filter:2');
  expect(prediction.runtime).toEqual({
    executionProvider: 'cpu',
    artifactSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const { queueMs, prepareMs, inferMs, finishMs, totalMs } = prediction.timing;
  expect(totalMs).toBeGreaterThanOrEqual(queueMs + prepareMs + inferMs + finishMs);
  expect(prediction.output.classes.map((c: Data) => c.score).reduce((a: number, b: number) => a + b)).toBeCloseTo(1, 5);
});

test('a recorded prediction is returned unchanged by id and in the history', async () => {
  const { prediction } = await predict(text('hello'));

  const again = await app.query(`query ($id: ID!) { prediction(id: $id) ${RECORDED} }`, { id: prediction.id });
  const { predictions } = await app.query(HISTORY);

  expect(again.prediction).toEqual(prediction);
  expect(predictions).toMatchObject({ totalCount: 1, nodes: [{ id: prediction.id, input: { text: 'hello' } }] });
});

test('with record: false, nothing is stored', async () => {
  const { prediction } = await predict({ ...text('hello'), record: false });

  expect(prediction.recorded).toBe(false);
  expect(prediction.input).toBeNull();
  expect((await app.query(HISTORY)).predictions.totalCount).toBe(0);
});

test('an input over 16 KiB is stored as a blob and returned whole', async () => {
  const long = 'spam and eggs '.repeat(2_000);

  const { prediction } = await predict(text(long));
  const { predictions } = await app.query(HISTORY);

  const { input_sha256 } = await app.app.databases.predictionDb
    .selectFrom('prediction')
    .select('input_sha256')
    .executeTakeFirstOrThrow();
  const { blobs } = await sweeperParts(app.app.databases, app.dataDir);
  expect(existsSync(blobs.pathOf(input_sha256 as string))).toBe(true);
  expect(predictions.nodes[0]).toMatchObject({ id: prediction.id, input: { text: long } });
});

test('an idempotency key returns the first result again, for concurrent duplicates and after a restart too', async () => {
  const keyed = { ...text('once'), idempotencyKey: 'k1' };

  const racing = await Promise.all([predict(keyed), predict(keyed), predict(keyed)]);
  const [first] = racing;
  await restart();
  const later = await predict(keyed);

  expect(new Set([...racing, later].map(({ prediction }) => prediction.id))).toEqual(new Set([first.prediction.id]));
  expect(racing.map(({ replayed }) => replayed).sort()).toEqual([false, true, true]);
  expect(later.replayed).toBe(true);
  expect(later.prediction.output).toEqual(first.prediction.output);
  expect((await app.query(HISTORY)).predictions.totalCount).toBe(1);
});

test('a model whose use was not recorded is also one that was used recently, from the next start at the latest', async () => {
  const mass = { model: 'penguin-mass', input: { row: { sex: 'male' } }, record: false };
  await predict(mass);
  await restart();

  const list = '{ models(orderBy: { field: RECENT_USE, direction: DESC }) { nodes { name } } }';
  const names = (await app.query(list)).models.nodes.map(({ name }: Data) => name);
  // By name, it would be the other way around.
  expect(names.indexOf('penguin-mass')).toBeLessThan(names.indexOf('face-detector'));
});

test('an idempotency key with another input is a conflict that names the first prediction', async () => {
  const { prediction } = await predict({ ...text('once'), idempotencyKey: 'k2' });

  const { problem } = await predict({ ...text('twice'), idempotencyKey: 'k2' });

  expect(problem).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT', earlier: prediction.id });
});

test('an idempotency key can be used again after its first request failed', async () => {
  await predict({ ...text(' '), idempotencyKey: 'k3' });

  const { prediction, replayed } = await predict({ ...text('now right'), idempotencyKey: 'k3' });

  expect(prediction).not.toBeNull();
  expect(replayed).toBe(false);
});

test('the history is filtered by model, task, time and label, and its pages contain every prediction exactly once', async () => {
  for (let i = 0; i < 5; i++) await predict(text(`message ${i}`));
  await predict({
    model: 'breast-cancer-forest',
    input: (await app.query('{ version(ref: "breast-cancer-forest") { signature { example } } }')).version.signature
      .example,
  });

  const spam = { model: 'spam-filter' };
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const { predictions } = await app.query(HISTORY, { filter: spam, first: 2, after });
    seen.push(...predictions.nodes.map((node: Data) => node.input.text));
    after = predictions.pageInfo.hasNextPage ? predictions.pageInfo.endCursor : null;
  } while (after);
  const benign = await app.query(HISTORY, { filter: { label: 'malignant' } });
  const ofTask = async (filter: Data) => (await app.query(HISTORY, { filter })).predictions.totalCount;
  const tasks = [
    await ofTask({ task: 'TEXT_CLASSIFICATION' }),
    await ofTask({ task: 'TABULAR_CLASSIFICATION', label: 'malignant' }),
    await ofTask({ task: 'TABULAR_CLASSIFICATION', ...spam }),
    await ofTask({ task: 'IMAGE_CLASSIFICATION' }),
  ];
  const future = await app.query(HISTORY, { filter: { since: '2999-01-01T00:00:00.000Z' } });
  const past = await app.query(HISTORY, { filter: { until: '2999-01-01T00:00:00.000Z' } });

  expect(seen).toEqual([4, 3, 2, 1, 0].map((i) => `message ${i}`));
  expect(tasks).toEqual([5, 1, 0, 0]);
  expect(benign.predictions.totalCount).toBe(1);
  expect([future, past].map(({ predictions }) => predictions.totalCount)).toEqual([0, 6]);
});

test('predictions of a detector are found by the labels of its objects, until they are deleted', async () => {
  const { version } = await app.query('{ version(ref: "face-detector") { signature { example } } }');
  const face = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } } }';
  const input = { model: 'face-detector', input: version.signature.example };
  const ids = [];
  for (let i = 0; i < 3; i++) ids.unshift((await app.query(face, { input })).predict.prediction.id);
  const found = async (filter: Data) => {
    const { predictions } = await app.query(HISTORY, { filter });
    expect(predictions.totalCount).toBe(predictions.nodes.length);
    return predictions.nodes.map(({ id }: Data) => id);
  };
  const before = await found({ label: 'face' });
  const others = [await found({ label: 'car' }), await found({ label: 'face', model: 'spam-filter' })];
  const stored = await app.app.databases.predictionDb.selectFrom('answer_label').selectAll().execute();
  await app.query('mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { problem { code } } }', {
    ids: ids.slice(1),
  });

  expect([before, others]).toEqual([ids, [[], []]]);
  expect(JSON.stringify(stored)).not.toContain('face');
  expect(await found({ label: 'face', task: 'OBJECT_DETECTION' })).toEqual([ids[0]]);
  expect(await app.app.databases.predictionDb.selectFrom('answer_label').selectAll().execute()).toHaveLength(1);
});

test('ids of predictions are ordered by time', async () => {
  const before = Date.now();
  const { prediction } = await predict(text('a'));

  expect(prediction.id >= firstIdAt('Prediction', before)).toBe(true);
  expect(prediction.id < firstIdAt('Prediction', Date.now() + 1)).toBe(true);
});

test('a prediction that cannot be recorded is not returned', async () => {
  await app.app.databases.predictionsFile.write('alter table prediction rename to away', []);

  const { data, errors } = await app.send(PREDICT, { input: { model: 'spam-filter', ...text('a') } });
  await app.app.databases.predictionsFile.write('alter table away rename to prediction', []);

  expect(data.predict).toBeNull();
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', errorId: expect.any(String) });
  expect(JSON.stringify(errors)).not.toMatch(/sqlite|prediction_|no such table/i);
});

// The last test: it also destroys the keys that the server has in memory.
test('predictions and their blobs are deleted after their retention, and not before', async () => {
  const long = 'spam and eggs '.repeat(2_000);
  await predict(text(long));
  await predict(text('short'));
  const { predictionDb } = app.app.databases;
  const parts = await sweeperParts(app.app.databases, app.dataDir);
  const sweeper = new Sweeper(parts, { retentionDays: 30 });
  const stored = await predictionDb.selectFrom('prediction').select('input_sha256').execute();
  const [digest = ''] = stored.flatMap(({ input_sha256 }) => input_sha256 ?? []);

  expect(existsSync(parts.blobs.pathOf(digest))).toBe(true);
  expect(await sweeper.sweep(Date.now() + 29 * DAY_MS)).toBe(0);
  expect(await sweeper.sweep(Date.now() + 31 * DAY_MS)).toBe(2);

  expect((await app.query(HISTORY)).predictions.totalCount).toBe(0);
  expect(existsSync(parts.blobs.pathOf(digest))).toBe(false);
});
