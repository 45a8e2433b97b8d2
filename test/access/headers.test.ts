/** Headers that protect browsers are on every answer, whichever way it takes. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const JSON_POST = { method: 'POST', headers: { 'content-type': 'application/json' } };

test.each<[string, string, RequestInit]>([
  ['an answer', '/graphql', { ...JSON_POST, body: '{"query":"{ viewer { account } }"}' }],
  ['an answer with errors', '/graphql', { ...JSON_POST, body: '{"query":"{ node(id: 1) { id } }"}' }],
  ['an invalid document', '/graphql', { ...JSON_POST, body: '{"query":"{ nothing }"}' }],
  ['a body that is not JSON', '/graphql', { ...JSON_POST, body: '{' }],
  ['a key that does not exist', '/graphql', { headers: { authorization: 'Bearer mg_x' } }],
  ['an unknown route', '/nothing', {}],
  ['health', '/health/live', {}],
  ['a URL that cannot be decoded', '/%', {}],
  [
    'a preflight request',
    '/graphql',
    { method: 'OPTIONS', headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' } },
  ],
  ['metrics', '/metrics', {}],
  ['examples of the explorer', '/graphiql/operations.json', {}],
])(
  '%s is not kept, shown, read as another type, loaded by other origins, or named to other sites',
  async (_, path, init) => {
    const { headers } = await fetch(`${app.url}${path}`, init);
    expect(Object.fromEntries(headers)).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    const telling = ['strict-transport-security', 'server', 'x-powered-by', 'via'];
    expect(telling.filter((name) => headers.has(name))).toEqual([]);
  },
);

test('a request that is not HTTP is refused with the headers too', async () => {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.end('nonsense\r\n\r\n');
  const answer = await text(socket);

  for (const header of [
    'cache-control: no-store',
    "content-security-policy: default-src 'none'",
    'x-frame-options: DENY',
  ])
    expect(answer).toContain(header);
});

test('a repeated answer has the headers too', async () => {
  const ask = () => fetch(`${app.url}/graphql`, { ...JSON_POST, body: '{"query":"{ viewer { account roles } }"}' });
  await ask();
  expect((await ask()).headers.get('cache-control')).toBe('no-store');
});

test.each(['sandbox', 'graphiql'] as const)(
  'the %s page cannot be shown in a frame of another page',
  async (explorer) => {
    const own = await startTestApp({ explorer });
    const { headers } = await fetch(`${own.url}/graphql`, { headers: { accept: 'text/html' } });
    await own.stop();
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  },
);
