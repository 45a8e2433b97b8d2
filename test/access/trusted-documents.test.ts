/**
 * Registered operations: how they are published, and who may run what by an id. The manifests in `manifests/` were written by
 * @graphql-codegen/client-preset 6.2.0 and @apollo/generate-persisted-query-manifest 1.4.0.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { COMMAND_LINE } from '#src/access/principal.js';
import { MAX_OPERATIONS, type NewOperation, RegisteredOperations } from '#src/access/registered-operations.js';
import type { Config } from '#src/config.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { startServer } from '../support/server.js';
import { until } from '../support/until.js';

const run = promisify(execFile);
const PUBLISH = `mutation ($input: PublishOperationsInput!) { publishOperations(input: $input) {
  added unchanged problem { code message ... on InvalidInput { problems { path code message expected received } } } } }`;
const REMOVE = 'mutation ($ids: [ID!]!) { removeOperations(ids: $ids) { removed problem { code message } } }';
const READ = '{ operations { totalCount nodes { id name type document } } }';

let dataDir: string;
let app: TestApp;
let keys: Readonly<Record<'admin' | 'predictor' | 'page', string>>;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-operations-'));
  await start('required');
  const admin = await createKey(null, { roles: ['ADMIN'] });
  const predictor = await createKey(admin, { roles: ['PREDICTOR'] });
  const bound = { operations: ['models'], models: ['spam-filter'], origins: ['https://shop.example'] };
  keys = { admin, predictor, page: await createKey(admin, { kind: 'PUBLISHABLE', roles: ['VIEWER'], ...bound }) };
});
afterAll(async () => {
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(trustedDocuments: Config['trustedDocuments']) {
  app = await startTestApp({ dataDir, empty: true, modelStore: '/nowhere', trustedDocuments });
}

interface Answer {
  readonly status: number;
  readonly body: Data;
}

async function send(key: string | null, body: unknown, url = app.url): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { ...headers, ...(key && { origin: 'https://shop.example', authorization: `Bearer ${key}` }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

async function createKey(key: string | null, input: object): Promise<string> {
  const query = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret problem { message } } }';
  const { body } = await send(key, { query, variables: { input: { name: 'k', account: 'team', ...input } } });
  return body.data.createApiKey.secret;
}

const manifest = async (name: string): Promise<Data> =>
  JSON.parse(await readFile(`test/access/manifests/${name}.json`, 'utf8'));

async function publish(given: unknown, reason?: string): Promise<Data> {
  const { body } = await send(keys.admin, { query: PUBLISH, variables: { input: { manifest: given, reason } } });
  return body.data.publishOperations;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hashed = (...documents: string[]) => Object.fromEntries(documents.map((one) => [sha256(one), one]));
const codeOf = ({ status, body }: Answer) => [status, body.errors?.[0].extensions.code];

/** The command, beside the server. */
async function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { env: { ...process.env, DATA_DIR: dataDir } };
  return run(process.execPath, ['dist/operations.js', ...args], options).then(
    (done) => ({ code: 0, ...done }),
    (error) => error,
  );
}

test('what GraphQL Code Generator and Apollo write is published once, and run by every form of its ids', async () => {
  const first = [
    await publish(await manifest('codegen-sha1'), 'release 7'),
    await publish(await manifest('codegen-sha256')),
    await publish(await manifest('apollo')),
  ];
  const again = await publish(await manifest('apollo'));

  const ids = [
    '10c53b50cb7b2c1ff4c123eead4f119b3715e49e',
    'sha256:cab1ac73c73d6c358754b3233d01613603603499f6390bb7fb86688e840bed98',
    'cab1ac73c73d6c358754b3233d01613603603499f6390bb7fb86688e840bed98',
    'fa1fa3842f9ee95b60c7517d6ed6bca56bddccbca07d13571ab7681556164db0',
  ];
  const variables = { first: 2 };
  const asked = ids.flatMap((id) => [
    { documentId: id, variables },
    { documentId: id, operationName: 'ListModels', variables, query: '' },
    { variables, extensions: { persistedQuery: { version: 1, sha256Hash: id }, clientLibrary: { name: 'a' } } },
  ]);
  const answers = await Promise.all(asked.map((body) => send(keys.page, body)));

  expect(first).toEqual(first.map(() => ({ added: 2, unchanged: 0, problem: null })));
  expect(again).toEqual({ added: 0, unchanged: 2, problem: null });
  expect(answers.map(({ status, body }) => [status, body.data?.models.totalCount])).toEqual(asked.map(() => [200, 0]));
});

test('where operations must be registered, documents are refused before they are parsed, except those of administrators', async () => {
  const sent = [
    { query: '{ models { totalCount } }' },
    { query: '{{{' },
    { query: 'x'.repeat(20_000) },
    {},
    [],
    [{}],
    null,
  ];
  const callers = [null, keys.predictor, keys.page];
  const answers = await Promise.all(callers.flatMap((key) => sent.map((body) => send(key, body))));
  const headers = { 'apollo-require-preflight': '1', authorization: `Bearer ${keys.predictor}` };
  const got = await fetch(`${app.url}/graphql?query={models{totalCount}}`, { headers });
  const head = await fetch(`${app.url}/graphql?query={models{totalCount}}`, { headers, method: 'HEAD' });
  const page = await fetch(`${app.url}/graphql`, { headers: { accept: 'text/html' } });
  const admin = await send(keys.admin, { query: '{ models { totalCount } }' });

  expect(new Set(answers.map((answer) => String(codeOf(answer))))).toEqual(
    new Set(['400,PERSISTED_QUERY_ID_REQUIRED']),
  );
  expect([got.status, head.status, page.status]).toEqual([400, 400, 200]);
  expect(admin).toMatchObject({ status: 200, body: { data: { models: { totalCount: 0 } } } });
});

test('an operation by its id is bound to what its caller may do', async () => {
  const introspects = 'query Types { __schema { queryType { name } } }';
  const engine = 'query Engine { engine { queueDepth } }';
  await publish(hashed(introspects, engine));

  const answers = await Promise.all(
    [keys.page, keys.predictor].flatMap((key) => [
      send(key, { documentId: sha256(introspects) }),
      send(key, { documentId: sha256(engine) }),
    ]),
  );

  expect(answers.map(codeOf)).toEqual([
    [403, 'FORBIDDEN'],
    [200, 'FORBIDDEN'],
    [200, undefined],
    [200, 'FORBIDDEN'],
  ]);
});

test.each<[string, unknown, number, string]>([
  ['an id that is not registered', { documentId: `sha256:${'0'.repeat(64)}` }, 404, 'PERSISTED_QUERY_NOT_IN_LIST'],
  ['an id in capitals', { documentId: '10C53B50CB7B2C1FF4C123EEAD4F119B3715E49E' }, 404, 'PERSISTED_QUERY_NOT_IN_LIST'],
  ['the name of a property', { documentId: '__proto__' }, 404, 'PERSISTED_QUERY_NOT_IN_LIST'],
  ['a very long id', { documentId: 'a'.repeat(100_000) }, 404, 'PERSISTED_QUERY_NOT_IN_LIST'],
  ['an id that is no string', { documentId: 1 }, 400, 'BAD_REQUEST'],
  ['a list of ids', { documentId: ['a'] }, 400, 'BAD_REQUEST'],
  ["an id of Apollo's that is no string", { extensions: { persistedQuery: { sha256Hash: {} } } }, 400, 'BAD_REQUEST'],
  ['an id and a document', { documentId: 'a', query: '{ __typename }' }, 400, 'BAD_REQUEST'],
])('%s is refused', async (_, body, status, code) => {
  expect(codeOf(await send(keys.predictor, body))).toEqual([status, code]);
});

const VALID = 'query Valid { models { totalCount } }';
const apollo = (operation: object) => ({
  format: 'apollo-persisted-query-manifest',
  version: 1,
  operations: [operation],
});

test.each<[string, unknown, object]>([
  [
    'a hash of another document',
    { [sha256('other')]: VALID },
    {
      path: ['input', 'manifest', `${sha256('other').slice(0, 80)}`],
      code: 'WRONG_KIND',
      expected: `sha256:${sha256(VALID)}`,
    },
  ],
  ['an MD5', { d41d8cd98f00b204e9800998ecf8427e: VALID }, { code: 'UNREADABLE' }],
  ['a hash in capitals', { [sha256(VALID).toUpperCase()]: VALID }, { code: 'UNREADABLE' }],
  [
    'a field that the schema does not have',
    hashed('query Wrong {\n  models { nothing }\n}'),
    { message: expect.stringMatching(/^operation Wrong: Cannot query field "nothing".*\(line 2, column 12\)$/) },
  ],
  [
    'a document that is not GraphQL',
    hashed('query Broken {'),
    { message: expect.stringMatching(/^operation Broken: Syntax Error.*\(line 1, column 15\)$/) },
  ],
  [
    'a document beyond a limit',
    hashed(`query Long { ${'a: models { totalCount } '.repeat(60)}}`),
    { code: 'TOO_LARGE' },
  ],
  ['a document of 20 kB', hashed(`query Large { models { ${'totalCount '.repeat(2_000)} } }`), { code: 'TOO_LARGE' }],
  [
    'two operations',
    hashed('query A { __typename } query B { __typename }'),
    { code: 'WRONG_KIND', received: '2 operations' },
  ],
  ['no name', hashed('{ __typename }'), { code: 'MISSING' }],
  ['fragments only', hashed('fragment F on Model { name }'), { code: 'UNREADABLE' }],
  ['a subscription', hashed('subscription S { a }'), { code: 'UNREADABLE' }],
  [
    'another name',
    apollo({ id: sha256(VALID), name: 'Other', type: 'query', body: VALID }),
    { path: ['input', 'manifest', 'operations', '0'], code: 'WRONG_KIND', expected: 'query Valid' },
  ],
  [
    'an operation without a body',
    apollo({ id: 'a', name: 'A', type: 'query' }),
    { code: 'WRONG_TYPE', path: ['input', 'manifest', 'operations', '0'] },
  ],
  ['another format', { format: 'x', version: 1, operations: [] }, { code: 'WRONG_KIND' }],
  ['another version', { ...apollo({}), version: 2 }, { code: 'WRONG_KIND' }],
  ['nothing', {}, { code: 'EMPTY' }],
  ['a document that is no string', { a: 1 }, { code: 'WRONG_TYPE', path: ['input', 'manifest', 'a'] }],
])('a manifest with %s is refused as a whole', async (_, given, problem) => {
  const good = hashed(`query Good${sha256(JSON.stringify(given)).slice(0, 8)} { __typename }`);
  const isMap = !('format' in (given as object)) && Object.keys(given as object).length > 0;

  const { added, problem: found } = await publish(isMap ? { ...good, ...(given as object) } : given);

  expect(added).toBeNull();
  expect(found.problems).toHaveLength(1);
  expect(found.problems[0]).toMatchObject(problem);
  const [id] = Object.keys(good);
  expect((await send(keys.admin, { documentId: id })).status).toBe(404);
});

test('twenty problems are named, and no more', async () => {
  const wrong = Array.from({ length: 30 }, (_, i) => `query Q${i} { nothing }`);

  expect((await publish(hashed(...wrong))).problem.problems).toHaveLength(20);
});

test('an operation that is removed is refused, and the audit log says who published and removed what', async () => {
  const document = 'query Removed { models { totalCount } }';
  const id = `sha256:${sha256(document)}`;
  const { added } = await publish(hashed(document), 'a release');
  const before = await send(keys.page, { documentId: id });
  const remove = async (...ids: string[]) =>
    (await send(keys.admin, { query: REMOVE, variables: { ids } })).body.data.removeOperations;

  const none = await remove(id, 'sha256:unknown');
  const removed = await remove(sha256(document));

  const log = `{ auditLog(target: "operation ${id}") { nodes { account keyId action reason before after } } }`;
  const { nodes } = (await send(keys.admin, { query: log })).body.data.auditLog;
  const [key] = (await send(keys.admin, { query: '{ viewer { key { id } } }' })).body.data.viewer.key.id.split(' ');
  expect([added, before.status, none.removed, none.problem.code]).toEqual([1, 200, null, 'NOT_FOUND']);
  expect(removed).toEqual({ removed: 1, problem: null });
  expect(codeOf(await send(keys.page, { documentId: id }))).toEqual([404, 'PERSISTED_QUERY_NOT_IN_LIST']);
  const state = { name: 'Removed', type: 'query' };
  expect(nodes).toEqual([
    { account: 'team', keyId: key, action: 'removeOperations', reason: null, before: state, after: null },
    { account: 'team', keyId: key, action: 'publishOperations', reason: 'a release', before: null, after: state },
  ]);
});

test('the list has what is registered, for administrators', async () => {
  const { body } = await send(keys.admin, { query: READ });
  const { totalCount, nodes } = body.data.operations;

  expect(totalCount).toBeGreaterThan(4);
  expect(nodes).toContainEqual({
    id: '10c53b50cb7b2c1ff4c123eead4f119b3715e49e',
    name: 'ListModels',
    type: 'QUERY',
    document: (await manifest('codegen-sha1'))['10c53b50cb7b2c1ff4c123eead4f119b3715e49e'],
  });
});

test('the command publishes and removes beside the running server within a second', async () => {
  const file = path.join(dataDir, 'manifest.json');
  const document = 'query ByCommand { models { totalCount } }';
  await writeFile(file, JSON.stringify(hashed(document)));
  const statusOf = async () => (await send(keys.page, { documentId: sha256(document) })).status;

  const published = await command('publish', file, '--reason', 'by hand');
  const begun = performance.now();
  await until('the operation runs', async () => (await statusOf()) === 200);
  const tookMs = performance.now() - begun;
  const listed = await command('list');
  const removed = await command('remove', sha256(document));
  await until('the operation is refused', async () => (await statusOf()) === 404);

  expect(published).toMatchObject({ code: 0, stdout: '1 added, 0 unchanged\n' });
  expect(tookMs).toBeLessThan(1_500);
  expect(listed.stdout).toContain(`sha256:${sha256(document)}  query  ByCommand  20`);
  expect(removed).toMatchObject({ code: 0, stdout: '1 removed\n' });
});

test('the command says what is wrong, where', async () => {
  const file = path.join(dataDir, 'wrong.json');
  await writeFile(file, JSON.stringify(hashed('query Wrong { nothing }')));

  const wrong = await command('publish', file);

  expect([wrong.code, wrong.stderr]).toEqual([
    1,
    expect.stringMatching(/operation Wrong: Cannot query field "nothing" on type "Query".*\(line 1, column 15\)/),
  ]);
});

test('a server has a limited number of operations and bytes', async () => {
  const { catalogByKey } = app.app.databases;
  const operations = new RegisteredOperations(catalogByKey);
  const by = { principal: COMMAND_LINE, reason: null };
  const many = (count: number, bytes: number): NewOperation[] =>
    Array.from({ length: count }, (_, i) => ({ id: `id ${i}`, name: 'N', type: 'query', document: 'x'.repeat(bytes) }));

  const tooLarge = { problems: [{ path: ['file'], code: 'TOO_LARGE' }] };
  await expect(operations.publish(many(MAX_OPERATIONS, 1), by, ['file'])).rejects.toMatchObject(tooLarge);
  await expect(operations.publish(many(520, 16_384), by, ['file'])).rejects.toMatchObject(tooLarge);
  const { body } = await send(keys.admin, { query: READ });
  expect(body.data.operations.totalCount).toBeLessThan(20);
});

test('in the other modes, only holders of publishable keys need ids, or nobody', async () => {
  const raw = { query: '{ models { totalCount } }' };
  const persisted = { ...raw, extensions: { persistedQuery: { version: 1, sha256Hash: sha256(raw.query) } } };
  const byId = { documentId: '10c53b50cb7b2c1ff4c123eead4f119b3715e49e' };
  const codes: unknown[] = [];
  for (const mode of ['publishable', 'off'] as const) {
    await app.stop();
    await start(mode);
    for (const key of [keys.page, keys.predictor])
      for (const body of [raw, persisted, byId]) codes.push([mode, ...codeOf(await send(key, body))]);
  }

  expect(codes).toEqual([
    ['publishable', 400, 'PERSISTED_QUERY_ID_REQUIRED'],
    ['publishable', 400, 'PERSISTED_QUERY_ID_REQUIRED'],
    ['publishable', 200, undefined],
    ['publishable', 200, undefined],
    ['publishable', 200, 'PERSISTED_QUERY_NOT_SUPPORTED'],
    ['publishable', 200, undefined],
    ['off', 200, undefined],
    ['off', 200, 'PERSISTED_QUERY_NOT_SUPPORTED'],
    ['off', 200, undefined],
    ['off', 200, undefined],
    ['off', 200, 'PERSISTED_QUERY_NOT_SUPPORTED'],
    ['off', 200, undefined],
  ]);
});

test('operations that were published survive a kill at once', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-killed-'));
  const env = { DATA_DIR: folder, MODEL_STORE: '/nowhere', TRUSTED_DOCUMENTS: 'required', WORKERS: '1' };
  const server = await startServer(env);
  const given = { input: { manifest: hashed(VALID) } };
  const { body } = await send(null, { query: PUBLISH, variables: given }, server.url);
  await server.end('SIGKILL');

  const next = await startServer(env);
  const answer = await send(null, { documentId: sha256(VALID) }, next.url);
  await next.end('SIGTERM');
  await rm(folder, { recursive: true, force: true });

  expect(body.data.publishOperations.added).toBe(1);
  expect(answer).toMatchObject({ status: 200, body: { data: { models: { totalCount: 0 } } } });
});
