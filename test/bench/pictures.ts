/** What a history of large images costs: to list it, and to read the images. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { table } from './numbers.ts';
import { ask, type RunningServer } from './processes.ts';
import type { Section } from './sections.ts';

const READERS = 100;
const LISTS = 10;
const AIMS = { listMs: 300, listBytes: 100_000, grownMiB: 64 };
const LIST = `{ predictions(first: 100) { nodes { id createdAt inputKind inputPreview
  picture { url(maxSize: 256) width height mediaType } output { ... on Classification { label score } } } } }`;

export async function picturesSection(server: RunningServer, isQuick: boolean): Promise<Section> {
  const photo = await noise();
  const count = isQuick ? 20 : 100;
  const first = await predict(server.url, { base64: photo.toString('base64') });
  for (let i = 1; i < count; i++) await predict(server.url, { prediction: first });
  const list = await measureList(server.url);
  const url = await urlOf(server.url, first, null);
  const one = await measureReaders(server, url, photo.length, 1);
  const many = await measureReaders(server, url, photo.length, READERS);
  const thumbnail = await measureThumbnail(server.url, first);
  const megabytes = (photo.length / 1e6).toFixed(1);
  return {
    goals: [
      goal(`a page of ${count} images of ${megabytes} MB: ms`, AIMS.listMs, list.ms),
      goal(`a page of ${count} images of ${megabytes} MB: bytes`, AIMS.listBytes, list.bytes),
      goal(
        `${READERS} parallel readers of ${megabytes} MB: MiB that the server grows by`,
        AIMS.grownMiB,
        many.grownMiB,
      ),
    ],
    markdown: `## Images

${table(
  ['', 'ms', ''],
  [
    [`page of ${count} predictions`, list.ms.toFixed(0), `${list.bytes} bytes`],
    ['one reader', one.ms.toFixed(0), `server grows by ${one.grownMiB.toFixed(0)} MiB`],
    [`${READERS} readers`, many.ms.toFixed(0), `server grows by ${many.grownMiB.toFixed(0)} MiB`],
    ['thumbnail, made', thumbnail.madeMs.toFixed(0), `${thumbnail.bytes} bytes`],
    ['thumbnail, stored', thumbnail.storedMs.toFixed(0), ''],
  ],
)}

*How to read it:* images of ${megabytes} MB, encrypted on disk. The page is the median of ${LISTS}; its images are not read. Growth is the largest resident memory of the server process while they read, less that before.`,
  };
}

function goal(what: string, aim: number, measured: number) {
  return { what, aim: `≤ ${aim}`, measured: measured.toFixed(0), isMet: measured <= aim };
}

/** About 10 MB: noise is not compressed. */
function noise(): Promise<Buffer> {
  const size = { width: 1_850, height: 1_800, channels: 3 } as const;
  return sharp(randomBytes(size.width * size.height * 3), { raw: size })
    .png({ compressionLevel: 0 })
    .toBuffer();
}

async function predict(url: string, image: object): Promise<string> {
  const query =
    'mutation ($image: ImageInput!) { predict(input: { model: "fashion-mlp", input: { image: $image } }) { prediction { id } problem { message } } }';
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables: { image } }) });
  type Answer = { readonly data?: { readonly predict: { readonly prediction: { readonly id: string } | null } } };
  const answer = (await response.json()) as Answer;
  const id = answer.data?.predict.prediction?.id;
  if (!id) throw new Error(`an image was not recorded: ${JSON.stringify(answer)}`);
  return id;
}

async function urlOf(url: string, id: string, maxSize: number | null): Promise<string> {
  type Answer = { readonly prediction: { readonly picture: { readonly url: string } } };
  const { prediction } = await ask<Answer>(url, `{ prediction(id: "${id}") { picture { url(maxSize: ${maxSize}) } } }`);
  return new URL(prediction.picture.url, url).href;
}

async function measureList(url: string): Promise<{ ms: number; bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let i = 0; i < LISTS; i++) {
    const begun = performance.now();
    const answer = await ask(url, LIST);
    times.push(performance.now() - begun);
    bytes = Buffer.byteLength(JSON.stringify({ data: answer }));
  }
  return { ms: times.sort((a, b) => a - b)[LISTS >> 1] as number, bytes };
}

async function measureReaders({ pid, memory }: RunningServer, url: string, size: number, readers: number) {
  await memory();
  const before = memoryOf(pid, 'VmRSS');
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const begun = performance.now();
  await Promise.all(Array.from({ length: readers }, () => readAll(url, size)));
  return { ms: performance.now() - begun, grownMiB: Math.max(0, memoryOf(pid, 'VmHWM') - before) };
}

/** Without keeping it. */
async function readAll(url: string, size: number): Promise<void> {
  let received = 0;
  for await (const chunk of (await fetch(url)).body ?? []) received += chunk.length;
  if (received !== size) throw new Error(`an image of ${size} bytes was read as ${received} bytes`);
}

async function measureThumbnail(url: string, id: string) {
  const thumbnail = await urlOf(url, id, 256);
  const read = async () => {
    const begun = performance.now();
    const bytes = (await (await fetch(thumbnail)).arrayBuffer()).byteLength;
    return { ms: performance.now() - begun, bytes };
  };
  const made = await read();
  return { madeMs: made.ms, bytes: made.bytes, storedMs: (await read()).ms };
}

/** In MiB. */
function memoryOf(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const [, kib = '0'] = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1_024;
}
