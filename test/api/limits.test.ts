/** What one request may ask for, and how larger requests are refused. */
import { connect } from 'node:net';
import { getIntrospectionQuery } from 'graphql';
import { LIMITS } from '#src/api/limits.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, goOn, hasFired } from '../support/faults.js';
import { until } from '../support/until.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ defaultDeadlineMs: 10_000 });
});
afterAll(() => app.stop());

const deep = (pairs: number, leaf: string) =>
  `{ model(name: "spam-filter") { ${'version { model { '.repeat(pairs)}${leaf}${' } }'.repeat(pairs)} } }`;

test('an operation of ten levels is answered; one of eleven is refused, inside fragments too', async () => {
  const ten = await app.send(deep(4, 'name'));
  const eleven = await app.send(deep(4, 'card { markdown }'));
  const hidden = await app.send(`${deep(4, '...F')} fragment F on Model { card { markdown } }`);

  expect(ten.errors).toBeUndefined();
  for (const { status, errors } of [eleven, hidden]) {
    expect(status).toBe(400);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('11 levels'),
      extensions: { code: 'DOCUMENT_LIMIT_EXCEEDED', limit: 'maxDepth', received: 11, allowed: 10 },
    });
  }
});

test('a document of more than 1,000 tokens is refused', async () => {
  const { status, errors } = await app.send(`{ ${'a: __typename '.repeat(400)} }`);

  expect(status).toBe(400);
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'DOCUMENT_LIMIT_EXCEEDED', limit: 'maxTokens' });
});

test('an operation that costs too much is refused before it runs, with its cost in the response', async () => {
  const { status, errors, extensions } = await app.send(
    '{ models(first: 100) { nodes { versions(first: 100) { nodes { evaluations(first: 5) { nodes { id } } } } } } }',
  );

  expect(status).toBe(400);
  expect(errors?.[0]?.extensions['code']).toBe('COST_LIMIT_EXCEEDED');
  expect(extensions?.['cost']).toEqual({ requested: 61_607, limit: LIMITS.maxCost });
});

test('every response has its cost; a prediction costs more than a name', async () => {
  const name = await app.send('{ model(name: "spam-filter") { name } }');
  const prediction = await app.send(
    'mutation { predict(input: { model: "spam-filter", input: { text: "hi" }, record: false }) { prediction { id } } }',
  );

  expect(name.extensions?.['cost'].requested).toBe(3);
  expect(prediction.extensions?.['cost'].requested).toBe(8);
});

test('a count adds to the cost once per page, however many elements the page has', async () => {
  const cost = async (document: string) => (await app.send(document)).extensions?.['cost'].requested;

  const page = await cost('{ models(first: 100) { nodes { name } } }');
  const counted = await cost('{ models(first: 100) { totalCount facets { buckets { value } } nodes { name } } }');
  const nested = await cost('{ models(first: 10) { nodes { versions(first: 20) { totalCount } } } }');
  const hidden = await cost(
    '{ models(first: 100) { ...F ... { b: totalCount } } } fragment F on ModelConnection { a: totalCount }',
  );

  expect(counted - page).toBeGreaterThan(400);
  expect(counted - page).toBeLessThan(500);
  expect(nested).toBe(1 + 10 * (1 + 10) + 1);
  expect(hidden).toBe(1 + 2 * 10 + 1);
});

test('a cost depends on the declared variables only', async () => {
  const cost = async (variables: Record<string, unknown>) =>
    (await app.send('query ($first: Int!) { models(first: $first) { nodes { name } } }', variables)).extensions?.[
      'cost'
    ].requested;

  const costs = [await cost({ first: 7, other: 1 }), await cost({ other: 1, first: 8 }), await cost({ first: 7 })];

  expect(costs).toEqual([9, 10, 9]);
});

test('a variable that was not sent has the default of its argument, even if every object has a property of its name', async () => {
  const costOf = async (variable: string) => {
    const query = `query ($${variable}: Int) { models(first: $${variable}) { nodes { name } } }`;
    return (await app.send(query)).extensions?.['cost'];
  };

  expect(await costOf('constructor')).toEqual(await costOf('first'));
});

test('a batch of 1,000 inputs with their best classes is within the limits', async () => {
  const inputs = Array.from({ length: LIMITS.maxBatch }, (_, i) => ({ text: `message ${i}` }));

  const { predictMany } = await app.query(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
      results { prediction { id output { ... on Classification { label score classes(first: 5) { label score } } } } problem { code } } } }`,
    // Enough time on any machine, since this test is about size.
    { input: { model: 'spam-filter', inputs, record: false, deadlineMs: 600_000 } },
  );

  const refused = predictMany.results.flatMap(({ problem }: Data) => problem?.code ?? []);
  expect(predictMany.results).toHaveLength(LIMITS.maxBatch);
  expect(refused).toEqual([]);
});

const LONGEST = 'a'.repeat(LIMITS.maxStringCharacters);
const STRINGS: readonly [argument: string, query: string, variable: (text: string) => Record<string, unknown>][] = [
  ['a search', 'query ($s: String) { models(search: $s) { totalCount } }', (s) => ({ s })],
  [
    'a value of a filter',
    'query ($f: ModelFilter) { models(filter: $f) { totalCount } }',
    (s) => ({ f: { owners: ['a', s] } }),
  ],
  [
    'a metric',
    'query ($f: ModelFilter) { models(filter: $f) { totalCount } }',
    (s) => ({ f: { metric: { metric: s } } }),
  ],
  ['a part of a filter', 'query ($s: [String!]) { models(filter: { tags: $s }) { totalCount } }', (s) => ({ s: [s] })],
  ['a name', 'query ($s: String!) { ...F } fragment F on Query { model(name: $s) { id } }', (s) => ({ s })],
  ['an id', 'query ($s: [ID!]!) { nodes(ids: $s) { id } }', (s) => ({ s: [s] })],
  [
    'a dataset',
    'query ($s: String) { models { nodes { version { evaluation(dataset: $s) { id } } } } }',
    (s) => ({ s }),
  ],
  ['a label', 'query ($f: PredictionFilter) { predictions(filter: $f) { totalCount } }', (s) => ({ f: { label: s } })],
  [
    'the model of an alias',
    'mutation ($i: SetAliasInput!) { setAlias(input: $i) { problem { code } } }',
    (s) => ({ i: { model: s, alias: 'a', version: 'spam-filter:2' } }),
  ],
  [
    'an idempotency key',
    'mutation ($i: PredictInput!) { predict(input: $i) { problem { code } } }',
    (s) => ({ i: { model: 'spam-filter', input: { text: 'a' }, idempotencyKey: s } }),
  ],
];

test.each(STRINGS)(
  '%s may have 2,048 characters; a longer one is refused before anything is read',
  async (_, query, variable) => {
    const { catalogFile, predictionsFile } = app.app.databases;
    const accepted = await app.send(query, variable(LONGEST));
    const before = catalogFile.statementCount + predictionsFile.statementCount;
    const refused = await app.send(query, variable(`${LONGEST}a`));

    expect(accepted.errors).toBeUndefined();
    expect(refused.status).toBe(400);
    expect(refused.errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      problems: [{ code: 'TOO_LARGE', expected: 'at most 2048 characters' }],
    });
    expect(catalogFile.statementCount + predictionsFile.statementCount).toBe(before);
  },
);

test('literals and default values have the same limit; texts of inputs have their own, as variables and as literals', async () => {
  const long = `${LONGEST}a`;
  const predict = (definition: string, text: string) =>
    `mutation ${definition} { predict(input: { model: "spam-filter", record: false, input: { text: ${text} } }) { problem { code } } }`;

  const refused = [
    await app.send(`{ models(search: "${long}") { totalCount } }`),
    await app.send(`{ models(filter: { tags: ["a", "${long}"] }) { totalCount } }`),
    await app.send(`query ($s: String = "${long}") { models(search: $s) { totalCount } }`),
  ];
  const accepted = [
    await app.send(predict('', `"${long}"`)),
    await app.send(predict(`($t: String = "${long}")`, '$t')),
    await app.send(predict('($t: String!)', '$t'), { t: long.repeat(4) }),
  ];

  for (const { status, errors } of refused) {
    expect(status).toBe(400);
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'DOCUMENT_LIMIT_EXCEEDED',
      limit: 'maxStringCharacters',
      received: 2_049,
      allowed: 2_048,
    });
  }
  for (const { data } of accepted) expect(data.predict.problem).toBeNull();
});

test('a body over 16 MiB is refused', async () => {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ __typename }', variables: { x: 'x'.repeat(LIMITS.maxBodyBytes) } }),
  });

  expect(response.status).toBe(413);
});

test('the limits query returns the limits in force', async () => {
  const { limits } = await app.query(
    '{ limits { maxPageSize maxBatch maxBodyBytes maxImagePixels maxDepth maxTokens maxCost defaultDeadlineMs } }',
  );

  expect({ ...LIMITS, defaultDeadlineMs: 10_000 }).toMatchObject(limits);
  expect(Object.keys(limits)).toHaveLength(8);
});

test('the introspection query of explorers and code generators is answered', async () => {
  const { data, errors } = await app.send(
    getIntrospectionQuery({ inputValueDeprecation: true, oneOf: true, schemaDescription: true }),
  );

  expect(errors).toBeUndefined();
  expect(data.__schema.queryType.name).toBe('Query');
});

test('a mutation by GET, a form and a list of operations are refused', async () => {
  const url = `${app.url}/graphql`;
  const json = { 'content-type': 'application/json' };
  const mutation = encodeURIComponent(
    'mutation { setAlias(input: { model: "a", alias: "b", version: "a" }) { problem { code } } }',
  );

  const byGet = await fetch(`${url}?query=${mutation}`, { headers: { 'apollo-require-preflight': 'true' } });
  const form = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: '{"query":"{__typename}"}',
  });
  const list = await fetch(url, { method: 'POST', headers: json, body: '[{"query":"{__typename}"}]' });

  expect([byGet.status, form.status, list.status]).toEqual([405, expect.any(Number), 400]);
  expect(await list.json()).toMatchObject({ errors: [{ extensions: { code: 'BATCHING_NOT_SUPPORTED' } }] });
  expect(form.status).toBeGreaterThanOrEqual(400);
});

test('pages of Apollo Studio may call the API, other pages may not', async () => {
  const origin = (from: string) =>
    fetch(`${app.url}/graphql`, {
      method: 'OPTIONS',
      headers: { origin: from, 'access-control-request-method': 'POST' },
    });

  const studio = await origin('https://studio.apollographql.com');
  const other = await origin('https://example.com');

  expect(studio.headers.get('access-control-allow-origin')).toBe('https://studio.apollographql.com');
  expect(other.headers.get('access-control-allow-origin')).not.toBe('https://example.com');
});

test('the health routes report live, and ready if a model can answer; every response has a request id', async () => {
  const live = await fetch(`${app.url}/health/live`);
  const ready = await fetch(`${app.url}/health/ready`);

  expect([live.status, ready.status]).toEqual([200, 200]);
  expect(live.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}-\d+$/);
  expect(live.headers.get('x-request-id')).not.toBe(ready.headers.get('x-request-id'));
});

test('without a model that can answer the server is not ready, and says why', async () => {
  const empty = await startTestApp({ empty: true, modelStore: '/nowhere' });

  const ready = await fetch(`${empty.url}/health/ready`);
  await empty.stop();

  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ reason: expect.stringContaining('no model can answer') });
});

test('the server is not ready without the provider that is required, and says what is missing', async () => {
  const MISSING = 'libonnxruntime_providers_shared.so: cannot open shared object file';
  const demanding = await startTestApp({ executionProviders: ['cuda', 'cpu'], requireProvider: 'cuda' });

  const ready = await fetch(`${demanding.url}/health/ready`);
  const { engine } = await demanding.query('{ engine { providers { name available reason } } }');
  await demanding.stop();

  expect(ready.status).toBe(503);
  const { reason } = (await ready.json()) as { reason: string };
  expect(reason).toContain('REQUIRE_PROVIDER=cuda');
  expect(reason).toContain(MISSING);
  expect(reason).not.toContain(process.cwd());
  expect(engine.providers[0]).toMatchObject({
    name: 'cuda',
    available: false,
    reason: expect.stringContaining(MISSING),
  });
});

test('an input whose caller has disconnected while it waits is never run', async () => {
  const { hostname, port } = new URL(app.url);
  const before = await count();
  const inputs = Array.from({ length: 300 }, (_, i) => ({ text: `left alone ${i} `.repeat(200) }));
  const body = JSON.stringify({
    query: 'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } } }',
    variables: { input: { model: 'spam-filter', inputs } },
  });
  const socket = connect(Number(port), hostname);
  const head = `POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;

  await armFault('worker.run.begin', 'pause');
  await new Promise<void>((resolve) => socket.write(head + body, () => resolve()));
  await until('the worker holds its first batch and others wait', () => hasFired() && app.app.engine.queueDepth > 0);
  socket.destroy();
  // Before the worker goes on, so that a retry with the same idempotency key need not wait for it.
  await until('no input waits', () => app.app.engine.queueDepth === 0);
  await goOn();
  await disarmFault();

  expect((await count()) - before).toBeLessThan(inputs.length);
});

async function count(): Promise<number> {
  return (await app.query('{ predictions { totalCount } }')).predictions.totalCount;
}
