/** Access tokens of an OpenID issuer, over real HTTP: what is accepted, and every way to forge one. */
import { createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { JWTPayload } from 'jose';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { AUDIENCE, signingKey, TestIssuer } from '../support/issuer.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message } } }`;
const TEXT = { model: 'spam-filter', input: { text: 'hello' } };
const SECOND = Math.floor(Date.now() / 1_000);

let issuer: TestIssuer;
let app: TestApp;
beforeAll(async () => {
  issuer = await TestIssuer.start();
  app = await startTestApp({ oidcIssuer: issuer.url, oidcAudience: AUDIENCE });
});
afterAll(async () => {
  await app.stop();
  await issuer.stop();
});

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Data;
}

async function send(token: string | null, query: string, variables: object = {}): Promise<Sent> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Data };
}

const VIEWER = '{ viewer { account roles key { id } token { issuer subject expiresAt } } }';

test('a token says who its subject is', async () => {
  const { body } = await send(
    await issuer.sign({ roles: ['predictor', 'owner', 'viewer', 7], exp: SECOND + 300 }),
    VIEWER,
  );

  const token = { issuer: issuer.url, subject: 'alice', expiresAt: new Date((SECOND + 300) * 1_000).toISOString() };
  expect(body.data.viewer).toEqual({ account: 'oidc:alice', roles: ['VIEWER', 'PREDICTOR'], key: null, token });
});

test('where an issuer is trusted, a request without a token may only do what is public', async () => {
  const viewer = await send(null, VIEWER);
  const models = await send(null, '{ models { totalCount } }');

  expect(viewer.body.data.viewer).toEqual({ account: null, roles: [], key: null, token: null });
  expect(models.body.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('the roles of a token decide what it may do, and a token without one is forbidden', async () => {
  const [admin, none] = [await issuer.sign({ roles: 'admin viewer' }), await issuer.sign({ roles: ['root'] })];

  expect((await send(admin, '{ engine { queueDepth } }')).body.errors).toBeUndefined();
  expect((await send(none, '{ models { totalCount } }')).body.errors).toMatchObject([
    { message: expect.stringContaining('callers with the role'), extensions: { code: 'FORBIDDEN' } },
  ]);
  expect((await send(none, VIEWER)).body.data.viewer).toMatchObject({ account: 'oidc:alice', roles: [] });
});

/** A token of the issuer's form with any header, claims and signature. */
function forged(header: object, signature: (signed: string) => string, claims: JWTPayload = {}): string {
  const usual = { iss: issuer.url, aud: AUDIENCE, sub: 'mallory', iat: SECOND, exp: SECOND + 300, roles: ['admin'] };
  const signed = [header, { ...usual, ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signed}.${signature(signed)}`;
}

const signedBySecret = (secret: string | Buffer) => (signed: string) =>
  createHmac('sha256', secret).update(signed).digest('base64url');
const publicKey = () => createPublicKey({ key: issuer.key.publicJwk as never, format: 'jwk' });

const ATTACKS: readonly (readonly [name: string, message: string, token: () => string | Promise<string>])[] = [
  ['no signature', 'algorithm', () => forged({ alg: 'none' }, () => '')],
  ['no signature, in other letters', 'algorithm', () => forged({ alg: 'NoNe' }, () => '')],
  [
    'the public key as the secret of an HMAC',
    'algorithm',
    () => forged({ alg: 'HS256', kid: 'first' }, signedBySecret(publicKey().export({ type: 'spki', format: 'pem' }))),
  ],
  [
    'the modulus as the secret of an HMAC',
    'algorithm',
    () => forged({ alg: 'HS256', kid: 'first' }, signedBySecret(String(issuer.key.publicJwk.n))),
  ],
  ['an HMAC that claims to be RS256', 'signature', () => forged({ alg: 'RS256', kid: 'first' }, signedBySecret(''))],
  ['an algorithm that is not accepted', 'algorithm', () => forged({ alg: 'PS256', kid: 'first' }, signedBySecret(''))],
  ['another audience', 'another audience', () => issuer.sign({ aud: 'https://other.example' })],
  ['no audience', 'another audience', () => issuer.sign({ aud: undefined as never })],
  ['another issuer', 'another issuer', () => issuer.sign({ iss: `${issuer.url}/` })],
  ['a time in the past', 'has expired', () => issuer.sign({ exp: SECOND - 61 })],
  ['no expiry', 'no time at which it expires', () => issuer.sign({ exp: undefined as never })],
  ['an issue in the future', '`iat`', () => issuer.sign({ iat: SECOND + 120 })],
  ['no time of issue', '`iat`', () => issuer.sign({ iat: undefined as never })],
  ['an issue too long ago', 'too old', () => issuer.sign({ iat: SECOND - 86_400 - 70 })],
  ['a beginning in the future', '`nbf`', () => issuer.sign({ nbf: SECOND + 120 })],
  ['no subject', '`sub`', () => issuer.sign({ sub: undefined as never })],
  ['an empty subject', '"sub"', () => issuer.sign({ sub: '' })],
  ['a subject with a line break', '"sub"', () => issuer.sign({ sub: 'alice\nkey' })],
  ['a subject of another kind', '"sub"|claims', () => issuer.sign({ sub: ['alice'] as never })],
  ['the type of another token', '`typ`', () => issuer.sign({}, { typ: 'logout+jwt' })],
  ['a key that is not listed', 'does not list', async () => issuer.sign({}, {}, await signingKey('unknown'))],
  ['a key of its own', 'signature', async () => issuer.sign({}, {}, await signingKey('first'))],
  [
    'a key in its header',
    'signature',
    async () => {
      const key = await signingKey('first');
      return issuer.sign({}, { jwk: key.publicJwk }, key);
    },
  ],
  [
    'an unknown critical header',
    'extension',
    () => forged({ alg: 'RS256', crit: ['exp'], exp: 1 }, signedBySecret('')),
  ],
  [
    'a critical header that is not there',
    'extension|copied',
    () => forged({ alg: 'RS256', crit: ['x'] }, () => 'AAAA'),
  ],
  ['a path as the name of its key', 'does not list', () => issuer.sign({}, { kid: '../../etc/passwd' })],
  ['an object as the name of its key', 'does not list', () => issuer.sign({}, { kid: { $ne: '' } })],
  ['two dots', 'copied as a whole', () => '..'],
  ['five parts', 'copied as a whole', () => 'a.b.c.d.e'],
  [
    'claims that are no object',
    'could not|claims|copied',
    () => `${forged({ alg: 'RS256' }, () => 'A').split('.')[0]}.W10.A`,
  ],
];

test.each(ATTACKS)('A17 a token with %s is refused', async (_, message, token) => {
  const { status, headers, body } = await send(await token(), VIEWER);

  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(body.errors).toMatchObject([
    { message: expect.stringMatching(new RegExp(message)), extensions: { code: 'UNAUTHENTICATED' } },
  ]);
});

test('a token cannot say where its key is read from', async () => {
  const evil = await TestIssuer.start();
  const header = { jku: `${evil.url}/keys`, x5u: `${evil.url}/chain` };
  const { status } = await send(await issuer.sign({}, header, evil.key), VIEWER);
  const own = await send(await issuer.sign({}, header), VIEWER);
  await evil.stop();

  expect([status, own.status]).toEqual([401, 200]);
  expect([evil.reads, evil.otherPaths]).toEqual([0, []]);
});

test('a flood of unknown keys does not reach the issuer', async () => {
  await send(await issuer.sign(), VIEWER);
  const before = issuer.reads;
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () =>
      send(
        forged({ alg: 'RS256', kid: randomUUID() }, () => 'AAAA'),
        VIEWER,
      ),
    ),
  );

  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
  expect(issuer.reads - before).toBeLessThanOrEqual(1);
  expect(issuer.otherPaths).toEqual([]);
});

test('a token in the address of a request is no token', async () => {
  const token = await issuer.sign();
  const query = encodeURIComponent('{ models { totalCount } }');
  const response = await fetch(
    `${app.url}/graphql?query=${query}&access_token=${token}&authorization=Bearer%20${token}`,
    {
      headers: { 'apollo-require-preflight': 'true' },
    },
  );

  expect(((await response.json()) as Data).errors[0].extensions.code).toBe('UNAUTHENTICATED');
});

test('a token that ends while its request arrives does nothing', async () => {
  const token = await issuer.sign({ exp: Date.now() / 1_000 - 60 + 1 });
  await send(token, VIEWER);
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const request = http.request(`${app.url}/graphql`, { method: 'POST', headers });
  request.flushHeaders();
  await wait(1_200);
  request.end(JSON.stringify({ query: PREDICT, variables: { input: TEXT } }));
  const [response] = await once(request, 'response');
  const body = JSON.parse(Buffer.concat(await response.toArray()).toString());

  expect(body).toMatchObject({ data: { predict: null }, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  expect(body.errors[0].message).toContain('token has expired');
  expect((await send(token, VIEWER)).status).toBe(401);
});

test('two subjects do not see each other, nor the holder of a key whose account has the same name', async () => {
  const admin = await issuer.sign({ sub: 'root', roles: ['admin'] });
  const create =
    'mutation { createApiKey(input: { name: "k", account: "alice", roles: [PREDICTOR], reason: "a test" }) { secret } }';
  const key = (await send(admin, create)).body.data.createApiKey.secret;
  const [alice, bob] = [await issuer.sign({ sub: 'alice' }), await issuer.sign({ sub: 'bob' })];
  const { id } = (await send(alice, PREDICT, { input: { ...TEXT, idempotencyKey: 'k' } })).body.data.predict.prediction;

  const find = 'query ($id: ID!) { prediction(id: $id) { id } node(id: $id) { id } predictions { nodes { id } } }';
  const [own, again, ofBob, ofKey] = await Promise.all(
    [alice, await issuer.sign({ sub: 'alice', jti: 'second' }), bob, key].map((one) => send(one, find, { id })),
  );
  const replay = await send(bob, PREDICT, { input: { ...TEXT, idempotencyKey: 'k' } });

  const nothing = { prediction: null, node: null, predictions: { nodes: [] } };
  expect(own?.body.data).toEqual({ prediction: { id }, node: { id }, predictions: { nodes: [{ id }] } });
  expect(again?.body.data).toEqual(own?.body.data);
  expect(ofBob?.body.data).toEqual(nothing);
  expect(ofKey?.body.data).toEqual(nothing);
  expect(replay.body.data.predict.prediction.id).not.toBe(id);

  const log = await send(admin, '{ auditLog(first: 1) { nodes { action account keyId issuer subject } } }');
  const entry = { action: 'createApiKey', account: 'oidc:root', keyId: null, issuer: issuer.url, subject: 'root' };
  expect(log.body.data.auditLog.nodes).toEqual([entry]);
});
