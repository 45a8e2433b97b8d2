/** Recommendations and leaderboards, over real HTTP, of versions and datasets of the model store. */

import { fails } from '#src/evaluation/evaluation-run.js';
import { insertJob } from '#src/evaluation/job.queries.js';
import { saveLatency } from '#src/serving/latency.queries.js';
import { environmentOf } from '#src/serving/latency-records.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { PublishingClient } from '../support/publishing-client.js';
import { until } from '../support/until.js';

const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code expected received } } }';
const RANKED = `rank unrankedReason onTrainingData isParetoOptimal tiedWithAbove p50Ms p95Ms residentBytes artifactBytes license
  rankedVersion { ref } evaluation { id origin jobState } metric { name value interval { low high } }
  misses { constraint limit value by message }
  beatenBy { isInAllRespects p50Ms residentBytes artifactBytes winner { ref } metric { difference isShown interval { low high } } }`;
const RECOMMEND = `query ($input: RecommendInput!) { recommend(input: $input) { recommendation { metric isComplete
  rankedCount excludedCount missingCount dataset { name }
  ranked { ${RANKED} } paretoSet { rankedVersion { ref } } excluded { ${RANKED} }
  missing { missingVersion { ref } evaluation { id jobState } misses { constraint message } } } ${PROBLEM} } }`;
const EVALUATE = `mutation ($input: RecommendEvaluationsInput!) { recommendEvaluations(input: $input) {
  evaluations { id jobState evaluatedVersion { ref } } refused { refusedVersion { ref } problem { code message } } ${PROBLEM} } }`;
const LEADERBOARD = `query ($name: String!, $metric: String, $first: Int) { dataset(name: $name) {
  leaderboard(metric: $metric, first: $first) { ${RANKED} } } }`;

const PLOTS = `query ($input: RecommendInput!) { recommend(input: $input) { recommendation {
  LATENCY: plot { light: url dark: url(theme: DARK) altText } MEMORY: plot(against: MEMORY) { light: url altText }
  SIZE: plot(against: SIZE) { light: url altText } } } }`;

const SPAM = { task: 'TEXT_CLASSIFICATION', dataset: 'spamassassin-test' };
const PENGUINS = { task: 'TABULAR_CLASSIFICATION', dataset: 'penguins-test' };

let app: TestApp;
let admin: PublishingClient;
let evaluator: PublishingClient;
beforeAll(async () => {
  app = await startTestApp();
  admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  evaluator = await admin.withKey('quality', ['EVALUATOR']);
});
afterAll(() => app.stop());

async function recommend(input: object, client = evaluator): Promise<Data> {
  const { recommendation, problem } = (await client.send(RECOMMEND, { input })).recommend;
  expect(problem).toBeNull();
  return recommendation;
}

async function evaluateMissing(input: object, client = evaluator): Promise<Data> {
  return (await client.send(EVALUATE, { input })).recommendEvaluations;
}

async function addFailed(ref: string, name: string): Promise<void> {
  const query = `{ version(ref: "${ref}") { id } dataset(name: "${name}") { id rowsSha256 rowCount } }`;
  const { version, dataset } = await evaluator.send(query);
  const of = { account: 'somebody', artifact_sha256: '', rows_sha256: dataset.rowsSha256, row_count: dataset.rowCount };
  const job = {
    ...of,
    slices: '[]',
    importance: 'null',
    provider: 'cpu',
    runtime: '',
    version_id: version.id,
    dataset_id: dataset.id,
  };
  await app.app.databases.catalogDb.transaction().execute(async (trx) => {
    await fails(trx, await insertJob(trx, job, Date.now()), 'it does not answer');
  });
}

/** Evaluates all versions of the recommendation that are missing and can be evaluated, and returns them in this order. */
async function evaluateAll(input: object): Promise<string[]> {
  const { evaluations, problem } = await evaluateMissing(input);
  expect(problem).toBeNull();
  for (const { id } of evaluations)
    await until('the evaluation has ended', async () => {
      const { node } = await evaluator.send('query ($id: ID!) { node(id: $id) { ... on Evaluation { jobState } } }', {
        id,
      });
      return node.jobState === 'SUCCEEDED';
    });
  return evaluations.map(({ evaluatedVersion }: Data) => evaluatedVersion.ref);
}

const refs = (entries: Data[]) => entries.map(({ rankedVersion }) => rankedVersion.ref);

test('imported metrics are ranked until the server has evaluated the versions, and ties are marked by paired differences', async () => {
  const imported = await recommend(SPAM);
  await addFailed('spam-embeddings', 'spamassassin-test');
  const begun = await evaluateAll(SPAM);
  const computed = await recommend(SPAM);

  expect(imported.missing.map((one: Data) => one.missingVersion.ref)).toEqual(['spam-embeddings:2', 'spam-filter:2']);
  expect(begun).toEqual(['spam-filter:2', 'spam-embeddings:2']);
  expect(imported).toMatchObject({ metric: 'accuracy', isComplete: true, rankedCount: 2, missingCount: 2 });
  expect(refs(imported.ranked)).toEqual(['spam-filter:2', 'spam-embeddings:2']);
  expect(imported.ranked[1]).toMatchObject({ evaluation: { origin: 'IMPORTED' }, tiedWithAbove: null });
  expect(computed).toMatchObject({ missing: [], missingCount: 0, dataset: { name: 'spamassassin-test' } });
  expect(refs(computed.ranked)).toEqual(['spam-filter:2', 'spam-embeddings:2']);
  const [first, second] = computed.ranked;
  expect(first).toMatchObject({ rank: 1, beatenBy: null, tiedWithAbove: null, isParetoOptimal: true });
  expect(second).toMatchObject({ rank: 2, evaluation: { origin: 'COMPUTED' }, tiedWithAbove: true, license: 'mit' });
  expect(second.beatenBy).toMatchObject({ winner: { ref: 'spam-filter:2' }, metric: { isShown: false } });
  expect(second.beatenBy.metric.difference).toBeCloseTo(-1 / 1_408, 9);
  const { low, high } = second.beatenBy.metric.interval;
  expect(low).toBeLessThan(-1 / 1_408);
  expect(high).toBeGreaterThan(-1 / 1_408);
  // Of the same rows, so it is narrower than that of two independent shares.
  expect(high - low).toBeLessThan(Math.SQRT2 * (first.metric.interval.high - first.metric.interval.low));
  expect(second.beatenBy.artifactBytes).toBe(second.artifactBytes - first.artifactBytes);
  expect(second.beatenBy.isInAllRespects).toBe(second.artifactBytes >= first.artifactBytes);
  expect(refs(computed.paretoSet)).toEqual(refs(computed.ranked.filter((one: Data) => one.isParetoOptimal)));
});

test('a version that misses a constraint is excluded, with the distance, and what was not measured is said to be so', async () => {
  const [first] = (await recommend(SPAM)).ranked;
  const sent = { maxP95Ms: 50, maxArtifactBytes: 1_000, licenses: ['GPL-3.0'], worstMetric: 0.99 };
  const { ranked, excluded, missing } = await recommend({ ...SPAM, ...sent });
  const { misses } = excluded.find((one: Data) => one.rankedVersion.ref === 'spam-filter:2');

  expect(ranked).toEqual([]);
  expect(missing).toEqual([]);
  expect(misses.map(({ constraint }: Data) => constraint)).toEqual([
    'WORST_METRIC',
    'MAX_P95_MS',
    'MAX_ARTIFACT_BYTES',
    'LICENSES',
  ]);
  expect(misses[0]).toMatchObject({ limit: 0.99, value: first.metric.value });
  expect(misses[0].by).toBeCloseTo(0.99 - first.metric.value, 12);
  expect(misses[1]).toMatchObject({
    limit: 50,
    value: null,
    by: null,
    message: expect.stringContaining('Not measured'),
  });
  expect(misses[2]).toMatchObject({ value: first.artifactBytes, by: first.artifactBytes - 1_000 });
  expect(refs((await recommend({ ...SPAM, licenses: ['MIT'] })).ranked)).toHaveLength(2);
});

test('what was measured on this machine counts, and a version that is worse in all respects is not Pareto-optimal', async () => {
  const { catalogDb } = app.app.databases;
  const measure = async (ref: string, [p50Ms, p95Ms, resident_bytes]: readonly number[], machine?: string) => {
    const { id } = (await evaluator.send(`{ version(ref: "${ref}") { id } }`)).version;
    const points = JSON.stringify([{ batchSize: 1, p50Ms, p95Ms, preprocessMs: 0 }]);
    const here = { ...environmentOf('cpu'), ...(machine && { machine }) };
    const row = { version_id: id, variant: '', points, resident_bytes: resident_bytes as number, measured_at: 1 };
    await saveLatency(catalogDb, { ...row, ...here });
  };
  await measure('spam-embeddings', [0.001, 0.001, 1], 'another machine');
  await measure('spam-filter', [2, 4, 3_000_000]);
  const { ranked: half } = await recommend(SPAM);
  await measure('spam-embeddings', [1, 2, 2_000_000]);
  const { ranked: both } = await recommend(SPAM);
  const { ranked: fast, excluded } = await recommend({ ...SPAM, maxP50Ms: 1.5 });
  await measure('spam-embeddings', [3, 4, 100_000_000]);
  const worse = (await recommend({ ...SPAM, maxP50Ms: 3, maxArtifactBytes: 2 ** 40 })).ranked[1];

  expect(half.map(({ p50Ms }: Data) => p50Ms)).toEqual([2, null]);
  expect(half.map(({ isParetoOptimal }: Data) => isParetoOptimal)).toEqual([true, true]);
  expect(both[1]).toMatchObject({ p50Ms: 1, p95Ms: 2, residentBytes: 2_000_000, isParetoOptimal: true });
  expect(both[1].beatenBy).toMatchObject({ isInAllRespects: false, p50Ms: -1, residentBytes: -1_000_000 });
  expect(refs(fast)).toEqual(['spam-embeddings:2']);
  expect(excluded[0]).toMatchObject({
    rank: null,
    misses: [{ constraint: 'MAX_P50_MS', limit: 1.5, value: 2, by: 0.5 }],
  });
  const isLarger = worse.artifactBytes >= both[0].artifactBytes;
  expect(worse).toMatchObject({ isParetoOptimal: !isLarger, beatenBy: { isInAllRespects: isLarger, p50Ms: 1 } });
});

test('metrics of which less is better are ranked from below', async () => {
  const { ranked, excluded } = await recommend({ ...SPAM, metric: 'log_loss', worstMetric: 10 });
  const values = ranked.map(({ metric }: Data) => metric.value);
  const strict = await recommend({ ...SPAM, metric: 'log_loss', worstMetric: values[0] });

  expect(values).toHaveLength(2);
  expect(values[0]).toBeLessThan(values[1]);
  expect(excluded).toEqual([]);
  expect(refs(strict.ranked)).toEqual([ranked[0].rankedVersion.ref]);
  expect(strict.excluded[0].misses[0].by).toBeCloseTo(values[1] - values[0], 12);
});

test('a version that was trained on the dataset is shown and marked, and never ranked', async () => {
  const { catalogDb } = app.app.databases;
  const idOf = async (query: string) => Object.values<Data>(await evaluator.send(query))[0].id;
  const trained = {
    version_id: await idOf('{ version(ref: "penguins") { id } }'),
    dataset_id: await idOf('{ dataset(name: "penguins-test") { id } }'),
  };
  await evaluateAll(PENGUINS);
  const [before] = (await recommend(PENGUINS)).ranked;
  await catalogDb.insertInto('version_dataset').values(trained).execute();
  const { ranked, excluded } = await recommend(PENGUINS);
  const { leaderboard } = (await evaluator.send(LEADERBOARD, { name: PENGUINS.dataset })).dataset;
  await catalogDb.deleteFrom('version_dataset').where('dataset_id', '=', trained.dataset_id).execute();

  const marked = {
    onTrainingData: true,
    rank: null,
    unrankedReason: expect.stringContaining('trained on the dataset'),
  };
  expect(before).toMatchObject({ rank: 1, onTrainingData: false, unrankedReason: null });
  expect(ranked).toEqual([]);
  expect(excluded[0]).toMatchObject({ ...marked, metric: { value: before.metric.value } });
  expect(leaderboard).toMatchObject([marked]);
});

test('versions that cannot be evaluated are not missing, and those that the caller may not evaluate are refused one by one', async () => {
  const { missing, excluded } = await recommend(PENGUINS);
  const begun = await evaluateMissing(PENGUINS);
  const stranger = await admin.withKey('team', ['PUBLISHER']);
  const forbidden = await evaluateMissing({ ...SPAM, dataset: 'short-messages-test' }, stranger);
  const withoutRows = await evaluateMissing({ ...PENGUINS, dataset: 'penguins-train' });

  expect(missing).toEqual([]);
  expect(excluded).toMatchObject([
    {
      rankedVersion: { ref: expect.stringMatching(/^breast-cancer-forest:/) },
      evaluation: null,
      unrankedReason: 'The version cannot be evaluated: the version has none of the labels of the dataset.',
    },
  ]);
  expect(begun).toEqual({ evaluations: [], refused: [], problem: null });
  const refused = (model: string) => ({ refusedVersion: { ref: `${model}:2` }, problem: { code: 'FORBIDDEN' } });
  expect(forbidden).toMatchObject({ evaluations: [], refused: [refused('spam-embeddings'), refused('spam-filter')] });
  expect(withoutRows.problem).toMatchObject({ problems: [{ path: ['input', 'dataset'], code: 'WRONG_KIND' }] });
});

test('evaluations that are begun are in the audit log, and are not begun twice', async () => {
  const input = { ...SPAM, dataset: 'short-messages-test', reason: 'which is better for chats?' };
  const [first, again] = [await evaluateMissing(input), await evaluateMissing(input)];
  const { auditLog } = await admin.send('{ auditLog(first: 100) { nodes { action target reason } } }');

  const ids = first.evaluations.map(({ id }: Data) => id);
  expect(ids).toHaveLength(2);
  expect(again.evaluations.map(({ id }: Data) => id).filter((id: string) => !ids.includes(id))).toEqual([]);
  const entries = auditLog.nodes.filter(({ reason }: Data) => reason === input.reason);
  expect(entries.map(({ action, target }: Data) => [action, target]).sort()).toEqual([
    ['evaluate', 'spam-embeddings:2'],
    ['evaluate', 'spam-filter:2'],
  ]);
});

test('what the caller may not see is in no recommendation and no leaderboard', async () => {
  const { catalogDb } = app.app.databases;
  const set = (values: object) =>
    catalogDb.updateTable('model').set(values).where('name', '=', 'spam-embeddings').execute();
  await set({ visibility: 'private', account: 'rival' });
  const rival = await admin.withKey('rival', ['VIEWER']);
  const board = async (client: PublishingClient) =>
    refs((await client.send(LEADERBOARD, { name: SPAM.dataset })).dataset.leaderboard);

  expect(refs((await recommend(SPAM)).ranked)).toEqual(['spam-filter:2']);
  expect(await board(evaluator)).toEqual(['spam-filter:2']);
  expect(refs((await recommend(SPAM, rival)).ranked)).toHaveLength(2);
  expect(await board(rival)).toEqual(['spam-filter:2', 'spam-embeddings:2']);
  await set({ visibility: 'public', account: null });
});

test('a recommendation is drawn against what versions cost, for those who may see all of it', async () => {
  const { catalogDb } = app.app.databases;
  const plotsOf = async (input: object) => (await evaluator.send(PLOTS, { input })).recommend.recommendation;
  const statusOf = async (url: string) => (await fetch(`${app.url}${url}`)).status;
  const { LATENCY, MEMORY, SIZE } = await plotsOf(SPAM);
  const { ranked } = await recommend(SPAM);
  const [light, dark] = await Promise.all([LATENCY.light, LATENCY.dark].map((url) => fetch(`${app.url}${url}`)));
  const svg = await light?.text();

  expect(LATENCY.altText).toMatch(
    /^Accuracy against median latency of 2 versions\. Pareto-optimal: "spam-filter:2" 0\.\d+, 2 ms[;.]/,
  );
  expect(MEMORY.altText).toContain('"spam-filter:2"');
  expect(MEMORY.altText).toContain(', 3 MB');
  const megabytes = Number((ranked[0].artifactBytes / 1e6).toPrecision(3));
  expect(SIZE.altText).toContain(`, ${megabytes} MB`);
  expect([light?.status, light?.headers.get('content-type'), dark?.status]).toEqual([200, 'image/svg+xml', 200]);
  expect(svg).toMatch(/^<svg [^>]*width="400"/);
  expect(svg).toContain('spam-filter:2');
  expect(await dark?.text()).not.toBe(svg);
  expect(LATENCY.light.length).toBeLessThan(2_000);
  const changed = LATENCY.light.replace(/.{30}$/, (end: string) => end.toLowerCase().replaceAll('a', 'b'));
  expect([await statusOf(changed), await statusOf(LATENCY.light.replace('light', 'pink'))]).toEqual([404, 404]);
  expect(await plotsOf({ ...SPAM, worstMetric: 1 })).toEqual({ LATENCY: null, MEMORY: null, SIZE: null });
  const set = (values: object) =>
    catalogDb.updateTable('model').set(values).where('name', '=', 'spam-embeddings').execute();
  await set({ visibility: 'private', account: 'rival' });
  expect(await statusOf(LATENCY.light)).toBe(404);
  await set({ visibility: 'public', account: null });
  expect(await statusOf(LATENCY.light)).toBe(200);
});

test('leaderboards of many datasets take as many statements as that of one', async () => {
  const { catalogFile } = app.app.databases;
  const count = async (first: number) => {
    const before = catalogFile.statementCount;
    const query = `{ datasets(first: ${first}) { nodes { leaderboard(metric: "accuracy", first: 2) { ${RANKED} } } } }`;
    await evaluator.send(query);
    return catalogFile.statementCount - before;
  };

  expect(await count(10)).toBe(await count(5));
});

test.each([
  ['an unknown dataset', { dataset: 'none' }, { code: 'NOT_FOUND' }],
  [
    'a negative limit',
    { maxP50Ms: -1 },
    { code: 'INVALID_INPUT', problems: [{ path: ['input', 'maxP50Ms'], code: 'OUT_OF_RANGE', received: '-1' }] },
  ],
  [
    'no license',
    { licenses: [] },
    { code: 'INVALID_INPUT', problems: [{ path: ['input', 'licenses'], code: 'EMPTY' }] },
  ],
  ['no metric', { metric: '' }, { code: 'INVALID_INPUT', problems: [{ path: ['input', 'metric'], code: 'EMPTY' }] }],
])('%s is a problem', async (_, input, expected) => {
  const sent = { input: { ...SPAM, ...input } };

  expect((await evaluator.send(RECOMMEND, sent)).recommend).toMatchObject({ recommendation: null, problem: expected });
  expect((await evaluateMissing(sent.input)).problem).toMatchObject(expected);
});

test.each(['worstMetric', 'maxP50Ms', 'maxP95Ms'])('an infinite %s is a problem', async (field) => {
  // Only a literal is infinite: variables are not.
  const input = `{ task: TEXT_CLASSIFICATION, dataset: "short-messages-test", ${field}: -1e999 }`;
  const selected =
    'recommendation { excluded { misses { limit by } } } problem { ... on InvalidInput { problems { path code } } }';

  expect((await evaluator.send(`{ recommend(input: ${input}) { ${selected} } }`)).recommend).toEqual({
    recommendation: null,
    problem: { problems: [{ path: ['input', field], code: 'NOT_FINITE' }] },
  });
});
