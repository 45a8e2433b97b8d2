/** Quotas over real HTTP: what counts, how a refusal looks, and that nothing gets around it. */
import http from 'node:http';
import { parse, type Scrape } from '../metrics/scrape.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const CREATE =
  'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id limits { operationsPerSecond operationsPerDay computeMsPerDay } } secret problem { code ... on InvalidInput { problems { path code received } } } } }';
const PREDICT =
  'mutation ($input: PredictInput!) { predict(input: $input) { prediction { timing { prepareMs inferMs finishMs } } problem { code message retryable retryAfterMs ... on QuotaExceeded { quota limit used } } } }';
const SET =
  'mutation ($id: ID!, $limits: QuotaLimitsInput, $reason: String) { setApiKeyLimits(id: $id, limits: $limits, reason: $reason) { apiKey { limits { operationsPerDay bytesPerDay } } problem { code } } }';
const USAGE = '{ viewer { limits { operationsPerDay } usage { operations computeMs bytes resetsAt } } }';
const TEXT = { model: 'spam-filter', input: { text: 'hello' }, record: false };

let app: TestApp;
let admin: string;
beforeAll(async () => {
  app = await startTestApp();
  admin = (await create(null, { roles: ['ADMIN'] })).secret;
});
afterAll(() => app.stop());

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Data;
  readonly bytes: number;
}

async function post(key: string | null, body: string, headers: Record<string, string> = {}): Promise<Sent> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }), ...headers },
    body,
  });
  const text = await response.text();
  const bytes = body.length + Buffer.byteLength(text);
  return { status: response.status, headers: response.headers, body: JSON.parse(text), bytes };
}

const send = (key: string | null, query: string, variables: object = {}) =>
  post(key, JSON.stringify({ query, variables }));

async function create(key: string | null, input: Record<string, unknown>): Promise<Data> {
  const { body } = await send(key, CREATE, { input: { name: 'a', account: 'team', ...input } });
  return body.data.createApiKey;
}

const keyWith = async (limits: object): Promise<string> =>
  (await create(admin, { roles: ['PREDICTOR'], limits })).secret;

const usageOf = async (key: string): Promise<Data> => (await send(key, USAGE)).body.data.viewer.usage;

test('a mutation beyond a quota has a problem that says which, and when to retry', async () => {
  const key = await keyWith({ operationsPerDay: 1 });
  await send(key, PREDICT, { input: TEXT });
  const { status, body } = await send(key, PREDICT, { input: TEXT });

  expect(status).toBe(200);
  const { prediction, problem } = body.data.predict;
  expect(prediction).toBeNull();
  expect(problem).toMatchObject({ code: 'QUOTA_EXCEEDED', quota: 'OPERATIONS_PER_DAY', limit: 1, used: 1 });
  expect(problem).toMatchObject({ retryable: true, message: expect.stringContaining('Try again in') });
  expect(problem.retryAfterMs).toBeGreaterThan(0);
  expect(problem.retryAfterMs).toBeLessThanOrEqual(86_400_000);
});

test.each(['{ models(first: 1) { totalCount } }', '{ viewer { account } }', '{ __typename }'])(
  'a query beyond a quota is refused with 429: %s',
  async (query) => {
    const key = await keyWith({ operationsPerSecond: 1 });
    await send(key, query);
    const { status, headers, body } = await send(key, query);

    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('1');
    expect(body.errors).toHaveLength(1);
    const { code, quota, limit, retryable, retryAfterMs } = body.errors[0].extensions;
    expect({ code, quota, limit, retryable }).toEqual({
      code: 'QUOTA_EXCEEDED',
      quota: 'OPERATIONS_PER_SECOND',
      limit: 1,
      retryable: true,
    });
    expect(retryAfterMs).toBeLessThanOrEqual(1_000);
  },
);

test('aliases of a query and of a mutation count one by one', async () => {
  const key = await keyWith({ operationsPerDay: 5 });
  const query = await send(key, '{ a: limits { maxCost } b: limits { maxCost } c: limits { maxCost } }');
  const field = (name: string) => `${name}: predict(input: $input) { problem { code } }`;
  const many = `mutation ($input: PredictInput!) { ${['a', 'b', 'c', 'd'].map(field).join(' ')} }`;
  const mutation = await send(key, many, { input: TEXT });
  const again = await send(key, '{ a: limits { maxCost } b: limits { maxCost } }');

  expect(query.status).toBe(200);
  const codes = Object.values<Data>(mutation.body.data).map(({ problem }) => problem?.code ?? null);
  expect(codes).toEqual([null, null, 'QUOTA_EXCEEDED', 'QUOTA_EXCEEDED']);
  expect(again.status).toBe(429);
});

test('skipped fields do not count, spread fields once, and each request that is wrong as one', async () => {
  const key = await keyWith({ operationsPerDay: 1_000 });
  await send(key, 'query ($no: Boolean!) { a: limits { maxCost } b: limits @include(if: $no) { maxCost } }', {
    no: false,
  });
  await send(key, '{ ...F ...F } fragment F on Query { a: limits { maxCost } b: limits { maxDepth } }');
  const two = 'query A { limits { maxCost } } query B($n: Int!) { models(first: $n) { totalCount } }';
  const dear = `{ ${['a', 'b', 'c', 'd'].map((name) => `${name}: models(first: 100) { nodes { versions(first: 100) { nodes { card } } } }`).join(' ')} }`;
  const wrong = [
    await send(key, '{ noSuchField }'),
    await send(key, two),
    await post(key, JSON.stringify({ query: two, operationName: 'B', variables: { n: 'many' } })),
    await send(key, dear),
    await post(key, '{'),
  ];

  expect(wrong.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
  // With the query that asks.
  expect((await usageOf(key)).operations).toBe(1 + 2 + 5 + 1);
});

test('many connections at once get no more than one', async () => {
  const key = await keyWith({ operationsPerSecond: 8, operationsPerDay: 20 });
  const sent = await Promise.all(Array.from({ length: 60 }, () => send(key, PREDICT, { input: TEXT })));

  const answered = sent.filter(({ body }) => body.data?.predict.prediction).length;
  const others = sent.filter(({ body }) => !body.data?.predict.prediction);
  expect(answered).toBeGreaterThanOrEqual(8);
  expect(answered).toBeLessThanOrEqual(20);
  for (const { status, body } of others)
    expect([status, body.errors?.[0]?.extensions.code ?? body.data.predict.problem.code]).toEqual([
      body.errors ? 429 : 200,
      'QUOTA_EXCEEDED',
    ]);
});

test('computing counts what models took, for each input of predictMany, and nothing that was refused before', async () => {
  const key = await keyWith({ computeMsPerDay: 1_000_000 });
  const used = async () => (await usageOf(key)).computeMs;
  const [start, ofStart] = [await used(), await used()];
  const ofRead = ofStart - start;
  const single: number[] = [];
  let before = ofStart;
  // The least: the first run and a busy machine take longer.
  for (let i = 0; i < 5; i++) {
    await send(key, PREDICT, { input: TEXT });
    const now = await used();
    single.push(now - before - ofRead);
    before = now;
  }
  const one = Math.min(...single);
  const MANY =
    'mutation ($input: PredictManyInput!) { predictMany(input: $input) { columns { labels } problem { code } } }';
  const inputs = Array.from({ length: 200 }, (_, i) => ({ text: `${'free prize '.repeat(40)}${i}` }));
  const many = await send(key, MANY, { input: { model: 'spam-filter', inputs, record: false } });
  const after = (await usageOf(key)).computeMs;

  expect(many.body.data.predictMany.problem).toBeNull();
  expect(one).toBeGreaterThan(0);
  expect(after - before - ofRead).toBeGreaterThan(5 * one);
  const invalid = await send(key, PREDICT, { input: { ...TEXT, input: { row: {} } } });
  expect(invalid.body.data.predict.problem.code).toBe('INVALID_INPUT');
  // The field itself, but no run.
  expect((await usageOf(key)).computeMs - after - ofRead).toBeLessThan(0.5);
});

test('inputs that computing does not suffice for have the problem, the others are answered', async () => {
  const RESULTS =
    'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { id } problem { code ... on QuotaExceeded { quota } } } } }';
  const inputs = Array.from({ length: 300 }, (_, i) => ({ text: `${'free prize '.repeat(50)}${i}` }));
  const input = { model: 'spam-filter', inputs, record: false };
  // Too little for the field itself, then more, until it suffices for some of the runs, but not for all.
  let refused: Data[] = [];
  for (let allowedMs = 1; allowedMs < 10_000; allowedMs *= 1.5) {
    const key = await keyWith({ computeMsPerDay: Math.ceil(allowedMs) });
    const { body } = await send(key, RESULTS, { input });
    refused = ((body.data.predictMany?.results ?? []) as Data[]).filter(({ problem }) => problem);
    if (refused.length > 0 && refused.length < inputs.length) break;
  }

  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(inputs.length);
  for (const { problem } of refused) expect(problem).toEqual({ code: 'QUOTA_EXCEEDED', quota: 'COMPUTE_MS_PER_DAY' });
});

test('bytes are those of bodies and answers, of bodies in chunks too, and unread bodies do not count', async () => {
  const key = await keyWith({ bytesPerDay: 100_000 });
  const first = await send(key, PREDICT, { input: TEXT });
  const usage = await send(key, USAGE);
  const asked = JSON.stringify({ query: USAGE, variables: {} }).length;
  expect(usage.body.data.viewer.usage.bytes).toBe(first.bytes + asked);

  const tooLarge = await send(key, PREDICT, { input: { ...TEXT, input: { text: 'x'.repeat(100_000) } } });
  expect([tooLarge.status, tooLarge.body.errors[0].extensions.quota]).toEqual([429, 'BYTES_PER_DAY']);
  expect(tooLarge.body.errors[0].extensions).toMatchObject({ retryable: false, retryAfterMs: null });
  const before = (await usageOf(key)).bytes;
  expect(before).toBeLessThan(10_000);
  await chunked(key, JSON.stringify({ query: '{ limits { maxCost } }', padding: 'x'.repeat(50_000) }));
  expect((await usageOf(key)).bytes).toBeGreaterThan(before + 50_000);
});

/** Sends a body without Content-Length. */
function chunked(key: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const request = http.request(`${app.url}/graphql`, { method: 'POST', headers }, (response) => {
      response.resume().on('end', resolve);
    });
    request.on('error', reject);
    request.write(body.slice(0, 1_000));
    request.end(body.slice(1_000));
  });
}

test('a caller whose quota is used up is not read: large bodies, and small ones beyond a few', async () => {
  const key = await keyWith({ operationsPerDay: 1 });
  await send(key, PREDICT, { input: TEXT });
  const large = await send(key, PREDICT, { input: { ...TEXT, input: { text: 'x'.repeat(10_000) } } });
  const small = await Promise.all(Array.from({ length: 40 }, () => send(key, PREDICT, { input: TEXT })));

  expect([large.status, large.body.errors[0].extensions.code]).toEqual([429, 'QUOTA_EXCEEDED']);
  expect(small.filter(({ status }) => status === 429).length).toBeGreaterThan(10);
  expect(small.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
});

test('a publishable key has a quota, given or not, and other keys have one if it is given', async () => {
  const page = {
    kind: 'PUBLISHABLE',
    roles: ['PREDICTOR'],
    operations: ['predict', 'viewer'],
    models: ['spam-filter'],
    origins: ['https://shop.example'],
  };
  const byDefault = await create(admin, page);
  const given = await create(admin, { ...page, limits: { operationsPerSecond: 2 } });
  const none = await create(admin, { roles: ['VIEWER'] });

  expect(byDefault.apiKey.limits).toEqual({
    operationsPerSecond: 50,
    operationsPerDay: 100_000,
    computeMsPerDay: 3_600_000,
  });
  expect(given.apiKey.limits).toMatchObject({ operationsPerSecond: 2, operationsPerDay: 100_000 });
  expect(none.apiKey.limits).toBeNull();
  const viewer = await send(none.secret, USAGE);
  expect(viewer.body.data.viewer).toEqual({ limits: null, usage: null });
});

test('limits of a key are changed at once, with an entry in the audit log', async () => {
  const { apiKey, secret } = await create(admin, { roles: ['VIEWER'], limits: { operationsPerDay: 3 } });
  const read = '{ limits { maxCost } }';
  await send(secret, '{ a: limits { maxCost } b: limits { maxCost } c: limits { maxCost } }');
  const refused = await send(secret, read);
  const limits = { operationsPerDay: 4 };
  const changed = await send(admin, SET, { id: apiKey.id, limits, reason: 'a campaign' });
  const allowed = await send(secret, read);
  const refusedAgain = await send(secret, read);
  await send(admin, SET, { id: apiKey.id });
  const unlimited = await send(secret, read);
  const unknown = await send(admin, SET, { id: 'x', limits });
  const log = await send(
    admin,
    `{ auditLog(first: 2, target: "API key ${apiKey.id}") { nodes { action reason before after } } }`,
  );

  expect([refused, allowed, refusedAgain, unlimited].map(({ status }) => status)).toEqual([429, 200, 429, 200]);
  expect(changed.body.data.setApiKeyLimits).toEqual({
    apiKey: { limits: { operationsPerDay: 4, bytesPerDay: null } },
    problem: null,
  });
  expect(unknown.body.data.setApiKeyLimits).toEqual({ apiKey: null, problem: { code: 'NOT_FOUND' } });
  expect(log.body.data.auditLog.nodes).toMatchObject([
    { action: 'setApiKeyLimits', before: { limits: { operationsPerDay: 4 } }, after: { limits: null } },
    { action: 'setApiKeyLimits', reason: 'a campaign', before: { limits: { operationsPerDay: 3 } } },
  ]);
});

test.each([[{ operationsPerDay: 0 }], [{ operationsPerDay: -5 }]])(
  'limits of %p are refused with a path',
  async (limits) => {
    const { problem } = await create(admin, { roles: ['VIEWER'], limits });
    const [path] = problem.problems.map((one: Data) => one.path);
    expect([problem.code, path]).toEqual(['INVALID_INPUT', ['input', 'limits', 'operationsPerDay']]);
  },
);

test('a new key of a rotation has the limits of the old one, or others', async () => {
  const ROTATE =
    'mutation ($id: ID!, $limits: QuotaLimitsInput) { rotateApiKey(id: $id, limits: $limits) { apiKey { id limits { operationsPerDay bytesPerDay } } } }';
  const { apiKey } = await create(admin, { roles: ['VIEWER'], limits: { operationsPerDay: 7 } });
  const first = (await send(admin, ROTATE, { id: apiKey.id })).body.data.rotateApiKey.apiKey;
  const second = await send(admin, ROTATE, { id: first.id, limits: { bytesPerDay: 9 } });

  expect(first.limits).toEqual({ operationsPerDay: 7, bytesPerDay: null });
  expect(second.body.data.rotateApiKey.apiKey.limits).toEqual({ operationsPerDay: null, bytesPerDay: 9 });
});

test('refusals are counted by quota, and no metric names a key', async () => {
  const { apiKey, secret } = await create(admin, { roles: ['VIEWER'], limits: { operationsPerDay: 1 } });
  const before = await metrics();
  await send(secret, '{ limits { maxCost } }');
  await send(secret, '{ limits { maxCost } }');
  const after = await metrics();

  const of = (one: Scrape) => one.sum('modelgraph_quota_refusals_total', { quota: 'OPERATIONS_PER_DAY' });
  expect(of(after) - of(before)).toBe(1);
  expect(JSON.stringify(after)).not.toContain(apiKey.id);
});

async function metrics(): Promise<Scrape> {
  const response = await fetch(`${app.url}/metrics`, { headers: { authorization: `Bearer ${admin}` } });
  return parse(await response.text());
}
