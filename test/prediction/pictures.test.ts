/** Images that were sent are read by signed URLs: whole or in parts, under the policy of who asked for the URL, until they are erased. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { jest } from '@jest/globals';
import { pino } from 'pino';
import sharp from 'sharp';
import { readPictureUrl } from '#src/prediction/picture-urls.js';
import { sha256 } from '#src/storage/blobs.js';
import { factsOfImage } from '#src/tasks/image-file.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { armFault, disarmFault, hasFired } from '../support/faults.js';
import { gradient } from '../support/images.js';
import { until } from '../support/until.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id inputKind inputPreview(maxChars: 20) picture { width height mediaType url } }
  problem { message ... on InvalidInput { problems { path code expected received } } } } }`;
const READ = `query ($id: ID!) { prediction(id: $id) { input inputKind inputPreview(maxChars: 20)
  picture { width height mediaType url } } }`;
const DELETE = 'mutation ($ids: [ID!]!) { deletePredictions(ids: $ids) { erasure { deleted } } }';

const CREATE_UPLOAD = 'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { url } } }';

const lines: string[] = [];
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });

let app: TestApp;
/** 300 kB, turned by 90 degrees. */
let photo: Buffer;
let icon: Buffer;
beforeAll(async () => {
  app = await startTestApp({ isAlone: true, log });
  photo = await sharp(randomBytes(400 * 250 * 3), { raw: { width: 400, height: 250, channels: 3 } })
    .jpeg({ quality: 95 })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  icon = await gradient(24, 16).png().toBuffer();
});
afterAll(async () => {
  await disarmFault();
  await app.stop();
});

const base64 = (bytes: Buffer) => ({ image: { base64: bytes.toString('base64') } });

async function predict(input: object, model = 'fashion-mlp'): Promise<Data> {
  const { prediction, problem } = (await app.query(PREDICT, { input: { model, input } })).predict;
  if (problem) throw new Error(JSON.stringify(problem));
  return prediction;
}

const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${app.url}${url}`, { method, headers });

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

async function refusalOf(image: object): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'fashion-mlp', input: { image } } })).predict.problem.problems;
}

const blobs = async () => {
  const names = await readdir(path.join(app.dataDir, 'blobs/sha256'), { recursive: true });
  return names.filter((name) => name.length > 10);
};

test('an image is read back as it was sent, whether it is large or small', async () => {
  for (const [file, size] of [
    [photo, { width: 250, height: 400, mediaType: 'image/jpeg' }],
    [icon, { width: 24, height: 16, mediaType: 'image/png' }],
  ] as const) {
    const dataUrl = `data:${size.mediaType};base64,${file.toString('base64')}`;
    const made = await predict({ image: { base64: dataUrl } });
    const { prediction } = await app.query(READ, { id: made.id });
    const response = await get(prediction.picture.url);

    expect(prediction).toMatchObject({ inputKind: 'IMAGE', inputPreview: null, picture: size });
    expect(made.picture).toEqual(prediction.picture);
    expect(prediction.input).toEqual({ image: { base64: dataUrl } });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': size.mediaType,
      'content-length': String(file.length),
      'cache-control': 'private, max-age=300',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    expect((await bytesOf(response)).equals(file)).toBe(true);
  }
});

test('the image of a prediction is run again', async () => {
  const { id } = await predict(base64(photo));
  const { replayPrediction } = await app.query(
    'mutation ($id: ID!) { replayPrediction(input: { prediction: $id }) { replay { isSame } problem { message } } }',
    { id },
  );

  expect(replayPrediction).toEqual({ replay: { isSame: true }, problem: null });
});

test('ranges, HEAD and ETags are answered', async () => {
  const { url } = (await predict(base64(photo))).picture;
  const size = photo.length;
  const head = await get(url, { range: 'bytes=0-9' }, 'HEAD');
  const etag = head.headers.get('etag') as string;
  const ranges: [string, number, number][] = [
    ['bytes=65530-65541', 65_530, 65_542],
    ['bytes=70000-', 70_000, size],
    ['bytes=-10', size - 10, size],
    [`bytes=5-${size + 100}`, 5, size],
  ];
  for (const [range, from, to] of ranges) {
    const part = await get(url, { range, 'if-range': etag });
    expect([range, part.status, part.headers.get('content-range')]).toEqual([
      range,
      206,
      `bytes ${from}-${to - 1}/${size}`,
    ]);
    expect((await bytesOf(part)).equals(photo.subarray(from, to))).toBe(true);
  }
  const beyond = await get(url, { range: `bytes=${size}-` });
  const whole = await Promise.all(
    [{ range: 'bytes=0-1,5-6' }, { range: 'bytes=9-2' }, { range: 'bytes=0-1', 'if-range': '"other"' }].map(
      async (headers) => (await bytesOf(await get(url, headers))).length,
    ),
  );

  expect([head.status, head.headers.get('content-length'), (await bytesOf(head)).length]).toEqual([
    200,
    String(size),
    0,
  ]);
  expect([
    (await get(url, { 'if-none-match': `"x", W/${etag}` })).status,
    (await get(url, { 'if-none-match': '"x"' })).status,
  ]).toEqual([304, 200]);
  expect([beyond.status, beyond.headers.get('content-range'), beyond.headers.get('cache-control')]).toEqual([
    416,
    `bytes */${size}`,
    'no-store',
  ]);
  expect(whole).toEqual([size, size, size]);
});

test('the kind and the beginning of an input are read without its blob', async () => {
  const text = 'Lunch at noon? '.repeat(2_000);
  const preview = 'Lunch at noon? Lunc…';
  for (const [input, expected] of [
    [{ text }, { inputKind: 'TEXT', inputPreview: preview }],
    [{ text: text.slice(0, 30) }, { inputKind: 'TEXT', inputPreview: preview }],
    [{ text: 'Lunch' }, { inputKind: 'TEXT', inputPreview: 'Lunch' }],
    [{ text: `Lunch at noon? Lun${'😀'.repeat(3)}` }, { inputKind: 'TEXT', inputPreview: 'Lunch at noon? Lun…' }],
  ] as const) {
    const made = await predict(input, 'spam-filter');
    const { prediction } = await app.query(READ, { id: made.id });
    expect([made, prediction]).toMatchObject([expected, { ...expected, input, picture: null }]);
  }
  const wrong = await app.send(READ.replace('20', '0'), { id: (await predict({ text: 'a' }, 'spam-filter')).id });

  expect(wrong.errors?.[0]?.message).toBe('maxChars is 0; it must be between 1 and 1000.');
});

test('a URL that was changed, has expired or whose prediction is deleted is not found', async () => {
  const { id, picture } = await predict(base64(photo));
  const other = await predict(base64(photo));
  const before = await blobs();
  const url = new URL(picture.url, app.url);
  const changed = (change: (url: URL) => void) => {
    const copy = new URL(url);
    change(copy);
    return copy.pathname + copy.search;
  };
  const wrong = [
    changed(({ searchParams }) => searchParams.delete('signature')),
    changed(({ searchParams }) => searchParams.set('signature', 'A'.repeat(22))),
    changed(({ searchParams }) => searchParams.append('signature', 'a')),
    changed(({ searchParams }) => searchParams.set('expires', String(Number(searchParams.get('expires')) + 1))),
    changed(({ searchParams }) => searchParams.set('expires', '1e10')),
    changed(({ searchParams }) => searchParams.set('reader', 'token')),
    changed(({ searchParams }) => searchParams.set('maxSize', '64')),
    changed((copy) => (copy.pathname = copy.pathname.replace(id, other.id))),
    changed((copy) => (copy.pathname = copy.pathname.replace('/input', '/output'))),
    '/pictures/prediction_x/input',
  ];
  for (const one of wrong) expect([one, (await get(one)).status]).toEqual([one, 404]);
  const params = { id, name: 'input' };
  const query = Object.fromEntries(url.searchParams);
  const end = Number(query['expires']) * 1_000;
  expect([readPictureUrl(params, query, end - 1), readPictureUrl(params, query, end)]).toEqual([
    expect.anything(),
    null,
  ]);

  expect((await get(picture.url)).status).toBe(200);
  await app.query(DELETE, { ids: [id] });
  const gone = await get(picture.url);
  const after = await blobs();

  expect([
    gone.status,
    gone.headers.get('cache-control'),
    ((await gone.json()) as Data).errors[0].extensions.code,
  ]).toEqual([404, 'no-store', 'PICTURE_NOT_FOUND']);
  expect(before.length - after.length).toBe(1);
  expect(
    await app.app.databases.predictionDb.selectFrom('picture').where('prediction_id', '=', id).selectAll().execute(),
  ).toEqual([]);
});

test('what is being read ends when the prediction is deleted', async () => {
  const noise = await sharp(randomBytes(1_600 * 1_600 * 3), { raw: { width: 1_600, height: 1_600, channels: 3 } })
    .png({ compressionLevel: 0 })
    .toBuffer();
  const { id, picture } = await predict(base64(noise));
  const reader = (await get(picture.url)).body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  let received = (await reader.read()).value?.length ?? 0;
  await app.query(DELETE, { ids: [id] });
  const rest = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'complete';
      received += value.length;
    }
  })();

  await expect(rest).rejects.toThrow();
  expect(received).toBeLessThan(noise.length);
});

test('an image whose thumbnail cannot be made is read as it is, until it is tried again', async () => {
  const { id } = await predict(base64(photo));
  const text = 'query ($id: ID!) { prediction(id: $id) { picture { url(maxSize: 64) } } }';
  const { url } = (await app.query(text, { id })).prediction.picture;
  await armFault('worker.thumbnail', 'SIGKILL');

  expect((await bytesOf(await get(url))).equals(photo)).toBe(true);
  expect(hasFired()).toBe(true);
  expect((await bytesOf(await get(url))).equals(photo)).toBe(true);

  const now = Date.now() + 660_000;
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => now);
  const later = (await app.query(text, { id })).prediction.picture.url;
  await armFault('blob.write', 'ENOSPC');
  const whileFull = await get(later);
  const hasFailed = await disarmFault();
  const small = await bytesOf(await get(later));
  clock.mockRestore();

  expect(hasFailed).toBe(true);
  expect((await bytesOf(whileFull)).equals(photo)).toBe(true);
  expect(small.length).toBeLessThan(photo.length / 10);
});

test('a thumbnail is made once, upright, encrypted, and deleted with its prediction', async () => {
  const { id } = await predict(base64(photo));
  const thumbnail = 'query ($id: ID!, $size: Int) { prediction(id: $id) { picture { url(maxSize: $size) } } }';
  const urlOf = async (size: number) => (await app.query(thumbnail, { id, size })).prediction.picture.url;
  const before = await blobs();
  const small = await urlOf(100);
  const copies = await Promise.all([get(small), get(small), get(small)].map(async (one) => bytesOf(await one)));
  const etags = await Promise.all(
    [get(small), get(await urlOf(127))].map(async (one) => (await one).headers.get('etag')),
  );
  const made = (await blobs()).filter((name) => !before.includes(name));
  const { width, height, exif, format } = await sharp(copies[0]).metadata();
  const stored = await readFile(path.join(app.dataDir, 'blobs/sha256', made[0] as string));
  const wrong = await app.send(thumbnail, { id, size: 31 });
  await app.query(DELETE, { ids: [id] });

  expect({ width, height, exif, format }).toEqual({ width: 40, height: 64, exif: undefined, format: 'jpeg' });
  expect(copies.every((one) => one.equals(copies[0] as Buffer))).toBe(true);
  expect(etags[0]).toBe(etags[1]);
  expect(made.length).toBe(1);
  expect(stored.includes((copies[0] as Buffer).subarray(50, 100))).toBe(false);
  expect(wrong.errors?.[0]?.message).toBe('maxSize is 31; it must be at least 32.');
  // What is not larger is not copied.
  expect((await predict(base64(icon))).picture.url).not.toContain('maxSize');
  expect((await get(small)).status).toBe(404);
  expect((await blobs()).some((name) => made.includes(name))).toBe(false);
});

test('an input may name the image of an earlier prediction, or an upload, in place of sending it', async () => {
  const first = await predict(base64(photo));
  const { url } = (
    await app.query(CREATE_UPLOAD, { input: { fileName: 'a', sizeBytes: icon.length, sha256: sha256(icon) } })
  ).createUpload.upload;
  const upload = /upload_[^?]*/.exec(url)?.[0] as string;
  const early = await refusalOf({ upload });
  await fetch(`${app.url}${url}`, { method: 'PUT', body: new Uint8Array(icon) });
  await app.query('mutation ($id: ID!) { completeUpload(id: $id) { problem { code } } }', { id: upload });
  const again = await predict({ image: { prediction: first.id } });
  const uploaded = await predict({ image: { upload } });
  await app.query(DELETE, { ids: [first.id] });
  const text = await predict({ text: 'Lunch' }, 'spam-filter');

  expect((await bytesOf(await get(again.picture.url))).equals(photo)).toBe(true);
  expect((await app.query(READ, { id: uploaded.id })).prediction).toMatchObject({
    input: base64(icon),
    inputKind: 'IMAGE',
  });
  for (const [image, key] of [
    [{ prediction: first.id }, 'prediction'],
    [{ prediction: text.id }, 'prediction'],
    [{ prediction: '' }, 'prediction'],
    [{ upload: 'upload_1' }, 'upload'],
  ] as const)
    expect(await refusalOf(image)).toEqual([
      {
        path: ['input', 'input', 'image', key],
        code: 'UNKNOWN_NAME',
        expected: expect.stringContaining(`id of`),
        received: Object.values(image)[0],
      },
    ]);
  expect(early).toMatchObject([{ code: 'UNKNOWN_NAME' }]);
});

test('clients that are gone before their named images are read keep no memory from others', async () => {
  const side = 1_700;
  const noise = sharp(randomBytes(side * side * 3), { raw: { width: side, height: side, channels: 3 } });
  const { id } = await predict(base64(await noise.png({ compressionLevel: 0 }).toBuffer()));
  const body = JSON.stringify({
    query: PREDICT,
    variables: { input: { model: 'fashion-mlp', input: { image: { prediction: id } }, record: false } },
  });
  const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  for (let i = 0; i < 30; i++) {
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    socket.write(head + body);
    await new Promise((resolve) => setTimeout(resolve, i % 8));
    socket.resetAndDestroy();
  }
  const again = () => predict({ image: { prediction: id } }).catch(() => null);
  await until('the image can be named', async () => (await again()) !== null);

  const { sha256: digest } = await app.app.databases.predictionDb
    .selectFrom('picture')
    .where('prediction_id', '=', id)
    .select('sha256')
    .executeTakeFirstOrThrow();
  const file = (await blobs()).find((name) => name.replaceAll('/', '').includes(digest as string));
  await rm(path.join(app.dataDir, 'blobs/sha256', file as string));
  expect(await refusalOf({ prediction: id })).toMatchObject([{ code: 'UNKNOWN_NAME' }]);
});

test('a page of 100 images is small, because it has their URLs only', async () => {
  const inputs = Array.from({ length: 100 }, () => base64(photo));
  const many = 'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code } } } }';
  const history = (await readFile('schema/operations/08-my-history.graphql', 'utf8')).replace(
    'first: 10',
    'first: 100',
  );
  for (let i = 0; i < 100; i += 20)
    await app.query(many, { input: { model: 'fashion-mlp', inputs: inputs.slice(i, i + 20) } });
  const page = await app.query(history, {});

  expect(page.predictions.nodes.filter(({ picture }: Data) => picture).length).toBe(100);
  expect(JSON.stringify(page).length).toBeLessThan(100_000);
});

test('sizes are those that browsers show', async () => {
  for (const format of ['jpeg', 'png', 'webp'] as const)
    for (const orientation of [1, 3, 6, 8]) {
      const bytes = await gradient(24, 16).withMetadata({ orientation }).toFormat(format).toBuffer();
      const { width, height } = (await sharp(bytes).metadata()).autoOrient;
      expect([format, orientation, factsOfImage(bytes)]).toEqual([
        format,
        orientation,
        { width, height, mediaType: `image/${format}` },
      ]);
    }
});

const create = async (input: object, key: string | null): Promise<Data> =>
  (
    await post(key, 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }', {
      input,
    })
  ).createApiKey;
const post = async (key: string | null, query: string, variables: object): Promise<Data> => {
  const headers = { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query, variables }),
  });
  return ((await response.json()) as Data).data;
};

// The last tests: from the first key on, requests need one.
let admin: string;

test('a URL ends with the key that asked for it, and is no use to others before there were keys', async () => {
  const local = (await predict(base64(photo))).picture.url;
  admin = (await create({ name: 'admin', account: 'team', roles: ['ADMIN'] }, null)).secret;
  const own = await create({ name: 'a', account: 'team', roles: ['PREDICTOR'] }, admin);
  const other = await create({ name: 'b', account: 'other', roles: ['PREDICTOR'] }, admin);
  const limits = { bytesPerSecond: 1_000_000, bytesPerDay: 2_000_000 };
  const limited = await create({ name: 'c', account: 'team', roles: ['PREDICTOR'], limits }, admin);
  const { prediction } = (await post(own.secret, PREDICT, { input: { model: 'fashion-mlp', input: base64(icon) } }))
    .predict;
  const { url } = prediction.picture;
  const statuses = [(await get(local)).status, (await get(url)).status];
  const ofLimited = (await post(limited.secret, READ, { id: prediction.id })).prediction.picture.url;
  const used = async () => (await post(limited.secret, '{ viewer { usage { bytes } } }', {})).viewer.usage.bytes;
  const before = await used();
  await get(ofLimited);
  const after = await used();
  await post(admin, 'mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { id } } }', { id: own.apiKey.id });

  expect(statuses).toEqual([404, 200]);
  expect((await post(other.secret, READ, { id: prediction.id })).prediction).toBeNull();
  expect(after - before).toBeGreaterThan(icon.length);
  expect((await get(url)).status).toBe(404);
  expect((await get(ofLimited)).status).toBe(200);
});

test('accounts take turns with their thumbnails', async () => {
  const [many, one] = await Promise.all(
    ['many', 'one'].map(async (account) => (await create({ name: 'a', account, roles: ['PREDICTOR'] }, admin)).secret),
  );
  const large = (await gradient(1_500, 1_500).jpeg().toBuffer()).toString('base64');
  const urls = [32, 64, 128, 256].map((size) => `_${size}: url(maxSize: ${size})`).join(' ');
  const query = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { picture { ${urls} } } } }`;
  const urlsOf = async (key: string | undefined): Promise<string[]> => {
    const input = { model: 'fashion-mlp', input: { image: { base64: large } }, deadlineMs: 60_000 };
    return Object.values((await post(key ?? null, query, { input })).predict.prediction.picture);
  };
  const [first, second, other] = await Promise.all([urlsOf(many), urlsOf(many), urlsOf(one)]);
  const order: string[] = [];
  const read = async (account: string, url: string) => {
    await bytesOf(await get(url));
    order.push(account);
  };
  const all = [...first, ...second].map((url) => read('many', url));
  await all[0];
  await Promise.all([...all, read('one', other[0] as string)]);

  expect(order.length).toBe(9);
  expect(order.indexOf('one')).toBeLessThan(5);
});

test('logs have no signatures', () => {
  const reads = lines.filter((line) => line.includes('/pictures/'));

  expect(reads.length).toBeGreaterThan(10);
  expect(lines.filter((line) => line.includes('signature'))).toEqual([]);
});
