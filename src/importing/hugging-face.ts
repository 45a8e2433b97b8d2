/**
 * What a Hugging Face ONNX repository says of its model: `config.json`, the tokenizer's and the preprocessor's files,
 * those of sentence-transformers, and the graphs in `onnx/`. Read as it stands; nothing is run here.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import type { Pooling } from '../tasks/spec.js';
import { type Preprocessor, preprocessorSchema } from './preprocessor.js';
import { parseWith, readText } from './store-file.js';

const configSchema = z.looseObject({
  model_type: z.string().optional(),
  architectures: z.array(z.string()).nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  problem_type: z.string().nullish(),
  max_position_embeddings: z.number().nullish(),
  pad_token_id: z.number().nullish(),
  num_channels: z.number().nullish(),
});

const tokenizerConfigSchema = z.looseObject({
  model_max_length: z.number().nullish(),
  mask_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

const poolingSchema = z.looseObject({
  /** Since sentence-transformers 6; earlier releases have a flag for each mode. */
  pooling_mode: z.union([z.string(), z.array(z.string())]).nullish(),
  pooling_mode_cls_token: z.boolean().optional(),
  pooling_mode_mean_tokens: z.boolean().optional(),
  pooling_mode_max_tokens: z.boolean().optional(),
  pooling_mode_lasttoken: z.boolean().optional(),
});
const modulesSchema = z.array(z.looseObject({ type: z.string(), path: z.string().nullish() }));
const sentenceBertSchema = z.looseObject({ max_seq_length: z.number().nullish() });

export interface HuggingFaceFiles {
  readonly config: z.infer<typeof configSchema> | null;
  /** Both files of the tokenizer in one text, special tokens that only other files name included: the blob that workers read. */
  readonly tokenizer: string | null;
  readonly tokenizerConfig: z.infer<typeof tokenizerConfigSchema>;
  readonly preprocessor: Preprocessor | null;
  /** Null where it is no model of sentence-transformers. */
  readonly sentences: {
    readonly pooling: Pooling;
    readonly normalize: boolean;
    readonly maxTokens: number | null;
    /** Why its tokens' vectors do not become that of the text here; a graph may do it itself. */
    readonly refusal?: string;
  } | null;
}

/** Each file from the first of the folders that has it. @throws ManifestError that names the file and the key */
export async function readHuggingFaceFiles(folders: readonly string[]): Promise<HuggingFaceFiles> {
  const read = (file: string) => firstText(folders, file);
  return {
    config: parseJsonAs(configSchema, await read('config.json'), 'config.json'),
    ...(await readTokenizer(read)),
    preprocessor: parseJsonAs(preprocessorSchema, await read('preprocessor_config.json'), 'preprocessor_config.json'),
    sentences: await readSentenceTransformers(read),
  };
}

type Read = (file: string) => Promise<string | null>;

async function firstText(folders: readonly string[], file: string): Promise<string | null> {
  for (const folder of folders) {
    const text = await readText(path.join(folder, file));
    if (text !== null) return text;
  }
  return null;
}

function parseJsonAs<T>(schema: z.ZodType<T>, text: string | null, file: string): T | null {
  return text === null ? null : parseWith(schema, parseJsonFile(text, file), file);
}

function parseJsonFile(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ManifestError(`${file} is no JSON: ${error instanceof Error ? error.message : error}`);
  }
}

async function readTokenizer(read: Read): Promise<Pick<HuggingFaceFiles, 'tokenizer' | 'tokenizerConfig'>> {
  const text = await read('tokenizer.json');
  const configText = await read('tokenizer_config.json');
  const own = parseJsonAs(tokenizerConfigSchema, configText, 'tokenizer_config.json') ?? {};
  if (text === null) return { tokenizer: null, tokenizerConfig: own };
  const tokenizer = parseJsonFile(text, 'tokenizer.json');
  const others = { ...addedSpecialTokens(tokenizer), ...mappedSpecialTokens(await read('special_tokens_map.json')) };
  const more = Object.fromEntries(Object.entries(others).filter(([name]) => own[name] == null));
  const config = {
    ...(configText === null ? {} : Object(parseJsonFile(configText, 'tokenizer_config.json'))),
    ...more,
  };
  return { tokenizer: JSON.stringify({ tokenizer, config }), tokenizerConfig: { ...own, ...more } };
}

const SPECIAL_TOKENS = ['mask_token', 'pad_token', 'unk_token', 'cls_token', 'sep_token'];
const specialTokenSchema = z.union([z.string(), z.looseObject({ content: z.string() })]);

/** Earlier releases of transformers wrote them there only. */
function mappedSpecialTokens(text: string | null): Record<string, unknown> {
  const map = parseLeniently(z.record(z.string(), z.unknown()), text) ?? {};
  return Object.fromEntries(
    SPECIAL_TOKENS.map((name) => [name, map[name]]).filter(([, token]) => specialTokenSchema.safeParse(token).success),
  );
}

const CONVENTIONAL_TOKENS: Readonly<Record<string, string>> = {
  '[MASK]': 'mask_token',
  '<mask>': 'mask_token',
  '[PAD]': 'pad_token',
  '<pad>': 'pad_token',
  '[UNK]': 'unk_token',
  '<unk>': 'unk_token',
};
const addedTokensSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ content: z.string(), special: z.boolean().optional() })),
});

/** What no file names has its usual word. */
function addedSpecialTokens(tokenizer: unknown): Record<string, unknown> {
  const { added_tokens } = addedTokensSchema.safeParse(tokenizer).data ?? { added_tokens: [] };
  return Object.fromEntries(
    added_tokens.flatMap(({ content, special }) => {
      const name = special ? CONVENTIONAL_TOKENS[content] : undefined;
      return name ? [[name, content]] : [];
    }),
  );
}

/** Null for what cannot be read: for files that are read only for what others lack. */
function parseLeniently<T>(schema: z.ZodType<T>, text: string | null): T | null {
  try {
    return schema.safeParse(JSON.parse(text ?? 'null')).data ?? null;
  } catch {
    return null;
  }
}

async function readSentenceTransformers(read: Read): Promise<HuggingFaceFiles['sentences']> {
  const parts = parseJsonAs(modulesSchema, await read('modules.json'), 'modules.json');
  const part = parts?.find(({ type }) => type.endsWith('.Pooling'));
  const file = path.posix.join(part?.path || '1_Pooling', 'config.json');
  const modes = parseJsonAs(poolingSchema, await read(file), file);
  if (!parts && !modes) return null;
  const limits = parseJsonAs(sentenceBertSchema, await read('sentence_bert_config.json'), 'sentence_bert_config.json');
  const other = parts?.find(({ type }) => !/\.(Transformer|Pooling|Normalize)$/.test(type));
  const mode = modes ? poolingOf(modes) : 'mean';
  const refusal = other
    ? `modules.json: the module ${other.type} is not read here; export it into the graph`
    : part && !modes
      ? `${file} is missing, and modules.json names it: it says how the vectors of tokens become one`
      : mode === null
        ? `${file}: one of mean, cls, max or last token is read here, and no mixture`
        : null;
  return {
    pooling: mode ?? 'mean',
    normalize: parts?.some(({ type }) => type.endsWith('.Normalize')) ?? false,
    maxTokens: limits?.max_seq_length ?? null,
    ...(refusal === null ? {} : { refusal }),
  };
}

const POOLINGS: Readonly<Record<string, Pooling>> = { mean: 'mean', cls: 'cls', max: 'max', lasttoken: 'last' };

/** Null for mixtures, and for what is not known here. */
function poolingOf(modes: z.infer<typeof poolingSchema>): Pooling | null {
  const flags = [
    modes.pooling_mode_mean_tokens && 'mean',
    modes.pooling_mode_cls_token && 'cls',
    modes.pooling_mode_max_tokens && 'max',
    modes.pooling_mode_lasttoken && 'lasttoken',
  ].filter((mode) => typeof mode === 'string');
  const [mode = '', ...more] = modes.pooling_mode == null ? flags : [modes.pooling_mode].flat();
  return more.length > 0 ? null : (POOLINGS[mode] ?? null);
}

/** The graphs of a folder by the name of their variant; '' is the plain one. */
export async function findGraphs(folder: string): Promise<Map<string, string>> {
  const graphs = new Map<string, string>();
  for (const place of [folder, path.join(folder, 'onnx')]) {
    for (const entry of await readdir(place, { withFileTypes: true }).catch(() => [])) {
      const found = entry.isDirectory() ? null : /^model(?:_(?<variant>[A-Za-z0-9_]+))?\.onnx$/.exec(entry.name);
      const variant = found?.groups?.['variant'] ?? '';
      if (found && !graphs.has(variant)) graphs.set(variant, path.join(place, entry.name));
    }
  }
  return new Map([...graphs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Words of `id2label` in the order of their numbers. @throws ManifestError when a number is left out */
export function labelsOfConfig({ config }: HuggingFaceFiles): string[] {
  const labels = Object.entries(config?.id2label ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  const odd = labels.findIndex(([key], i) => Number(key) !== i);
  if (odd >= 0) throw new ManifestError(`config.json: id2label has "${labels[odd]?.[0]}" where ${odd} is expected`);
  return labels.map(([, label]) => label);
}

const DEFAULT_MAX_TOKENS = 512;
/** Larger ones are what transformers writes for "no limit". */
const LARGEST_MAX_LENGTH = 1_000_000;

/** The longest sequence that every part of the model allows. */
export function maxTokensOf({ config, tokenizerConfig, sentences }: HuggingFaceFiles): number {
  const positions = config?.max_position_embeddings ?? null;
  // Families of RoBERTa count positions from the one after their padding.
  const offset = /roberta|camembert|mpnet|longformer/.test(config?.model_type ?? '')
    ? (config?.pad_token_id ?? 1) + 1
    : 0;
  const limits = [
    sentences?.maxTokens,
    tokenizerConfig.model_max_length,
    positions !== null && positions > 0 ? positions - offset : null,
  ].filter((limit) => limit != null && limit > 2 && limit < LARGEST_MAX_LENGTH) as number[];
  return limits.length > 0 ? Math.floor(Math.min(...limits)) : DEFAULT_MAX_TOKENS;
}

export function maskTokenOf({ tokenizerConfig: { mask_token } }: HuggingFaceFiles): string | null {
  return (typeof mask_token === 'object' ? mask_token?.content : mask_token) ?? null;
}
