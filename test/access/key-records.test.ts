/** What is kept of keys: when they were last used, those that have ended, and pages of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ApiKeys } from '#src/access/api-keys.js';
import { COMMAND_LINE } from '#src/access/principal.js';
import { openDatabases } from '#src/storage/database.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const DAY_MS = 86_400_000;

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-key-records-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

/** Rows of the catalog; also changes them. */
function sql(text: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path.join(dataDir, 'catalog.db'));
  try {
    return db.prepare(text).all();
  } finally {
    db.close();
  }
}

const start = () => startTestApp({ dataDir, empty: true, modelStore: '/nowhere' });

async function send({ url }: TestApp, key: string | null, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

async function create(app: TestApp, key: string | null, name: string): Promise<{ id: string; secret: string }> {
  const { createApiKey } = (
    await send(
      app,
      key,
      'mutation ($name: String!) { createApiKey(input: { name: $name, account: "team", roles: [ADMIN] }) { apiKey { id } secret } }',
      { name },
    )
  ).data;
  return { id: createApiKey.apiKey.id, secret: createApiKey.secret };
}

test('keys are listed newest first, in pages, with when they were last used, also after a restart', async () => {
  const app = await start();
  const first = await create(app, null, 'first');
  const others = [await create(app, first.secret, 'second'), await create(app, first.secret, 'third')];
  const list =
    'query ($after: String) { apiKeys(first: 2, after: $after) { totalCount nodes { id lastUsedAt } pageInfo { endCursor hasNextPage } } }';
  const newest = (await send(app, first.secret, list)).data.apiKeys;
  const oldest = (await send(app, first.secret, list, { after: newest.pageInfo.endCursor })).data.apiKeys;
  const used = new Date(oldest.nodes[0].lastUsedAt).getTime();
  await app.stop();
  const [row] = sql(`select last_used_at from api_key where id = '${first.id}'`);
  const again = await start();
  const { data } = await send(again, others[0]?.secret ?? null, '{ apiKeys { nodes { name lastUsedAt } } }');
  await again.stop();

  expect(newest).toMatchObject({ totalCount: 3, pageInfo: { hasNextPage: true } });
  expect(newest.nodes).toEqual(others.toReversed().map(({ id }) => ({ id, lastUsedAt: null })));
  expect(oldest.nodes).toEqual([{ id: first.id, lastUsedAt: expect.stringMatching(/:00\.000Z$/) }]);
  expect(Date.now() - used).toBeLessThan(120_000);
  expect(Number(row?.['last_used_at'])).toBeGreaterThanOrEqual(used);
  expect(data.apiKeys.nodes).toMatchObject([
    { name: 'third', lastUsedAt: null },
    { name: 'second', lastUsedAt: expect.anything() },
    { name: 'first', lastUsedAt: expect.anything() },
  ]);
});

const WANTED = {
  account: 'team',
  name: 'k',
  kind: 'secret',
  roles: ['viewer'],
  operations: null,
  models: null,
  origins: null,
  limits: null,
  expiresAt: null,
} as const;
const NO_OVERLAP = { overlapMs: 0, limits: null };
const ACTOR = { principal: COMMAND_LINE, reason: null };

/** Keys without a server. */
async function withKeys(act: (keys: ApiKeys, others: ApiKeys) => Promise<void>): Promise<void> {
  const { catalogByKey, close } = await openDatabases(dataDir);
  const keys = new ApiKeys(catalogByKey);
  try {
    await keys.load();
    await act(keys, new ApiKeys(catalogByKey));
  } finally {
    await close();
  }
}

test('keys that ended 90 days ago are removed when the next key is made, those that replaced another one with it', async () => {
  await withKeys(async (keys) => {
    const [old, kept, late] = [
      await keys.create(WANTED, ACTOR),
      await keys.create(WANTED, ACTOR),
      await keys.create(WANTED, ACTOR),
    ];
    const successor = await keys.rotate(old.key.id, { overlapMs: 90 * DAY_MS, limits: null }, ACTOR);
    const ended = Date.now() - 91 * DAY_MS;
    sql(`update api_key set revoked_at = ${ended} where id = '${successor?.key.id}'`);
    sql(`update api_key set revoked_at = ${Date.now() - 89 * DAY_MS} where id = '${late.key.id}'`);
    const next = await keys.create(WANTED, ACTOR);
    const before = sql('select id from api_key').map(({ id }) => id);
    sql(`update api_key set expires_at = ${ended} where id = '${old.key.id}'`);
    await keys.create(WANTED, ACTOR);
    await keys.create(WANTED, ACTOR);
    const after = sql('select id from api_key').map(({ id }) => id);

    expect(before.toSorted()).toEqual([old, successor, kept, late, next].map((one) => one?.key.id).toSorted());
    expect(after).toEqual(expect.arrayContaining([kept.key.id, late.key.id, next.key.id]));
    expect(after).not.toContain(old.key.id);
    expect(after).not.toContain(successor?.key.id);
    await keys.load();
    expect(keys.hasAny).toBe(true);
    expect(keys.all).toHaveLength(after.length);
  });
});

test('others read limits that were changed after the clock was set back', async () => {
  await withKeys(async (keys, others) => {
    const [{ key }, early] = [await keys.create(WANTED, ACTOR), await keys.create(WANTED, ACTOR)];
    sql(`update api_key set limits_changed_at = ${Date.now() + DAY_MS} where id = '${early.key.id}'`);
    await others.load();
    await keys.setLimits(key.id, { operationsPerDay: 5 }, ACTOR);
    await others.load();

    expect(others.all.find(({ id }) => id === key.id)?.limits?.operationsPerDay).toBe(5);
  });
});

test('if a server is full of keys, those that have ended make room, and otherwise no key is made', async () => {
  await withKeys(async (keys) => {
    const { key } = await keys.create(WANTED, ACTOR);
    const columns = 'secret_sha256, account, name, kind, roles, created_at, revoked_at';
    sql(`insert into api_key (id, ${columns}) with recursive n(i) as (select 2 union all select i + 1 from n where i < 10000)
      select 'k' || i, secret_sha256, account, name, kind, roles, created_at, iif(i <= 3, ${Date.now() - 1_000} + i, null)
      from n, api_key where id = '${key.id}'`);

    await keys.create(WANTED, ACTOR);
    const gone = sql(`select id from api_key where id in ('k2', 'k3')`);
    await keys.create(WANTED, ACTOR);

    expect(gone).toMatchObject([{ id: 'k3' }]);
    await expect(keys.create(WANTED, ACTOR)).rejects.toThrow('too many keys');
    expect(sql('select count(*) as count from api_key')).toMatchObject([{ count: 10_000 }]);
  });
});

test('a key that has ended is not replaced, and the refusal says when it ended', async () => {
  await withKeys(async (keys) => {
    const { key } = await keys.create(WANTED, ACTOR);
    const revoked = await keys.revoke(key.id, ACTOR);
    const expected = `a key that was revoked at ${revoked?.revokedAt?.toISOString()}`;

    await expect(keys.rotate(key.id, NO_OVERLAP, ACTOR)).rejects.toMatchObject({ problems: [{ received: expected }] });
    expect(await keys.rotate('unknown', NO_OVERLAP, ACTOR)).toBeNull();
  });
});
