/**
 * Vectors of texts and pictures, and how near texts are to each other.
 *
 * Pooling as sentence-transformers does: over the tokens that were read, special ones included; then, where the model
 * says so, scaled to length one.
 */
import { outputNamed, type TensorData } from './datatypes.js';
import { type AnswerOf, type ItemOf, type ModelInput, type Preprocessed, Problems, UnusableOutput } from './input.js';
import { encodeBeginning, roomOf, sequenceOf, type Tokenizer, tensorsOf, truncated, windowsOf } from './sequences.js';
import type { Head, VersionSpec } from './spec.js';
import { checkWords, workOf } from './text.js';

export const MAX_SENTENCES = 256;

type VectorHead = Extract<Head, { kind: 'vector' }>;

/** @throws InvalidInputError with paths `similarity.source` and `similarity.sentences.<index>` */
export function checkSimilarity(spec: VersionSpec, input: ModelInput, prefix: readonly string[]): ItemOf<'similarity'> {
  const problems = new Problems(prefix);
  const { source = '', sentences = [] } = input.similarity ?? {};
  checkWords(source, ['similarity', 'source'], problems);
  checkListLength(sentences, ['similarity', 'sentences'], MAX_SENTENCES, problems);
  for (const [i, sentence] of sentences.slice(0, MAX_SENTENCES).entries())
    checkWords(sentence, ['similarity', 'sentences', String(i)], problems);
  problems.throwIfAny();
  return {
    kind: 'similarity',
    rows: 1 + sentences.length,
    work: workOf(spec, [source, ...sentences]),
    source,
    sentences,
  };
}

/** A list of one to `most` elements. */
export function checkListLength(
  list: readonly unknown[],
  path: readonly string[],
  most: number,
  problems: Problems,
): void {
  if (list.length === 0) problems.add(path, 'EMPTY', 'the list is empty', `a list of 1 to ${most}`, 'a list of 0');
  else if (list.length > most) problems.add(path, 'TOO_LARGE', 'the list is too long', `a list of 1 to ${most}`, list);
}

export async function preprocessEmbedding(
  text: string,
  spec: VersionSpec,
  tokenizer: Tokenizer,
): Promise<Preprocessed> {
  const { rows, isTruncated, vectorOf } = await encodeText(text, spec, tokenizer);
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
  item: ItemOf<'similarity'>,
  spec: VersionSpec,
  tokenizer: Tokenizer,
): Promise<Preprocessed> {
  const texts = await Promise.all([item.source, ...item.sentences].map((text) => encodeText(text, spec, tokenizer)));
  const isTruncated = texts.some((text) => text.isTruncated);
  return {
    rows: texts.flatMap(({ rows }) => rows),
    postprocess: (outputs) => {
      const begins = texts.map((_, i) => texts.slice(0, i).reduce((sum, { rows }) => sum + rows.length, 0));
      const vectors = texts.map(({ rows, vectorOf }, i) => {
        const from = begins[i] as number;
        return vectorOf(outputs.slice(from, from + rows.length));
      });
      const [source, ...others] = vectors as [Float32Array, ...Float32Array[]];
      const scores = others.map((other) => cosine(source, other));
      return { kind: 'similarities', scores, ...(isTruncated ? { isTruncated } : {}) };
    },
  };
}

/** The rows of one text, and its vector from their outputs. */
async function encodeText(text: string, spec: VersionSpec, tokenizer: Tokenizer) {
  const rules = spec.text as NonNullable<VersionSpec['text']>;
  const head = spec.head as VectorHead;
  const room = roomOf(rules, tokenizer.single);
  const isWhole = rules.longInputs === 'windows';
  const encoded = await (isWhole ? tokenizer.encode(text) : encodeBeginning(tokenizer, text, room));
  const cuts = isWhole ? windowsOf(encoded, room, rules.stride) : [truncated(encoded, room)];
  const sequences = cuts.map((cut) => sequenceOf(tokenizer.single, cut));
  return {
    rows: sequences.map((sequence) => tensorsOf(spec, sequence, tokenizer)),
    isTruncated: !isWhole && encoded.ids.length > room,
    vectorOf: (outputs: readonly (readonly TensorData[])[]) =>
      scaled(
        meanOf(
          outputs.map((own, i) => pooled(own, head, (sequences[i] as { ids: readonly number[] }).ids.length)),
          sequences.map(({ ids }) => ids.length),
        ),
        head.normalize,
      ),
  };
}

/** Of a picture, or of tensors whose meaning is known. */
export function postprocessVector(outputs: readonly TensorData[], head: VectorHead): AnswerOf<'embedding'> {
  return { kind: 'embedding', vector: scaled(pooled(outputs, head, null), head.normalize) };
}

/**
 * One vector of an output that has one for each of `length` tokens, or that is one already. Of a map of features
 * [1, size, height, width] the mean over the places is taken.
 *
 * @throws UnusableOutput when a number is not finite
 */
function pooled(outputs: readonly TensorData[], { output, pooling }: VectorHead, length: number | null): Float32Array {
  const found = outputNamed(outputs, output);
  if (!found) throw new UnusableOutput(`it gave no output "${output}"`);
  const data = found.data as Float32Array;
  const vector =
    found.shape.length === 4 ? meanOfPlaces(data, found.shape) : poolTokens(data, found.shape, pooling, length);
  if (!vector.every(Number.isFinite)) throw new UnusableOutput('it gave a vector with a value that is not a number');
  return vector;
}

function poolTokens(
  data: Float32Array,
  shape: readonly number[],
  pooling: VectorHead['pooling'],
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

function meanOfPlaces(data: Float32Array, [, size = 0, height = 0, width = 0]: readonly number[]): Float32Array {
  const places = height * width;
  return Float32Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < places; k++) sum += data[i * places + k] as number;
    return sum / places;
  });
}

/** Of the vectors of several windows, each as heavy as it has tokens. */
function meanOf(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const [first] = vectors;
  if (vectors.length === 1 && first) return first;
  const total = weights.reduce((a, b) => a + b, 0);
  return Float32Array.from(first as Float32Array, (_, i) =>
    vectors.reduce((sum, vector, k) => sum + ((vector[i] as number) * (weights[k] as number)) / total, 0),
  );
}

/** To length one; a vector of zeros stays one. */
function scaled(vector: Float32Array, normalize: boolean): Float32Array {
  if (!normalize) return vector;
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** 0 where a vector has no direction. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
