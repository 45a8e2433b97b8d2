/** Datasets with images, over real HTTP: rows name them by digest, and they are read by URL. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import sharp from 'sharp';
import { SYSTEM } from '#src/access/principal.js';
import { findBlobsOfDatasets } from '#src/datasets/dataset-rows.queries.js';
import { importDatasets } from '#src/importing/import-datasets.js';
import { BlobFolder } from '#src/storage/blobs.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { gradient } from '../support/images.js';
import { PublishingClient } from '../support/publishing-client.js';

const PROBLEM = 'problem { code message ... on InvalidInput { problems { path code message expected received } } }';
const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) {
  dataset { id rowsSha256 rowBytes columns { name type } } ${PROBLEM} } }`;
const ROWS = `query ($name: String!, $first: Int! = 5, $size: Int! = 64) { dataset(name: $name) { rowCount rowBytes
  rows(first: $first) { nodes { number values images { column picture { width height mediaType url thumbnail: url(maxSize: $size) } } } } } }`;
const FACES = 'model-store/datasets/face-photos-test/data.jsonl.gz';

let app: TestApp;
let mine: PublishingClient;
let theirs: PublishingClient;
let photos: Buffer[];
let icon: Buffer;
beforeAll(async () => {
  const rows = gunzipSync(await readFile(FACES))
    .toString()
    .trim()
    .split('\n');
  const files = rows.slice(0, 3).map((row) => Buffer.from(JSON.parse(row).image, 'base64'));
  // Others than those of the model store.
  photos = await Promise.all(files.map((file) => sharp(file).flip().jpeg({ quality: 95 }).toBuffer()));
  icon = await gradient(24, 16).png().toBuffer();
  app = await startTestApp();
  const admin = await new PublishingClient(() => app.url, null).withKey('ops', ['ADMIN']);
  mine = await admin.withKey('mine', ['EVALUATOR', 'PUBLISHER']);
  theirs = await admin.withKey('theirs', ['EVALUATOR']);
});
afterAll(() => app.stop());

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const named = (bytes: Buffer) => `sha256:${digestOf(bytes)}`;
const inline = (bytes: Buffer) => bytes.toString('base64');
const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

async function register(name: string, data: object, more: object = {}): Promise<Data> {
  const input = { name, task: 'IMAGE_CLASSIFICATION', target: 'label', data, ...more };
  return (await mine.send(REGISTER, { input })).registerDataset;
}

const rowsOf = async (name: string, more: object = {}, client = mine) =>
  (await client.send(ROWS, { name, ...more })).dataset;

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${app.url}${url}`, { headers });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}

test('the same images are stored the same way, however they are sent: once, and by digest unless they are small', async () => {
  const [one, two] = photos as [Buffer, Buffer];
  const images = [one, two, icon, one];
  const labels = ['a', 'b', 'a', 'b'];
  const rows = images.map((bytes, i) => ({ image: inline(bytes), label: labels[i] }));
  for (const bytes of [one, two, icon]) await mine.upload(bytes);
  const csv = `image,label\n${images.map((bytes, i) => `${named(bytes)},${labels[i]}\n`).join('')}`;
  const found = [
    await register('images-json', { format: 'JSON_LINES', upload: await mine.upload(jsonLines(rows)) }),
    await register('images-csv', { format: 'CSV', content: csv }),
  ];

  expect(found.map(({ problem }) => problem)).toEqual([null, null]);
  expect(found[0].dataset.columns).toEqual([
    { name: 'image', type: 'IMAGE' },
    { name: 'label', type: 'CATEGORY' },
  ]);
  expect(found[1].dataset.rowsSha256).toBe(found[0].dataset.rowsSha256);
  const { rows: page, rowBytes } = await rowsOf('images-csv');
  expect(page.nodes.map(({ values }: Data) => values.image)).toEqual([
    named(one),
    named(two),
    inline(icon),
    named(one),
  ]);
  expect(rowBytes).toBeGreaterThan(one.length + two.length);
  expect(rowBytes).toBeLessThan(one.length + two.length + 2_000);
});

test('images of rows are read by URL, whole, in parts and as thumbnails, by whoever may see the dataset', async () => {
  const [one] = photos as [Buffer];
  const { rows } = await rowsOf('images-json');
  const [first, , third, fourth] = rows.nodes.map(({ images }: Data) => images[0]);

  expect(first).toMatchObject({ column: 'image', picture: { width: 416, mediaType: 'image/jpeg' } });
  expect(third).toMatchObject({ picture: { width: 24, height: 16, mediaType: 'image/png' } });
  expect(fourth.picture.url).toBe(first.picture.url);
  const whole = await get(first.picture.url);
  expect([whole.status, whole.bytes.equals(one)]).toEqual([200, true]);
  expect(whole.headers.get('content-type')).toBe('image/jpeg');
  expect(whole.headers.get('cache-control')).toBe('private, max-age=300');
  const etag = whole.headers.get('etag') as string;
  expect((await get(first.picture.url, { 'if-none-match': etag })).status).toBe(304);
  const part = await get(first.picture.url, { range: 'bytes=10-19' });
  expect([part.status, part.bytes.equals(one.subarray(10, 20))]).toEqual([206, true]);
  expect((await get(third.picture.url)).bytes.equals(icon)).toBe(true);
  expect(third.picture.thumbnail).toBe(third.picture.url);
  for (let time = 0; time < 2; time++) {
    const { bytes } = await get(first.picture.thumbnail);
    expect(Math.max(...Object.values(await sizeOf(bytes)))).toBe(64);
    expect(bytes.length).toBeLessThan(one.length / 4);
  }

  const url = new URL(first.picture.url, app.url);
  const changed = (change: (copy: URL) => void) => {
    const copy = new URL(url);
    change(copy);
    return copy.pathname + copy.search;
  };
  const other = digestOf(photos[2] as Buffer);
  for (const wrong of [
    changed(({ searchParams }) => searchParams.set('reader', 'local')),
    changed(({ searchParams }) => searchParams.set('maxSize', '64')),
    changed((copy) => (copy.pathname = copy.pathname.replace(digestOf(one), other))),
    changed((copy) => (copy.pathname = copy.pathname.replace(digestOf(one), 'row-1-1'))),
    changed((copy) => (copy.pathname = copy.pathname.replace('dataset_', 'prediction_'))),
  ])
    expect([wrong, (await get(wrong)).status]).toEqual([wrong, 404]);
  expect(await rowsOf('images-json', {}, theirs)).toBeNull();
});

async function sizeOf(bytes: Buffer) {
  const { width, height } = await sharp(bytes).metadata();
  return { width, height };
}

test('images that are not there, are damaged, or are of another account are refused with their row', async () => {
  const [, , three] = photos as [Buffer, Buffer, Buffer];
  await theirs.upload(three).catch(() => {});
  const damaged = Buffer.concat([three.subarray(0, 4), Buffer.alloc(9_000)]);
  const rows = (image: string) => `image,label\n${named(icon)},a\n${image},b\n`;
  const columns = [
    { name: 'image', type: 'IMAGE' },
    { name: 'label', type: 'CATEGORY' },
  ];
  const problems = [];
  for (const image of [named(three), 'sha256:abc', `sha256:${'0'.repeat(64)}`, inline(damaged), '/etc/passwd']) {
    const { problem } = await register('broken', { format: 'CSV', content: rows(image) }, { columns });
    problems.push(problem.problems.map(({ path: place, code }: Data) => [...place.slice(3), code].join(' ')));
  }

  expect(problems).toEqual([
    ['rows 2 image UNKNOWN_NAME'],
    ['rows 2 image WRONG_TYPE'],
    ['rows 2 image UNKNOWN_NAME'],
    ['rows 2 image UNREADABLE'],
    ['rows 2 image WRONG_TYPE'],
  ]);
});

test('images of a deleted dataset are not read, and those that another one has stay', async () => {
  const [one] = photos as [Buffer];
  const deleted = 'mutation { deleteDataset(input: { dataset: "images-csv" }) { deletedId problem { code } } }';
  const used = () => findBlobsOfDatasets(app.app.databases.catalogDb, SYSTEM, [digestOf(one)]);
  const { url } = (await rowsOf('images-csv')).rows.nodes[0].images[0].picture;
  expect((await get(url)).status).toBe(200);
  expect((await mine.send(deleted)).deleteDataset.problem).toBeNull();

  expect((await get(url)).status).toBe(404);
  expect(await used()).toEqual([digestOf(one)]);
  await mine.send(deleted.replace('images-csv', 'images-json'));
  expect(await used()).toEqual([]);
});

test('the folder of a dataset has its images beside the rows, with any names', async () => {
  const store = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-images-'));
  const folder = path.join(store, 'photos');
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const blobs = new BlobFolder(path.join(app.dataDir, 'blobs'));
  const importAgain = () => importDatasets({ db: app.app.databases.catalogByKey, blobs, log }, store);
  const [one, two] = photos as [Buffer, Buffer];
  await mkdir(path.join(folder, 'images'), { recursive: true });
  await writeFile(path.join(folder, 'images', 'first.jpg'), one);
  await writeFile(path.join(store, 'second.jpg'), two);
  await symlink(path.join(store, 'second.jpg'), path.join(folder, 'images', 'link.jpg'));
  await writeFile(path.join(folder, 'data.csv'), `image,label\n${named(one)},a\n${named(two)},b\n`);
  const yaml = 'title: Photos\ntask: image-classification\nfile: data.csv\ntarget: label\n';
  await writeFile(path.join(folder, 'dataset.yaml'), yaml);
  await importAgain();
  expect(lines.join()).toMatch(/data.csv, row 2, line 3, column image: there is no such image in the folder images/);
  expect(await rowsOf('photos')).toBeNull();

  await writeFile(path.join(folder, 'images', 'second.jpg'), two);
  await importAgain();
  const { rows } = await rowsOf('photos', {}, theirs);
  expect((await get(rows.nodes[1].images[0].picture.url)).bytes.equals(two)).toBe(true);
  // A blob that was lost is read from the folder again.
  await rm(blobs.pathOf(digestOf(two)));
  await importAgain();
  expect((await get(rows.nodes[1].images[0].picture.url)).bytes.equals(two)).toBe(true);
  await rm(store, { recursive: true });
});
