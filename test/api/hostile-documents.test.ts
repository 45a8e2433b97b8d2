/** Hostile documents, bodies and headers: each is refused with its own code, and the server keeps running. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { getIntrospectionQuery } from 'graphql';
import { checkDocument } from '#src/api/document-limits.js';
import { LIMITS } from '#src/api/limits.js';
import { HOSTILE } from '../bench/documents.ts';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.stop());

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly error: Data;
}

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** Not with `fetch`, which sets its own Host and corrects what is wrong on purpose here. */
function send(sent: Sent, url = app.url): Promise<Answer> {
  const { method = 'POST', path = '/graphql', headers = {}, body = '' } = sent;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const options = { method, headers: { 'content-type': 'application/json', ...headers } };
  const request = httpRequest(`${url}${path}`, options, (response) => {
    const { statusCode: status = 0, headers } = response;
    textOf(response).then((text) => resolve({ status, headers, text, error: errorIn(text) }), reject);
  });
  request.on('error', reject);
  request.end(body);
  return promise;
}

function errorIn(text: string): Data {
  try {
    return JSON.parse(text).errors?.[0];
  } catch {
    return undefined;
  }
}

/** Sends the bytes unchanged. */
function sendBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(app.url);
  const socket = connect(Number(port), hostname, () => socket.end(bytes));
  return textOf(socket);
}

const TYPENAME = JSON.stringify({ query: '{ __typename }' });

describe('a document', () => {
  test.each(HOSTILE.filter(({ refusedBy }) => refusedBy !== null))('of $title is refused', async (document) => {
    const { status, errors } = await app.send(document.text);

    const [error] = errors ?? [];
    const { code, limit } = error?.extensions ?? {};
    expect(status).toBe(400);
    expect([code, limit].filter(Boolean).join(' ')).toBe(document.refusedBy);
    expect(error?.message.length).toBeLessThan(100_000);
    expect(errors?.length).toBeLessThanOrEqual(11);
  });

  test.each(HOSTILE.filter(({ refusedBy }) => refusedBy === null))('of $title is answered', async ({ text }) => {
    const { status, errors } = await app.send(text);

    expect(status).toBe(200);
    expect(errors).toBeUndefined();
  });

  test('that was refused is refused again, and one that was answered is answered again', async () => {
    const [bad, good] = [`{ ${'limits { maxDepth } '.repeat(150)} }`, '{ limits { maxDepth } }'];

    const answers = [await app.send(bad), await app.send(bad), await app.send(good), await app.send(good)];

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 200, 200]);
  });
});

describe('a document is refused', () => {
  test('if it is too large, with its size, the limit, and what to do', async () => {
    const { errors } = await app.send(`{ ${'x'.repeat(LIMITS.maxDocumentBytes)} }`);

    expect(errors).toEqual([
      {
        message:
          'The document has 16388 bytes; at most 16384 bytes are allowed (maxDocumentBytes). Put data into variables.',
        extensions: { code: 'DOCUMENT_TOO_LARGE', limit: 'maxDocumentBytes', received: 16_388, allowed: 16_384 },
      },
    ]);
  });

  test('by its size in bytes of UTF-8, from one byte over the maximum', async () => {
    const document = (bytes: number) => `{ __typename } # ${'é'.repeat((bytes - 17) / 2)} `;

    const at = await app.send(document(LIMITS.maxDocumentBytes));
    const over = await app.send(document(LIMITS.maxDocumentBytes + 2));

    expect([at.status, over.status]).toEqual([200, 400]);
  });

  test('in the same way by GET', async () => {
    const query = encodeURIComponent(`{ ${'a: __typename '.repeat(400)} }`);

    const { status, error } = await send({
      method: 'GET',
      path: `/graphql?query=${query}`,
      headers: { 'apollo-require-preflight': 'true' },
    });

    expect(status).toBe(400);
    expect(error.extensions).toMatchObject({ code: 'DOCUMENT_LIMIT_EXCEEDED', limit: 'maxTokens' });
  });

  test('if only its hash is sent', async () => {
    const persistedQuery = { version: 1, sha256Hash: 'a'.repeat(64) };

    const { error } = await send({ body: JSON.stringify({ extensions: { persistedQuery } }) });

    expect(error.extensions.code).toBe('PERSISTED_QUERY_NOT_SUPPORTED');
  });
});

describe('a document is accepted', () => {
  test('if it or its body begins with a byte order mark', async () => {
    const inside = await app.send('\ufeff{ __typename }');
    const outside = await send({ body: `\ufeff${TYPENAME}` });

    expect([inside.status, outside.status]).toEqual([200, 200]);
  });

  test('if it is a full introspection query: that is within every limit', () => {
    const options = { inputValueDeprecation: true, oneOf: true, schemaDescription: true, specifiedByUrl: true };

    const check = () => checkDocument(getIntrospectionQuery({ ...options, directiveIsRepeatable: true }));

    expect(check).not.toThrow();
  });

  test('if its brackets are inside strings and comments: they are not nesting', () => {
    const brackets = '{[('.repeat(100);

    const check = () => checkDocument(`{ a(b: "${brackets}", c: """${brackets}\\"""${brackets}""") # ${brackets}\n }`);

    expect(check).not.toThrow();
  });
});

describe('a body with a million levels of nesting', () => {
  const LISTS = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`;
  const OBJECTS = `${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`;
  const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { problem { code } } }';
  const withVariable = (type: string, value: string) =>
    `{"query":"query ($x: ${type}) { model(name: \\"a\\") { version(alias: $x) { id } } }","variables":{"x":${value}}}`;

  test.each([
    ['as a whole', LISTS],
    ['as a whole, of objects', OBJECTS],
    ['and not closed', '['.repeat(1_000_000)],
    ['as the document', `{"query":${LISTS}}`],
    ['as the name of the operation', `{"query":"{ __typename }","operationName":${OBJECTS}}`],
    ['as the variables', `{"query":"{ __typename }","variables":${LISTS}}`],
    ['as a text', withVariable('String', LISTS)],
    ['as a text, of objects', withVariable('String', OBJECTS)],
    ['in an input', `{"query":"${PREDICT}","variables":{"input":{"model":"a","input":{"text":${OBJECTS}}}}}`],
    ['in an unknown field', `{"query":"{ __typename }","more":${OBJECTS}}`],
    ['in an unknown variable', `{"query":"{ __typename }","variables":{"x":${LISTS}}}`],
    ['in the extensions', `{"query":"{ __typename }","extensions":{"x":${OBJECTS}}}`],
    [
      'in a row',
      `{"query":"${PREDICT}","variables":{"input":{"model":"spam-filter","input":{"row":{"x":${OBJECTS}}}}}}`,
    ],
  ])('%s is refused', async (_, body) => {
    const answer = await send({ body });

    expect(answer.status).toBe(400);
    expect(answer.error.extensions).toMatchObject({ code: 'BODY_LIMIT_EXCEEDED', limit: 'maxBodyDepth' });
  });
});

const MUTATION = encodeURIComponent(
  'mutation { setAlias(input: { model: "a", alias: "b", version: "a" }) { problem { code } } }',
);

const REFUSED_REQUESTS: readonly [title: string, sent: Sent, status: number, code: string][] = [
  ['of half of JSON', { body: '{' }, 400, 'BODY_NOT_JSON'],
  ['of nothing', {}, 400, 'BODY_NOT_JSON'],
  ['of two operations', { body: `[${TYPENAME},${TYPENAME}]` }, 400, 'BATCHING_NOT_SUPPORTED'],
  ['of text', { body: TYPENAME, headers: { 'content-type': 'text/plain' } }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  [
    'of a form',
    { body: 'query=x', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  ],
  [
    'of parts',
    { body: '--x--', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  ],
  [
    'compressed',
    { body: gzipSync(TYPENAME), headers: { 'content-encoding': 'gzip' } },
    415,
    'UNSUPPORTED_CONTENT_ENCODING',
  ],
  [
    'compressed twice',
    { body: TYPENAME, headers: { 'content-encoding': 'gzip, br' } },
    415,
    'UNSUPPORTED_CONTENT_ENCODING',
  ],
  [
    'in latin1',
    { body: TYPENAME, headers: { 'content-type': 'application/json; charset=latin1' } },
    415,
    'UNSUPPORTED_CHARSET',
  ],
  [
    'in two charsets',
    { body: TYPENAME, headers: { 'content-type': 'application/json; charset=utf-8; charset=utf-7' } },
    415,
    'UNSUPPORTED_CHARSET',
  ],
  ['larger than is allowed', { body: Buffer.alloc(LIMITS.maxBodyBytes + 1, ' ') }, 413, 'BODY_TOO_LARGE'],
  ['to change something by GET', { method: 'GET', path: `/graphql?query=${MUTATION}` }, 405, 'BAD_REQUEST'],
  ['with two documents', { method: 'GET', path: '/graphql?query=%7Ba%7D&query=%7Bb%7D' }, 400, 'BAD_REQUEST'],
  ['by another method', { method: 'PUT', body: TYPENAME }, 404, 'NOT_FOUND'],
  ['to another address', { path: '/elsewhere', body: TYPENAME }, 404, 'NOT_FOUND'],
  ['to an address that is none', { path: '/%zz' }, 400, 'BAD_REQUEST'],
  [
    'with too large an address',
    { method: 'GET', path: `/graphql?query=${'a'.repeat(20_000)}` },
    431,
    'HEADERS_TOO_LARGE',
  ],
];

describe('a request is refused, with a code and what to do,', () => {
  test.each(REFUSED_REQUESTS)('%s', async (_, sent, status, code) => {
    const answer = await send(sent);

    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(answer.error).toMatchObject({ message: expect.any(String), extensions: { code } });
    expect(answer.text).not.toMatch(/FST_ERR|errorId/);
  });

  test('but not if its headers name the defaults explicitly', async () => {
    const headers = { 'content-type': 'application/json; charset="UTF-8"', 'content-encoding': 'identity' };

    const { status } = await send({ body: TYPENAME, headers });

    expect(status).toBe(200);
  });

  test.each([
    ['application/graphql-response+json', 'application/graphql-response+json'],
    // Sent by Apollo Client. It reads the errors of a refusal only if its type is that of GraphQL over HTTP.
    ['application/graphql-response+json,application/json;q=0.9', 'application/graphql-response+json'],
    ['application/json;q=0.9, application/graphql-response+json', 'application/graphql-response+json'],
    ['application/json, application/graphql-response+json', 'application/json'],
    ['application/graphql-response+json;q=0.5, application/json', 'application/json'],
    ['application/graphql-response+json;q=0, */*', 'application/json'],
    ['text/html', 'application/json'],
    ['*/*', 'application/json'],
  ])('in the media type that %s prefers', async (accept, type) => {
    const { headers } = await send({ body: '[]', headers: { accept } });

    expect(headers['content-type']).toBe(`${type}; charset=utf-8`);
  });

  test('and a page on another origin can read when to retry', async () => {
    const { headers } = await send({ body: '[]', headers: { origin: 'https://studio.apollographql.com' } });

    expect(headers['access-control-expose-headers']).toBe(
      'x-request-id, retry-after, upload-offset, upload-length, tus-resumable, content-range, etag',
    );
  });

  test('if it is not HTTP', async () => {
    const answer = await sendBytes('hello\r\n\r\n');

    expect(answer).toContain('400 Bad Request');
    expect(answer).toContain('"code":"BAD_REQUEST"');
  });
});

describe('the Host of a request', () => {
  const ask = (host: string, url?: string) => send({ body: TYPENAME, headers: { host } }, url);

  test.each(['localhost', 'LOCALHOST:4000', '127.0.0.1:1', '127.1.2.3', '[::1]', '[::1]:4000'])(
    '%s is this machine',
    async (host) => {
      expect((await ask(host)).status).toBe(200);
    },
  );

  test.each([
    'evil.example',
    'evil.example:4000',
    '127.evil.example',
    'localhost.evil.example',
    '127.0.0.1@evil.example',
    '192.168.0.1',
  ])('%s is refused: its page in a browser would be one of ours', async (host) => {
    const { status, error } = await ask(host);

    expect(status).toBe(403);
    expect(error).toMatchObject({
      message: expect.stringContaining(`The Host "${host}" is not this server`),
      extensions: { code: 'HOST_NOT_ALLOWED' },
    });
  });

  test('is required, on every route', async () => {
    const answers = await Promise.all([
      sendBytes('GET /health/live HTTP/1.0\r\n\r\n'),
      sendBytes('GET /graphiql HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n'),
    ]);

    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });
});

test('after all of these requests the server still answers', async () => {
  const { data, errors } = await app.send('{ models { totalCount } }');

  expect(errors).toBeUndefined();
  expect(data.models.totalCount).toBeGreaterThan(0);
});
