/** How a version tokenizes texts: from model.yaml, the Hugging Face files and the graph, in this order of precedence. */
import { ManifestError } from '../errors.js';
import type { AnyTask } from '../tasks/define-task.js';
import { TEXT_INPUTS } from '../tasks/sequences.js';
import { type GraphFacts, isModel2Vec, isStaticModel } from '../tasks/sources.js';
import type { TensorSpec, TextSpec } from '../tasks/spec.js';
import { BAG_INPUTS, readsBags } from '../tasks/static-embedding.js';
import { shapeText } from '../tasks/tensors.js';
import { characterRuleOf } from '../tasks/token-count.js';
import { type HuggingFaceFiles, maskTokenOf, maxTokensOf } from './hugging-face.js';
import type { ModelManifest } from './manifest.js';
import { largestTokenId, medianTokenLength, ownTruncation, truncatesLeft } from './tokenizer-facts.js';

/** What a spec is built from. */
export interface SpecSources {
  readonly manifest: ModelManifest;
  readonly hf: HuggingFaceFiles;
  /** SHA-256 of the blob with the tokenizer's files; null if there is no tokenizer.json. */
  readonly tokenizerSha256: string | null;
  /** Why the tokenizer may not be that of the training. */
  readonly tokenizerProblem?: string;
  readonly facts: GraphFacts;
}

/** Null if the graph takes strings. @throws ManifestError */
export function textSpecOf(sources: SpecSources, task: AnyTask): TextSpec | null {
  const { manifest, hf, tokenizerSha256, facts } = sources;
  const { inputs } = facts;
  const { tokens: settings } = manifest.yaml;
  const [only] = inputs;
  if (inputs.length === 1 && only?.datatype === 'BYTES') {
    if (task.part === 'text') return null;
    throw new ManifestError(
      `input "${only.name}" is BYTES, but ${task.name} needs a graph that takes tokens: export it with the inputs input_ids and attention_mask`,
    );
  }
  checkTextInputs(inputs, task, tokenizerSha256 === null);
  if (tokenizerSha256 === null)
    throw new ManifestError(
      'tokenizer.json is missing: write it with save_pretrained(folder) of a fast tokenizer (vocab.txt or SentencePiece files alone are not supported)',
    );
  refuseOtherVocabulary(sources);
  if (sources.tokenizerProblem) throw new ManifestError(sources.tokenizerProblem);
  const fixed = (!readsBags(inputs) && inputs.find(({ name }) => name === 'input_ids')?.shape[1]) || Infinity;
  const isStatic = task.tokens?.embeds === true && (isStaticModel(hf) || readsBags(inputs));
  const limits = isStatic ? staticLimits(hf, settings.max ?? null) : { maxTokens: limitOf(sources, task) };
  const maxTokens = Math.min(limits.maxTokens, fixed);
  const maskToken = maskTokenOf(hf);
  if (task.tokens?.hasMask && !maskToken)
    throw new ManifestError('tokenizer_config.json: mask_token is missing; fill-mask needs it');
  const hasMask = inputs.some(({ name }) => name === 'attention_mask');
  return {
    tokenizerSha256,
    stride: Math.min(settings.stride ?? 128, Math.floor(maxTokens / 2)),
    longInputs: settings.longInputs ?? task.tokens?.longInputs ?? 'truncate',
    pads: hasMask && fixed === Infinity,
    maskToken: task.tokens?.hasMask ? maskToken : null,
    characters: characterRuleOf(hf.tokenizer ?? ''),
    ...(task.tokens?.hasPrompts ? promptsOf(hf) : {}),
    ...(!isStatic && truncatesLeft(hf) ? { truncates: 'left' as const } : {}),
    ...(isStatic || settings.addSpecialTokens === false ? { addSpecialTokens: false as const } : {}),
    ...(hasTokenTypes(hf) ? {} : { hasTokenTypes: false as const }),
    ...limits,
    maxTokens,
  };
}

/** Added tokens are not counted: some models have more of them than their embedding has rows, and never use those. */
function refuseOtherVocabulary({ hf, facts: { embeddingRows: rows } }: SpecSources): void {
  const largest = rows === null || hf.tokenizer === null ? -1 : largestTokenId(hf.tokenizer);
  if (rows === null || largest < rows) return;
  throw new ManifestError(
    `tokenizer.json has the token id ${largest}, but the embedding of the graph has ${rows} rows: tokenizer.json belongs to another model; replace it with that of this model`,
  );
}

/** Whether the tokenizer returns token type ids. Without them, models count all tokens as those of the first text. */
function hasTokenTypes({ tokenizerConfig }: HuggingFaceFiles): boolean {
  const { model_input_names: names, tokenizer_class: kind } = tokenizerConfig;
  return Array.isArray(names) ? names.includes('token_type_ids') : kind !== 'TokenizersBackend';
}

function limitOf({ manifest: { yaml }, hf }: SpecSources, { tokens }: AnyTask): number {
  return yaml.tokens.max ?? Math.min(maxTokensOf(hf), tokens?.maxTokens ?? Infinity);
}

/** More than the longest text has. */
const NO_LIMIT = 2 ** 20;
/** The default of model2vec. */
const MODEL2VEC_TOKENS = 512;

/**
 * model2vec truncates texts at 512 tokens unless config.json has another `max_length`, and before that at as many tokens of
 * the median length. sentence-transformers truncates them where tokenizer.json says.
 */
function staticLimits(hf: HuggingFaceFiles, max: number | null) {
  if (!isModel2Vec(hf)) return { maxTokens: max ?? ownTruncation(hf.tokenizer ?? '') ?? NO_LIMIT, maxCharacters: null };
  const length = hf.config?.['max_length'] ?? (hf.config && 'max_length' in hf.config ? null : MODEL2VEC_TOKENS);
  const maxTokens = max ?? (length as number | null);
  return {
    maxTokens: maxTokens ?? NO_LIMIT,
    maxCharacters: maxTokens === null ? null : maxTokens * medianTokenLength(hf.tokenizer ?? ''),
    ignoresUnknown: true as const,
  };
}

function promptsOf({ sentences, ranker }: HuggingFaceFiles): Pick<TextSpec, 'prompts'> {
  const { prompts, defaultPrompt = null } = sentences ?? ranker ?? {};
  if (!prompts) return {};
  return { prompts: { list: prompts, default: defaultPrompt, isPooled: sentences?.poolsPrompt !== false } };
}

function checkTextInputs(inputs: readonly TensorSpec[], task: AnyTask, hasNoTokenizer: boolean): void {
  const bags = task.tokens?.embeds === true && readsBags(inputs);
  const known: readonly string[] = bags ? BAG_INPUTS : TEXT_INPUTS;
  const unsupported = inputs.find(({ name, datatype }) => !known.includes(name) || !/^INT(64|32)$/.test(datatype));
  const hint = hasNoTokenizer ? '; a graph that takes strings needs a single input, of datatype BYTES' : '';
  const advice = `: export it with optimum-cli export onnx, which gives the inputs these names${hint}`;
  if (!unsupported && !inputs.some(({ name }) => name === 'input_ids'))
    throw new ManifestError(`the graph has no input "input_ids"${advice}`);
  const other = unsupported ?? (bags ? inputs.find(({ shape }) => shape.length !== 1) : undefined);
  if (!other) return;
  const { name, datatype, shape } = other;
  const supported = bags ? `${known.join(' and ')}, with one dimension,` : `${known.join(', ')},`;
  throw new ManifestError(
    `input "${name}" (${datatype} ${shapeText(shape)}) is not supported; text graphs can have ${supported} as INT64 or INT32${advice}`,
  );
}
