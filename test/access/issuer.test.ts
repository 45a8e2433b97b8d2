/** How an issuer is asked for its keys: rarely, within limits, and what happens while it cannot answer. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { COOLDOWN_MS } from '#src/access/issuer-keys.js';
import type { Principal } from '#src/access/principal.js';
import { isRefused } from '#src/access/refusals.js';
import { type Issuer, Tokens } from '#src/access/tokens.js';
import { AUDIENCE, signingKey, TestIssuer } from '../support/issuer.js';

const MINUTE_MS = 60_000;

let issuer: TestIssuer;
let late = 0;
let errors: string[] = [];
beforeEach(async () => {
  [late, errors] = [0, []];
  issuer = await TestIssuer.start();
});
afterEach(() => issuer.stop());

/** With a clock that is `late` ms ahead. */
function tokensOf(settings: Partial<Issuer> = {}): Tokens {
  const { signal } = new AbortController();
  const issuedBy = { issuer: issuer.url, audience: AUDIENCE, jwksUrl: null, algorithms: ['RS256', 'ES256'] };
  return new Tokens(
    { ...issuedBy, maxAgeSeconds: 86_400, accountClaim: 'sub', rolesClaim: 'roles', ...settings },
    { signal, onError: ({ message }) => errors.push(message), now: () => Date.now() + late },
  );
}

/** "accepted", or why not. */
async function verdict(tokens: Tokens, token: string): Promise<string> {
  const found = await tokens.find(token, '192.0.2.7');
  return isRefused(found) ? found.code : 'accepted';
}

test('a verified token is answered at once, with the same principal', async () => {
  const tokens = tokensOf();
  const token = await issuer.sign();
  const [first, second] = await Promise.all([tokens.find(token, 'a'), tokens.find(token, 'b')]);

  expect(tokens.find(token, 'a')).toBe(first);
  expect(second).toBe(first);
  expect(Object.isFrozen(first)).toBe(true);
  expect(first).toMatchObject({ id: 'oidc:alice', callerId: `token ${issuer.url} alice`, key: null });
});

test('a verified token ends when it expires', async () => {
  const tokens = tokensOf();
  const token = await issuer.sign();
  const principal = (await tokens.find(token, 'a')) as Principal;
  const before = principal.keyRefusal();
  late = 6 * MINUTE_MS + 1_000;

  expect([before, principal.keyRefusal()]).toEqual([null, 'expired']);
  expect(await verdict(tokens, token)).toBe('UNAUTHENTICATED');
});

test('a key that the issuer adds is read when a token needs it, once in ten seconds', async () => {
  const tokens = tokensOf();
  const second = await signingKey('second', 'ES256');
  const [old, early, token] = [
    await issuer.sign(),
    await issuer.sign({}, {}, second),
    await issuer.sign({}, {}, second),
  ];
  const verdicts = [await verdict(tokens, old)];
  issuer.list(issuer.key, second);
  verdicts.push(await verdict(tokens, early));
  late = COOLDOWN_MS;
  verdicts.push(await verdict(tokens, token), await verdict(tokens, old));

  expect(verdicts).toEqual(['accepted', 'UNAUTHENTICATED', 'accepted', 'accepted']);
  expect(issuer.reads).toBe(2);
});

test('a flood of unknown keys asks the issuer once per cooldown', async () => {
  const tokens = tokensOf();
  const flood = async () => {
    const unknown = await Promise.all(Array.from({ length: 20 }, () => issuer.sign({}, { kid: randomUUID() })));
    return Promise.all(unknown.map((token) => verdict(tokens, token)));
  };
  const verdicts: string[] = [];
  for (let i = 0; i < 5; i++) {
    verdicts.push(...(await flood()));
    late += COOLDOWN_MS / 2;
  }

  expect(new Set(verdicts)).toEqual(new Set(['UNAUTHENTICATED']));
  expect(issuer.reads).toBe(3);
});

test('a key that the issuer withdraws ends the tokens that were verified with it', async () => {
  const tokens = tokensOf();
  const second = await signingKey('second');
  const [old, token] = [await issuer.sign({ exp: Date.now() / 1_000 + 7_200 }), await issuer.sign({}, {}, second)];
  const before = await verdict(tokens, old);
  issuer.list(second);
  late = COOLDOWN_MS;
  const after = [await verdict(tokens, token), await verdict(tokens, old)];

  expect([before, ...after]).toEqual(['accepted', 'accepted', 'UNAUTHENTICATED']);
});

test('while the issuer does not answer, verified tokens are accepted and others can be sent again', async () => {
  const tokens = tokensOf();
  const lasting = { exp: Date.now() / 1_000 + 86_000 };
  const [known, unknown, later] = [
    await issuer.sign(lasting),
    await issuer.sign({}, { kid: 'new' }),
    await issuer.sign(lasting, { x: 1 }),
  ];
  await verdict(tokens, known);
  issuer.answer = (response) => void response.writeHead(500).end();
  late = COOLDOWN_MS;
  const verdicts = [await verdict(tokens, unknown), await verdict(tokens, known), await verdict(tokens, later)];
  late = 61 * MINUTE_MS;
  verdicts.push(await verdict(tokens, await issuer.sign(lasting, { x: 2 })), await verdict(tokens, known));

  expect(verdicts).toEqual(['ISSUER_UNAVAILABLE', 'accepted', 'accepted', 'ISSUER_UNAVAILABLE', 'accepted']);
  expect(await tokens.find(unknown, 'a')).toMatchObject({ retryAfterMs: COOLDOWN_MS });
  expect(errors[0]).toContain('status 500');
});

const redirected = (response: ServerResponse) => void response.writeHead(302, { location: '/elsewhere' }).end();

test.each<[string, (response: ServerResponse) => void, RegExp]>([
  ['too large', (response) => void response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`), /more than 262144 bytes/],
  ['no JSON', (response) => void response.end('<html>'), /JSON/],
  ['no key set', (response) => void response.end('{"keys":{}}'), /JSON Web Key Set/],
  ['a redirect', redirected, /fetch failed/],
  ['cut off', (response) => void response.write('{"keys":', () => response.destroy()), /terminated|aborted/],
])('an answer that is %s is no key set', async (_, answer, reason) => {
  issuer.answer = answer;

  expect(await verdict(tokensOf(), await issuer.sign())).toBe('ISSUER_UNAVAILABLE');
  expect(errors).toEqual([expect.stringMatching(reason)]);
  expect(issuer.otherPaths).toEqual([]);
});

test('an answer that takes longer than five seconds is given up', async () => {
  issuer.answer = (response) => {
    response.on('close', () => clearInterval(timer));
    const timer = setInterval(() => response.write(' '), 100);
  };
  const begun = performance.now();

  expect(await verdict(tokensOf(), await issuer.sign())).toBe('ISSUER_UNAVAILABLE');
  expect(performance.now() - begun).toBeLessThan(9_000);
});

test('tokens that wait for the issuer are limited, for each address by what others may need', async () => {
  issuer.answer = () => {};
  const tokens = tokensOf();
  const waiting = Array.from({ length: 501 }, (_, i) => tokens.find(`a.b${i}.c`, 'a'));
  const other = tokens.find('a.b.c', 'b');

  expect(waiting.slice(0, 500).every((found) => found instanceof Promise)).toBe(true);
  expect(waiting[500]).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 1_000 });
  expect(other).toBeInstanceOf(Promise);
});

test('account and roles come from the claims that are configured, also within others', async () => {
  const tokens = tokensOf({ accountClaim: 'https://example.com/team', rolesClaim: 'realm_access.roles' });
  const claims = { 'https://example.com/team': 'shop', realm_access: { roles: ['admin', 'offline_access'] } };
  const found = await tokens.find(await issuer.sign(claims), 'a');
  const without = await tokens.find(await issuer.sign({ realm_access: 'x' }), 'a');

  expect(found).toMatchObject({ id: 'oidc:shop', roles: ['admin'], token: { subject: 'alice' } });
  expect(without).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('example.com/team') });
});
