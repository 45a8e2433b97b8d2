/**
 * Reduces the outputs of a graph to an embedding.
 *
 * Pooling follows sentence-transformers (`models.Pooling`): it covers all tokens of the sequence, including special ones
 * but not padding. If the model has a `Normalize` module, the embedding is then scaled to length 1.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { Pooling } from './spec.js';

/** The output has the shape [N, size], or [N, tokens, size] and is pooled over the tokens. */
export interface EmbeddingHead {
  readonly kind: 'vector';
  readonly output: string;
  readonly pooling: Pooling;
  readonly normalize: boolean;
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

/** Scales a vector to length 1 (Euclidean norm). A zero vector stays as it is. */
export function normalized(vector: Float32Array, normalize: boolean): Float32Array {
  if (!normalize) return vector;
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** The cosine of the angle between two vectors, −1 to 1; 0 if one of them is a zero vector. */
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
