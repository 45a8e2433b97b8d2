/**
 * Reads the manifests of the model store: the model card with its Hugging Face front matter, `model.yaml` with what
 * neither the card nor the graph says, and `dataset.yaml`. `model-store/README.md` documents the keys.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { isScalar, parseDocument, visit, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { ACCOUNT_NAME, CLAIM_VALUE, isAccountName, isAccountOfToken } from '../access/account.js';
import { MODEL_NAME } from '../catalog/ref.js';
import { ManifestError, shortened } from '../errors.js';
import { MAX_BYTES_READ } from '../tasks/bytes.js';
import { quoted } from '../tasks/problems.js';
import {
  BLANKS,
  BOX_FORMATS,
  BOX_UNITS,
  type ColumnType,
  type DatasetColumnType,
  RESAMPLE_NAMES,
  SERIES_LAYOUTS,
  type Widget,
  YOLO_LAYOUTS,
} from '../tasks/spec.js';
import { MAX_TARGETS } from '../tasks/targets.js';
import { recognizeTask, TASKS, type TaskName } from '../tasks/tasks.js';
import { MAX_LINE_WIDTH } from '../tasks/work.js';
import { type Card, readCard, splitFrontMatter } from './card.js';
import { readHuggingFaceFiles } from './hugging-face.js';
import { listOf } from './schemas.js';
import { MAX_YAML_BYTES, MAX_YAML_VALUES, parseWith, readText, refuseDeep } from './store-file.js';

const taskSchema = z.string().transform((name, context) => {
  const task = TASKS.find((one) => one === name.toUpperCase().replaceAll('-', '_'));
  if (task) return task;
  context.addIssue(`"${quoted(name)}" is unknown; use one of ${TASK_NAMES}`);
  return z.NEVER;
});

/** As in the Hugging Face vocabulary. */
const TASK_NAMES = TASKS.map((task) => task.toLowerCase().replaceAll('_', '-')).join(', ');

const COLUMN_TYPES = ['number', 'integer', 'text', 'category', 'boolean'] as const;

const columnSchema = z.strictObject({
  name: z.string().min(1),
  title: z.string().min(1).optional(),
  type: z.enum(COLUMN_TYPES).transform((type) => type.toUpperCase() as ColumnType),
  description: z.string().nullable().default(null),
  unit: z.string().nullable().default(null),
  minimum: z.number().nullable().default(null),
  maximum: z.number().nullable().default(null),
  categories: listOf(z.string()).default([]),
  required: z.boolean().default(true),
  example: z.unknown().default(null),
  /** The graph input that the column feeds: by default the only one, or the one with the same name. */
  input: z.string().nullable().default(null),
  /** The string that stands for a missing value in the graph. */
  missing: z.string().default(''),
});
const datasetColumnSchema = columnSchema.extend({
  type: z.enum([...COLUMN_TYPES, 'image', 'json']).transform((type) => type.toUpperCase() as DatasetColumnType),
});

const edgeSchema = z.int().min(1).max(4096);
const sizeSchema = z.strictObject({ width: edgeSchema, height: edgeSchema });
/** Keeps the aspect ratio. The longer side gets `longest_edge` at most. */
const shortestEdgeSchema = z.strictObject({ shortest_edge: edgeSchema, longest_edge: edgeSchema.optional() });

/** Keeps the aspect ratio at this height. A smaller width is padded, a larger one squeezed. */
const lineSchema = z
  .strictObject({ height: edgeSchema, min_width: edgeSchema.optional(), max_width: edgeSchema.optional() })
  .refine(({ min_width = 1, max_width = MAX_LINE_WIDTH }) => min_width <= max_width, 'min_width exceeds max_width');

/** One number, or one each for red, green and blue. */
const perColor = (number: z.ZodNumber) => z.union([number, z.tuple([number, number, number])]);

const padSchema = z
  .strictObject({
    /** By default the size of `fit: letterbox`, else that of the graph's input. */
    size: sizeSchema.optional(),
    /** Levels; black by default. */
    color: perColor(z.number().min(0).max(255)).optional(),
    /** Values of the tensor: the image is padded after it is normalized. */
    value: perColor(z.number()).optional(),
    position: z.enum(['corner', 'center']).optional(),
  })
  .refine(({ color, value }) => color === undefined || value === undefined, 'set color or value, not both');

const imageSchema = z.strictObject({
  /** The size of the graph's input by default. */
  size: z.union([sizeSchema, shortestEdgeSchema, lineSchema]).nullable().default(null),
  /** `fill` changes the aspect ratio; `letterbox` keeps it and pads the rest; `none` does not resize. */
  fit: z.enum(['fill', 'letterbox', 'none']).default('fill'),
  pad: padSchema.optional(),
  resample: z.enum(RESAMPLE_NAMES).default('bilinear'),
  /** Center crop after resizing. */
  crop_size: sizeSchema.nullable().default(null),
  color: z.enum(['grey', 'rgb', 'bgr']).nullable().default(null),
  layout: z.enum(['NCHW', 'NHWC', 'CHW', 'HWC']).optional(),
  rescale_factor: z.number().default(1 / 255),
  image_mean: listOf(z.number()).default([0, 0, 0]),
  image_std: listOf(z.number().refine((x) => x !== 0, 'must not be 0')).default([1, 1, 1]),
});

/** What the graph reads of a file. Sizes are in bytes. */
const bytesSchema = z
  .strictObject({
    begin: z.int().min(0).max(MAX_BYTES_READ).default(0),
    end: z.int().min(0).max(MAX_BYTES_READ).default(0),
    padding: z.int().default(0),
    stripWithin: z.int().min(1).max(MAX_BYTES_READ).optional(),
  })
  .refine(({ begin, end }) => begin + end > 0, 'begin or end must be at least 1')
  .refine(
    ({ begin, end, stripWithin = MAX_BYTES_READ }) => stripWithin >= Math.max(begin, end),
    'stripWithin must be at least begin and end',
  );

/** Which outputs of the graph to read, and how. Each task uses some of these keys. */
const outputSchema = z.strictObject({
  label: z.string().optional(),
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
  layout: z.enum(YOLO_LAYOUTS).optional(),
  boxFormat: z.enum(BOX_FORMATS).optional(),
  boxUnit: z.enum(BOX_UNITS).optional(),
  classes: z.string().optional(),
  firstClass: z.int().min(0).max(1).optional(),
  threshold: z.number().min(0).max(1).optional(),
  iou: z.number().min(0).max(1).optional(),
  hypothesisTemplate: z.string().includes('{}').optional(),
  blank: z.enum(BLANKS).optional(),
});

/** YAML reads False and 3 as a boolean and a number, whose spelling is lost. */
const labelSchema = z
  .string({
    error: ({ input }) => `is ${JSON.stringify(input)}, but must be a text: put it in quotes, such as "${input}"`,
  })
  .min(1);

/** One of several numbers or classes that the model predicts: its name, or its name and more. */
const targetSchema = z.union([
  z
    .string()
    .min(1)
    .transform((name) => ({ name })),
  z.strictObject({
    name: z.string().min(1),
    unit: z.string().optional(),
    labels: listOf(labelSchema, { min: 2 }).optional(),
    activation: z.enum(['none', 'softmax', 'sigmoid']).optional(),
    output: z.string().optional(),
  }),
]);

/** Overrides settings of the tokenizer's files. Lengths are in tokens. */
const tokensSchema = z.strictObject({
  max: z.int().min(8).max(131_072).optional(),
  stride: z.int().min(0).optional(),
  /** Whether longer texts are truncated, or read in overlapping windows. */
  longInputs: z.enum(['truncate', 'windows']).optional(),
  /** Whether the special tokens of the tokenizer's template, such as [CLS], are added. */
  addSpecialTokens: z.boolean().optional(),
});

const modelYamlSchema = z.strictObject({
  task: taskSchema.optional(),
  owner: z.string().nullable().default(null),
  /** Not part of the digest of a version: its answers do not depend on it. */
  account: z
    .string()
    .refine(
      (text) => isAccountName(text) || isAccountOfToken(text),
      `must be ${ACCOUNT_NAME}; or "oidc:" and ${CLAIM_VALUE}`,
    )
    .optional(),
  framework: z.string().nullable().default(null),
  testData: z.string().nullable().default(null),
  preload: z.boolean().default(false),
  labels: listOf(labelSchema).default([]),
  /** Whether several labels may apply to one input. By default, the graph decides. */
  multiLabel: z.boolean().optional(),
  targets: listOf(targetSchema, { min: 1, max: MAX_TARGETS }).optional(),
  columns: listOf(columnSchema).default([]),
  series: z.strictObject({ layout: z.enum(SERIES_LAYOUTS) }).optional(),
  image: imageSchema.nullable().default(null),
  bytes: bytesSchema.optional(),
  output: outputSchema.default({}),
  tokens: tokensSchema.default({}),
  example: z.record(z.string(), z.unknown()).nullable().default(null),
  maxBatch: z.int().min(1).max(1024).default(128),
  maxRunMs: z.int().min(1000).max(600_000).default(60_000),
  retentionDays: z.int().min(1).max(3650).nullable().default(null),
});
export type ModelYaml = Omit<z.infer<typeof modelYamlSchema>, 'account'>;

const metricSchema = z.object({
  type: z.string(),
  /** YAML has .nan and .inf, which are imported as undefined metrics. */
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
  /** Metrics whose value is not a number are left out; published cards have lists and strings there. */
  metrics: z
    .array(metricSchema.nullable().catch(null))
    .transform((metrics) => metrics.filter((metric) => metric !== null)),
});

/** A list of strings, or a single one. */
const stringsSchema = z.preprocess(
  (value) => (value == null ? [] : Array.isArray(value) ? value : [value]),
  listOf(z.coerce.string()),
);

/** Results that are not valid are left out, so that one of them does not fail the model. */
const modelIndexSchema = z
  .array(z.object({ results: z.array(resultSchema.nullable().catch(null)).catch([]) }).catch({ results: [] }))
  .catch([])
  .default([])
  .transform((models) => models.flatMap(({ results }) => results).filter((result) => result !== null));

const frontMatterSchema = z.object({
  license: stringsSchema,
  pipeline_tag: z.string().nullish(),
  tags: stringsSchema,
  datasets: stringsSchema,
  widget: listOf(z.looseObject({})).catch([]).default([]),
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
  columns: listOf(datasetColumnSchema).default([]),
});
export type DatasetYaml = z.infer<typeof datasetYamlSchema>;

/** A result in the card's `model-index`: metrics that were measured elsewhere, on one dataset. */
export type ImportedResult = z.infer<typeof resultSchema>;

export interface ModelManifest {
  readonly name: string;
  /** That owns the model; null if it is the operator's. */
  readonly account: string | null;
  readonly card: Card;
  readonly license: string | null;
  readonly tags: readonly string[];
  readonly trainedOn: readonly string[];
  readonly results: readonly ImportedResult[];
  /** The card's example inputs (`widget`). */
  readonly widget: Widget;
  readonly yaml: ModelYaml & { readonly task: TaskName };
  /** The keys of `image` that model.yaml sets, because the defaults of `fit` and `resample` depend on the outputs. */
  readonly imageKeys: readonly string[];
  /** Why the task is unknown, which fails all versions; null if it is known. The model itself is still listed. */
  readonly taskProblem: string | null;
}

/** Reads the card and model.yaml of a folder. @throws ManifestError */
export async function readModelManifest(folder: string): Promise<ModelManifest> {
  const name = modelNameOf(path.basename(folder));
  if (!MODEL_NAME.test(name))
    throw new ManifestError(
      `the folder name, in lower case with hyphens for dots and underscores, must match ${MODEL_NAME.source}`,
    );
  const readme = await readText(path.join(folder, 'README.md'), folder);
  const { matter, markdown } = splitFrontMatter(readme ?? '');
  const front = parseWith(frontMatterSchema, parseYamlFile(matter, 'README.md'), 'README.md front matter');
  const yamlText = (await readText(path.join(folder, 'model.yaml'), folder)) ?? '';
  const parsedYaml = parseYamlFile(yamlText, 'model.yaml');
  const { account = null, ...yaml } = parseWith(modelYamlSchema, parsedYaml, 'model.yaml');
  const { task, problem } = yaml.task
    ? { task: yaml.task, problem: null }
    : await readTask(folder, front.pipeline_tag ?? null);
  return {
    name,
    account,
    card: readCard(markdown, name),
    license: front.license.join(', ') || null,
    tags: front.tags,
    trainedOn: front.datasets,
    results: front['model-index'],
    widget: front.widget,
    yaml: { ...yaml, task: task ?? 'TENSOR' },
    imageKeys: Object.keys((parsedYaml as { readonly image?: object | null }).image ?? {}),
    taskProblem: problem,
  };
}

/** The task by the card's `pipeline_tag`, else by the files of the repository. */
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

/** The model name for a folder name: lower case, with hyphens for dots and underscores. */
export function modelNameOf(folderName: string): string {
  return folderName.toLowerCase().replaceAll(/[._]+/g, '-');
}

function taskOfTag(tag: string | null): TaskName | null {
  const name = tag?.toUpperCase().replaceAll('-', '_');
  if (!name || (TASKS as readonly string[]).includes(name)) return (name as TaskName | undefined) ?? null;
  throw new ManifestError(
    `README.md: pipeline_tag "${tag}" is not supported. Use one of ${TASK_NAMES}, or set task in model.yaml, which takes precedence`,
  );
}

/** Numbers of the version folders, ascending. */
export async function readVersionNumbers(folder: string): Promise<number[]> {
  const names = await foldersIn(folder);
  return names
    .filter((name) => /^[1-9]\d{0,8}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** Reads dataset.yaml of a folder. @throws ManifestError */
export async function readDatasetManifest(folder: string): Promise<DatasetYaml> {
  const text = await readText(path.join(folder, 'dataset.yaml'), folder);
  if (text === null) throw new ManifestError('dataset.yaml is missing');
  return parseWith(datasetYamlSchema, parseYamlFile(text, 'dataset.yaml'), 'dataset.yaml');
}

/** Names of the folders in a folder, sorted, without hidden ones; empty if the folder does not exist. */
export async function subfolders(folder: string): Promise<string[]> {
  const names = await foldersIn(folder).catch(() => []);
  return names.filter((name) => !name.startsWith('.')).sort();
}

/** Links to folders included. */
async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = entries.map(async (entry) => {
    if (!entry.isSymbolicLink()) return entry.isDirectory() ? entry.name : null;
    const target = await stat(path.join(folder, entry.name)).catch(() => null);
    return target?.isDirectory() ? entry.name : null;
  });
  return (await Promise.all(found)).filter((name) => name !== null);
}

function parseYamlFile(text: string, file: string): unknown {
  if (text.length > MAX_YAML_BYTES)
    throw new ManifestError(`${file} has ${text.length} characters of YAML; at most ${MAX_YAML_BYTES} are supported`);
  try {
    return refuseDeep(parsedYaml(text) ?? {}, file, MAX_YAML_VALUES);
  } catch (error) {
    if (error instanceof ManifestError) throw error;
    throw new ManifestError(`${file} is not valid YAML: ${error instanceof Error ? error.message : error}`);
  }
}

/** The parser's own search for keys that occur twice compares each with each. @throws Error */
function parsedYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: false });
  const [error] = document.errors;
  if (error) throw error;
  visit(document, { Map: (_key, map) => refuseRepeatedKeys(map, text) });
  return document.toJS();
}

/** @throws Error */
function refuseRepeatedKeys({ items }: YAMLMap, text: string): void {
  const found = new Set<unknown>();
  for (const { key } of items) {
    if (!isScalar(key)) continue;
    if (found.has(key.value)) {
      const line = text.slice(0, key.range?.[0]).split('\n').length;
      throw new Error(
        `the key "${shortened(String(key.value), MAX_KEY_CHARACTERS)}" occurs twice, again in line ${line}`,
      );
    }
    found.add(key.value);
  }
}

const MAX_KEY_CHARACTERS = 100;
