/** The checks of graphql-cop, as tests: what a scanner asks of a server that has keys, without one and with one. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
let viewer: string;
let publishable: string;
beforeAll(async () => {
  app = await startTestApp();
  const CREATE = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }';
  const create = async (input: object, key: string | null = null): Promise<string> =>
    (await send({ query: CREATE, variables: { input } }, key)).body.data.createApiKey.secret;
  const admin = await create({ name: 'admin', account: 'team', roles: ['ADMIN'] });
  viewer = await create({ name: 'viewer', account: 'team', roles: ['VIEWER'] }, admin);
  const page = { origins: [ORIGIN], operations: ['model'], models: ['spam-filter'] };
  const bound = { name: 'page', account: 'team', roles: ['VIEWER'], kind: 'PUBLISHABLE', ...page };
  publishable = await create(bound, admin);
});
afterAll(() => app.stop());

const ORIGIN = 'https://shop.example';

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Data;
}

async function request(path: string, init: RequestInit, key: string | null = null): Promise<Sent> {
  const headers = { ...(init.headers as object), ...(key && { authorization: `Bearer ${key}`, origin: ORIGIN }) };
  const response = await fetch(`${app.url}${path}`, { ...init, headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text.startsWith('{') ? JSON.parse(text) : null,
  };
}

function send(body: unknown, key: string | null = null, headers: object = {}): Promise<Sent> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
  return request('/graphql', init, key);
}

const codeOf = ({ body }: Sent) => body.errors?.[0]?.extensions?.code;
const repeated = (count: number, part: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => part(i)).join(' ');

test('alias overloading: 101 aliases are refused', async () => {
  const sent = await send({ query: `{ ${repeated(101, (i) => `alias${i}: __typename`)} }` });
  expect([sent.status, codeOf(sent)]).toEqual([400, 'DOCUMENT_LIMIT_EXCEEDED']);
});

test('batch queries: a list of operations is refused', async () => {
  const sent = await send(Array.from({ length: 10 }, () => ({ query: '{ __typename }' })));
  expect([sent.status, codeOf(sent)]).toEqual([400, 'BATCHING_NOT_SUPPORTED']);
});

test('directive overloading: many directives are refused', async () => {
  const sent = await send({ query: `{ __typename ${repeated(50, () => '@include(if: true)')} }` });
  expect(sent.status).toBe(400);
});

test('field duplication: 500 times the same field is refused', async () => {
  const sent = await send({ query: `{ ${repeated(500, () => '__typename')} }` }, viewer);
  expect([sent.status, codeOf(sent)]).toEqual([400, 'DOCUMENT_LIMIT_EXCEEDED']);
});

const CIRCULAR = `{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }`;

test('circular introspection: a query that goes around the types is refused', async () => {
  const sent = await send({ query: CIRCULAR }, viewer);
  expect(sent.status).toBe(400);
});

test.each([
  ['the schema', '{ __schema { types { name } } }'],
  ['a type', '{ __type(name: "Model") { name } }'],
  ['the schema under an alias', '{ a: __schema { queryType { name } } }'],
  ['the schema in a fragment', '{ ...F } fragment F on Query { __schema { queryType { name } } }'],
  ['the schema in a fragment that is skipped', '{ ... @skip(if: true) { __schema { queryType { name } } } }'],
])('introspection: %s is for holders of keys that are not publishable', async (_, query) => {
  const [nobody, page, holder] = [
    await send({ query }),
    await send({ query }, publishable),
    await send({ query }, viewer),
  ];
  expect([nobody.status, codeOf(nobody)]).toEqual([401, 'UNAUTHENTICATED']);
  expect([page.status, codeOf(page)]).toEqual([403, 'FORBIDDEN']);
  expect([holder.status, holder.body.errors]).toEqual([200, undefined]);
});

test('field suggestions: names of the schema are suggested to holders of keys only', async () => {
  const query = '{ modls { totalCount } model(nam: "x") { titel } }';
  const [nobody, page, holder] = [
    await send({ query }),
    await send({ query }, publishable),
    await send({ query }, viewer),
  ];
  for (const { text, status } of [nobody, page]) {
    expect(status).toBe(400);
    expect(text).not.toMatch(/did you mean|"models|title/i);
  }
  expect(holder.text).toContain('Did you mean');
});

test('GET mutations: a mutation over GET is refused', async () => {
  const query = encodeURIComponent('mutation { revokeApiKey(id: "x") { problem { code } } }');
  const sent = await request(`/graphql?query=${query}`, { headers: { 'apollo-require-preflight': '1' } }, viewer);
  expect(sent.status).toBe(405);
});

test('GET queries: a page of another origin cannot send one without a preflight', async () => {
  const sent = await request('/graphql?query=%7B__typename%7D', { headers: {} });
  expect([sent.status, sent.body.errors[0].message]).toEqual([400, expect.stringContaining('CSRF')]);
});

test.each(['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x'])(
  'POST with the simple content type %s is refused',
  async (type) => {
    const sent = await send({ query: '{ __typename }' }, null, { 'content-type': type });
    expect(sent.status).toBe(415);
  },
);

test('tracing: answers have no extensions but the cost', async () => {
  const sent = await send({ query: '{ viewer { account } }' }, viewer, {
    'apollo-tracing': '1',
    'x-apollo-tracing': '1',
  });
  expect(Object.keys(sent.body.extensions)).toEqual(['cost']);
});

test.each([
  [
    'a type error in a variable',
    { query: 'query ($a: Int!) { models(first: $a) { totalCount } }', variables: { a: {} } },
  ],
  ['a syntax error', { query: 'qwerty abc' }],
  ['no document', {}],
])('unhandled errors: %s shows no stack and no path', async (_, body) => {
  const sent = await send(body, viewer);
  expect(sent.status).toBe(400);
  expect(sent.text).not.toMatch(/node_modules|\.js:|at \w+ \(|stacktrace/);
});

test('explorers: with EXPLORER=off there is none', async () => {
  const silent = await startTestApp({ explorer: 'off' });
  const paths = ['/graphql', '/graphiql', '/playground', '/console', '/altair', '/voyager'];
  const answers = await Promise.all(
    paths.map((path) => fetch(`${silent.url}${path}`, { headers: { accept: 'text/html' } })),
  );
  const pages = await Promise.all(answers.map((answer) => answer.text()));
  await silent.stop();

  expect(answers.slice(1).map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  expect(pages.join()).not.toMatch(/<html|<script/i);
});
