/** Headers that protect browsers are on every answer, whichever way it takes. */
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
])('%s is not kept, not read as another type, and not named to other sites', async (_, path, init) => {
  const { headers } = await fetch(`${app.url}${path}`, init);
  const names = ['cache-control', 'x-content-type-options', 'referrer-policy'];
  expect(names.map((name) => headers.get(name))).toEqual(['no-store', 'nosniff', 'no-referrer']);
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
