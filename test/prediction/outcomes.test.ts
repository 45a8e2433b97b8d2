/** Outcomes are recorded for one's own predictions, stay private, end with their predictions, and are measured as evaluations are. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { OutcomeData } from '#src/monitoring/outcome-data.js';
import { packScores } from '#src/prediction/sealed-outcome.js';
import { Sweeper } from '#src/prediction/sweeper.js';
import { wilson } from '#src/statistics/interval.js';
import { DataKey, NO_USES } from '#src/vault/data-key.js';
import { borrowedKeys, type LentKeys, withLentKeys } from '#src/vault/lent-keys.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, identity } from '../support/onnx.js';
import { sweeperParts } from '../support/sealed-data.js';

const CANARY = 'canary-0c77e1';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id outcome { label } output { ... on Classification { label } ... on Regression { value } } } problem { message } } }`;
const RECORD = `mutation ($input: RecordOutcomeInput!) { recordOutcome(input: $input) {
  prediction { id outcome { label value reason recordedAt firstRecordedAt } }
  problem { code message ... on InvalidInput { problems { path code expected received } } } } }`;
const READ = 'query ($id: ID!) { prediction(id: $id) { outcome { label value reason } } }';
const DELETE = 'mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { erasure { deleted } problem { code } } }';
const LIVE = `query ($ref: VersionRef!, $days: Int! = 7) { version(ref: $ref) { live(windowDays: $days) {
  since measuredAt predictions outcomes outcomesCapped
  metrics(names: ["accuracy", "recall", "mae", "roc_auc"]) {
    name title unit average label value undefinedReason interval { low high level method } } } } }`;

const LIVE_GATE = `{ model(name: "spam-filter") { liveGate(alias: "live") { isMissed outcomes version { ref }
  checks { name threshold value isMissed undefinedReason interval { low high level method } } } } }`;
const SET_ALIAS = 'mutation ($input: SetAliasInput!) { setAlias(input: $input) { problem { message } } }';
const SET_GATE = 'mutation ($input: SetGateInput!) { setGate(input: $input) { problem { message } } }';

const DAY_MS = 86_400_000;

let app: TestApp;
let store: TestStore;
let admin: string;
let shop: string;
let rival: string;
let viewer: string;
beforeAll(async () => {
  app = await startTestApp();
  admin = await keyOf(null, 'team', 'ADMIN');
  shop = await keyOf(admin, 'shop', 'PREDICTOR');
  rival = await keyOf(admin, 'rival', 'PREDICTOR');
  viewer = await keyOf(admin, 'shop', 'VIEWER');
});
afterAll(async () => {
  await app.stop();
  await store?.remove();
});

async function send(key: string | null, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

async function query(key: string | null, text: string, variables: object = {}): Promise<Data> {
  const { data, errors } = await send(key, text, variables);
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function keyOf(by: string | null, account: string, role: string, more: object = {}): Promise<string> {
  const text = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret problem { message } } }';
  const input = { name: role.toLowerCase(), account, roles: [role], ...more };
  const { secret, problem } = (await query(by, text, { input })).createApiKey;
  if (!secret) throw new Error(problem.message);
  return secret;
}

async function predicted(input: Record<string, unknown>, key = shop): Promise<Data> {
  const { prediction, problem } = (await query(key, PREDICT, { input })).predict;
  if (problem) throw new Error(problem.message);
  return prediction;
}

const mail = (text: string, more: object = {}) => predicted({ model: 'spam-filter', input: { text }, ...more });
const record = async (prediction: string, outcome: object, key = shop): Promise<Data> =>
  (await query(key, RECORD, { input: { prediction, ...outcome } })).recordOutcome;
const outcomeOf = async (id: string, key = shop): Promise<Data> =>
  (await query(key, READ, { id })).prediction?.outcome ?? null;
const live = async (key: string, ref: string, days?: number): Promise<Data> =>
  (await query(key, LIVE, { ref, days })).version.live;

const liveGate = async (key: string): Promise<Data> => (await query(key, LIVE_GATE)).model.liveGate;

const storedOutcomes = async () =>
  (await app.app.databases.predictionDb.selectFrom('outcome').select('prediction_id').execute()).map(
    ({ prediction_id }) => prediction_id,
  );

test('an outcome is kept with its prediction, and a second one replaces it but not the time of the first', async () => {
  const { id, outcome } = await mail('lunch at noon?');
  const first = await record(id, { label: 'ham' });
  const second = await record(id, { label: 'spam', reason: CANARY });

  expect([outcome, first.problem, second.problem]).toEqual([null, null, null]);
  expect(first.prediction).toMatchObject({ id, outcome: { label: 'ham', value: null, reason: null } });
  expect(first.prediction.outcome.firstRecordedAt).toBe(first.prediction.outcome.recordedAt);
  expect(second.prediction.outcome).toMatchObject({ label: 'spam', reason: CANARY });
  expect(second.prediction.outcome.firstRecordedAt).toBe(first.prediction.outcome.recordedAt);
  expect(second.prediction.outcome.recordedAt >= first.prediction.outcome.recordedAt).toBe(true);
  expect(await outcomeOf(id)).toEqual({ label: 'spam', value: null, reason: CANARY });
  expect(await filesWith(CANARY)).toEqual([]);
});

/** The files of the data folder that have these bytes. */
async function filesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(app.dataDir, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(file).catch(() => Buffer.alloc(0))).includes(text)) found.push(entry.name);
  }
  return found;
}

test('what is no outcome of the prediction is refused, with the place and what is accepted', async () => {
  const { id } = await mail('hello');
  const row = {
    beak_length: 50.7,
    beak_depth: 15,
    flipper_length: 223,
    species: 'gentoo',
    island: 'biscoe',
    sex: 'male',
  };
  const { id: mass } = await predicted({ model: 'penguin-mass', input: { row } });
  const refused: [string, object, object][] = [
    [id, {}, { path: ['input'], code: 'MISSING', expected: 'label or value', received: null }],
    [
      id,
      { label: 'ham', value: 1 },
      { path: ['input'], code: 'WRONG_KIND', expected: 'label or value', received: 'both' },
    ],
    [
      id,
      { label: 'egg' },
      { path: ['input', 'label'], code: 'NOT_IN_CATEGORIES', expected: '"ham", "spam"', received: '"egg"' },
    ],
    [id, { value: 1 }, { path: ['input', 'value'], code: 'WRONG_KIND', expected: 'label', received: '1' }],
    [mass, { label: '1' }, { path: ['input', 'label'], code: 'WRONG_KIND', expected: 'value', received: '1' }],
    [id, { label: 'ham', reason: ' ' }, { path: ['input', 'reason'], code: 'EMPTY', received: '1 characters' }],
  ];

  for (const [prediction, outcome, problem] of refused)
    expect((await record(prediction, outcome)).problem).toMatchObject({ code: 'INVALID_INPUT', problems: [problem] });
  const infinite = `mutation { recordOutcome(input: { prediction: "${mass}", value: 1e999 }) { problem { ... on InvalidInput { problems { path code } } } } }`;
  expect((await query(shop, infinite)).recordOutcome.problem.problems).toEqual([
    { path: ['input', 'value'], code: 'NOT_FINITE' },
  ]);
  expect((await storedOutcomes()).filter((one) => one === id || one === mass)).toEqual([]);
});

test('predictions of other kinds have no outcomes', async () => {
  store = await createStore();
  await store.write('same', { '1/model.onnx': encodeModel(identity('x', 'FP32', ['N'])) });
  const other = await startTestApp({ modelStore: store.folder });
  const input = { model: 'same', input: { tensors: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] } };
  const { id } = (await other.query(PREDICT, { input })).predict.prediction;

  const { recordOutcome } = await other.query(RECORD, { input: { prediction: id, value: 1 } });
  const { version } = await other.query('{ version(ref: "same") { live { outcomes } } }');
  await other.stop();

  expect(recordOutcome.problem.problems).toMatchObject([
    { path: ['input', 'prediction'], code: 'WRONG_KIND', received: 'tensors' },
  ]);
  expect(version.live).toBeNull();
});

test('outcomes of others cannot be read, recorded or replaced', async () => {
  const { id } = await mail('hello');
  await record(id, { label: 'ham' });

  expect((await record(id, { label: 'spam' }, rival)).problem.code).toBe('NOT_FOUND');
  expect((await record(id, { label: 'spam' }, admin)).problem.code).toBe('NOT_FOUND');
  expect((await record('prediction_x', { label: 'ham' })).problem.code).toBe('NOT_FOUND');
  expect(await outcomeOf(id, rival)).toBeNull();
  expect(await outcomeOf(id)).toMatchObject({ label: 'ham' });
  const refused = await send(viewer, RECORD, { input: { prediction: id, label: 'spam' } });
  expect(JSON.stringify(refused)).toContain('"FORBIDDEN"');
});

test('an outcome is deleted and erased with its prediction, also if it is recorded meanwhile', async () => {
  const [deleted, kept, ofAnn] = [await mail('a'), await mail('b'), await mail('c', { subject: 'ann' })].map(
    ({ id }) => id,
  ) as [string, string, string];
  for (const id of [deleted, kept, ofAnn]) await record(id, { label: 'ham' });
  const { predictionDb } = app.app.databases;
  const { data_key } = await predictionDb
    .selectFrom('outcome')
    .select('data_key')
    .where('prediction_id', '=', ofAnn)
    .executeTakeFirstOrThrow();
  const erase = `mutation { erasePredictions(input: { account: "shop", subject: "ann" }) { erasure { deleted leftInBackups finishedAt } } }`;

  await query(shop, DELETE, { ids: [deleted] });
  expect((await query(admin, erase)).erasePredictions.erasure).toMatchObject({
    deleted: 1,
    leftInBackups: 0,
    finishedAt: expect.any(String),
  });
  const left = await storedOutcomes();
  expect([deleted, ofAnn, kept].map((id) => left.includes(id))).toEqual([false, false, true]);
  const keys = await app.app.databases.keyDb.selectFrom('data_key').select('id').where('id', '=', data_key).execute();
  expect(keys).toEqual([]);
  expect((await record(deleted, { label: 'ham' })).problem.code).toBe('NOT_FOUND');

  const raced: string[] = [];
  for (let i = 0; i < 5; i++) {
    const { id } = await mail(`race ${i}`);
    raced.push(id);
    await Promise.all([record(id, { label: 'ham' }), query(shop, DELETE, { ids: [id] })]);
  }
  expect((await storedOutcomes()).filter((id) => raced.includes(id))).toEqual([]);
});

test('a prediction of an earlier release that is not encrypted yet can have an outcome', async () => {
  const { id } = await mail('earlier');
  const answer = JSON.stringify({ kind: 'classification', label: 'ham', scores: [0.9, 0.1] });
  const plain = {
    data_key: null,
    sealed: null,
    sealed_answer: null,
    answer,
    timing: '{}',
    runtime: '{}',
    input: 'null',
  };
  await app.app.databases.predictionDb.updateTable('prediction').set(plain).where('id', '=', id).execute();

  expect((await record(id, { label: 'spam' })).problem).toBeNull();
  expect(await outcomeOf(id)).toMatchObject({ label: 'spam' });
});

test('live metrics are those of the outcomes of the account, with intervals; administrators see all', async () => {
  const earlier = (await query(shop, '{ predictions(first: 100) { nodes { id } } }')).predictions.nodes;
  await query(shop, DELETE, { ids: earlier.map(({ id }: Data) => id) });
  const texts = ['free money, click now', 'lunch at noon?', 'win a prize now', 'see you tomorrow', 'hello'];
  const made: Data[] = [];
  for (let i = 0; i < 15; i++) made.push(await mail(`${texts[i % 5]} ${i}`));
  // Right but for every fifth.
  const flipped = (label: string) => (label === 'ham' ? 'spam' : 'ham');
  for (const [i, { id, output }] of made.entries())
    if (i > 0) await record(id, { label: i % 5 === 1 ? flipped(output.label) : output.label });
  const { id: ofRival, output } = await predicted({ model: 'spam-filter', input: { text: 'of the rival' } }, rival);
  await record(ofRival, { label: flipped(output.label) }, rival);

  const own = await live(shop, 'spam-filter');
  const others = await live(rival, 'spam-filter');
  const all = await live(admin, 'spam-filter');

  expect(own).toMatchObject({ predictions: 15, outcomes: 14, outcomesCapped: false });
  expect(Date.parse(own.measuredAt) - Date.parse(own.since)).toBe(7 * DAY_MS);
  const accuracy = own.metrics.find(({ name }: Data) => name === 'accuracy');
  expect(accuracy).toMatchObject({ title: 'Accuracy', label: null, unit: null, value: 11 / 14 });
  expect(accuracy.interval).toEqual(wilson(11, 14));
  const area = own.metrics.find(({ name }: Data) => name === 'roc_auc');
  expect(area.interval).toMatchObject({ level: 0.95, method: 'bca_bootstrap' });
  expect(area.interval.low).toBeLessThanOrEqual(area.value);
  expect(others).toMatchObject({ predictions: 1, outcomes: 1 });
  expect(others.metrics.find(({ name }: Data) => name === 'roc_auc')).toMatchObject({
    value: null,
    undefinedReason: expect.any(String),
  });
  expect(all).toMatchObject({ predictions: 16, outcomes: 15 });
  const refused = await send(viewer, LIVE, { ref: 'spam-filter' });
  expect([refused.data.version.live, refused.errors[0].extensions.code]).toEqual([null, 'FORBIDDEN']);
  const bound = await keyOf(admin, 'shop', 'PREDICTOR', { models: ['penguins'] });
  expect(await live(bound, 'spam-filter')).toBeNull();

  await record(made[0]?.id, { label: 'ham' });
  expect(await live(shop, 'spam-filter')).toEqual(own);
  expect((await live(shop, 'spam-filter', 30)).outcomes).toBe(15);
  for (const days of [0, 366])
    expect((await send(shop, LIVE, { ref: 'spam-filter', days })).errors[0].extensions.code).toBe('BAD_USER_INPUT');
});

test('a model says whether outcomes show that a threshold of a gate is missed', async () => {
  const aliased = { model: 'spam-filter', alias: 'live', version: 'spam-filter:2' };
  const gate = {
    model: 'spam-filter',
    alias: 'live',
    dataset: 'spamassassin-test',
    conditions: [
      { name: 'accuracy', threshold: 0.99 },
      { name: 'balanced_accuracy', threshold: 0.01 },
      { name: 'log_loss', threshold: 1e6 },
      { name: 'matthews_correlation', margin: 0.1 },
    ],
  };
  expect(await liveGate(shop)).toBeNull();
  const { setAlias } = await query(admin, SET_ALIAS, { input: aliased });
  expect(setAlias.problem).toBeNull();
  const { setGate } = await query(admin, SET_GATE, { input: gate });
  expect(setGate.problem).toBeNull();

  const { checks, ...found } = await liveGate(shop);

  expect(found).toEqual({ isMissed: true, outcomes: expect.any(Number), version: { ref: 'spam-filter:2' } });
  const interval = wilson(Math.round(checks[0].value * found.outcomes), found.outcomes);
  expect(checks).toMatchObject([
    { name: 'accuracy', threshold: 0.99, isMissed: true, undefinedReason: null, interval },
    { name: 'balanced_accuracy', threshold: 0.01, isMissed: false },
    { name: 'log_loss', isMissed: false },
  ]);
  // Of one outcome, only proportions have an interval.
  const { checks: few } = await liveGate(rival);
  expect(few[2]).toMatchObject({ interval: null, isMissed: null, undefinedReason: expect.any(String) });
  const refused = await send(viewer, LIVE_GATE);
  expect([refused.data.model.liveGate, refused.errors[0].extensions.code]).toEqual([null, 'FORBIDDEN']);
});

test('live metrics of numbers have the unit of the number', async () => {
  const row = {
    beak_length: 50.7,
    beak_depth: 15,
    flipper_length: 223,
    species: 'gentoo',
    island: 'biscoe',
    sex: 'male',
  };
  for (const error of [100, -300]) {
    const { id, output } = await predicted({ model: 'penguin-mass', input: { row } });
    await record(id, { value: output.value + error });
  }

  const { outcomes, metrics } = await live(shop, 'penguin-mass');

  expect(outcomes).toBe(2);
  expect(metrics).toMatchObject([{ name: 'mae', unit: 'g', interval: null }]);
  expect(metrics[0].value).toBeCloseTo(200, 6);
  const none = await live(shop, 'penguins');
  expect(none).toMatchObject({ predictions: 0, outcomes: 0 });
  expect(none.metrics[0]).toMatchObject({ name: 'accuracy', value: null, interval: null });
  expect(none.metrics[0].undefinedReason).toContain('No outcome was recorded');
});

test('outcomes become answers as an evaluation has them; of labels that the version does not have, none', () => {
  const data = new OutcomeData({ labels: ['ham', 'spam'] });
  const [first, second] = [packScores([0.75, 0.25]), packScores([0.5, null])];
  data.add({ truth: 'spam', predicted: 'ham', scores: first, reason: null });
  data.add({ truth: 'egg', predicted: 'ham', scores: first, reason: null });
  data.add({ truth: 'ham', predicted: 'ham', scores: second, reason: null });
  const numbers = new OutcomeData({ labels: null });
  numbers.add({ truth: 2, predicted: null, scores: null, reason: null });

  expect(data.toMeasure()).toEqual({
    labels: ['ham', 'spam'],
    answers: {
      rows: Uint32Array.of(1, 2),
      truth: Float64Array.of(1, 0),
      predicted: Float64Array.of(0, 0),
      scores: Float64Array.of(0.75, 0.25, 0.5, Number.NaN),
      items: null,
    },
  });
  expect(numbers.toMeasure().answers).toMatchObject({ predicted: Float64Array.of(Number.NaN), scores: null });
});

test('keys that were lent to a thread are gone once they were used, also if that failed', async () => {
  const key = new DataKey({ id: 7, bytes: randomBytes(32), ...NO_USES });
  const address = { account: 'shop', table: 't', column: 'c', row: 'r' };
  const sealed = key.seal('secret', address);
  const lent: LentKeys[] = [];
  const use = async (keys: LentKeys) => {
    lent.push(keys);
    expect(borrowedKeys(keys).get(7)?.open(sealed, address)?.toString()).toBe('secret');
    if (lent.length > 1) throw new Error('the thread has ended');
  };

  await withLentKeys(new Map([[7, key]]), use);
  await expect(withLentKeys(new Map([[7, key]]), use)).rejects.toThrow('the thread has ended');

  for (const keys of lent) {
    expect(new Uint8Array(keys.bytes)).toEqual(new Uint8Array(32));
    expect(borrowedKeys(keys).get(7)?.open(sealed, address)).toBeNull();
  }
  expect(key.open(sealed, address)?.toString()).toBe('secret');
});

test('an outcome expires with its prediction', async () => {
  expect(await storedOutcomes()).not.toEqual([]);
  const sweeper = new Sweeper(await sweeperParts(app.app.databases, app.dataDir), { retentionDays: 30 });
  await sweeper.sweep(Date.now() + 31 * DAY_MS);

  expect(await storedOutcomes()).toEqual([]);
});
