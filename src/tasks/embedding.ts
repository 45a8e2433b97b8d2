/**
 * Embeddings of texts and images, and the similarity of texts.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import type { Preprocessed, Tools } from './define-task.js';
import { type EmbeddingHead, finished, pool, similarityOf, weightedMean } from './pooling.js';
import type { Problems } from './problems.js';
import { checkPrompt, promptText } from './prompts.js';
import {
  encodeWithin,
  type Sequence,
  sequenceOf,
  type Tokenizer,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
  truncate,
  windowsOf,
} from './sequences.js';
import { isStaticModel, pickOutput, type TaskSources } from './sources.js';
import type { AnySpec, SpecBase, TextSpec } from './spec.js';
import { bagOf, encodeStatic, readsBags } from './static-embedding.js';
import { checkText } from './strings.js';
import { checkListLength, readsTexts, stringTensor, type TextItem, workOfTexts } from './text.js';

export const MAX_SENTENCES = 256;

type EmbeddingSpec = SpecBase & { readonly head: EmbeddingHead; readonly text: TextSpec | null };

interface SimilarityInput {
  readonly source: string;
  readonly sentences: readonly string[];
  /** Names of prompts; null for the default. */
  readonly sourcePrompt?: string | null | undefined;
  readonly sentencesPrompt?: string | null | undefined;
}

interface SimilarityItem extends AnyItem, SimilarityInput {
  readonly kind: 'similarity';
}

interface PromptedTextInput {
  readonly text: string;
  /** Name of a prompt. */
  readonly prompt: string;
}

interface PromptedTextItem extends AnyItem, PromptedTextInput {
  readonly kind: 'promptedText';
}

export const similarityInput = defineInput({
  kind: 'SIMILARITY',
  key: 'similarity',
  accepts: readsTexts,
  check: checkSimilarity,
});

export const promptedTextInput = defineInput({
  kind: 'PROMPTED_TEXT',
  key: 'promptedText',
  accepts: readsTexts,
  check({ text, prompt }: PromptedTextInput, spec: AnySpec, problems: Problems): PromptedTextItem {
    checkText(text, ['promptedText', 'text'], problems);
    checkPrompt(prompt, ['promptedText', 'prompt'], spec, problems);
    return { kind: 'promptedText', rows: 1, ...workOfTexts(spec, [text], promptText(spec, prompt)), text, prompt };
  },
});

/** sentence-transformers embeds a text without characters by its special tokens, and by zeros in static embeddings. */
function mayBeEmpty({ text }: AnySpec): boolean {
  return text !== null && (text.maxCharacters !== undefined || text.addSpecialTokens !== false);
}

/** Problems have the paths `similarity.source`, `similarity.sentences.<index>` and those of the prompts. */
function checkSimilarity(
  { source, sentences, sourcePrompt = null, sentencesPrompt = null }: SimilarityInput,
  spec: AnySpec,
  problems: Problems,
): SimilarityItem {
  checkText(source, ['similarity', 'source'], problems);
  checkListLength(sentences, ['similarity', 'sentences'], MAX_SENTENCES, problems);
  for (const [i, sentence] of sentences.slice(0, MAX_SENTENCES).entries())
    checkText(sentence, ['similarity', 'sentences', String(i)], problems, { mayBeEmpty: mayBeEmpty(spec) });
  checkPrompt(sourcePrompt, ['similarity', 'sourcePrompt'], spec, problems);
  checkPrompt(sentencesPrompt, ['similarity', 'sentencesPrompt'], spec, problems);
  const one = workOfTexts(spec, [source], promptText(spec, sourcePrompt));
  const others = workOfTexts(spec, sentences, promptText(spec, sentencesPrompt));
  return {
    kind: 'similarity',
    rows: 1 + sentences.length,
    work: one.work + others.work,
    preprocessingWork: one.preprocessingWork + others.preprocessingWork,
    source,
    sentences,
    sourcePrompt,
    sentencesPrompt,
  };
}

/**
 * Prefers the output `sentence_embedding`, which the graph has already pooled. Otherwise the token embeddings are pooled
 * as `output.pooling` of model.yaml or the files of sentence-transformers say; by default, with the mean.
 *
 * @throws ManifestError
 */
export function textEmbeddingHead(sources: TaskSources): EmbeddingHead {
  const { output, facts, hf } = sources;
  const normalize = output.normalize ?? hf.sentences?.normalize ?? hf.config?.normalize === true;
  const similarity = hf.sentences?.similarity;
  const dimensions = hf.sentences?.dimensions;
  // sentence-transformers does not scale what is left of the vector of a `Normalize` module.
  const truncation = dimensions && { dimensions, isNormalizedAfter: output.normalize === true };
  const answer = {
    kind: 'vector',
    normalize,
    ...(truncation && { truncation }),
    ...(similarity && { similarity }),
  } as const;
  const pooled = facts.outputs.find(({ name, shape }) => name === 'sentence_embedding' && shape.length === 2);
  const isPooled = pooled && output.vector === undefined;
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const hasNoTexts = hf.tokenizer === null && facts.inputs.every(({ datatype }) => datatype !== 'BYTES');
  const isStatic = isStaticModel(hf) || readsBags(facts.inputs);
  const rank = isPooled || (named ? named.shape.length === 2 : isStatic || hasNoTexts) ? 2 : 3;
  if (rank === 2 && hf.sentences?.poolsPrompt === false)
    throw new ManifestError(
      '1_Pooling/config.json: include_prompt is false, so that the pooling must leave out the prompt, but the graph does the pooling itself: export the graph with the output last_hidden_state or token_embeddings',
    );
  if (isPooled) return { ...answer, output: pooled.name, pooling: 'none' };
  const usual = isStatic ? ['embeddings', 'sentence_embedding'] : ['last_hidden_state', 'token_embeddings'];
  const { name } = pickOutput(sources, 'vector', usual, rank);
  if (rank === 3 && output.pooling === undefined && hf.sentences?.refusal)
    throw new ManifestError(hf.sentences.refusal);
  const pooling = rank === 2 ? 'none' : (output.pooling ?? hf.sentences?.pooling ?? 'mean');
  return { ...answer, output: name, pooling };
}

/** Computes an embedding, or the similarities of several. */
export function preprocessEmbedding(
  item: TextItem | PromptedTextItem | SimilarityItem,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  if (item.kind === 'similarity') return preprocessSimilarity(item, spec, tools);
  return preprocessText(item.text, item.kind === 'text' ? null : item.prompt, spec, tools);
}

async function preprocessText(
  text: string,
  prompt: string | null,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  const { rows, isTruncated, embeddingOf } = await encodeText(text, prompt, spec, tools);
  return {
    rows,
    postprocess: (outputs) => ({
      kind: 'embedding',
      vector: embeddingOf(outputs),
      ...(isTruncated ? { isTruncated } : {}),
    }),
  };
}

async function preprocessSimilarity(
  { source, sentences, sourcePrompt = null, sentencesPrompt = null }: SimilarityItem,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  const texts = await Promise.all([
    encodeText(source, sourcePrompt, spec, tools),
    ...sentences.map((sentence) => encodeText(sentence, sentencesPrompt, spec, tools)),
  ]);
  const isTruncated = texts.some((text) => text.isTruncated);
  return {
    rows: texts.flatMap(({ rows }) => rows),
    postprocess: (outputs) => {
      const starts = texts.map((_, i) => texts.slice(0, i).reduce((sum, { rows }) => sum + rows.length, 0));
      const embeddings = texts.map(({ rows, embeddingOf }, i) => {
        const start = starts[i] as number;
        return embeddingOf(outputs.slice(start, start + rows.length));
      });
      const [source, ...sentences] = embeddings as [Float32Array, ...Float32Array[]];
      const scores = sentences.map((sentence) => similarityOf(source, sentence, spec.head.similarity));
      return { kind: 'similarities', scores, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

interface EncodedText {
  readonly rows: readonly (readonly TensorData[])[];
  readonly isTruncated: boolean;
  readonly embeddingOf: (outputs: readonly (readonly TensorData[])[]) => Float32Array;
}

/** Encodes a text as one row, or, if the version reads long texts in windows, as one row per window. */
async function encodeText(
  text: string,
  promptName: string | null,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<EncodedText> {
  if (!spec.text) {
    const rows = [stringTensor(text, spec)];
    return { rows, isTruncated: false, embeddingOf: ([outputs = []]) => embeddingOfRow(outputs, spec.head) };
  }
  const tokenizer = tokenizerOf(tools);
  if (spec.text.maxCharacters !== undefined)
    return encodeStaticText(promptText(spec, promptName) + text, { ...spec, text: spec.text }, tokenizer);
  const budget = tokenBudget(spec.text, tokenizer.single);
  const usesWindows = spec.text.longInputs === 'windows';
  const prompt = promptText(spec, promptName);
  const prompted = prompt + text;
  const { truncates } = spec.text;
  const encoded = await (usesWindows
    ? tokenizer.encode(prompted)
    : encodeWithin(tokenizer, prompted, budget, truncates));
  const skipped = spec.text.prompts?.isPooled === false ? await promptLength(tokenizer, prompt) : 0;
  const slices = usesWindows ? windowsOf(encoded, budget, spec.text.stride) : [truncate(encoded, budget, truncates)];
  const sequences = slices.map((slice) => sequenceOf(tokenizer.single, slice));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    isTruncated: !usesWindows && encoded.ids.length > budget,
    embeddingOf: (outputs) => embeddingOfWindows(outputs, sequences, spec.head, skipped),
  };
}

/** The embedding of a text without known tokens is zero: the graph runs a token, and its answer only says how many numbers. */
async function encodeStaticText(
  text: string,
  spec: EmbeddingSpec & { readonly text: TextSpec },
  tokenizer: Tokenizer,
): Promise<EncodedText> {
  const { encoded, isTruncated } = await encodeStatic(tokenizer, text, spec.text);
  const isEmpty = encoded.ids.length === 0;
  const ids = isEmpty ? [tokenizer.unkId ?? 0] : Array.from(encoded.ids);
  const types = ids.map(() => 0);
  const row = readsBags(spec.inputs)
    ? bagOf(spec, ids)
    : tensorsOf(spec, { ids, types, startOfA: 0, startOfB: 0 }, tokenizer);
  return {
    rows: [row],
    isTruncated,
    embeddingOf: ([outputs = []]) => {
      const vector = finished(pool(outputs, spec.head, ids.length), spec.head);
      return isEmpty ? new Float32Array(vector.length) : vector;
    },
  };
}

/** The tokens of a prompt at the beginning of a sequence, as sentence-transformers counts them: without a final special token. */
async function promptLength(tokenizer: Tokenizer, prompt: string): Promise<number> {
  if (prompt === '') return 0;
  const { ids } = sequenceOf(tokenizer.single, truncate(await tokenizer.encode(prompt), Number.POSITIVE_INFINITY));
  const last = tokenizer.single.at(-1);
  return last && 'special' in last ? ids.length - 1 : ids.length;
}

/** The mean of the windows' embeddings, weighted by their numbers of tokens. The first one is pooled without `skipped` tokens. */
function embeddingOfWindows(
  outputs: readonly (readonly TensorData[])[],
  sequences: readonly Sequence[],
  head: EmbeddingHead,
  skipped: number,
): Float32Array {
  const lengths = sequences.map(({ ids }) => ids.length);
  const vectors = outputs.map((row, i) => pool(row, head, lengths[i] as number, i === 0 ? skipped : 0));
  return finished(weightedMean(vectors, lengths), head);
}

function embeddingOfRow(outputs: readonly TensorData[], head: EmbeddingHead): Float32Array {
  return finished(pool(outputs, head, null), head);
}

/** The embedding of an input with a single row: an image, a string, or the caller's tensors. @throws UnusableOutputError */
export function postprocessEmbedding(
  outputs: readonly TensorData[],
  { head }: { readonly head: EmbeddingHead },
): AnswerOf<'embedding'> {
  return { kind: 'embedding', vector: embeddingOfRow(outputs, head) };
}
