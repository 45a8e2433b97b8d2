/**
 * Reads the files that sentence-transformers writes besides those of transformers: which modules a model has, how its token
 * embeddings are pooled, its prompts, and whether it is an embedding model or a cross-encoder.
 */
import path from 'node:path';
import { z } from 'zod';
import { ManifestError } from '../errors.js';
import { MAX_PROMPT_CHARACTERS, MAX_PROMPTS } from '../tasks/prompts.js';
import { type Pooling, type Prompt, SIMILARITIES, type SimilarityName } from '../tasks/spec.js';
import { listOf, mapOf } from './schemas.js';
import { parseJsonAs, type ReadFile } from './store-file.js';

const poolingSchema = z.looseObject({
  /** Written by sentence-transformers 6 and later; earlier releases write a flag for each mode. */
  pooling_mode: z.union([z.string(), listOf(z.string())]).nullish(),
  pooling_mode_cls_token: z.boolean().optional(),
  pooling_mode_mean_tokens: z.boolean().optional(),
  pooling_mode_max_tokens: z.boolean().optional(),
  pooling_mode_mean_sqrt_len_tokens: z.boolean().optional(),
  pooling_mode_weightedmean_tokens: z.boolean().optional(),
  pooling_mode_lasttoken: z.boolean().optional(),
  include_prompt: z.boolean().nullish(),
});
const modulesSchema = listOf(z.looseObject({ type: z.string(), path: z.string().nullish() }));
type Modules = z.infer<typeof modulesSchema>;
const transformerSchema = z.looseObject({
  max_seq_length: z.number().nullish(),
  do_lower_case: z.boolean().nullish(),
});
const modelSchema = z.looseObject({
  model_type: z.string().nullish(),
  prompts: mapOf(z.string().nullable()).nullish(),
  default_prompt_name: z.string().nullish(),
  activation_fn: z.string().nullish(),
  similarity_fn_name: z.string().nullish(),
  truncate_dim: z.int().positive().nullish(),
});

/** Prompts that are not all empty. */
interface PromptFiles {
  readonly prompts: readonly Prompt[];
  /** Name of the prompt for texts that come without one; null for none. */
  readonly defaultPrompt: string | null;
}

/** Part of a version's digest. Keys that are absent from most models are optional, so that published versions keep theirs. */
export interface SentenceFiles extends Partial<PromptFiles> {
  readonly pooling: Pooling;
  readonly normalize: boolean;
  readonly maxTokens: number | null;
  /** Why the model's pooling is not supported. Does not matter if the graph does the pooling. */
  readonly refusal?: string;
  /** Present if the tokens of a prompt are left out of the pooling. */
  readonly poolsPrompt?: false;
  /** Absent for cosine. */
  readonly similarity?: Exclude<SimilarityName, 'cosine'>;
  /** `truncate_dim`: how many numbers of an embedding are kept. Absent for all. */
  readonly dimensions?: number;
  /** Present for static embeddings. */
  readonly isStatic?: true;
}

/** Part of a version's digest. */
export interface RankerFiles extends Partial<PromptFiles> {
  /** The function that is applied to the scores, as a Python path; null for the default. */
  readonly activation: string | null;
  readonly maxTokens: number | null;
  /** Why the model's modules are not supported. */
  readonly refusal?: string;
}

interface Found {
  /** Null if it is not an embedding model of sentence-transformers. */
  readonly sentences: SentenceFiles | null;
  /** Null if it is not a cross-encoder. */
  readonly ranker: RankerFiles | null;
  /** Whether texts are lower-cased before the tokenizer's own normalizer. */
  readonly lowercases: boolean;
}

/** @throws ManifestError */
export async function readSentenceTransformers(read: ReadFile): Promise<Found> {
  const modules = parseJsonAs(modulesSchema, await read('modules.json'), 'modules.json');
  const model = parseJsonAs(modelSchema, await read(MODEL_FILE), MODEL_FILE);
  const pooling = modules?.find(({ type }) => type.endsWith('.Pooling'));
  const file = path.posix.join(pooling?.path || '1_Pooling', 'config.json');
  const modes = parseJsonAs(poolingSchema, await read(file), file);
  const isRanker = model?.model_type === 'CrossEncoder';
  if (!modules && !modes && !isRanker) return { sentences: null, ranker: null, lowercases: false };
  const limits = await readTransformer(read);
  const maxTokens = limits?.max_seq_length ?? null;
  const shared = { maxTokens, ...promptsOf(model) };
  const lowercases = limits?.do_lower_case ?? false;
  if (isRanker) {
    const refusal = refusalOf(modules, /\.Transformer$/, '');
    return { sentences: null, ranker: { activation: model.activation_fn ?? null, ...shared, ...refusal }, lowercases };
  }
  const found = modes ? modesOf(modes) : ['mean'];
  const mode = found.length > 1 ? null : (POOLINGS[found[0] ?? ''] ?? null);
  const sentences = {
    pooling: mode ?? 'mean',
    // A module after it changes the length again.
    normalize: modules?.at(-1)?.type.endsWith('.Normalize') ?? false,
    ...shared,
    ...similarityOf(model),
    ...(model?.truncate_dim ? { dimensions: model.truncate_dim } : {}),
    ...(refusalOf(modules, /\.(Transformer|Pooling|Normalize|StaticEmbedding)$/, WITH_SENTENCES) ??
      (pooling && !modes
        ? {
            refusal: `${file} is missing; modules.json refers to it for the pooling: add it, or set output.pooling in model.yaml`,
          }
        : null) ??
      (mode === null
        ? {
            refusal: `${file}: the pooling ${found.join(' and ') || 'without a mode'} is not supported; use mean, cls, max or lasttoken, or export the pooling as part of the graph${WITH_SENTENCES}`,
          }
        : null)),
    ...(modes?.include_prompt === false && shared.prompts ? { poolsPrompt: false as const } : {}),
    ...(modules?.some(({ type }) => type.endsWith('.StaticEmbedding')) ? { isStatic: true as const } : {}),
  };
  return { sentences, ranker: null, lowercases };
}

const MODEL_FILE = 'config_sentence_transformers.json';
/** Earlier releases named the file after the model. sentence-transformers reads the first one that exists. */
const TRANSFORMER_FILES = ['bert', 'roberta', 'distilbert', 'camembert', 'albert', 'xlm-roberta', 'xlnet'].map(
  (name) => `sentence_${name}_config.json`,
);

async function readTransformer(read: ReadFile): Promise<z.infer<typeof transformerSchema> | null> {
  for (const file of TRANSFORMER_FILES) {
    const found = parseJsonAs(transformerSchema, await read(file), file);
    if (found) return found;
  }
  return null;
}

/** What optimum makes of all modules. */
const WITH_SENTENCES = ', with an output sentence_embedding (optimum-cli export onnx --library sentence_transformers)';

function refusalOf(modules: Modules | null, supported: RegExp, hint: string): { readonly refusal: string } | null {
  const other = modules?.find(({ type }) => !supported.test(type));
  if (!other) return null;
  return { refusal: `modules.json: the module ${other.type} is not supported; export it as part of the graph${hint}` };
}

const POOLINGS: Readonly<Record<string, Pooling>> = { mean: 'mean', cls: 'cls', max: 'max', lasttoken: 'last' };

/** Several modes concatenate their vectors. */
function modesOf(modes: z.infer<typeof poolingSchema>): string[] {
  const flags = [
    modes.pooling_mode_mean_tokens && 'mean',
    modes.pooling_mode_cls_token && 'cls',
    modes.pooling_mode_max_tokens && 'max',
    modes.pooling_mode_mean_sqrt_len_tokens && 'mean_sqrt_len_tokens',
    modes.pooling_mode_weightedmean_tokens && 'weightedmean',
    modes.pooling_mode_lasttoken && 'lasttoken',
  ].filter((mode) => typeof mode === 'string');
  return modes.pooling_mode == null ? flags : [modes.pooling_mode].flat();
}

/** Empty for cosine, the default. @throws ManifestError */
function similarityOf(model: z.infer<typeof modelSchema> | null): Pick<SentenceFiles, 'similarity'> {
  const given = model?.similarity_fn_name ?? 'cosine';
  const name = SIMILARITIES.find((one) => one === given);
  if (!name)
    throw new ManifestError(
      `${MODEL_FILE}: similarity_fn_name is "${given}", but sentence-transformers knows ${SIMILARITIES.join(', ')}: use one of them`,
    );
  return name === 'cosine' ? {} : { similarity: name };
}

/** Empty if all prompts are. @throws ManifestError */
function promptsOf(model: z.infer<typeof modelSchema> | null): Partial<PromptFiles> {
  const prompts = Object.entries(model?.prompts ?? {}).map(([name, text]) => ({ name, text: text ?? '' }));
  const defaultPrompt = model?.default_prompt_name ?? null;
  const names = prompts.map(({ name }) => name);
  // sentence-transformers gives every model these two, which are empty unless the file says otherwise.
  if (defaultPrompt !== null && ![...names, 'query', 'document'].includes(defaultPrompt))
    throw new ManifestError(
      `${MODEL_FILE}: default_prompt_name is "${defaultPrompt}", but prompts has ${names.join(', ') || 'none'}`,
    );
  const long = prompts.find(({ text }) => text.length > MAX_PROMPT_CHARACTERS);
  if (long || prompts.length > MAX_PROMPTS)
    throw new ManifestError(
      `${MODEL_FILE}: ${long ? `the prompt "${long.name}" has ${long.text.length} characters` : `there are ${prompts.length} prompts`}; at most ${MAX_PROMPTS} prompts of ${MAX_PROMPT_CHARACTERS} characters are supported`,
    );
  return prompts.some(({ text }) => text !== '') ? { prompts, defaultPrompt } : {};
}
