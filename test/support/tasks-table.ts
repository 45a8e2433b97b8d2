/**
 * The README's table of tasks: one row for each task of the service, with an input and the answer of a running service.
 *
 * `npm run tasks` writes the table, and a test compares the README with it. Answers of models that `npm run models:add` adds
 * are stored in a file, because not every store has these models. `npm run tasks` asks them again if its store does.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { TASKS, type TaskName } from '#src/tasks/tasks.js';
import { huggingFaceFolders } from './hugging-face.ts';
import { createStore, type TestStore } from './model-store.ts';

/** Tasks that are shown with another model or input than the first model of the task and its own example. */
interface Choice {
  readonly model?: string;
  readonly input?: Record<string, unknown>;
}

/** Row 39 of fashion-mnist-test, 10 pixels wide and high. */
const ANKLE_BOOT = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.04, 0.3, 0.02, 0, 0.01, 0, 0, 0, 0, 0, 0.2, 0.76, 0.72, 0.69, 0.3, 0,
  0, 0, 0, 0, 0.43, 0.76, 0.82, 0.83, 0.32, 0, 0, 0, 0, 0.07, 0.66, 0.76, 0.77, 0.69, 0.27, 0, 0, 0.03, 0.2, 0.59, 0.71,
  0.78, 0.74, 0.75, 0.5, 0.21, 0.44, 0.4, 0.47, 0.72, 0.75, 0.78, 0.79, 0.8, 0.67, 0.4, 0.7, 0.75, 0.76, 0.78, 0.79,
  0.77, 0.78, 0.76, 0.7, 0.01, 0.14, 0.29, 0.4, 0.42, 0.25, 0.1, 0.36, 0.39, 0.32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const CHOICES: Readonly<Partial<Record<TaskName, Choice>>> = {
  TABULAR_CLASSIFICATION: { model: 'penguins' },
  TEXT_CLASSIFICATION: { model: 'spam-filter', input: { text: 'You have won a FREE prize, click here now!!!' } },
  TOKEN_CLASSIFICATION: { model: 'tiny-ner', input: { text: 'New York is big.' } },
  ZERO_SHOT_CLASSIFICATION: {
    model: 'tiny-nli',
    input: { zeroShot: { text: 'the movie', labels: ['film', 'travel'] } },
  },
  TEXT_RANKING: { model: 'tiny-ranker', input: { ranking: { query: 'the movie', documents: ['paris', 'film'] } } },
  FILL_MASK: { model: 'tiny-mlm', input: { text: '[MASK] is the capital of France.' } },
  QUESTION_ANSWERING: {
    model: 'tiny-qa',
    input: { question: { question: 'What is the capital of France?', context: 'Paris is the capital of France.' } },
  },
  IMAGE_FEATURE_EXTRACTION: { model: 'tiny-vit-features' },
  TENSOR: {
    model: 'fashion-mlp',
    input: { tensors: [{ name: 'input', datatype: 'FP32', shape: [1, 100], data: ANKLE_BOOT }] },
  },
};

/** Tasks for which only an optional model is real. */
const OPTIONAL: Readonly<Partial<Record<TaskName, Choice & { readonly model: string }>>> = {
  FEATURE_EXTRACTION: { model: 'all-minilm-l6-v2', input: { text: 'A man is playing a guitar on the stage.' } },
  SENTENCE_SIMILARITY: {
    model: 'all-minilm-l6-v2',
    input: {
      similarity: {
        source: 'How can I change my password?',
        sentences: ['Resetting the secret you log in with', 'My parrot sings in the morning.'],
      },
    },
  },
  IMAGE_TO_TEXT: { model: 'text-recognition' },
  FILE_CLASSIFICATION: { model: 'magika' },
};

/** The cells of a row, by task: what optional models have answered. */
const ANSWERS_FILE = path.join(import.meta.dirname, 'optional-answers.json');
type Cells = readonly [sent: string, answered: string];

function storedAnswers(): Partial<Record<TaskName, Cells>> {
  return JSON.parse(readFileSync(ANSWERS_FILE, 'utf8'));
}

/** Asks the optional models of the store again, and returns the names of those that it does not have. */
export async function storeOptionalAnswers(query: Query): Promise<string[]> {
  const answers = storedAnswers();
  const missing = new Set<string>();
  for (const [task, { model, input }] of Object.entries(OPTIONAL)) {
    const { version } = await query(STATE, { ref: model });
    if (version?.state === 'READY') answers[task as TaskName] = await cellsOf(query, model, input);
    else missing.add(model);
  }
  writeFileSync(ANSWERS_FILE, `${JSON.stringify(answers, null, 2)}\n`);
  return [...missing];
}

/** The models of the store, and generated ones for the tasks that no model of the store has. */
export async function createTasksStore(): Promise<TestStore> {
  const store = await createStore();
  await cp(path.join(import.meta.dirname, '../../model-store'), store.folder, { recursive: true });
  for (const [name, folder] of Object.entries(huggingFaceFolders())) await store.write(name, folder);
  return store;
}

// biome-ignore lint/suspicious/noExplicitAny: responses of the service, not typed here.
export type Query = (query: string, variables?: Record<string, unknown>) => Promise<any>;

const FIND = `query ($task: Task!) {
  models(first: 100, filter: { tasks: [$task] }) { nodes { name version { state } } } }`;
const STATE = 'query ($ref: VersionRef!) { version(ref: $ref) { state } }';
const SIGNATURE = 'query ($ref: VersionRef!) { version(ref: $ref) { signature { example } } }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message } prediction { output {
  ... on Classification { label score } ... on Regression { value unit } ... on Embedding { dimensions vector }
  ... on Similarities { scores } ... on Ranking { items { index text score } }
  ... on Detections { items { label score box { xmin ymin xmax ymax } } }
  ... on Masks { width height items { label pixelCount runLengths } }
  ... on Tokens { items { label score word start end } } ... on Answer { text score start end }
  ... on Fillings { items(first: 1) { text score sequence } } ... on Text { text score } ... on Tensors { tensors { name shape data } } } } } }`;

/** One row for each task that the service knows, in its order. */
export async function tasksTable(query: Query): Promise<string> {
  const lines = [];
  for (const task of TASKS) lines.push(await lineOf(query, task));
  return ['| task | you send | you get | model |', '|---|---|---|---|', ...lines].join('\n');
}

async function lineOf(query: Query, task: TaskName): Promise<string> {
  const name = `\`${task.toLowerCase().replaceAll('_', '-')}\``;
  const stored = storedAnswers()[task];
  const optional = OPTIONAL[task]?.model;
  if (stored && optional)
    return `| ${name} | ${stored.join(' | ')} | [\`${optional}\`](model-store/optional/${optional}/README.md) (optional) |`;
  const { model = await firstModel(query, task), input } = CHOICES[task] ?? {};
  if (model === null) return `| ${name} | | | none yet |`;
  return `| ${name} | ${(await cellsOf(query, model, input)).join(' | ')} | ${linkTo(model)} |`;
}

async function cellsOf(query: Query, model: string, own: Choice['input']): Promise<Cells> {
  const input = own ?? (await query(SIGNATURE, { ref: model })).version.signature.example;
  const { predict } = await query(PREDICT, { input: { model, input, record: false } });
  if (predict.problem) throw new Error(`${model}: ${predict.problem.message}`);
  return [code(input), code(predict.prediction.output)];
}

/** A model of the store if there is one, else a generated one; null if there is neither. */
async function firstModel(query: Query, task: TaskName): Promise<string | null> {
  const { models } = await query(FIND, { task });
  const ready: string[] = models.nodes
    .filter(({ version }: { version: { state: string } | null }) => version?.state === 'READY')
    .map(({ name }: { name: string }) => name);
  return ready.find(isReal) ?? ready[0] ?? null;
}

function isReal(model: string): boolean {
  return !model.startsWith('tiny-');
}

function linkTo(model: string): string {
  return isReal(model) ? `[\`${model}\`](model-store/${model}/README.md)` : 'test model';
}

const MAX_CHARACTERS = 8;
const MAX_NUMBERS = 3;

/** JSON with base64 and lists of numbers cut short, and numbers rounded to three significant digits. */
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
