/**
 * What a folder of the model store says: model card with Hugging Face front matter, and `model.yaml` with what
 * neither the card nor the graph can say. Plain data, checked; nothing is run here.
 */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { MODEL_NAME } from '../catalog/ref.js';
import { TASKS } from '../tasks/spec.js';

/** A file of the store that cannot be used: which one, where in it, and what was expected. */
export class ManifestError extends Error {}

const task = z
  .string()
  .transform((name) => name.toUpperCase().replaceAll('-', '_'))
  .pipe(z.enum(TASKS));

const column = z.strictObject({
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

const image = z.strictObject({
  size: z.strictObject({ width: z.int().min(1).max(4096), height: z.int().min(1).max(4096) }),
  color: z.enum(['grey', 'rgb']).default('rgb'),
  rescale_factor: z.number().default(1 / 255),
  image_mean: z.array(z.number()).default([0, 0, 0]),
  image_std: z.array(z.number()).default([1, 1, 1]),
});

const modelYaml = z.strictObject({
  task: task.optional(),
  owner: z.string().nullable().default(null),
  framework: z.string().nullable().default(null),
  testData: z.string().nullable().default(null),
  preload: z.boolean().default(false),
  labels: z.array(z.string().min(1)).default([]),
  columns: z.array(column).default([]),
  image: image.nullable().default(null),
  output: z
    .union([
      z.strictObject({ scores: z.string(), activation: z.enum(['none', 'softmax', 'sigmoid']).default('none') }),
      z.strictObject({ value: z.string(), unit: z.string().nullable().default(null) }),
    ])
    .nullable()
    .default(null),
  example: z.record(z.string(), z.unknown()).nullable().default(null),
  maxBatch: z.int().min(1).max(1024).default(128),
  maxRunMs: z.int().min(1000).max(600_000).default(60_000),
  retentionDays: z.int().min(1).max(3650).nullable().default(null),
});
export type ModelYaml = z.infer<typeof modelYaml>;

const metric = z.object({
  type: z.string(),
  /** YAML has .nan and .inf: such a metric is undefined, the card as a whole is not. */
  value: z.custom<number>((value) => typeof value === 'number', 'expected a number'),
  name: z.string().optional(),
  args: z.object({ average: z.string().optional(), label: z.string().optional() }).optional(),
});

const result = z.object({
  dataset: z.object({ type: z.string() }),
  metrics: z.array(metric),
});

const frontMatter = z.object({
  license: z.string().nullable().default(null),
  pipeline_tag: z.string().nullable().default(null),
  tags: z.array(z.string()).default([]),
  datasets: z.array(z.string()).default([]),
  'model-index': z.array(z.object({ results: z.array(result).default([]) })).default([]),
});

const datasetYaml = z.strictObject({
  title: z.string(),
  family: z.string().nullable().default(null),
  split: z.string().nullable().default(null),
  task,
  license: z.string().nullable().default(null),
  source: z.string().nullable().default(null),
  description: z.string().nullable().default(null),
  rowCount: z.int().min(0).nullable().default(null),
  sha256: z.string().nullable().default(null),
  file: z.string().nullable().default(null),
  target: z.string().nullable().default(null),
  columns: z.array(column).default([]),
});
export type DatasetYaml = z.infer<typeof datasetYaml>;

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
export type ImportedResult = z.infer<typeof result>;

export interface ModelManifest {
  readonly name: string;
  readonly card: Card;
  readonly license: string | null;
  readonly tags: readonly string[];
  readonly trainedOn: readonly string[];
  readonly results: readonly ImportedResult[];
  readonly yaml: ModelYaml & { readonly task: (typeof TASKS)[number] };
}

/** @throws ManifestError */
export async function readModelManifest(folder: string): Promise<ModelManifest> {
  const name = path.basename(folder);
  if (!MODEL_NAME.test(name)) throw new ManifestError(`the folder's name must match ${MODEL_NAME.source}`);
  const readme = await readText(path.join(folder, 'README.md'));
  const { matter, markdown } = splitFrontMatter(readme ?? '');
  const front = checked(frontMatter, parsed(matter, 'README.md'), 'README.md front matter');
  const yaml = checked(
    modelYaml,
    parsed((await readText(path.join(folder, 'model.yaml'))) ?? '', 'model.yaml'),
    'model.yaml',
  );
  const taskName =
    yaml.task ?? (front.pipeline_tag ? checked(task, front.pipeline_tag, 'README.md pipeline_tag') : 'TENSOR');
  return {
    name,
    card: readCard(markdown, name),
    license: front.license,
    tags: front.tags,
    trainedOn: front.datasets,
    results: front['model-index'].flatMap(({ results }) => results),
    yaml: { ...yaml, task: taskName },
  };
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
  return checked(datasetYaml, parsed(text, 'dataset.yaml'), 'dataset.yaml');
}

/** Names of the folders in a folder, sorted; none when it does not exist. */
export async function subfolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

export async function readText(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new ManifestError(`${path.basename(file)} cannot be read: ${error.message}`);
  });
}

function splitFrontMatter(readme: string): { matter: string; markdown: string } {
  const text = readme.replaceAll('\r\n', '\n');
  const [found, matter = '', markdown = ''] = /^---\n(.*?)\n---(?:\n(.*))?$/s.exec(text) ?? [];
  return { matter, markdown: (found ? markdown : text).trim() };
}

function parsed(text: string, file: string): unknown {
  try {
    return parseYaml(text) ?? {};
  } catch (error) {
    throw new ManifestError(`${file} is no YAML: ${error instanceof Error ? error.message : error}`);
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const outcome = schema.safeParse(value);
  if (outcome.success) return outcome.data;
  throw new ManifestError(
    outcome.error.issues.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`).join('; '),
  );
}

function readCard(markdown: string, name: string): Card {
  const section = (title: string) => sectionOf(markdown, title);
  const [, title = name, rest = markdown] = /^# ([^\r\n]+)\r?\n(.*)$/s.exec(markdown) ?? [];
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
