/** Uploads: sent in pieces to a signed URL, to the disk, within bounds, by account. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault } from '../support/faults.js';
import { startServer } from '../support/server.js';
import { until } from '../support/until.js';

const FIELDS =
  'upload { id url sizeBytes receivedBytes completedAt expiresAt } problem { code message retryable ... on InvalidInput { problems { path code expected received } } }';
const CREATE = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { ${FIELDS} } }`;
const COMPLETE = `mutation ($id: ID!) { completeUpload(id: $id) { ${FIELDS} } }`;
const NEW_KEY = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } secret } }';

let app: TestApp;
let admin: string;
const keys: Record<string, string> = {};
const keyIds: Record<string, string> = {};
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  admin = (await send(null, NEW_KEY, { input: { name: 'a', account: 'ops', roles: ['ADMIN'] } })).createApiKey.secret;
  for (const name of ['a', 'b', 'c']) await addKey(name, { account: name, roles: ['PUBLISHER'] });
  await addKey('viewer', { account: 'a', roles: ['VIEWER'] });
});
afterAll(() => app.stop());

async function addKey(name: string, input: object): Promise<void> {
  const { apiKey, secret } = (await send(admin, NEW_KEY, { input: { name, ...input } })).createApiKey;
  keys[name] = secret;
  keyIds[name] = apiKey.id;
}

async function send(key: string | null, query: string, variables: object): Promise<Data> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as Data;
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');

async function create(account: string, bytes: Buffer, more: object = {}): Promise<Data> {
  const input = { fileName: 'model.onnx', sizeBytes: bytes.length, sha256: sha256(bytes), ...more };
  return (await send(keys[account] as string, CREATE, { input })).createUpload;
}

const complete = async (account: string, id: string) =>
  (await send(keys[account] as string, COMPLETE, { id })).completeUpload;

const call = (method: string, url: string, body?: Uint8Array, headers: Record<string, string> = {}) =>
  fetch(`${app.url}${url}`, { method, headers, ...(body && { body: Buffer.from(body) }) });

const patch = (url: string, offset: number, body: Uint8Array) =>
  call('PATCH', url, body, { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) });

async function offsetOf(url: string): Promise<number> {
  return Number((await call('HEAD', url)).headers.get('upload-offset'));
}

const codeOf = async (response: Response) => ((await response.json()) as Data).errors[0].extensions.code;

test('a file is sent in pieces, continued at the offset that HEAD returns, and completed', async () => {
  const bytes = Buffer.from('abc'.repeat(100_000));
  const { upload } = await create('a', bytes);
  const first = await patch(upload.url, 0, bytes.subarray(0, 200_000));
  const head = await call('HEAD', upload.url, undefined, { 'tus-resumable': '1.0.0' });
  const early = await complete('a', upload.id);
  const second = await patch(upload.url, 200_000, bytes.subarray(200_000));
  const done = await complete('a', upload.id);
  const later = await patch(upload.url, bytes.length, Buffer.from('x'));
  const again = await create('a', bytes);

  expect(upload.url).toMatch(/^\/uploads\/upload_[0-9a-f-]{36}\?token=[\w-]{43}$/);
  expect([first.status, first.headers.get('upload-offset')]).toEqual([204, '200000']);
  expect([head.status, head.headers.get('upload-offset'), head.headers.get('upload-length')]).toEqual([
    200,
    '200000',
    '300000',
  ]);
  expect(head.headers.get('tus-resumable')).toBe('1.0.0');
  expect(early.problem.problems).toMatchObject([
    { path: ['id'], code: 'MISSING', expected: '300000 bytes', received: '200000 bytes' },
  ]);
  expect([second.status, second.headers.get('upload-offset')]).toEqual([204, '300000']);
  expect(done).toMatchObject({
    upload: { receivedBytes: 300_000, url: null, completedAt: expect.any(String) },
    problem: null,
  });
  expect(later.status).toBe(413);
  expect(await readFile(path.join(app.dataDir, 'uploads', upload.id))).toEqual(bytes);
  // The same account gets what it has sent.
  expect(again.upload).toMatchObject({ id: upload.id, url: null, receivedBytes: 300_000 });
});

test('PUT sends a whole file, again too, and an empty file needs no bytes', async () => {
  const bytes = Buffer.from('whole file');
  const { upload } = await create('a', bytes);
  const statuses = [
    (await call('PUT', upload.url, Buffer.from('x'))).status,
    (await call('PUT', upload.url, bytes)).status,
  ];
  const empty = (await create('a', Buffer.alloc(0))).upload;

  expect(statuses).toEqual([204, 204]);
  expect((await complete('a', upload.id)).upload.receivedBytes).toBe(10);
  expect((await complete('a', empty.id)).problem).toBeNull();
});

test('other accounts see neither the upload nor that its bytes are known', async () => {
  const bytes = Buffer.from('shared bytes');
  const mine = (await create('a', bytes)).upload;
  await call('PUT', mine.url, bytes);
  await complete('a', mine.id);
  const theirs = (await create('b', bytes)).upload;

  expect(theirs).toMatchObject({ receivedBytes: 0, url: expect.any(String), completedAt: null });
  expect(theirs.id).not.toBe(mine.id);
  const unknown = 'upload_00000000-0000-4000-8000-000000000000';
  const problems = await Promise.all([mine.id, unknown].map(async (id) => (await complete('b', id)).problem));
  expect(problems[0].message.replace(mine.id, unknown)).toBe(problems[1].message);
  expect(problems[0].code).toBe('NOT_FOUND');
});

test('who may upload: a publisher, and who has the URL while its key is accepted', async () => {
  await addKey('leaving', { account: 'a', roles: ['PUBLISHER'] });
  const { upload } = await create('leaving', Buffer.from('left'));
  const wrong = [
    upload.url.replace(/token=.*/, `token=${'A'.repeat(43)}`),
    upload.url.replace(/\?.*/, ''),
    `${upload.url}&token=x`,
    upload.url.replace(/upload_/, '..%2Fcatalog.db'),
    upload.url.replace(/upload_[^?]*/, 'x'.repeat(90)),
  ];
  for (const url of wrong) {
    const response = await call('PUT', url, Buffer.from('evil'));
    expect([response.status, await codeOf(response)]).toEqual([404, 'UPLOAD_NOT_FOUND']);
  }
  await send(admin, 'mutation ($id: ID!) { revokeApiKey(id: $id) { problem { code } } }', { id: keyIds['leaving'] });

  expect((await call('PUT', upload.url, Buffer.from('left'))).status).toBe(404);
  expect((await create('viewer', Buffer.from('x'))).problem.code).toBe('FORBIDDEN');
});

test('a wrong offset, another writer, too many bytes, another protocol and a wrong type are refused, and the bytes stay', async () => {
  const bytes = Buffer.from('0123456789');
  const { upload } = await create('a', bytes);
  await patch(upload.url, 0, bytes.subarray(0, 4));
  const refused = [
    await patch(upload.url, 3, bytes.subarray(3)),
    await patch(upload.url, 4, Buffer.from('too many bytes')),
    await call('PATCH', upload.url, bytes, { 'content-type': 'application/offset+octet-stream' }),
    await call('PATCH', upload.url, bytes, { 'content-type': 'text/plain', 'upload-offset': '4' }),
    await call('PUT', upload.url, bytes, { 'tus-resumable': '0.2.0' }),
  ];
  const codes = await Promise.all(refused.map(async (response) => [response.status, await codeOf(response)]));
  const slow = open(upload.url, 4);
  slow.write('45');
  await until('the bytes have arrived', async () => (await offsetOf(upload.url)) === 6);
  const other = await patch(upload.url, 6, bytes.subarray(6));
  const busy = await complete('a', upload.id);
  // Chunked, so that the length is not known before.
  slow.write('67890123');
  slow.end();
  const { statusCode } = await slow.answered;

  expect(codes).toEqual([
    [409, 'UPLOAD_CONFLICT'],
    [413, 'BODY_TOO_LARGE'],
    [400, 'BAD_REQUEST'],
    [415, 'UNSUPPORTED_MEDIA_TYPE'],
    [412, 'UPLOAD_PROTOCOL'],
  ]);
  expect([other.status, await codeOf(other)]).toEqual([423, 'UPLOAD_BUSY']);
  expect(busy.problem).toMatchObject({ code: 'OVERLOADED', retryable: true });
  expect(statusCode).toBe(413);
  expect(await offsetOf(upload.url)).toBe(4);
});

/** A PATCH whose body is written by hand. */
function open(url: string, offset: number) {
  const headers = { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) };
  const request = httpRequest(`${app.url}${url}`, { method: 'PATCH', headers });
  const answered = new Promise<{ statusCode?: number | undefined }>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  answered.catch(() => {});
  return Object.assign(request, { answered });
}

test('bytes count for the quota of the key that created the upload, and are refused beyond it, whoever sends them', async () => {
  await addKey('q', { account: 'q', roles: ['PUBLISHER'], limits: { bytesPerDay: 300_000 } });
  const used = async () => (await send(keys['q'] as string, '{ viewer { usage { bytes } } }', {})).viewer.usage.bytes;
  const bytes = Buffer.from('q'.repeat(200_000));
  const [first, second, third] = [
    (await create('q', bytes)).upload,
    (await create('q', bytes, { fileName: 'other' })).upload,
    (await create('q', bytes.subarray(0, 30_000))).upload,
  ];
  const before = await used();
  const authorization = { authorization: `Bearer ${keys['q']}` };
  const whole = await call('PUT', first.url, bytes, authorization);
  const after = await used();
  const beyond = await patch(second.url, 0, bytes);
  const ofUnknownLength = await fetch(`${app.url}${second.url}`, {
    method: 'PUT',
    body: ReadableStream.from([bytes]),
    duplex: 'half',
  } as RequestInit);
  const head = await offsetOf(second.url);
  const part = await patch(second.url, 0, bytes.subarray(0, 20_000));
  const conflict = await patch(second.url, 0, bytes.subarray(0, 20_000));
  const cut = open(third.url, 0);
  cut.write(bytes.subarray(0, 5_000));
  await until('it has arrived', async () => (await offsetOf(third.url)) === 5_000);
  cut.destroy();
  const settled = after + 25_000;
  await until('the rest is given back', async () => (await used()) < settled + 15_000);

  expect([whole.status, part.status, conflict.status, head]).toEqual([204, 204, 409, 0]);
  expect(after - before).toBeGreaterThanOrEqual(200_000);
  expect(after - before).toBeLessThan(205_000);
  for (const refused of [beyond, ofUnknownLength]) {
    expect([refused.status, await codeOf(refused)]).toEqual([429, 'QUOTA_EXCEEDED']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect(await used()).toBeGreaterThanOrEqual(settled);
});

test('a client that goes away at any byte leaves what has arrived, and continues there', async () => {
  const bytes = Buffer.from('z'.repeat(70_000));
  const { upload } = await create('a', bytes);
  for (const [from, to] of [
    [0, 0],
    [0, 1],
    [1, 69_999],
  ] as const) {
    const request = open(upload.url, from);
    request.write(bytes.subarray(from, to));
    request.flushHeaders();
    await until('the bytes have arrived', async () => (await offsetOf(upload.url)) === to);
    request.destroy();
    await until('the upload is free', async () => (await patch(upload.url, to, Buffer.alloc(0))).status === 204);
  }
  await patch(upload.url, 69_999, bytes.subarray(69_999));

  expect((await complete('a', upload.id)).upload.receivedBytes).toBe(70_000);
});

test('bytes with another digest are dropped', async () => {
  const { upload } = await create('a', Buffer.from('right'));
  await call('PUT', upload.url, Buffer.from('wrong'));
  const { problem } = await complete('a', upload.id);

  expect(problem.problems).toMatchObject([
    { code: 'UNREADABLE', expected: sha256('right'), received: sha256('wrong') },
  ]);
  expect(await offsetOf(upload.url)).toBe(0);
});

test.each(['upload.open', 'upload.write', 'upload.sync'])(
  'a full disk at %s is a typed refusal, and nothing is kept',
  async (point) => {
    const { upload } = await create('a', Buffer.from('0123456789'));
    await patch(upload.url, 0, Buffer.from('0123'));
    await armFault(point, 'ENOSPC');
    const response = await patch(upload.url, 4, Buffer.from('456789'));

    expect(await disarmFault()).toBe(true);
    expect([response.status, await codeOf(response)]).toEqual([507, 'STORAGE_FULL']);
    expect(await offsetOf(upload.url)).toBe(4);
    expect((await patch(upload.url, 4, Buffer.from('456789'))).status).toBe(204);
  },
);

test('what is announced is checked, and bounded for each account', async () => {
  const { problem } = await create('c', Buffer.from(''), { fileName: '', sizeBytes: -1, sha256: '../../x' });
  const { problem: large } = await create('c', Buffer.from(''), { sizeBytes: 2 ** 35 });
  const gib = 2 ** 30;
  for (let i = 0; i < 2; i++) await create('c', Buffer.from(''), { sizeBytes: 16 * gib, sha256: sha256(`c${i}`) });
  const { problem: full } = await create('c', Buffer.from(''), { sizeBytes: 1, sha256: sha256('more') });

  expect(problem.problems.map(({ path, code }: Data) => [...path, code])).toEqual([
    ['input', 'fileName', 'EMPTY'],
    ['input', 'sizeBytes', 'OUT_OF_RANGE'],
    ['input', 'sha256', 'UNREADABLE'],
  ]);
  expect(large.problems).toMatchObject([{ code: 'TOO_LARGE' }]);
  expect(full).toMatchObject({ code: 'OVERLOADED', retryable: true });
  expect((await create('a', Buffer.from('others'))).problem).toBeNull();
});

test('a server that is killed at any step continues the upload where its file ends', async () => {
  const { dataDir } = app;
  await app.app.stop();
  const bytes = Buffer.from('killed'.repeat(20_000));
  let url: string | null = null;
  let id = '';
  const env = { DATA_DIR: dataDir, MODEL_STORE: '/nowhere', WORKERS: '1' };
  for (const point of ['upload.sync', 'upload.hashed']) {
    const server = await startServer(env, { keepsStderr: true });
    app = { ...app, url: server.url };
    if (url === null) ({ url, id } = (await create('a', bytes)).upload);
    const at = await offsetOf(url as string);
    const isHashed = point === 'upload.hashed';
    if (isHashed) await patch(url as string, at, bytes.subarray(at));
    await armFault(point, 'SIGKILL');
    const killed = isHashed ? complete('a', id) : patch(url as string, at, bytes.subarray(at, at + 20_000));
    await expect(killed).rejects.toThrow();
    await server.ended;
    expect(await disarmFault()).toBe(true);
  }
  app = { ...(await startTestApp({ dataDir, modelStore: '/nowhere' })), dataDir };

  expect((await complete('a', id)).upload.receivedBytes).toBe(120_000);
});

test('expired uploads and files without a row are removed at start; the others go on', async () => {
  const kept = (await create('a', Buffer.from('kept'))).upload;
  await call('PUT', kept.url, Buffer.from('kept'));
  const expired = (await create('a', Buffer.from('expired'))).upload;
  await call('PUT', expired.url, Buffer.from('expired'));
  const db = app.app.databases.catalogDb;
  await db.updateTable('upload').set({ expires_at: 1 }).where('id', '=', expired.id).execute();
  const folder = path.join(app.dataDir, 'uploads');
  await writeFile(path.join(folder, 'upload_00000000-0000-4000-8000-000000000000'), 'orphan');
  await app.app.stop();
  const { dataDir } = app;
  app = { ...(await startTestApp({ dataDir, modelStore: '/nowhere' })), dataDir };
  const left = await readdir(folder);

  expect(left).toContain(kept.id);
  expect(left).not.toContain(expired.id);
  expect(left.some((name) => name.includes('00000000-0000'))).toBe(false);
  expect((await call('HEAD', expired.url)).status).toBe(404);
  expect((await complete('a', kept.id)).problem).toBeNull();
  expect((await stat(path.join(folder, kept.id))).mode & 0o777).toBe(0o600);
});
