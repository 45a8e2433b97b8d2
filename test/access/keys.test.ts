/** API keys: who may do what with which key, over real HTTP. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { generateKey } from '#src/access/api-key.js';
import type { Role } from '#src/access/roles.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const CREATE =
  'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } secret problem { code message ... on InvalidInput { problems { path code expected } } } } }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message } } }`;
const TEXT = { model: 'spam-filter', input: { text: 'hello' } };

let app: TestApp;
let admin: string;
beforeAll(async () => {
  app = await startTestApp();
  admin = (await create(null, { name: 'admin', account: 'team', roles: ['ADMIN'] })).secret;
});
afterAll(() => app.stop());

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Data;
}

async function send(key: string | null, query: string, variables: object = {}, headers: object = {}): Promise<Sent> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }), ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Data };
}

async function create(key: string | null, input: Record<string, unknown>): Promise<Data> {
  const { body } = await send(key, CREATE, { input });
  if (!body.data?.createApiKey?.secret) throw new Error(JSON.stringify(body));
  return body.data.createApiKey;
}

const keyOf = async (role: Role, account = 'team') =>
  (await create(admin, { name: role, account, roles: [role.toUpperCase()] })).secret;

test('from the first key on, a request without one may only do what is public', async () => {
  const viewer = await send(null, '{ viewer { account roles key { id } } }');
  const models = await send(null, '{ models { totalCount } }');
  const predict = await send(null, PREDICT, { input: TEXT });

  expect(viewer.body.data.viewer).toEqual({ account: null, roles: [], key: null });
  expect(models.body.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  expect(predict.body).toMatchObject({
    data: { predict: null },
    errors: [{ extensions: { code: 'UNAUTHENTICATED' } }],
  });
});

test('a key says who its holder is', async () => {
  const { body } = await send(admin, '{ viewer { account roles key { name account kind roles models } } }');

  const key = { name: 'admin', account: 'team', kind: 'SECRET', roles: ['ADMIN'], models: null };
  expect(body.data.viewer).toEqual({ account: 'team', roles: ['ADMIN'], key });
});

test('metrics are for administrators, health is for everybody', async () => {
  const metrics = (key: string | null) =>
    fetch(`${app.url}/metrics`, { headers: key ? { authorization: `Bearer ${key}` } : {} });

  const answers = await Promise.all([metrics(null), metrics(await keyOf('viewer')), metrics(admin)]);
  expect(answers.map(({ status }) => status)).toEqual([401, 403, 200]);
  expect((await fetch(`${app.url}/health/live`)).status).toBe(200);
});

test('an account sees its own predictions only, whoever of it made them', async () => {
  const accounts = ['ours', 'ours', 'theirs'];
  const keys = await Promise.all(accounts.map((account) => keyOf('predictor', account)));
  const [mine] = keys as [string];
  const { body } = await send(mine, PREDICT, { input: TEXT });
  const { id } = body.data.predict.prediction;

  const find =
    'query ($id: ID!) { prediction(id: $id) { id } node(id: $id) { id } predictions { nodes { id } } version(ref: "spam-filter") { predictions { nodes { id } } } }';
  const [own, ofColleague, ofOther] = await Promise.all(keys.map((key) => send(key, find, { id })));

  const seen = {
    prediction: { id },
    node: { id },
    predictions: { nodes: [{ id }] },
    version: { predictions: { nodes: [{ id }] } },
  };
  expect(own?.body.data).toEqual(seen);
  expect(ofColleague?.body.data).toEqual(seen);
  expect(ofOther?.body.data).toEqual({
    prediction: null,
    node: null,
    predictions: { nodes: [] },
    version: { predictions: { nodes: [] } },
  });
});

test('the same idempotency key of two accounts are two keys', async () => {
  const input = { ...TEXT, idempotencyKey: 'once' };
  const [a, b] = await Promise.all(
    [keyOf('predictor', 'a'), keyOf('predictor', 'b')].map(async (key) => send(await key, PREDICT, { input })),
  );

  expect(a?.body.data.predict.prediction.id).not.toBe(b?.body.data.predict.prediction.id);
});

const PUBLISHABLE = {
  name: 'page',
  account: 'team',
  kind: 'PUBLISHABLE',
  roles: ['PREDICTOR'],
  operations: ['predict', 'viewer'],
  models: ['spam-filter'],
  origins: ['https://shop.example'],
};

test('a publishable key runs its models with its operations from its origins, and reads no predictions', async () => {
  const { secret } = await create(admin, PUBLISHABLE);
  const from = (origin: string | null, query: string, variables: object = {}) =>
    send(secret, query, variables, origin ? { origin } : {});
  const page = 'https://shop.example';

  const { body, headers } = await from(page, PREDICT, { input: TEXT });
  const other = await from(page, PREDICT, { input: { model: 'penguins', input: { row: {} } } });
  const models = await from(page, '{ models { totalCount } }');
  const elsewhere = await from('https://evil.example', PREDICT, { input: TEXT });
  const nowhere = await from(null, PREDICT, { input: TEXT });

  expect(secret).toMatch(/^mgp_/);
  expect(body.data.predict.problem).toBeNull();
  expect(headers.get('access-control-allow-origin')).toBe(page);
  expect(other.body.data.predict.problem).toMatchObject({ code: 'FORBIDDEN' });
  expect(models.body.errors[0].extensions.code).toBe('FORBIDDEN');
  expect([elsewhere.status, elsewhere.body.errors[0].extensions.code]).toEqual([403, 'ORIGIN_NOT_ALLOWED']);
  expect(nowhere.status).toBe(403);
  const wide = await create(admin, { ...PUBLISHABLE, operations: ['predictions', 'prediction', 'version', 'node'] });
  const history = await send(
    wide.secret,
    '{ version(ref: "spam-filter") { predictions { nodes { id } } } }',
    {},
    { origin: page },
  );
  const list = await send(wide.secret, '{ predictions { nodes { id } } }', {}, { origin: page });
  expect(history.body).toMatchObject({
    data: { version: { predictions: null } },
    errors: [{ extensions: { code: 'FORBIDDEN' } }],
  });
  expect(list.body.errors[0].extensions.code).toBe('FORBIDDEN');
});

test('a browser may ask whether it may send a key from an origin of a key, and from no other', async () => {
  await create(admin, PUBLISHABLE);
  const preflight = (origin: string) =>
    fetch(`${app.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });

  const [known, unknown] = await Promise.all([preflight('https://shop.example'), preflight('https://evil.example')]);

  expect(known.headers.get('access-control-allow-origin')).toBe('https://shop.example');
  expect(known.headers.get('access-control-allow-headers')).toContain('authorization');
  expect(unknown.headers.get('access-control-allow-origin')).toBeNull();
});

const NO_KEYS = [
  ['no key', 'Bearer secret', 'This is not an API key'],
  ['a key with a wrong digit', null, 'This is not an API key'],
  ['an unknown key', `Bearer ${generateKey('secret').text}`, 'does not exist'],
  ['another scheme', 'Basic YTpi', 'Send the key as'],
] as const;

test('what is no key is refused with what is wrong with it', async () => {
  for (const [what, header, message] of NO_KEYS) {
    const authorization = header ?? `Bearer ${admin.slice(0, -1)}${admin.endsWith('0') ? '1' : '0'}`;
    const { status, headers, body } = await send(null, '{ viewer { account } }', {}, { authorization });

    expect({ what, status }).toEqual({ what, status: 401 });
    expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(body.errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: 'UNAUTHENTICATED' } },
    ]);
  }
});

test('a key in the address of a request is no key', async () => {
  const query = encodeURIComponent('{ models { totalCount } }');
  const response = await fetch(`${app.url}/graphql?query=${query}&authorization=Bearer%20${admin}&key=${admin}`, {
    headers: { 'apollo-require-preflight': 'true' },
  });

  expect(((await response.json()) as Data).errors[0].extensions.code).toBe('UNAUTHENTICATED');
});

test('a web page may repeat a request with an idempotency key', async () => {
  const { secret } = await create(admin, PUBLISHABLE);
  const predict = () =>
    send(
      secret,
      `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id input output { ... on Classification { label score } } } replayed } }`,
      { input: { ...TEXT, idempotencyKey: 'once' } },
      { origin: 'https://shop.example' },
    );

  const [first, again] = [await predict(), await predict()];

  expect(again.body.data.predict).toEqual({ ...first.body.data.predict, replayed: true });
});

test('a revoked key is refused, an expired one too, and a rotated one after the overlap', async () => {
  const [one, two] = [
    await create(admin, { name: 'a', account: 'a', roles: ['VIEWER'] }),
    await create(admin, { name: 'b', account: 'b', roles: ['VIEWER'] }),
  ];
  const viewer = (key: string) => send(key, '{ viewer { account } }').then(({ status }) => status);

  await send(admin, 'mutation ($id: ID!) { revokeApiKey(id: $id) { problem { code } } }', { id: one.apiKey.id });
  const rotate =
    'mutation ($id: ID!, $overlapMs: SafeInt!) { rotateApiKey(id: $id, overlapMs: $overlapMs) { apiKey { id account roles } secret problem { code } } }';
  const { body } = await send(admin, rotate, { id: two.apiKey.id, overlapMs: 86_400_000 });
  const third = body.data.rotateApiKey;

  expect(third).toMatchObject({ apiKey: { account: 'b', roles: ['VIEWER'] }, problem: null });
  expect(await Promise.all([one.secret, two.secret, third.secret].map(viewer))).toEqual([401, 200, 200]);
  await send(admin, rotate, { id: third.apiKey.id, overlapMs: 0 });
  expect(await viewer(third.secret)).toBe(401);
  const ended = await send(admin, rotate, { id: third.apiKey.id, overlapMs: 0 });
  expect(ended.body.data.rotateApiKey).toMatchObject({ secret: null, problem: { code: 'INVALID_INPUT' } });
});

const WRONG = [
  ['no roles', { roles: [] }, 'roles'],
  ['an account of the server', { account: 'anonymous' }, 'account'],
  ['an account with other characters', { account: 'My Team' }, 'account'],
  ['a time in the past', { expiresAt: '2020-01-01T00:00:00.000Z' }, 'expiresAt'],
  ['origins for a secret key', { origins: ['https://a.example'] }, 'origins'],
  ['no origins for a publishable key', { ...PUBLISHABLE, origins: null }, 'origins'],
  ['no operations for a publishable key', { ...PUBLISHABLE, operations: null }, 'operations'],
  ['no models for a publishable key', { ...PUBLISHABLE, models: null }, 'models'],
  ['an administrator whose key is publishable', { ...PUBLISHABLE, roles: ['ADMIN'] }, 'roles'],
  ['an origin with a path', { ...PUBLISHABLE, origins: ['https://shop.example/'] }, 'origins'],
] as const;

test('what is wrong with a new key is a problem that names the field', async () => {
  for (const [what, changes, field] of WRONG) {
    const { body } = await send(admin, CREATE, { input: { name: 'a', account: 'a', roles: ['VIEWER'], ...changes } });

    const { secret, problem } = body.data.createApiKey;
    expect({ what, secret }).toEqual({ what, secret: null });
    expect(problem.problems.map((one: Data) => one.path)).toEqual([['input', field]]);
  }
});

test('the secret of a key is in no file of the data folder', async () => {
  const secret = admin.split('_')[2] as string;
  const files = await readdir(app.dataDir, { recursive: true, withFileTypes: true });
  const contents = await Promise.all(
    files.filter((one) => one.isFile()).map((one) => readFile(path.join(one.parentPath, one.name))),
  );

  expect(contents.length).toBeGreaterThan(0);
  expect(contents.filter((bytes) => bytes.includes(secret))).toEqual([]);
});

const ROTATE =
  'mutation ($id: ID!, $overlapMs: SafeInt) { rotateApiKey(id: $id, overlapMs: $overlapMs) { apiKey { id expiresAt } secret problem { code message } } }';
const REVOKE = 'mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { revokedAt } problem { code } } }';
const rotate = async (key: string, id: string, overlapMs = 60_000) =>
  (await send(key, ROTATE, { id, overlapMs })).body.data.rotateApiKey;

test('of a revocation and a rotation at the same time, the first decides', async () => {
  for (let i = 0; i < 10; i++) {
    const victim = await create(admin, { name: 'victim', account: 'team', roles: ['ADMIN'] });
    const [, rotated] = await Promise.all([
      send(admin, REVOKE, { id: victim.apiKey.id }),
      rotate(admin, victim.apiKey.id),
    ]);
    expect(rotated).toMatchObject({ secret: null, problem: { code: 'INVALID_INPUT' } });
  }
});

test('the fields of a mutation stop when its key is revoked', async () => {
  const victim = await create(admin, { name: 'victim', account: 'team', roles: ['ADMIN'] });
  const field = (i: number) =>
    i === 3
      ? `m${i}: revokeApiKey(id: "${victim.apiKey.id}") { apiKey { id } }`
      : `m${i}: createApiKey(input: { name: "n", account: "team", roles: [VIEWER] }) { secret }`;
  const { body } = await send(victim.secret, `mutation { ${Array.from({ length: 8 }, (_, i) => field(i)).join(' ')} }`);

  const made = Object.entries<Data>(body.data).filter(([, payload]) => payload?.secret);
  expect(made.map(([alias]) => alias)).toEqual(['m0', 'm1', 'm2']);
  expect(body.errors.map(({ extensions }: Data) => extensions.code)).toEqual(Array(4).fill('UNAUTHENTICATED'));
});

test('a key is replaced once, and its successor keeps its expiry', async () => {
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const { apiKey } = await create(admin, { name: 'old', account: 'team', roles: ['VIEWER'], expiresAt });
  const first = await rotate(admin, apiKey.id, 1_000);
  const second = await rotate(admin, apiKey.id);
  const longest = await create(admin, { name: 'long', account: 'team', roles: ['VIEWER'] });

  expect(first).toMatchObject({ apiKey: { expiresAt }, problem: null });
  expect(second).toMatchObject({ secret: null, problem: { code: 'INVALID_INPUT' } });
  expect(await rotate(admin, longest.apiKey.id, 90 * 86_400_000)).toMatchObject({ problem: null });
});

test('a key that is bound to models or operations grants no more than it has', async () => {
  const bound = { models: ['spam-filter'], operations: ['createApiKey', 'rotateApiKey'] };
  const narrow = await create(admin, { name: 'narrow', account: 'team', roles: ['ADMIN'], ...bound });
  const wide = await create(admin, { name: 'wide', account: 'team', roles: ['ADMIN'] });
  const wish = (more: object) =>
    send(narrow.secret, CREATE, { input: { name: 'x', account: 'team', roles: ['ADMIN'], ...more } });

  for (const more of [
    {},
    { models: ['spam-filter'] },
    { ...bound, models: ['penguins'] },
    { operations: bound.operations },
  ])
    expect((await wish(more)).body.data.createApiKey).toMatchObject({ secret: null, problem: { code: 'FORBIDDEN' } });
  expect((await wish(bound)).body.data.createApiKey.problem).toBeNull();
  expect(await rotate(narrow.secret, wide.apiKey.id)).toMatchObject({ secret: null, problem: { code: 'FORBIDDEN' } });
});

test('the names that the server uses itself are no accounts', async () => {
  for (const account of ['command-line', 'system', 'nobody', 'anonymous']) {
    const { body } = await send(admin, CREATE, { input: { name: 'x', account, roles: ['VIEWER'] } });
    expect(body.data.createApiKey.problem).toMatchObject({ code: 'INVALID_INPUT' });
  }
});

test('making a key costs what a synced transaction costs', async () => {
  const { body } = await send(admin, CREATE, { input: { name: 'x', account: 'team', roles: ['VIEWER'] } });
  expect(body.extensions.cost.requested).toBeGreaterThan(30);
});

test('a server whose last key was revoked does not become open again', async () => {
  const { apiKeys } = (await send(admin, '{ apiKeys(first: 100) { nodes { id } pageInfo { hasNextPage } } }')).body
    .data;
  const { viewer } = (await send(admin, '{ viewer { key { id } } }')).body.data;
  const others = apiKeys.nodes.map(({ id }: Data) => id).filter((id: string) => id !== viewer.key.id);
  for (const id of [...others, viewer.key.id]) await send(admin, REVOKE, { id });

  const open = await send(null, '{ viewer { roles } }');
  const revoked = await send(admin, '{ viewer { roles } }');

  expect(apiKeys.pageInfo.hasNextPage).toBe(false);
  expect(open.body.data.viewer.roles).toEqual([]);
  expect(revoked.status).toBe(401);
});
