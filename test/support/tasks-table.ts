/**
 * The README's table of tasks: what a person sends for each, and the answer of the running service.
 *
 * `npm run tasks` writes it, and a test holds the README to it.
 */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { huggingFaceFolders } from './hugging-face.ts';
import { createStore, type TestStore } from './store.ts';

interface Row {
  readonly task: string;
  readonly model: string;
  /** Another than the model's example. */
  readonly input?: Record<string, unknown>;
}

const ROWS: readonly Row[] = [
  { task: 'tabular-classification', model: 'penguins' },
  { task: 'tabular-regression', model: 'penguin-mass' },
  {
    task: 'text-classification',
    model: 'spam-filter',
    input: { text: 'You have won a FREE prize, click here now!!!' },
  },
  { task: 'token-classification', model: 'tiny-ner', input: { text: 'New York is not Paris.' } },
  { task: 'feature-extraction', model: 'tiny-embed', input: { text: 'great' } },
  {
    task: 'sentence-similarity',
    model: 'tiny-sentences',
    input: { similarity: { source: 'great', sentences: ['good', 'paris'] } },
  },
  {
    task: 'zero-shot-classification',
    model: 'tiny-nli',
    input: { zeroShot: { text: 'the movie', labels: ['film', 'travel'] } },
  },
  { task: 'fill-mask', model: 'tiny-mlm' },
  { task: 'question-answering', model: 'tiny-qa' },
  { task: 'image-classification', model: 'fashion-cnn' },
  { task: 'object-detection', model: 'face-detector' },
  { task: 'image-feature-extraction', model: 'tiny-vit-features' },
  { task: 'tensor', model: 'fashion-mlp', input: { tensors: [tensor('input', [1, 100])] } },
];

function tensor(name: string, shape: readonly number[]) {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, datatype: 'FP32', shape, data: Array.from({ length: count }, () => 0.5) };
}

/** The models of the store, and generated folders for the tasks that have no real one. */
export async function createTasksStore(): Promise<TestStore> {
  const store = await createStore();
  await cp(path.join(import.meta.dirname, '../../model-store'), store.folder, { recursive: true });
  for (const [name, folder] of Object.entries(huggingFaceFolders())) await store.write(name, folder);
  return store;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of the service, as they come.
export type Query = (query: string, variables?: Record<string, unknown>) => Promise<any>;

const SIGNATURE = '{ version(ref: $ref) { signature { example } } }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message } prediction { output {
  ... on Classification { label score } ... on Regression { value unit } ... on Embedding { dimensions vector }
  ... on Similarities { scores } ... on Detections { items { label score box { xmin ymin xmax ymax } } }
  ... on Tokens { items { label score word start end } } ... on Answer { text score start end }
  ... on Fillings { items(first: 2) { text score sequence } } ... on Tensors { tensors { name shape data } } } } } }`;

export async function tasksTable(query: Query): Promise<string> {
  const lines = [];
  for (const row of ROWS) lines.push(await lineOf(query, row));
  return ['| task | you send | you get | here from |', '|---|---|---|---|', ...lines].join('\n');
}

async function lineOf(query: Query, { task, model, input: own }: Row): Promise<string> {
  const input =
    own ?? (await query(`query ($ref: VersionRef!) ${SIGNATURE}`, { ref: model })).version.signature.example;
  const { predict } = await query(PREDICT, { input: { model, input, record: false } });
  if (predict.problem) throw new Error(`${model}: ${predict.problem.message}`);
  const isReal = !model.startsWith('tiny-');
  const from = isReal ? `[\`${model}\`](model-store/${model}/README.md)` : (OPTIONAL[task] ?? NONE);
  return `| \`${task}\` | ${code(input)} | ${code(predict.prediction.output)} | ${from} |`;
}

const NONE = 'a generated folder: no real model yet';
const MINILM =
  'a generated folder; a real one is [`all-minilm-l6-v2`](model-store/optional/README.md), by `npm run models:add`';
const OPTIONAL: Readonly<Record<string, string>> = { 'feature-extraction': MINILM, 'sentence-similarity': MINILM };

const MAX_CHARACTERS = 24;
const MAX_NUMBERS = 3;

/** As JSON, with long texts and lists cut short and numbers to three digits. */
function code(value: unknown): string {
  return `\`${JSON.stringify(short(value)).replaceAll('|', '\\|')}\``;
}

function short(value: unknown): unknown {
  if (typeof value === 'number') return Number(value.toPrecision(3));
  if (typeof value === 'string') return isData(value) ? `${value.slice(0, MAX_CHARACTERS)}…` : value;
  if (Array.isArray(value)) {
    const isLong = value.length > MAX_NUMBERS && value.every((one) => typeof one === 'number');
    return isLong ? [...value.slice(0, MAX_NUMBERS).map(short), '…'] : value.map(short);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, short(one)]));
}

function isData(text: string): boolean {
  return text.length > 100 && !text.includes(' ');
}
