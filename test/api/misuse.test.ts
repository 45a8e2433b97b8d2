/** Requests that no correct client sends. They are refused as mistakes of the caller, never as failures of the server. */
import { Buffer } from 'node:buffer';
import { startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

const JSON_TYPE = { 'content-type': 'application/json' };

function send(body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = JSON_TYPE): Promise<Response> {
  return fetch(`${app.url}/graphql`, { method: 'POST', headers, body });
}

const TYPENAME = '"query":"{ __typename }"';

test.each([
  ['nothing', ''],
  ['half of JSON', '{'],
  ['null', 'null'],
  ['a number', '5'],
  ['an empty object', '{}'],
  ['an empty list', '[]'],
  ['a list of operations', `[{${TYPENAME}}]`],
  ['a query that is not a string', '{"query":5}'],
  ['an empty query', '{"query":""}'],
  ['variables that are a number', `{${TYPENAME},"variables":5}`],
  ['variables that are a list', `{${TYPENAME},"variables":[]}`],
  ['an operation name that is a number', `{${TYPENAME},"operationName":5}`],
  ['an operation name that does not exist', `{${TYPENAME},"operationName":"Other"}`],
  ['extensions that are a number', `{${TYPENAME},"extensions":5}`],
  ['two operations and no name', '{"query":"query A { __typename } query B { __typename }"}'],
  ['a subscription', '{"query":"subscription { predictions }"}'],
  [
    'fragments that spread each other',
    '{"query":"{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"}',
  ],
  [
    'introspection of introspection',
    `{"query":"{ __schema { types ${'{ fields { type '.repeat(5)}{ name }${' } }'.repeat(5)} } }"}`,
  ],
])('a body of %s is refused with 400, and no errorId', async (_, body) => {
  const response = await send(body);

  expect(response.status).toBe(400);
  expect(await response.text()).not.toMatch(/errorId|INTERNAL_SERVER_ERROR/);
});

test('bytes that are not text are refused with 400', async () => {
  const response = await send(new Uint8Array([0xff, 0xfe, 0x7b, 0x00]));

  expect(response.status).toBe(400);
});

test.each([
  ['text/plain', 415],
  ['application/x-www-form-urlencoded', 415],
  ['multipart/form-data; boundary=x', 415],
  ['application/xml', 415],
])('a body of type %s, which a foreign page could send unasked, is refused', async (type, status) => {
  const response = await send(`{${TYPENAME}}`, { 'content-type': type });

  expect(response.status).toBe(status);
});

test('a query by GET needs a header that a page of another origin cannot set', async () => {
  const url = `${app.url}/graphql?query=${encodeURIComponent('{ __typename }')}`;

  const simple = await fetch(url);
  const preflighted = await fetch(url, { headers: { 'apollo-require-preflight': 'true' } });

  expect([simple.status, preflighted.status]).toEqual([400, 200]);
});

test('methods other than GET and POST, and other paths, are not found', async () => {
  const methods = await Promise.all(
    ['PUT', 'PATCH', 'DELETE'].map((method) => fetch(`${app.url}/graphql`, { method })),
  );
  const elsewhere = await fetch(`${app.url}/../../etc/passwd`);

  expect([...methods, elsewhere].map(({ status }) => status)).toEqual([404, 404, 404, 404]);
});

test('variables named like the weights of others do not lower the cost of an operation', async () => {
  const query = 'query ($first: Int!) { models(first: $first) { nodes { versions(first: 100) { nodes { id } } } } }';
  const cost = async (variables: Record<string, unknown>) =>
    (await app.send(query, variables)).extensions?.['cost'].requested;

  const one = await cost({ first: 1, 'a=string first': 100 });
  const disguised = await cost({ 'first=number1 a': 'x', first: 100 });

  // 100 models, each with 100 versions.
  expect(disguised).toBeGreaterThan(99 * (one - 2));
});

test('an operation with exactly as many tokens as allowed is answered; with one more it is refused', async () => {
  // Eight tokens each, so that the number of fields stays far below its own limit.
  const fields = '__typename @skip(if: false) '.repeat(124);
  const document = (tokens: number) => `{ ${fields} ${'__typename '.repeat(tokens - 2 - 8 * 124)}}`;

  const at = await app.send(document(1_000));
  const over = await app.send(document(1_001));

  expect([at.status, over.status]).toEqual([200, 400]);
  expect(over.errors?.[0]?.message).toContain('1000 tokens');
});

test('a body of exactly the maximum size is read; with one more byte it is refused', async () => {
  const { limits } = await app.query('{ limits { maxBodyBytes } }');
  const bodyOf = (bytes: number) => Buffer.from(`{${TYPENAME}}`.padEnd(bytes));

  const at = await send(new Uint8Array(bodyOf(limits.maxBodyBytes)));
  const over = await send(new Uint8Array(bodyOf(limits.maxBodyBytes + 1)));

  expect([at.status, over.status]).toEqual([200, 413]);
});
