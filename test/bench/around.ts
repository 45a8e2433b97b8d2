/** Preprocessing and postprocessing for each task, as the service reports them in `timing`. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { Folder } from '../support/hugging-face/folder.ts';
import { huggingFaceFolders } from '../support/hugging-face.ts';
import { createStore, type TestStore } from '../support/model-store.ts';
import { median, ms, percentile, table } from './numbers.ts';
import { ROOT, type RunningServer } from './processes.ts';
import type { Section } from './sections.ts';

const HEADER = ['task', 'input', 'preprocess p50', 'postprocess p50', '**outside the run p50**', 'p99', 'run p50'];
const WARM_UPS = 20;
const EDGE = 224;

interface Case {
  readonly task: string;
  readonly what: string;
  readonly model: string;
  readonly input: Record<string, unknown>;
}

/** The models of the store, and generated folders for tasks without a real model. */
export async function createAroundStore(): Promise<TestStore> {
  const store = await createStore();
  await cp(path.join(ROOT, 'model-store'), store.folder, { recursive: true });
  const folders = huggingFaceFolders();
  for (const [name, folder] of Object.entries(folders)) await store.write(name, folder);
  await store.write('vit-224', withEdge(folders['tiny-vit'] as Folder, EDGE));
  return store;
}

/** The graph takes images of any size; this one is usual for real models. */
function withEdge(folder: Folder, edge: number): Folder {
  const file = 'preprocessor_config.json';
  const rules = { ...JSON.parse(String(folder[file])), size: { width: edge, height: edge } };
  return { ...folder, [file]: JSON.stringify(rules) };
}

/** `lone` has one worker, `server` one for each core. */
export async function aroundSection({ url }: RunningServer, lone: RunningServer, isQuick: boolean): Promise<Section> {
  const rows = [];
  for (const one of await cases()) rows.push(await measureOne(url, one, isQuick ? 30 : 200));
  return {
    markdown: `## Preprocessing and postprocessing

${table(HEADER, rows)}

${await overlap(lone.url, isQuick ? 24 : 200)}

*How to read it:* one client, one request at a time, \`record: false\`. Preprocessing (\`timing.prepareMs\`) decodes, resizes
and normalizes images and tokenizes text; postprocessing (\`timing.finishMs\`) computes scores, boxes and spans. "run" is
\`timing.inferMs\`: the graph, and the transfer to the session's thread and back. Graphs marked (tiny) are generated and say
nothing about real ones. Goal: at most 15 ms outside the run for a one-megapixel JPEG, at most 1 ms for 128 tokens.`,
  };
}

const CLIENTS = 16;

/** How much of the preprocessing of one batch overlaps with the run of another in the same worker. */
async function overlap(url: string, count: number): Promise<string> {
  const input = { image: { base64: (await megapixel()).toString('base64') } };
  const ask = () => predict(url, 'face-detector', input);
  for (let i = 0; i < 5; i++) await ask();
  const alone = [];
  for (let i = 0; i < count / 2; i++) alone.push(await ask());
  const each = median(alone.map(({ prepareMs, inferMs, finishMs }) => prepareMs + inferMs + finishMs));
  const begun = performance.now();
  let left = count;
  const client = async () => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const perItem = (performance.now() - begun) / count;
  return `One worker, face-detector, one-megapixel JPEG: an image alone takes ${ms(each)} to preprocess, run and postprocess. With
${CLIENTS} clients the worker answers an image every ${ms(perItem)}, ${(each / perItem).toFixed(2)} times as many as one after another.`;
}

async function cases(): Promise<Case[]> {
  const image = { base64: (await megapixel()).toString('base64') };
  const words = (count: number) => Array.from({ length: count }, (_, i) => WORDS[i % WORDS.length]).join(' ');
  const megapixelText = 'JPEG, 1 megapixel';
  return [
    { task: 'tabular-classification', what: 'row of 6', model: 'penguins', input: { row: PENGUIN } },
    { task: 'text-classification', what: '128 tokens', model: 'spam-embeddings', input: { text: words(126) } },
    { task: 'text-classification', what: '512 tokens', model: 'spam-embeddings', input: { text: words(510) } },
    { task: 'token-classification', what: '60 tokens (tiny)', model: 'tiny-ner', input: { text: words(58) } },
    { task: 'feature-extraction', what: '60 tokens (tiny)', model: 'tiny-embed', input: { text: words(58) } },
    {
      task: 'sentence-similarity',
      what: '4 texts of 12 tokens (tiny)',
      model: 'tiny-sentences',
      input: similarity(words(10)),
    },
    { task: 'text-ranking', what: '3 documents (tiny)', model: 'tiny-ranker', input: ranking(words(20)) },
    { task: 'zero-shot-classification', what: '3 labels (tiny)', model: 'tiny-nli', input: zeroShot(words(20)) },
    { task: 'fill-mask', what: '60 tokens (tiny)', model: 'tiny-mlm', input: { text: `${words(57)} [MASK]` } },
    { task: 'question-answering', what: '300 tokens in windows (tiny)', model: 'tiny-qa', input: question(words(300)) },
    {
      task: 'image-classification',
      what: `${megapixelText} to ${EDGE} × ${EDGE} (tiny)`,
      model: 'vit-224',
      input: { image },
    },
    { task: 'image-classification', what: `${megapixelText} to 28 × 28`, model: 'fashion-cnn', input: { image } },
    { task: 'object-detection', what: `${megapixelText} to 416 × 416`, model: 'face-detector', input: { image } },
  ];
}

const WORDS = ['the', 'movie', 'was', 'good', 'great', 'paris', 'france', 'travel', 'new', 'film'];
const PENGUIN = {
  beak_length: 50.7,
  beak_depth: 15,
  flipper_length: 223,
  body_mass: 5550,
  island: 'biscoe',
  sex: 'male',
};

const similarity = (text: string) => ({ similarity: { source: text, sentences: [text, text, text] } });
const zeroShot = (text: string) => ({ zeroShot: { text, labels: ['film', 'travel', 'food'] } });
const ranking = (text: string) => ({ ranking: { query: 'where is paris', documents: [text, text, text] } });
const question = (context: string) => ({ question: { question: 'where is paris', context } });

/** Waves with a little noise, which compress about as well as a photo. */
async function megapixel(): Promise<Buffer> {
  const [width, height] = [1200, 833];
  const levels = Buffer.alloc(width * height * 3);
  for (let i = 0, noise = 1; i < levels.length; i++) {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    noise = (Math.imul(noise, 1103515245) + 12345) >>> 0;
    levels[i] = 120 + 60 * Math.sin(x / 37 + (i % 3)) + 30 * Math.cos(y / 29) + (noise >>> 28);
  }
  const raw = { width, height, channels: 3 } as const;
  return sharp(levels, { raw }).jpeg({ quality: 90 }).toBuffer();
}

interface Timing {
  readonly prepareMs: number;
  readonly inferMs: number;
  readonly finishMs: number;
}

async function measureOne(url: string, { task, what, model, input }: Case, rounds: number): Promise<string[]> {
  const timings: Timing[] = [];
  for (let i = 0; i < WARM_UPS + rounds; i++) {
    const timing = await predict(url, model, input);
    if (i >= WARM_UPS) timings.push(timing);
  }
  const outside = timings.map(({ prepareMs, finishMs }) => prepareMs + finishMs);
  return [
    task,
    what,
    ms(median(timings.map(({ prepareMs }) => prepareMs))),
    ms(median(timings.map(({ finishMs }) => finishMs))),
    ms(median(outside)),
    ms(percentile(outside, 0.99)),
    ms(median(timings.map(({ inferMs }) => inferMs))),
  ];
}

const PREDICT = `mutation ($input: PredictInput!) {
  predict(input: $input) { prediction { timing { prepareMs inferMs finishMs } } problem { message } }
}`;

async function predict(url: string, model: string, input: unknown): Promise<Timing> {
  const body = JSON.stringify({ query: PREDICT, variables: { input: { model, input, record: false } } });
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { data, errors } = (await response.json()) as {
    data?: { predict: { prediction: { timing: Timing } | null; problem: { message: string } | null } };
    errors?: unknown;
  };
  const timing = data?.predict.prediction?.timing;
  if (!timing) throw new Error(`${model}: ${data?.predict.problem?.message ?? JSON.stringify(errors)}`);
  return timing;
}
