/** Pages that this machine serves may call a server without keys, with fewer rights; other pages may not. */
import { request } from 'node:http';
import { json } from 'node:stream/consumers';
import { PageOrigins } from '#src/access/page-origins.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const LISTED = 'http://localhost:8080';
const PAGE = 'http://localhost:5173';

let app: TestApp;
let listing: TestApp;
beforeAll(async () => {
  [app, listing] = await Promise.all([
    startTestApp(),
    startTestApp({ empty: true, modelStore: '/nowhere', corsOrigins: [LISTED] }),
  ]);
});
afterAll(() => Promise.all([app.stop(), listing.stop()]));

/** Not with `fetch`, which does not send another Origin. */
function send(query: string, headers: Record<string, string>, { url = app.url, variables = {} } = {}): Promise<Data> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
    });
    sent.on('response', (response) => resolve(json(response))).on('error', reject);
    sent.end(JSON.stringify({ query, variables }));
  });
}

async function allowedOrigin(url: string, origin: string): Promise<string | null> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
  const { headers: answered } = await fetch(`${url}/graphql`, { method: 'OPTIONS', headers });
  return answered.get('access-control-allow-origin');
}

const rolesOf = async (headers: Record<string, string>, url = app.url) =>
  (await send('{ viewer { roles } }', headers, { url })).data.viewer.roles;

test.each([
  PAGE,
  'https://localhost:3000',
  'http://localhost',
  'http://127.0.0.1:8000',
  'http://127.9.9.9:1',
  'http://[::1]:5173',
])('without keys, a page of %s may call', async (origin) => {
  expect(await allowedOrigin(app.url, origin)).toBe(origin);
});

test.each([
  'http://localhost.evil.example',
  'http://localhost.evil.example:5173',
  'http://evil.example',
  'http://evil.localhost:5173',
  'http://127.0.0.1.evil.example',
  'http://127.0.0.1.nip.io',
  'http://localhost@evil.example',
  'http://evil.example#http://localhost:5173',
  'http://localhost:5173/',
  'http://localhost:5173.evil.example',
  'HTTP://LOCALHOST:5173',
  'http://2130706433',
  'http://0x7f.1',
  'http://0.0.0.0:5173',
  'http://192.168.0.7:5173',
  'http://[::ffff:8.8.8.8]',
  'chrome-extension://localhost',
  'file://localhost',
  'ftp://localhost',
  'null',
  '*',
])('a page of %s may not call', async (origin) => {
  expect(await allowedOrigin(app.url, origin)).toBeNull();
  expect(await rolesOf({ origin })).toEqual(['PREDICTOR']);
});

test('a page runs models and reads its history, and does not administer the server', async () => {
  const predicted = await send(
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { message } } }',
    { origin: PAGE },
    { variables: { input: { model: 'spam-filter', input: { text: 'Lunch at noon?' } } } },
  );
  const history = await send('{ predictions(first: 1) { nodes { id } } __schema { queryType { name } } }', {
    origin: PAGE,
  });
  const refused = await send(
    `mutation {
      createApiKey(input: { name: "x", account: "x", roles: [ADMIN] }) { secret problem { code message } }
      setAlias(input: { model: "penguins", alias: "champion", version: "penguins:1" }) { problem { code } }
      deleteModel(input: { model: "penguins" }) { problem { code } }
      createUpload(input: { fileName: "a", sizeBytes: 1, sha256: "a" }) { problem { code } }
      erasePredictions(input: { account: "x" }) { problem { code } }
    }`,
    { origin: PAGE },
  );
  const engine = await send('{ engine { queueDepth } }', { origin: PAGE });
  const metrics = await fetch(`${app.url}/metrics`, { headers: { origin: PAGE } });

  expect(history.data.predictions.nodes).toEqual([{ id: predicted.data.predict.prediction.id }]);
  expect(Object.values(refused.data as Data).map(({ problem }: Data) => problem.code)).toEqual(
    Array(5).fill('FORBIDDEN'),
  );
  expect(refused.data.createApiKey.problem.message).toBe(
    'Mutation.createApiKey is for programs on this machine and web pages of the origins in CORS_ORIGINS only.',
  );
  expect(engine.errors[0].extensions.code).toBe('FORBIDDEN');
  expect(metrics.status).toBe(403);
});

test('programs, pages of the server itself and pages of listed origins have the rights of who opened them', async () => {
  const host = new URL(app.url).host;
  const all = await Promise.all([
    rolesOf({}),
    rolesOf({ origin: `http://${host}` }),
    rolesOf({ origin: 'http://localhost:4000', host: 'localhost:4000' }),
    rolesOf({ origin: 'https://studio.apollographql.com' }),
    rolesOf({ origin: LISTED }, listing.url),
  ]);

  for (const roles of all) expect(roles).toContain('ADMIN');
});

test('a page cannot take the place of the server in its own Host', async () => {
  const { errors } = await send('{ viewer { roles } }', { origin: 'http://evil.example', host: 'evil.example' });

  expect(errors[0].extensions.code).toBe('HOST_NOT_ALLOWED');
});

test('where CORS_ORIGINS is set, pages of other origins may not call', async () => {
  expect(await Promise.all([LISTED, PAGE].map((origin) => allowedOrigin(listing.url, origin)))).toEqual([LISTED, null]);
});

test('pages of loopback may not call a server that others reach, or that has keys', async () => {
  const origins = new PageOrigins(null);
  const before = await allowedOrigin(app.url, PAGE);
  await app.query('mutation { createApiKey(input: { name: "x", account: "x", roles: [ADMIN] }) { secret } }');

  expect(origins.mayCall(PAGE, false)).toBe(false);
  expect([before, await allowedOrigin(app.url, PAGE)]).toEqual([PAGE, null]);
  expect((await send('{ models { totalCount } }', { origin: PAGE })).errors[0].extensions.code).toBe('UNAUTHENTICATED');
});
