/**
 * The attacks that the server must withstand, one short probe of each door; README.md in this folder has the list with the
 * defences and the tests that go further.
 */
import 'reflect-metadata';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { AuditVerifier, digestOf } from '#src/access/audit.js';
import { scanGraph } from '#src/onnx/graph-scan.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { COUNTING_LOOP, encodeModel, type Initializer, identity } from '../support/onnx.js';

const ORIGIN = 'https://shop.example';
const CANARY = 'canary-7d1f';

let app: TestApp;
const keys: Record<'admin' | 'a' | 'b' | 'page', string> = { admin: '', a: '', b: '', page: '' };
const logged: string[] = [];
beforeAll(async () => {
  const log = pino({ level: 'trace' }, { write: (line: string) => void logged.push(line) });
  app = await startTestApp({ log });
  keys.admin = await create({ name: 'admin', account: 'team', roles: ['ADMIN'] }, null);
  keys.a = await create({ name: 'a', account: 'a', roles: ['PREDICTOR'] });
  keys.b = await create({ name: 'b', account: 'b', roles: ['PREDICTOR'] });
  const bound = { kind: 'PUBLISHABLE', origins: [ORIGIN], operations: ['predict'], models: ['spam-filter'] };
  keys.page = await create({ name: 'page', account: 'a', roles: ['PREDICTOR'], ...bound });
});
afterAll(() => app.stop());

interface Sent {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly body: Data;
}

interface Options {
  readonly key?: string | null;
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Not with `fetch`, which corrects what is wrong on purpose here. */
function send(body: string | Buffer | object, options: Options = {}): Promise<Sent> {
  const { key = keys.a, method = 'POST', url = '/graphql', headers = {} } = options;
  const all = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }), ...headers };
  return new Promise((resolve, reject) => {
    const request = http.request(`${app.url}${url}`, { method, headers: all, agent: false }, async (response) => {
      const text = await textOf(response);
      const parsed = text.startsWith('{') ? JSON.parse(text) : null;
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed });
    });
    request.on('error', reject).end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  });
}

async function create(input: object, by: string | null = keys.admin): Promise<string> {
  const query = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }';
  return (await send({ query, variables: { input } }, { key: by })).body.data.createApiKey.secret;
}

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id output { ... on Regression { value } } }
  problem { code message ... on InvalidInput { problems { path code } } }
} }`;

async function predict(model: string, input: object, options: Options = {}): Promise<Data> {
  const { body } = await send({ query: PREDICT, variables: { input: { model, input } } }, options);
  return body.data?.predict ?? body;
}

const codeOf = ({ body }: Sent): string | undefined => body?.errors?.[0]?.extensions?.code;
const repeated = (count: number, part: string) => part.repeat(count);

/** The status, and how long the server took. */
async function timed(query: string): Promise<{ status: number; ms: number }> {
  const begun = performance.now();
  const { status } = await send({ query });
  return { status, ms: performance.now() - begun };
}

/** Far more than a limit takes, and far less than the attack wants. */
const MAX_MS = 2_000;

test.each([
  ['deep', `{ ${repeated(2_000, 'model(name: "x") { version { ')}${repeated(2_000, '} }')} }`],
  ['wide', `{ ${repeated(4_000, '__typename ')} }`],
  ['circular', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'],
  [
    'exponential',
    `{ ...F0 } ${Array.from({ length: 30 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(' ')} fragment F30 on Query { __typename }`,
  ],
])('A1 a %s document is refused at once', async (_, query) => {
  const { status, ms } = await timed(query);

  expect(status).toBe(400);
  expect(ms).toBeLessThan(MAX_MS);
});

test('A2 fields that overlap in many ways are refused at once', async () => {
  const { status, ms } = await timed(
    `{ ${repeated(500, '...F model(name: "a") { name } ')} } fragment F on Query { model(name: "a") { title } }`,
  );

  expect(status).toBe(400);
  expect(ms).toBeLessThan(MAX_MS);
});

test('A3 comments count, bodies are UTF-8 and not compressed', async () => {
  const comments = await send({ query: `${repeated(20_000, '#\n')}{ __typename }` });
  const utf16 = await send('{}', { headers: { 'content-type': 'application/json; charset=utf-16' } });
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const zipped = await send(bomb, { headers: { 'content-encoding': 'gzip' } });

  expect([comments, utf16, zipped].map(({ status }) => status)).toEqual([400, 415, 415]);
});

test('A4 aliases and lists of operations do not multiply what one request may try', async () => {
  const tries = Array.from({ length: 150 }, (_, i) => `a${i}: node(id: "${i}") { id }`).join(' ');
  const aliases = await send({ query: `{ ${tries} }` });
  const list = await send([{ query: '{ __typename }' }, { query: '{ __typename }' }]);

  expect([aliases, list].map(codeOf)).toEqual(['DOCUMENT_LIMIT_EXCEEDED', 'BATCHING_NOT_SUPPORTED']);
});

test('A5 without a key there is no introspection, no suggestion, no stack and no tracing', async () => {
  const answers = await Promise.all(
    ['{ __schema { types { name } } }', '{ modls { totalCount } }', '{ models(first: {}) { totalCount } }'].map(
      (query) => send({ query }, { key: null, headers: { 'apollo-tracing': '1' } }),
    ),
  );

  for (const { text } of answers)
    expect(text).not.toMatch(/did you mean|"types"|\.js:|node_modules|tracing|stacktrace/i);
  expect(codeOf(answers[0] as Sent)).toBe('UNAUTHENTICATED');
});

test('A6 a page of another origin cannot send a request without a preflight, and mutations need POST', async () => {
  const simple = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'];
  const posts = await Promise.all(simple.map((type) => send('{}', { headers: { 'content-type': type } })));
  const plain = { method: 'GET', headers: { 'content-type': 'text/plain' } };
  const get = await send('', { ...plain, url: '/graphql?query=%7B__typename%7D' });
  const mutation = encodeURIComponent('mutation { unload(version: "x") { problem { code } } }');
  const change = await send('', {
    method: 'GET',
    url: `/graphql?query=${mutation}`,
    headers: { 'apollo-require-preflight': '1' },
  });

  expect([...posts, get, change].map(({ status }) => status)).toEqual([415, 415, 415, 400, 405]);
});

const LEAKS = /node_modules|\/tmp\/|\/home\/|\.js:\d|SQLITE|select .* from|ECONN|stack|at \w+ \(/;

test('A7 no error shows a path, SQL, a stack or a key', async () => {
  const queries = [
    '{',
    '{ nope }',
    '{ models(after: "x") { totalCount } }',
    '{ models(search: "\' or 1=1 --\\" *") { totalCount } }',
    '{ version(ref: "../../etc/passwd") { ref } }',
    '{ node(id: "model_\' or 1=1") { id } }',
    'mutation { predict(input: { model: "../x", input: { text: "a" } }) { problem { message } } }',
    'mutation { setAlias(input: { model: "a", alias: "b", version: "c" }) { problem { message } } }',
  ];
  const answers = await Promise.all(queries.map((query) => send({ query })));

  for (const { text } of answers) {
    expect(text).not.toMatch(LEAKS);
    expect(text).not.toContain(keys.a.slice(0, 20));
  }
});

test('A8 a fragment, an alias or an id is no way around a policy', async () => {
  const made = await predict('spam-filter', { text: 'mine' });
  const { id } = made.prediction;
  const query = `query ($id: ID!) { a: node(id: $id) { ...P } version(ref: "spam-filter") { predictions { nodes { ...P } } } }
    fragment P on Prediction { id input }`;
  const viewer = await create({ name: 'viewer', account: 'a', roles: ['VIEWER'] });
  const [own, other, reader] = await Promise.all(
    [keys.a, keys.b, viewer].map((key) => send({ query, variables: { id } }, { key })),
  );

  expect(own?.body.data.a).toEqual({ id, input: { text: 'mine' } });
  expect(other?.body.data).toEqual({ a: null, version: { predictions: { nodes: [] } } });
  expect(reader?.body.data).toEqual({ a: null, version: { predictions: null } });
});

test('A9 what one caller is answered is no answer for another, and no cache keeps it', async () => {
  const query = '{ viewer { account } predictions(first: 1) { nodes { id } } }';
  const asked = Array.from({ length: 60 }, (_, i) => (i % 2 ? keys.a : keys.b));
  const answers = await Promise.all(asked.map((key) => send({ query }, { key })));

  const accounts = answers.map(({ body }) => body.data.viewer.account);
  expect(accounts).toEqual(asked.map((key) => (key === keys.a ? 'a' : 'b')));
  expect(new Set(answers.map(({ headers }) => headers['cache-control']))).toEqual(new Set(['no-store']));
});

const PENGUIN = { beak_length: 50.7, beak_depth: 15, species: 'gentoo', island: 'biscoe', sex: 'male' };
const weigh = (flipper_length: number, key: string) =>
  predict('penguin-mass', { row: { ...PENGUIN, flipper_length } }, { key });

test('A10 inputs of two callers that share a batch keep their own answers', async () => {
  const lengths = Array.from({ length: 100 }, (_, i) => 180 + i / 2);
  const alone: number[] = [];
  for (const length of lengths.slice(0, 10)) alone.push((await weigh(length, keys.a)).prediction.output.value);
  const together = await Promise.all(lengths.map((length, i) => weigh(length, i % 2 ? keys.a : keys.b)));

  const values = together.map(({ prediction }) => prediction.output.value as number);
  expect(values.slice(0, 10)).toEqual(alone);
  expect(new Set(values).size).toBe(lengths.length);
  expect(values).toEqual(values.toSorted((x, y) => x - y));
});

test('A11 a graph that would never end, or that names a file outside, is refused before native code reads it', () => {
  const outside: Initializer = { name: 'w', shape: [1], data: [1], file: { location: '../../etc/passwd', offset: 0 } };
  const reading = encodeModel({ ...identity('x', 'FP32', ['N']), floats: [outside] });
  const endless = encodeModel({ ...COUNTING_LOOP, ints: [{ name: 'trips', shape: [1], data: [9e12] }], inputs: [] });

  expect(scanGraph(reading).join()).toMatch(/cannot be read/);
  expect(scanGraph(endless).join()).toMatch(/iterations/);
});

test('A12 a stored graph whose bytes were exchanged is not run', async () => {
  const stored = await app.app.databases.catalogDb
    .selectFrom('version')
    .innerJoin('model', 'model.id', 'version.model_id')
    .select(['artifact_sha256', 'model.name'])
    .where('model.name', 'in', ['breast-cancer-forest', 'penguins'])
    .orderBy('model.name')
    .execute();
  const [forest = '', penguins = ''] = stored.map(({ artifact_sha256: digest }) =>
    path.join(app.dataDir, 'blobs/sha256', String(digest).slice(0, 2), String(digest).slice(2)),
  );
  await writeFile(penguins, await readFile(forest));

  const loaded = await send(
    { query: 'mutation { load(version: "penguins") { serving { servingState } problem { code message } } }' },
    { key: keys.admin },
  );

  expect(loaded.body.data.load).toMatchObject({ serving: null, problem: { code: 'INFERENCE_FAILED' } });
  expect(loaded.body.data.load.problem.message).toMatch(/the artifact is damaged: its SHA-256 is/);
});

function png(width: number, height: number): string {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const size = Buffer.alloc(13);
  size.writeUInt32BE(width);
  size.writeUInt32BE(height, 4);
  size.set([8, 0, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc(1_000));
  const parts = [chunk('IHDR', size), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...parts]).toString('base64');
}

test.each([
  ['a PNG of 289 megapixels', png(17_000, 17_000)],
  [
    'an SVG that names a file',
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>').toString('base64'),
  ],
  ['a PDF', Buffer.from('%PDF-1.7 1 0 obj').toString('base64')],
])('A13 %s is refused as an input', async (_, base64) => {
  const { problem } = await predict('fashion-cnn', { image: { base64 } });

  expect(problem.code).toBe('INVALID_INPUT');
});

test('A14 a body that is larger than the limit is refused before it is read', async () => {
  const refused = await send(Buffer.alloc(17 * 1024 * 1024, ' '));

  expect([refused.status, codeOf(refused)]).toEqual([413, 'BODY_TOO_LARGE']);
});

test('A15 the server fetches nothing that a client names', async () => {
  let hits = 0;
  const bait = http.createServer((_, response) => response.end(String(++hits))).listen(0, '127.0.0.1');
  await new Promise((resolve) => bait.once('listening', resolve));
  const url = `http://127.0.0.1:${(bait.address() as { port: number }).port}/x`;
  const names = [
    url,
    'file:///etc/passwd',
    'http://169.254.169.254/latest',
    'http://2130706433/',
    'http://[::ffff:7f00:1]/',
  ];
  const answers = await Promise.all([
    ...names.map((base64) => predict('fashion-cnn', { image: { base64 } })),
    ...names.map((model) => predict(model, { text: 'a' })),
  ]);
  bait.close();

  expect(hits).toBe(0);
  expect(new Set(answers.map((answer) => answer.problem?.code ?? answer.errors?.[0].extensions.code))).toEqual(
    new Set(['INVALID_INPUT']),
  );
});

test('A16 the data folder holds no key, and a revoked one is refused at once', async () => {
  const stolen = await create({ name: 'stolen', account: 'a', roles: ['VIEWER'] });
  const files = (await readdir(app.dataDir)).filter((name) => name.startsWith('catalog.db'));
  const bytes = Buffer.concat(await Promise.all(files.map((name) => readFile(path.join(app.dataDir, name)))));
  const [, id = '', secret = ''] = stolen.split('_');
  const revoke = 'mutation ($id: ID!) { revokeApiKey(id: $id) { problem { code } } }';
  await send({ query: revoke, variables: { id } }, { key: keys.admin });

  expect(bytes.includes(id)).toBe(true);
  expect(bytes.includes(secret)).toBe(false);
  expect((await send({ query: '{ viewer { account } }' }, { key: stolen })).status).toBe(401);
});

test('A19 an entry of the audit log that was changed breaks the chain', () => {
  const fields = {
    at: new Date(1),
    account: 'a',
    keyId: null,
    issuer: null,
    subject: null,
    action: 'x',
    target: 'y',
    reason: null,
  };
  const first = { ...fields, sequence: 1, before: null, after: '{}' };
  const entry = { ...first, sha256: digestOf('0'.repeat(64), first) };

  expect(new AuditVerifier().next(entry)).toBeNull();
  expect(new AuditVerifier().next({ ...entry, account: 'b' })).toMatch(/was changed/);
  expect(new AuditVerifier().next({ ...entry, sequence: 2 })).toMatch(/is missing/);
});

test('A22 neither keys nor inputs are logged, at any level', async () => {
  await predict('spam-filter', { text: CANARY });
  await predict('spam-filter', { row: { [CANARY]: 1 } });
  await send({ query: `{ ${CANARY.replace('-', '_')} }`, variables: { a: CANARY } });
  await send('', { method: 'GET', url: `/graphql?query=%7B__typename%7D&key=${keys.a}&x=${CANARY}` });
  await send('{}', { key: CANARY });
  await send('{', { url: `/nowhere?key=${keys.a}` });

  const log = logged.join('');
  expect(logged.length).toBeGreaterThan(20);
  expect(log).not.toContain(CANARY);
  for (const key of Object.values(keys)) expect(log).not.toContain(key.split('_')[2]);
});

/** What the server answers to bytes, until it closes the connection or the request is answered. */
function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(app.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.end(bytes));
    textOf(socket).then(resolve, reject);
  });
}

test('A23 a request whose length is stated twice is refused, and the connection closes', async () => {
  const head = (...lines: string[]) =>
    [
      'POST /graphql HTTP/1.1',
      `Host: ${new URL(app.url).host}`,
      'Content-Type: application/json',
      ...lines,
      '',
      '',
    ].join('\r\n');
  const hidden = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const answers = await Promise.all([
    raw(`${head('Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n${hidden}`),
    raw(`${head('Content-Length: 0', `Content-Length: ${hidden.length}`)}${hidden}`),
    raw(`${head('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n${hidden}`),
  ]);

  for (const answer of answers) {
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  }
});

test('A24 there are no subscriptions, and no connection is upgraded', async () => {
  const subscription = await send({ query: 'subscription { ticks }' });
  const upgrade = await raw(
    `GET /graphql HTTP/1.1\r\nHost: ${new URL(app.url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );

  expect(subscription.status).toBe(400);
  expect(upgrade).not.toMatch(/^HTTP\/1\.1 101/);
});

test('A26 every package has the digest of what is installed, and its install scripts are known', async () => {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8'));
  const installed = Object.entries<Data>(packages).filter(([name]) => name !== '');
  const withScripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([name]) => name);

  expect(installed.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? '')).map(([name]) => name)).toEqual([]);
  expect(withScripts.sort()).toEqual(INSTALL_SCRIPTS);
});

/** `.npmrc` runs none of them: each checks, or downloads, what is not needed. */
const INSTALL_SCRIPTS = [
  'node_modules/@apollo/protobufjs',
  'node_modules/@parcel/watcher',
  'node_modules/@swc/core',
  'node_modules/esbuild',
  'node_modules/onnxruntime-node',
  'node_modules/unrs-resolver',
];

test.each([
  '{"query":"{ __typename }","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  '{"query":"{ __typename }","variables":{"__proto__":{"polluted":1}}}',
  JSON.stringify({ query: PREDICT, variables: 0 }).replace(
    ':0',
    ':{"input":{"model":"penguin-mass","input":{"row":{"__proto__":{"polluted":1},"constructor":1,"toString":2}}}}',
  ),
  JSON.stringify({ query: PREDICT, variables: 0 }).replace(':0', ':{"input":{"__proto__":{"model":"spam-filter"}}}'),
])('A27 names of prototypes are names: %s', async (body) => {
  await send(body);

  expect(({} as Data).polluted).toBeUndefined();
  expect((await send({ query: '{ __typename }' })).body.data).toEqual({ __typename: 'Query' });
});

test('A28 a private model of others takes the same statements and says the same as one that does not exist', async () => {
  await app.app.databases.catalogDb
    .updateTable('model')
    .set({ visibility: 'private', account: 'b' })
    .where('name', '=', 'face-detector')
    .execute();
  // Its owner has it in memory.
  await predict('face-detector', { image: { base64: png(1, 1) } }, { key: keys.b });
  const asked = async (name: string) => {
    const before = app.app.databases.catalogFile.statementCount;
    const query = `mutation ($input: PredictInput!) { predict(input: $input) { problem { code message ... on NotFound { didYouMean } } } }`;
    const { text, headers } = await send({ query, variables: { input: { model: name, input: { text: 'a' } } } });
    const read = await send({ query: `{ model(name: "${name}") { name } version(ref: "${name}:1") { ref } }` });
    const statements = app.app.databases.catalogFile.statementCount - before;
    return { text: text.replaceAll(name, 'x'), length: headers['content-length'], read: read.text, statements };
  };

  expect(await asked('face-detector')).toEqual(await asked('face-detektor'));
});

test('DNS rebinding: a page whose own name leads to this machine is refused', async () => {
  const refused = await send({ query: '{ __typename }' }, { headers: { host: 'rebound.example' } });

  expect([refused.status, codeOf(refused)]).toEqual([403, 'HOST_NOT_ALLOWED']);
});

test('a key in the address is no key, and a publishable key is refused from another origin', async () => {
  const query = encodeURIComponent('{ models { totalCount } }');
  const inAddress = await send('', {
    key: null,
    method: 'GET',
    url: `/graphql?query=${query}&authorization=Bearer%20${keys.a}&access_token=${keys.a}`,
    headers: { 'apollo-require-preflight': '1' },
  });
  const body = { query: PREDICT, variables: { input: { model: 'spam-filter', input: { text: 'a' } } } };
  const from = (origin: string | null) => send(body, { key: keys.page, headers: origin ? { origin } : {} });
  const [own, evil, none, like] = await Promise.all(
    [ORIGIN, 'https://evil.example', null, `${ORIGIN}.evil.example`].map(from),
  );

  expect(codeOf(inAddress)).toBe('UNAUTHENTICATED');
  expect(own?.body.data.predict.problem).toBeNull();
  expect([evil, none, like].map((sent) => sent && codeOf(sent))).toEqual(Array(3).fill('ORIGIN_NOT_ALLOWED'));
});
