/**
 * Embeddings of texts and images, and the similarity of texts.
 *
 * Pooling as in sentence-transformers: over the tokens that were read, special ones included; then, where the model says
 * so, scaled to length one.
 */
import { ManifestError } from '../errors.js';
import type { AnswerOf } from './answer.js';
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import type { Preprocessed, Tools } from './define-task.js';
import { UnusableOutputError } from './failures.js';
import type { Problems } from './problems.js';
import {
  encodeBeginning,
  type Sequence,
  sequenceOf,
  tensorsOf,
  tokenBudget,
  tokenizerOf,
  truncate,
  windowsOf,
} from './sequences.js';
import { pickOutput, type TaskSources } from './sources.js';
import type { AnySpec, Pooling, SpecBase, TextSpec } from './spec.js';
import { checkListLength, checkText, stringTensor, type TextItem, workOf } from './text.js';

export const MAX_SENTENCES = 256;

/** [N, size], or [N, tokens, size] to be pooled. */
export interface EmbeddingHead {
  readonly kind: 'vector';
  readonly output: string;
  readonly pooling: Pooling;
  readonly normalize: boolean;
}

type EmbeddingSpec = SpecBase & { readonly head: EmbeddingHead; readonly text: TextSpec | null };

interface SimilarityItem extends AnyItem {
  readonly kind: 'similarity';
  readonly source: string;
  readonly sentences: readonly string[];
}

export const similarityInput = defineInput({ kind: 'SIMILARITY', key: 'similarity', check: checkSimilarity });

/** Problems have paths `similarity.source` and `similarity.sentences.<index>`. */
function checkSimilarity(
  { source, sentences }: { readonly source: string; readonly sentences: readonly string[] },
  spec: AnySpec,
  problems: Problems,
): SimilarityItem {
  checkText(source, ['similarity', 'source'], problems);
  checkListLength(sentences, ['similarity', 'sentences'], MAX_SENTENCES, problems);
  for (const [i, sentence] of sentences.slice(0, MAX_SENTENCES).entries())
    checkText(sentence, ['similarity', 'sentences', String(i)], problems);
  return {
    kind: 'similarity',
    rows: 1 + sentences.length,
    work: workOf(spec, [source, ...sentences]),
    source,
    sentences,
  };
}

/** @throws ManifestError */
export function textEmbeddingHead(sources: TaskSources): EmbeddingHead {
  const { output, facts, hf } = sources;
  const normalize = output.normalize ?? hf.sentences?.normalize ?? false;
  const ready = facts.outputs.find(({ name, shape }) => name === 'sentence_embedding' && shape.length === 2);
  if (ready && output.vector === undefined) return { kind: 'vector', output: ready.name, pooling: 'none', normalize };
  const named = facts.outputs.find(({ name }) => name === output.vector);
  const rank = named?.shape.length === 2 ? 2 : 3;
  const found = pickOutput(sources, 'vector', ['last_hidden_state', 'token_embeddings'], rank);
  if (rank === 3 && output.pooling === undefined && hf.sentences?.refusal)
    throw new ManifestError(hf.sentences.refusal);
  const pooling = rank === 2 ? 'none' : (output.pooling ?? hf.sentences?.pooling ?? 'mean');
  return { kind: 'vector', output: found.name, pooling, normalize };
}

export async function preprocessEmbedding(
  { text }: TextItem,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  const { rows, isTruncated, embeddingOf: vectorOf } = await encodeText(text, spec, tools);
  return {
    rows,
    postprocess: (outputs) => ({
      kind: 'embedding',
      vector: vectorOf(outputs),
      ...(isTruncated ? { isTruncated } : {}),
    }),
  };
}

export async function preprocessSimilarity(
  item: SimilarityItem,
  spec: EmbeddingSpec,
  tools: Tools,
): Promise<Preprocessed> {
  const texts = await Promise.all([item.source, ...item.sentences].map((text) => encodeText(text, spec, tools)));
  const isTruncated = texts.some((text) => text.isTruncated);
  return {
    rows: texts.flatMap(({ rows }) => rows),
    postprocess: (outputs) => {
      const begins = texts.map((_, i) => texts.slice(0, i).reduce((sum, { rows }) => sum + rows.length, 0));
      const vectors = texts.map(({ rows, embeddingOf: vectorOf }, i) => {
        const from = begins[i] as number;
        return vectorOf(outputs.slice(from, from + rows.length));
      });
      const [source, ...others] = vectors as [Float32Array, ...Float32Array[]];
      const scores = others.map((other) => cosineSimilarity(source, other));
      return { kind: 'similarities', scores, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

interface EncodedText {
  readonly rows: readonly (readonly TensorData[])[];
  readonly isTruncated: boolean;
  readonly embeddingOf: (outputs: readonly (readonly TensorData[])[]) => Float32Array;
}

/** The rows of one text, and how its vector is made of their outputs. */
async function encodeText(text: string, spec: EmbeddingSpec, tools: Tools): Promise<EncodedText> {
  if (!spec.text) {
    const vectorOf: EncodedText['embeddingOf'] = ([own = []]) => embeddingOfRow(own, spec.head);
    return { rows: [stringTensor(text, spec)], isTruncated: false, embeddingOf: vectorOf };
  }
  const tokenizer = tokenizerOf(tools);
  const room = tokenBudget(spec.text, tokenizer.single);
  const isWhole = spec.text.longInputs === 'windows';
  const encoded = await (isWhole ? tokenizer.encode(text) : encodeBeginning(tokenizer, text, room));
  const cuts = isWhole ? windowsOf(encoded, room, spec.text.stride) : [truncate(encoded, room)];
  const sequences = cuts.map((cut) => sequenceOf(tokenizer.single, cut));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    isTruncated: !isWhole && encoded.ids.length > room,
    embeddingOf: (outputs) => embeddingOfWindows(outputs, sequences, spec.head),
  };
}

function embeddingOfWindows(
  outputs: readonly (readonly TensorData[])[],
  sequences: readonly Sequence[],
  head: EmbeddingHead,
): Float32Array {
  const lengths = sequences.map(({ ids }) => ids.length);
  const vectors = outputs.map((own, i) => pool(own, head, lengths[i] as number));
  return normalized(weightedMean(vectors, lengths), head.normalize);
}

function embeddingOfRow(outputs: readonly TensorData[], head: EmbeddingHead): Float32Array {
  return normalized(pool(outputs, head, null), head.normalize);
}

/** The embedding of an image, of a string, or of tensors of unknown meaning. @throws UnusableOutput */
export function postprocessEmbedding(
  outputs: readonly TensorData[],
  { head }: { readonly head: EmbeddingHead },
): AnswerOf<'embedding'> {
  return { kind: 'embedding', vector: embeddingOfRow(outputs, head) };
}

/**
 * One vector of an output that has one for each of `length` tokens, or that is one already. Of a map of features
 * [1, size, height, width] the mean over the places is taken.
 *
 * @throws UnusableOutput when a number is not finite
 */
function pool(outputs: readonly TensorData[], { output, pooling }: EmbeddingHead, length: number | null): Float32Array {
  const found = outputNamed(outputs, output);
  if (!found) throw new UnusableOutputError(`it gave no output "${output}"`);
  const data = found.data as Float32Array;
  const vector =
    found.shape.length === 4 ? poolFeatureMap(data, found.shape) : poolTokens(data, found.shape, pooling, length);
  if (!vector.every(Number.isFinite))
    throw new UnusableOutputError('it gave a vector with a value that is not a number');
  return vector;
}

function poolTokens(
  data: Float32Array,
  shape: readonly number[],
  pooling: EmbeddingHead['pooling'],
  length: number | null,
): Float32Array {
  if (shape.length < 3) return Float32Array.from(data);
  const [, tokens = 0, size = 0] = shape;
  const count = Math.min(tokens, length ?? tokens);
  const at = (token: number) => data.subarray(token * size, (token + 1) * size);
  if (pooling === 'cls' || pooling === 'none') return Float32Array.from(at(0));
  if (pooling === 'last') return Float32Array.from(at(count - 1));
  const found = new Float64Array(size).fill(pooling === 'max' ? Number.NEGATIVE_INFINITY : 0);
  for (let token = 0; token < count; token++) {
    for (let i = 0; i < size; i++) {
      const value = data[token * size + i] as number;
      if (pooling === 'mean') found[i] = (found[i] as number) + value / count;
      else if (value > (found[i] as number)) found[i] = value;
    }
  }
  return Float32Array.from(found);
}

function poolFeatureMap(data: Float32Array, [, size = 0, height = 0, width = 0]: readonly number[]): Float32Array {
  const places = height * width;
  return Float32Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < places; k++) sum += data[i * places + k] as number;
    return sum / places;
  });
}

/** Of the vectors of several windows, each as heavy as it has tokens. */
function weightedMean(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const [first] = vectors;
  if (vectors.length === 1 && first) return first;
  const total = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(first as Float32Array, (_, i) =>
    vectors.reduce((sum, vector, k) => sum + ((vector[i] as number) * (weights[k] as number)) / total, 0),
  );
}

/** To length one; a vector of zeros stays one. */
function normalized(vector: Float32Array, normalize: boolean): Float32Array {
  if (!normalize) return vector;
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** 0 where a vector has no direction. */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
