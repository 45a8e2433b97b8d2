/**
 * Reduces the outputs of a graph to an embedding.
 *
 * Pooling follows sentence-transformers (`models.Pooling`): it covers all tokens of the sequence, including special ones
 * but not padding. If the model has a `Normalize` module, the embedding is then scaled to length 1.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { Pooling, SimilarityName } from './spec.js';

/** The output has the shape [N, size], or [N, tokens, size] and is pooled over the tokens. */
export interface EmbeddingHead {
  readonly kind: 'vector';
  readonly output: string;
  readonly pooling: Pooling;
  readonly normalize: boolean;
  /** The embedding is cut to its first `dimensions` numbers, before or after it is scaled. Absent if it is not cut. */
  readonly truncation?: { readonly dimensions: number; readonly isNormalizedAfter: boolean };
  /** Absent for cosine. */
  readonly similarity?: Exclude<SimilarityName, 'cosine'>;
}

/**
 * Reduces an output to one vector: [1, size] stays as it is, [1, tokens, size] is pooled over the first `length` tokens
 * (null: all) but the first `skipped`, and a feature map [1, size, height, width] becomes the mean over its positions.
 *
 * @throws UnusableOutputError if a number is not finite
 */
export function pool(
  outputs: readonly TensorData[],
  { output, pooling }: EmbeddingHead,
  length: number | null,
  skipped = 0,
): Float32Array {
  const tensor = outputNamed(outputs, output);
  if (!tensor) throw new UnusableOutputError(`the graph returned no output "${output}"`);
  const data = tensor.data as Float32Array;
  const vector =
    tensor.shape.length === 4 ? poolFeatureMap(data, tensor.shape) : poolTokens(tensor, pooling, length, skipped);
  if (!vector.every(Number.isFinite)) throw new UnusableOutputError('a value of the embedding is not a finite number');
  return vector;
}

function poolTokens(
  tensor: TensorData,
  pooling: EmbeddingHead['pooling'],
  length: number | null,
  skipped: number,
): Float32Array {
  const { shape } = tensor;
  const data = tensor.data as Float32Array;
  if (shape.length < 3) return Float32Array.from(data);
  const [, tokens = 0, size = 0] = shape;
  const count = Math.min(tokens, length ?? tokens);
  const first = Math.min(skipped, count);
  const vectorAt = (token: number) => data.subarray(token * size, (token + 1) * size);
  if (pooling === 'cls' || pooling === 'none') return Float32Array.from(vectorAt(first < count ? first : 0));
  if (pooling === 'last') return Float32Array.from(vectorAt(count - 1));
  const pooled = new Float64Array(size).fill(pooling === 'max' ? Number.NEGATIVE_INFINITY : 0);
  for (let token = first; token < count; token++) {
    for (let i = 0; i < size; i++) {
      const value = data[token * size + i] as number;
      if (pooling === 'mean') pooled[i] = (pooled[i] as number) + value / (count - first);
      else if (value > (pooled[i] as number)) pooled[i] = value;
    }
  }
  return Float32Array.from(pooled);
}

function poolFeatureMap(data: Float32Array, [, size = 0, height = 0, width = 0]: readonly number[]): Float32Array {
  const positions = height * width;
  return Float32Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < positions; k++) sum += data[i * positions + k] as number;
    return sum / positions;
  });
}

export function weightedMean(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const [first] = vectors;
  if (vectors.length === 1 && first) return first;
  const total = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(first as Float32Array, (_, i) =>
    vectors.reduce((sum, vector, k) => sum + ((vector[i] as number) * (weights[k] as number)) / total, 0),
  );
}

/** Scales a pooled vector and cuts it, as the head says. */
export function finished(vector: Float32Array, { normalize, truncation }: EmbeddingHead): Float32Array {
  const cut = (one: Float32Array) => (truncation ? one.slice(0, truncation.dimensions) : one);
  if (!normalize) return cut(vector);
  return truncation?.isNormalizedAfter ? normalized(cut(vector)) : cut(normalized(vector));
}

/** Scales a vector to length 1 (Euclidean norm). A zero vector stays as it is. */
function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** How similar two embeddings are: cosine −1 to 1, distances 0 at most, dot products any number. A zero vector has the cosine 0. */
export function similarityOf(a: Float32Array, b: Float32Array, name: SimilarityName = 'cosine'): number {
  if (name === 'euclidean') return -Math.sqrt(sumOf(a, b, (x, y) => (x - y) ** 2));
  if (name === 'manhattan') return -sumOf(a, b, (x, y) => Math.abs(x - y));
  const dot = sumOf(a, b, (x, y) => x * y);
  if (name === 'dot') return dot;
  const squares = sumOf(a, a, (x) => x * x) * sumOf(b, b, (y) => y * y);
  return squares === 0 ? 0 : dot / Math.sqrt(squares);
}

function sumOf(a: Float32Array, b: Float32Array, term: (x: number, y: number) => number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += term(a[i] as number, b[i] as number);
  return sum;
}
