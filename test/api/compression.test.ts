/** Answers are compressed for those who accept it, and lengths do not tell what they must not. */
import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

interface Received {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** As it was sent, not decompressed. */
async function send(query: string, acceptEncoding?: string): Promise<Received> {
  const headers = { 'content-type': 'application/json', ...(acceptEncoding && { 'accept-encoding': acceptEncoding }) };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${app.url}/graphql`, { method: 'POST', headers }, (response) => {
      buffer(response).then((body) => resolve({ headers: response.headers, body }), reject);
    });
    outgoing.on('error', reject).end(JSON.stringify({ query }));
  });
}

const LARGE = '{ models { nodes { name title summary license tags version { ref signature { labels } } } } }';

test.each(['gzip', 'br, gzip;q=0.5', '*'])('Accept-Encoding: %s gets a large answer compressed', async (accepted) => {
  const plain = await send(LARGE);
  const { headers, body } = await send(LARGE, accepted);

  expect(headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': String(body.length) });
  expect(headers.vary).toMatch(/accept-encoding/i);
  expect(gunzipSync(body)).toEqual(plain.body);
  expect(body.length).toBeLessThan(plain.body.length / 2);
  expect(plain.headers).not.toHaveProperty('content-encoding');
});

test.each([undefined, 'identity', 'gzip;q=0', 'br', 'gzip;q=0.1, identity'])(
  'Accept-Encoding: %s gets a large answer as it is',
  async (accepted) => {
    const { headers, body } = await send(LARGE, accepted);

    expect(headers).not.toHaveProperty('content-encoding');
    expect(JSON.parse(body.toString()).data.models.nodes.length).toBeGreaterThan(5);
  },
);

test('a small answer is sent as it is', async () => {
  expect((await send('{ __typename }', 'gzip')).headers).not.toHaveProperty('content-encoding');
});

test('the length of a compressed answer varies', async () => {
  const lengths = new Set<number>();
  for (let i = 0; i < 8; i++) lengths.add((await send(LARGE, 'gzip')).body.length);

  expect(lengths.size).toBeGreaterThan(1);
});

test('an answer with contents of a recorded prediction is not compressed, and one about it is', async () => {
  const text = 'a guess beside a secret '.repeat(80);
  await app.query('mutation ($input: PredictInput!) { predict(input: $input) { replayed } }', {
    input: { model: 'spam-filter', input: { text } },
  });

  const contents = await send('{ predictions(first: 5) { nodes { id input } } }', 'gzip');
  const outputs = await send('{ predictions(first: 5) { nodes { id output { __typename } } } }', 'gzip');
  const about = await send(`{ predictions(first: 5) { nodes { id } } ${LARGE.slice(1)}`, 'gzip');

  expect(contents.body.toString()).toContain('a guess beside a secret');
  expect(contents.headers).not.toHaveProperty('content-encoding');
  expect(outputs.headers).not.toHaveProperty('content-encoding');
  expect(about.headers['content-encoding']).toBe('gzip');
});
