/**
 * What a folder of the model store says: model card with Hugging Face front matter, and `model.yaml` with what
 * neither the card nor the graph can say. Plain data, checked; nothing is run here.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { MODEL_NAME } from '../catalog/ref.js';
import { ManifestError } from '../errors.js';
import { recognizeTask, TASKS, type TaskName } from '../tasks/tasks.js';
import { readHuggingFaceFiles } from './hugging-face.js';
import { parseWith, readText } from './store-file.js';

const taskSchema = z
  .string()
  .transform((name) => name.toUpperCase().replaceAll('-', '_'))
  .pipe(z.enum(TASKS));

const columnSchema = z.strictObject({
  name: z.string().min(1),
  type: z
    .enum(['number', 'integer', 'text', 'category', 'boolean'])
    .transform((type) => type.toUpperCase() as 'NUMBER' | 'INTEGER' | 'TEXT' | 'CATEGORY' | 'BOOLEAN'),
  description: z.string().nullable().default(null),
  unit: z.string().nullable().default(null),
  minimum: z.number().nullable().default(null),
  maximum: z.number().nullable().default(null),
  categories: z.array(z.string()).default([]),
  required: z.boolean().default(true),
  example: z.unknown().default(null),
  /** The graph's input that takes it: by default the only one, or the one of the same name. */
  input: z.string().nullable().default(null),
  /** The word that the graph takes for a missing text. */
  missing: z.string().default(''),
});

const sizeSchema = z.strictObject({ width: z.int().min(1).max(4096), height: z.int().min(1).max(4096) });

const imageSchema = z.strictObject({
  /** By default the one that the graph has. */
  size: sizeSchema.nullable().default(null),
  /** `fill` changes the ratio of the sides; `letterbox` keeps it and puts the picture at the top left, on black. */
  fit: z.enum(['fill', 'letterbox']).default('fill'),
  resample: z.enum(['nearest', 'bilinear', 'bicubic', 'lanczos']).default('bilinear'),
  /** From the centre, after resizing. */
  crop_size: sizeSchema.nullable().default(null),
  color: z.enum(['grey', 'rgb', 'bgr']).nullable().default(null),
  rescale_factor: z.number().default(1 / 255),
  image_mean: z.array(z.number()).default([0, 0, 0]),
  image_std: z.array(z.number().refine((x) => x !== 0, 'a standard deviation is not 0')).default([1, 1, 1]),
});

/** Which outputs of the graph hold what; a task reads those of its kind. */
const outputSchema = z.strictObject({
  scores: z.string().optional(),
  activation: z.enum(['none', 'softmax', 'sigmoid']).optional(),
  value: z.string().optional(),
  unit: z.string().optional(),
  vector: z.string().optional(),
  pooling: z.enum(['mean', 'cls', 'max', 'last']).optional(),
  normalize: z.boolean().optional(),
  start: z.string().optional(),
  end: z.string().optional(),
  boxes: z.string().optional(),
  threshold: z.number().min(0).max(1).optional(),
  iou: z.number().min(0).max(1).optional(),
  hypothesisTemplate: z.string().includes('{}').optional(),
});

/** What a tokenizer's files do not say. */
const tokensSchema = z.strictObject({
  max: z.int().min(8).max(131_072).optional(),
  stride: z.int().min(0).optional(),
  /** Of a text that is longer: its beginning, or all of it in windows. */
  longInputs: z.enum(['truncate', 'windows']).optional(),
});

const modelYamlSchema = z.strictObject({
  task: taskSchema.optional(),
  owner: z.string().nullable().default(null),
  framework: z.string().nullable().default(null),
  testData: z.string().nullable().default(null),
  preload: z.boolean().default(false),
  labels: z.array(z.string().min(1)).default([]),
  columns: z.array(columnSchema).default([]),
  image: imageSchema.nullable().default(null),
  output: outputSchema.default({}),
  tokens: tokensSchema.default({}),
  example: z.record(z.string(), z.unknown()).nullable().default(null),
  maxBatch: z.int().min(1).max(1024).default(128),
  maxRunMs: z.int().min(1000).max(600_000).default(60_000),
  retentionDays: z.int().min(1).max(3650).nullable().default(null),
});
export type ModelYaml = z.infer<typeof modelYamlSchema>;

const metricSchema = z.object({
  type: z.string(),
  /** YAML has .nan and .inf: such a metric is undefined, the card as a whole is not. */
  value: z.custom<number>((value) => typeof value === 'number', 'expected a number'),
  name: z.string().optional(),
  args: z.object({ average: z.string().optional(), label: z.string().optional() }).optional().catch(undefined),
});

const optionalTextSchema = z.coerce.string().nullish();

const resultSchema = z.object({
  dataset: z.object({
    type: z.string(),
    name: optionalTextSchema,
    config: optionalTextSchema,
    split: optionalTextSchema,
  }),
  /** Cards of others hold lists, texts and what not: what is no number is left out. */
  metrics: z.array(metricSchema.nullable().catch(null)).transform((all) => all.filter((one) => one !== null)),
});

/** A single word may stand where a list could. */
const stringsSchema = z.preprocess(
  (value) => (value == null ? [] : Array.isArray(value) ? value : [value]),
  z.array(z.coerce.string()),
);

/** A broken result of somebody's `model-index` is no reason to refuse the model, or the other results. */
const modelIndexSchema = z
  .array(z.object({ results: z.array(resultSchema.nullable().catch(null)).catch([]) }).catch({ results: [] }))
  .catch([])
  .default([])
  .transform((all) => all.flatMap(({ results }) => results).filter((one) => one !== null));

const frontMatterSchema = z.object({
  license: stringsSchema,
  pipeline_tag: z.string().nullish(),
  tags: stringsSchema,
  datasets: stringsSchema,
  widget: z.array(z.looseObject({})).catch([]).default([]),
  'model-index': modelIndexSchema,
});

const datasetYamlSchema = z.strictObject({
  title: z.string(),
  family: z.string().nullable().default(null),
  split: z.string().nullable().default(null),
  task: taskSchema,
  license: z.string().nullable().default(null),
  source: z.string().nullable().default(null),
  description: z.string().nullable().default(null),
  rowCount: z.int().min(0).nullable().default(null),
  sha256: z.string().nullable().default(null),
  file: z.string().nullable().default(null),
  target: z.string().nullable().default(null),
  columns: z.array(columnSchema).default([]),
});
export type DatasetYaml = z.infer<typeof datasetYamlSchema>;

export interface Card {
  readonly title: string;
  readonly summary: string | null;
  readonly intendedUse: string | null;
  readonly limitations: string | null;
  readonly trainingData: string | null;
  readonly evaluationData: string | null;
  readonly ethicalConsiderations: string | null;
  readonly markdown: string;
}

/** One result of a card's `model-index`: metrics that somebody else measured. */
export type ImportedResult = z.infer<typeof resultSchema>;

export interface ModelManifest {
  readonly name: string;
  readonly card: Card;
  readonly license: string | null;
  readonly tags: readonly string[];
  readonly trainedOn: readonly string[];
  readonly results: readonly ImportedResult[];
  /** Inputs that the card shows, as Hugging Face's pages offer them. */
  readonly widget: readonly Readonly<Record<string, unknown>>[];
  readonly yaml: ModelYaml & { readonly task: TaskName };
  /** Why no version can be read, where the task is not known: the card stands all the same. */
  readonly taskProblem: string | null;
}

/** @throws ManifestError */
export async function readModelManifest(folder: string): Promise<ModelManifest> {
  const name = modelNameOf(path.basename(folder));
  if (!MODEL_NAME.test(name)) throw new ManifestError(`the folder's name must match ${MODEL_NAME.source}`);
  const readme = await readText(path.join(folder, 'README.md'));
  const { matter, markdown } = splitFrontMatter(readme ?? '');
  const front = parseWith(frontMatterSchema, parseYamlFile(matter, 'README.md'), 'README.md front matter');
  const yamlText = (await readText(path.join(folder, 'model.yaml'))) ?? '';
  const yaml = parseWith(modelYamlSchema, parseYamlFile(yamlText, 'model.yaml'), 'model.yaml');
  const { task, problem } = yaml.task
    ? { task: yaml.task, problem: null }
    : await readTask(folder, front.pipeline_tag ?? null);
  return {
    name,
    card: readCard(markdown, name),
    license: front.license.join(', ') || null,
    tags: front.tags,
    trainedOn: front.datasets,
    results: front['model-index'],
    widget: front.widget,
    yaml: { ...yaml, task: task ?? 'TENSOR' },
    taskProblem: problem,
  };
}

async function readTask(
  folder: string,
  tag: string | null,
): Promise<{ readonly task: TaskName | null; readonly problem: string | null }> {
  try {
    return { task: taskOfTag(tag) ?? recognizeTask(await readHuggingFaceFiles([folder])), problem: null };
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return { task: null, problem: error.message };
  }
}

/** A folder of the Hub may be called "all-MiniLM-L6-v2": people type its name in lower case. */
export function modelNameOf(folderName: string): string {
  return folderName.toLowerCase().replaceAll(/[._]+/g, '-');
}

function taskOfTag(tag: string | null): TaskName | null {
  const name = tag?.toUpperCase().replaceAll('-', '_');
  if (!name || (TASKS as readonly string[]).includes(name)) return (name as TaskName | undefined) ?? null;
  const known = TASKS.map((task) => task.toLowerCase().replaceAll('_', '-')).join(', ');
  throw new ManifestError(
    `README.md: pipeline_tag "${tag}" is no task of this server; it has ${known}. \`task\` in model.yaml wins over it`,
  );
}

/** Numbers of the version folders, ascending. */
export async function readVersionNumbers(folder: string): Promise<number[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const numbers = entries.filter((entry) => entry.isDirectory() && /^[1-9]\d{0,8}$/.test(entry.name));
  return numbers.map(({ name }) => Number(name)).sort((a, b) => a - b);
}

/** @throws ManifestError */
export async function readDatasetManifest(folder: string): Promise<DatasetYaml> {
  const text = await readText(path.join(folder, 'dataset.yaml'));
  if (text === null) throw new ManifestError('dataset.yaml is missing');
  return parseWith(datasetYamlSchema, parseYamlFile(text, 'dataset.yaml'), 'dataset.yaml');
}

/** Names of the folders in a folder, sorted; none when it does not exist. */
export async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

function splitFrontMatter(readme: string): { matter: string; markdown: string } {
  const text = readme.replaceAll('\r\n', '\n');
  const [found, matter = '', markdown = ''] = /^---\n(.*?)\n---(?:\n(.*))?$/s.exec(text) ?? [];
  return { matter, markdown: (found ? markdown : text).trim() };
}

function parseYamlFile(text: string, file: string): unknown {
  try {
    return parseYaml(text) ?? {};
  } catch (error) {
    throw new ManifestError(`${file} is no YAML: ${error instanceof Error ? error.message : error}`);
  }
}

function readCard(markdown: string, name: string): Card {
  const section = (title: string) => sectionOf(markdown, title);
  const [, title = name, rest = markdown] = /^# ([^\r\n]+)(?:\r?\n(.*))?$/s.exec(markdown) ?? [];
  const summary =
    rest
      .trim()
      .split(/\r?\n\s*\r?\n/)[0]
      ?.trim() ?? '';
  return {
    title: title.trim(),
    summary: summary === '' || summary.startsWith('#') ? null : summary.replaceAll(/\s*\n\s*/g, ' '),
    intendedUse: section('Intended use'),
    limitations: section('Limitations'),
    trainingData: section('Training data'),
    evaluationData: section('Evaluation data'),
    ethicalConsiderations: section('Ethical considerations'),
    markdown,
  };
}

function sectionOf(markdown: string, title: string): string | null {
  const parts = markdown.split(/^## /m).slice(1);
  const own = parts.find((part) => part.toLowerCase().startsWith(`${title.toLowerCase()}\n`));
  return own?.slice(title.length).trim() || null;
}
