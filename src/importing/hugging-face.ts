/**
 * Reads the files of a Hugging Face repository with an ONNX export: `config.json`, those of the tokenizer, the image
 * processor and sentence-transformers, and the graphs in `onnx/`. Nothing is run here.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import { type Preprocessor, preprocessorSchema } from './preprocessor-file.js';
import { listOf, mapOf } from './schemas.js';
import { type RankerFiles, readSentenceTransformers, type SentenceFiles } from './sentence-transformers.js';
import { parseJsonAs, parseJsonFile, type ReadFile, readText } from './store-file.js';
import { tokenizerOfClass } from './tokenizer-classes.js';
import { withSettings } from './tokenizer-settings.js';

const configSchema = z.looseObject({
  model_type: z.string().optional(),
  architectures: listOf(z.string()).nullish(),
  id2label: mapOf(z.string()).nullish(),
  problem_type: z.string().nullish(),
  max_position_embeddings: z.number().nullish(),
  pad_token_id: z.number().nullish(),
  num_channels: z.number().nullish(),
});

const specialTokenSchema = z.union([z.string(), z.looseObject({ content: z.string() })]);

const tokenizerConfigSchema = z.looseObject({
  model_max_length: z.number().nullish(),
  mask_token: specialTokenSchema.nullish(),
});

/** Part of a version's digest, as JSON: with other keys or values, published versions would look changed. */
export interface HuggingFaceFiles {
  readonly config: z.infer<typeof configSchema> | null;
  /**
   * JSON of tokenizer.json and tokenizer_config.json, the blob that workers read. Special tokens that are missing in the
   * latter are added from other files.
   */
  readonly tokenizer: string | null;
  readonly tokenizerConfig: z.infer<typeof tokenizerConfigSchema>;
  /**
   * Present if transformers builds another tokenizer from `tokenizer`: this one, or, with a problem, one that may not be
   * that of the training. Not part of the digest.
   */
  readonly ofClass?: { readonly tokenizer: string; readonly isCertain: boolean } | { readonly problem: string };
  readonly preprocessor: Preprocessor | null;
  /** Null if it is not an embedding model of sentence-transformers. */
  readonly sentences: SentenceFiles | null;
  /** Present for a cross-encoder of sentence-transformers with files of its own. */
  readonly ranker?: RankerFiles;
}

/** Reads each file from the first folder that contains it; the last one contains the others. @throws ManifestError that names the file and the key */
export async function readHuggingFaceFiles(folders: readonly string[]): Promise<HuggingFaceFiles> {
  const listed = await Promise.all(folders.map(async (folder) => ({ folder, names: await namesIn(folder) })));
  const read = (file: string) => firstText(listed, file, folders.at(-1) as string);
  const { sentences, ranker, lowercases } = await readSentenceTransformers(read);
  const config = parseJsonAs(configSchema, await read('config.json'), 'config.json');
  // Static embeddings do without transformers.
  const model = sentences?.isStatic ? null : (config ?? {});
  return {
    config,
    ...(await readTokenizer(read, lowercases, model)),
    preprocessor: parseJsonAs(preprocessorSchema, await read('preprocessor_config.json'), 'preprocessor_config.json'),
    sentences,
    ...(ranker ? { ranker } : {}),
  };
}

/** Most of the files are absent from most folders, and opening each of them would take longer than listing the folder. */
async function namesIn(folder: string): Promise<ReadonlySet<string>> {
  return new Set(await readdir(folder).catch(() => []));
}

async function firstText(
  listed: readonly { readonly folder: string; readonly names: ReadonlySet<string> }[],
  file: string,
  root: string,
): Promise<string | null> {
  for (const { folder, names } of listed) {
    const [first = ''] = path.normalize(file).split(path.sep);
    if (!names.has(first)) continue;
    const text = await readText(path.join(folder, file), root);
    if (text !== null) return text;
  }
  return null;
}

async function readTokenizer(
  read: ReadFile,
  lowercases: boolean,
  model: object | null,
): Promise<Pick<HuggingFaceFiles, 'tokenizer' | 'tokenizerConfig' | 'ofClass'>> {
  const text = await read('tokenizer.json');
  const configText = await read('tokenizer_config.json');
  const tokenizerConfig = parseJsonAs(tokenizerConfigSchema, configText, 'tokenizer_config.json') ?? {};
  if (text === null) return { tokenizer: null, tokenizerConfig };
  const file = parseJsonFile(text, 'tokenizer.json');
  const parsed = withSettings(file, tokenizerConfig);
  const tokenizer = lowercases ? withLowercase(parsed) : parsed;
  const others = { ...addedSpecialTokens(tokenizer), ...mappedSpecialTokens(await read('special_tokens_map.json')) };
  const added = Object.fromEntries(Object.entries(others).filter(([name]) => tokenizerConfig[name] == null));
  const config = {
    ...(configText === null ? {} : Object(parseJsonFile(configText, 'tokenizer_config.json'))),
    ...added,
  };
  const found = model && tokenizerOfClass(parsed, tokenizerConfig, model, file);
  return {
    tokenizer: JSON.stringify({ tokenizer, config }),
    tokenizerConfig: { ...tokenizerConfig, ...added },
    ...(found && {
      ofClass:
        'problem' in found
          ? found
          : {
              tokenizer: JSON.stringify({
                tokenizer: lowercases ? withLowercase(found.tokenizer) : found.tokenizer,
                config,
              }),
              isCertain: found.isCertain,
            },
    }),
  };
}

const normalizerSchema = z.looseObject({
  normalizer: z
    .looseObject({ type: z.string(), normalizers: listOf(z.looseObject({ type: z.string() })).optional() })
    .nullish(),
});

/** Puts `Lowercase` before the normalizer, as sentence-transformers does for `do_lower_case`, unless it is a part of it. */
function withLowercase(tokenizer: unknown): unknown {
  const { normalizer } = normalizerSchema.safeParse(tokenizer).data ?? {};
  const own = normalizer?.type === 'Sequence' ? (normalizer.normalizers ?? []) : normalizer ? [normalizer] : [];
  const lowercases = own.some(
    ({ type, ...rest }) => type === 'Lowercase' || (type === 'BertNormalizer' && rest['lowercase'] === true),
  );
  if (lowercases) return tokenizer;
  return { ...Object(tokenizer), normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, ...own] } };
}

const SPECIAL_TOKENS = ['mask_token', 'pad_token', 'unk_token', 'cls_token', 'sep_token'];

/** Special tokens of special_tokens_map.json, the only place where earlier releases of transformers wrote them. */
function mappedSpecialTokens(text: string | null): Record<string, unknown> {
  const map = parseLeniently(z.record(z.string(), z.unknown()), text, 'special_tokens_map.json') ?? {};
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
  added_tokens: listOf(z.looseObject({ content: z.string(), special: z.boolean().optional() })),
});

/** Special tokens of tokenizer.json, recognized by their conventional spelling. */
function addedSpecialTokens(tokenizer: unknown): Record<string, unknown> {
  const { added_tokens } = addedTokensSchema.safeParse(tokenizer).data ?? { added_tokens: [] };
  return Object.fromEntries(
    added_tokens.flatMap(({ content, special }) => {
      const name = special ? CONVENTIONAL_TOKENS[content] : undefined;
      return name ? [[name, content]] : [];
    }),
  );
}

/** Like `parseJsonAs`, but null if the text is not valid: for files that only supplement others. */
function parseLeniently<T>(schema: z.ZodType<T>, text: string | null, file: string): T | null {
  try {
    return schema.safeParse(parseJsonFile(text ?? 'null', file)).data ?? null;
  } catch {
    return null;
  }
}

/** The ONNX files of a folder and its `onnx/`, by variant name. '' is `model.onnx`; "fp16" is `model_fp16.onnx`. */
export async function findGraphs(folder: string): Promise<Map<string, string>> {
  const graphs = new Map<string, string>();
  for (const directory of [folder, path.join(folder, 'onnx')]) {
    for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
      const match = entry.isDirectory() ? null : /^model(?:_(?<variant>[A-Za-z0-9_]+))?\.onnx$/.exec(entry.name);
      const variant = match?.groups?.['variant'] ?? '';
      if (match && !graphs.has(variant)) graphs.set(variant, path.join(directory, entry.name));
    }
  }
  return new Map([...graphs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The labels of `id2label` in the order of their ids. @throws ManifestError if an id is missing */
export function labelsOfConfig({ config }: HuggingFaceFiles): string[] {
  const labels = Object.entries(config?.id2label ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  const gap = labels.findIndex(([key], i) => Number(key) !== i);
  if (gap >= 0)
    throw new ManifestError(
      `config.json: id2label has "${labels[gap]?.[0]}" where "${gap}" is expected; number the labels from 0 without gaps`,
    );
  return labels.map(([, label]) => label);
}

/**
 * The labels of a config.json without `id2label`. transformers leaves it out if there are two labels with these names;
 * earlier releases wrote their number.
 */
export function defaultLabels({ config }: HuggingFaceFiles): string[] {
  if (config === null) return [];
  const { num_labels: number } = config;
  const count = Number.isInteger(number) ? Math.min(number as number, MAX_DEFAULT_LABELS) : 2;
  return Array.from({ length: Math.max(0, count) }, (_, i) => `LABEL_${i}`);
}

const MAX_DEFAULT_LABELS = 100_000;

const DEFAULT_MAX_TOKENS = 512;
/** transformers writes a larger number for "no limit". */
const LARGEST_MAX_LENGTH = 1_000_000;

/** The maximum sequence length in tokens: the smallest limit that the files give, 512 by default. */
export function maxTokensOf({ config, tokenizerConfig, sentences, ranker }: HuggingFaceFiles): number {
  const positions = config?.max_position_embeddings ?? null;
  // RoBERTa and related models number positions from the padding id plus 1.
  const offset = /roberta|camembert|mpnet|longformer/.test(config?.model_type ?? '')
    ? (config?.pad_token_id ?? 1) + 1
    : 0;
  const limits = [
    sentences?.maxTokens,
    ranker?.maxTokens,
    tokenizerConfig.model_max_length,
    positions !== null && positions > 0 ? positions - offset : null,
  ].filter((limit) => limit != null && limit > 2 && limit < LARGEST_MAX_LENGTH) as number[];
  return limits.length > 0 ? Math.floor(Math.min(...limits)) : DEFAULT_MAX_TOKENS;
}

/** The text of the mask token; null if there is none. */
export function maskTokenOf({ tokenizerConfig: { mask_token } }: HuggingFaceFiles): string | null {
  return (typeof mask_token === 'object' ? mask_token?.content : mask_token) ?? null;
}
