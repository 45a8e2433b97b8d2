/** The audit log: who changed what, and a chain of digests that shows every later change of the log itself. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { type AuditHead, AuditVerifier } from '#src/access/audit.js';
import { findAuditProblems } from '#src/access/audit.queries.js';
import { openCatalogBeside } from '#src/storage/database.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore } from '../support/model-store.js';

const run = promisify(execFile);
const LOG = `{ auditLog(first: 100) { totalCount nodes {
  sequence account keyId action target reason before after beforeSha256 afterSha256 sha256 } } }`;

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-audit-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function command(file: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { env: { ...process.env, DATA_DIR: dataDir } };
  return run(process.execPath, [`dist/${file}`, ...args], options).then(
    (done) => ({ code: 0, ...done }),
    (error) => error,
  );
}

async function send(app: TestApp, query: string, variables: object = {}, key: string | null = null): Promise<Data> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

const empty = () => startTestApp({ dataDir, empty: true, modelStore: '/nowhere' });
const CREATE =
  'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } secret problem { code ... on InvalidInput { problems { path code } } } } }';
const KEY = { name: 'first', account: 'team', roles: ['ADMIN'], reason: 'the first administrator' };

test('a key that is made, replaced and revoked leaves an entry each, without its secret', async () => {
  const app = await empty();
  const { apiKey, secret } = (await send(app, CREATE, { input: KEY })).data.createApiKey;
  const rotated = await send(
    app,
    'mutation ($id: ID!) { rotateApiKey(id: $id, overlapMs: 60000, reason: "yearly") { apiKey { id } secret } }',
    { id: apiKey.id },
    secret,
  );
  const { secret: second, apiKey: successor } = rotated.data.rotateApiKey;
  await send(app, 'mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { id } } }', { id: apiKey.id }, second);
  const { nodes, totalCount } = (await send(app, LOG, {}, second)).data.auditLog;
  await app.stop();

  expect(totalCount).toBe(4);
  const [revoked, made, ...earlier] = nodes;
  expect(revoked).toMatchObject({ sequence: 4, keyId: successor.id, action: 'revokeApiKey', reason: null });
  expect(made).toMatchObject({ sequence: 3, action: 'createApiKey', target: `API key ${successor.id}`, before: null });
  expect(earlier).toMatchObject([
    { sequence: 2, account: 'team', keyId: apiKey.id, action: 'rotateApiKey', reason: 'yearly' },
    { sequence: 1, account: 'anonymous', keyId: null, action: 'createApiKey', reason: KEY.reason, before: null },
  ]);
  const [rotation, creation] = earlier;
  const targets = [revoked, rotation, creation].map(({ target }: Data) => target);
  expect(targets).toEqual(Array(3).fill(`API key ${apiKey.id}`));
  expect(creation.after).toMatchObject({ account: 'team', name: 'first', roles: ['admin'], revokedAt: null });
  expect(rotation.after).toMatchObject({ replacedBy: successor.id });
  expect(revoked.after.revokedAt).toMatch(/^20/);
  expect(rotation.beforeSha256).toBe(creation.afterSha256);
  const log = JSON.stringify(nodes);
  for (const text of [secret, second]) expect(log).not.toContain(text.split('_')[2]);
});

test('an alias that is moved leaves an entry with the version before and after', async () => {
  const app = await startTestApp();
  const SET = 'mutation ($input: SetAliasInput!) { setAlias(input: $input) { alias { name } problem { code } } }';
  const input = { model: 'spam-filter', alias: 'canary', version: 'spam-filter:2' };
  await send(app, SET, { input: { ...input, reason: 'a trial' } });
  await send(app, SET, { input });
  await send(app, SET, { input });
  const query = '{ auditLog(target: "spam-filter@canary") { totalCount nodes { action reason before after } } }';
  const { data } = await send(app, query);
  const all = await send(app, LOG);
  await app.stop();

  // What changes nothing adds nothing.
  const after = { version: 'spam-filter:2' };
  expect(data.auditLog).toEqual({
    totalCount: 1,
    nodes: [{ action: 'setAlias', reason: 'a trial', before: null, after }],
  });
  const imported = all.data.auditLog.nodes.filter(({ action }: Data) => action === 'importVersion');
  expect(imported).toContainEqual(
    expect.objectContaining({
      account: 'system',
      target: 'spam-filter:2',
      after: expect.objectContaining({ state: 'READY' }),
    }),
  );
});

test.each([
  ['', 'EMPTY'],
  ['x'.repeat(501), 'TOO_LARGE'],
])('a reason that is empty or too long changes nothing (%#)', async (reason, code) => {
  const app = await empty();
  const { data } = await send(app, CREATE, { input: { ...KEY, reason } });
  const log = await send(app, LOG);
  await app.stop();

  expect(data.createApiKey.problem).toEqual({
    code: 'INVALID_INPUT',
    problems: [{ path: ['input', 'reason'], code }],
  });
  expect(log.data.auditLog.nodes).toEqual([]);
});

test('a reason with half a character is kept as the database can, and the log stays complete', async () => {
  const app = await empty();
  const { data } = await send(app, CREATE, { input: { ...KEY, name: 'a\ud800', reason: 'x\ud800y' } });
  const { secret } = data.createApiKey;
  const log = await send(app, LOG, {}, secret);
  await app.stop();

  expect(log.data.auditLog.nodes[0]).toMatchObject({ reason: 'x\ufffdy', after: { name: 'a\ufffd' } });
  expect(await command('audit-verify.js')).toMatchObject({ code: 0 });
});

test('a changed account of a model leaves an entry', async () => {
  const store = await createStore();
  await store.write('tiny', { 'model.yaml': 'account: first\n' });
  const own = { dataDir, modelStore: store.folder, empty: true };
  await (await startTestApp(own)).stop();
  await store.write('tiny', { 'model.yaml': 'account: second\n' });
  const app = await startTestApp(own);
  const { data } = await send(app, '{ auditLog(target: "tiny") { nodes { action account before after } } }');
  await app.stop();
  await store.remove();

  const change = {
    action: 'changeAccount',
    account: 'system',
    before: { account: 'first' },
    after: { account: 'second' },
  };
  expect(data.auditLog.nodes).toEqual([change]);
});

test('the pages of the log continue each other, newest first; the command line makes entries too', async () => {
  const made = await command(
    'keys.js',
    'create',
    '--account',
    'team',
    '--name',
    'a',
    '--roles',
    'admin',
    '--reason',
    'why',
  );
  const key = made.stdout.trim();
  const app = await empty();
  for (const name of ['b', 'c', 'd']) await send(app, CREATE, { input: { ...KEY, name } }, key);
  const PAGE = `query ($after: String) { auditLog(first: 3, after: $after) {
    nodes { sequence account reason } pageInfo { hasNextPage endCursor } } }`;
  const first = await send(app, PAGE, {}, key);
  const { pageInfo, nodes } = first.data.auditLog;
  const second = await send(app, PAGE, { after: pageInfo.endCursor }, key);
  await app.stop();

  expect(nodes.map(({ sequence }: Data) => sequence)).toEqual([4, 3, 2]);
  expect(second.data.auditLog).toMatchObject({
    nodes: [{ sequence: 1, account: 'command-line', reason: 'why' }],
    pageInfo: { hasNextPage: false },
  });
});

describe('npm run audit:verify', () => {
  const file = () => path.join(dataDir, 'catalog.db');
  /** The database of a server that made four keys. */
  let four: Buffer;

  beforeAll(async () => {
    dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-audit-'));
    const app = await empty();
    let key: string | null = null;
    for (const name of ['a', 'b', 'c', 'd']) {
      const { data } = await send(app, CREATE, { input: { ...KEY, name, reason: name } }, key);
      key ??= data.createApiKey.secret;
    }
    await app.stop();
    four = await readFile(file());
    await rm(dataDir, { recursive: true });
  });
  beforeEach(() => writeFile(file(), four));

  const verify = (...args: string[]) => command('audit-verify.js', ...args);

  /** Changes the file as somebody would who knows SQL, and drops the triggers. */
  function tamper(...statements: string[]): void {
    const db = new DatabaseSync(file());
    for (const table of ['audit_log_insert', 'audit_log_update', 'audit_log_delete', 'audit_head_delete'])
      db.exec(`drop trigger ${table}`);
    for (const statement of statements) db.exec(statement);
    db.close();
  }

  function headOf(sequence: number): string {
    const db = new DatabaseSync(file());
    const { sha256 } = db.prepare('select sha256 from audit_log where sequence = ?').get(sequence) as {
      sha256: string;
    };
    db.close();
    return sha256;
  }

  test('an untouched log is complete, also for an entry that was written down', async () => {
    const whole = await verify();
    const known = await verify('2', headOf(2));
    expect(whole).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^The audit log is complete: 4 entries; the last is 4 [0-9a-f]{64}\n$/),
    });
    expect(known.code).toBe(0);
  });

  test('the log of a folder without changes is complete', async () => {
    await rm(dataDir, { recursive: true });
    const app = await empty();
    const { code, stdout } = await verify();
    await app.stop();
    expect([code, stdout]).toEqual([0, expect.stringContaining('0 entries')]);
  });

  /** As the command finds them, for tests that would start it often. */
  async function problems(...heads: AuditHead[]): Promise<string[]> {
    const { db, close } = await openCatalogBeside(dataDir);
    return findAuditProblems(db, new AuditVerifier(heads), 20).finally(close);
  }

  test.each([
    'at',
    'account',
    'key_id',
    'issuer',
    'subject',
    'action',
    'target',
    'reason',
    'before',
    'after',
    'sha256',
  ])('an entry whose %s was edited is found', async (column) => {
    expect(await problems()).toEqual([]);
    tamper(`update audit_log set ${column} = '1' where sequence = 2`);
    expect((await problems())[0]).toContain('entry 2 was changed');
  });

  test.each([
    ['the first was removed', ['delete from audit_log where sequence = 1'], 'entry 1 is missing'],
    ['one was removed', ['delete from audit_log where sequence = 3'], 'entry 3 is missing'],
    ['the last was removed', ['delete from audit_log where sequence = 4'], 'ends with entry 3'],
    ['all were removed', ['delete from audit_log'], 'ends with entry 0'],
    [
      'two changed places',
      [
        'update audit_log set sequence = 9 where sequence = 2',
        'update audit_log set sequence = 2 where sequence = 3',
        'update audit_log set sequence = 3 where sequence = 9',
      ],
      'entry 2 was changed',
    ],
    [
      'one was removed and the others moved up',
      ['delete from audit_log where sequence = 2', 'update audit_log set sequence = sequence - 1 where sequence > 2'],
      'entry 2 was changed',
    ],
    [
      'one was added',
      [
        `insert into audit_log select 5, at, account, key_id, action, target, reason, before, after, sha256, issuer, subject from audit_log where sequence = 4`,
      ],
      'entry 5 was changed',
    ],
    ['the head was removed', ['delete from audit_head'], 'its head is entry 0'],
    ['the head was moved back', ['update audit_head set sequence = 2'], 'its head is entry 2'],
  ])('%s: that is found', async (_, statements, expected) => {
    tamper(...statements);
    expect((await problems()).join()).toContain(expected);
  });

  test('a log that was cut together with its head is not the one whose entry was written down', async () => {
    const sha256 = headOf(4);
    tamper(
      'delete from audit_log where sequence > 2',
      'update audit_head set (sequence, sha256) = (select sequence, sha256 from audit_log where sequence = 2)',
    );
    expect(await problems()).toEqual([]);
    expect(await verify('4', sha256)).toMatchObject({ code: 1, stderr: expect.stringContaining('before entry 4') });
    expect((await problems({ sequence: 2, sha256 })).join()).toContain('is not the one');
  });

  test.each([[['1']], [['0', 'a'.repeat(64)]], [['1', 'abc']], [['1', 'a'.repeat(64), '2']]])(
    'arguments that are no entry are refused: %j',
    async (args) => {
      expect(await verify(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining('usage') });
    },
  );

  test('every entry that was changed is named', async () => {
    tamper("update audit_log set reason = 'x' where sequence in (1, 3)");
    const { code, stderr } = await verify();
    expect(code).toBe(1);
    expect(stderr).toMatch(/entry 1 was changed.*\n.*entry 3 was changed/);
  });

  test('SQL that changes or removes an entry fails while the triggers are there', () => {
    const db = new DatabaseSync(file());
    for (const statement of [
      "update audit_log set reason = 'x'",
      'delete from audit_log',
      'delete from audit_head',
      'insert or replace into audit_log select * from audit_log where sequence = 2',
    ])
      expect(() => db.exec(statement)).toThrow('the audit log is append-only');
    db.close();
  });
});
