/** The models under test: those of the store, tiny Hugging Face folders and echo graphs, at least one for each task. */
import type { Buffer } from 'node:buffer';
import fc, { type Arbitrary } from 'fast-check';
import sharp from 'sharp';
import { type Data, post } from '../../support/graphql-client.ts';
import { gradient } from '../../support/images.ts';
import { baseImages } from '../fuzz/images.ts';
import { type Column, fileInput, imageInput, rowInput, type TensorSpec, tensorsInput } from './inputs.ts';
import { anyText, questionInput, rankingInput, similarityInput, textInput, zeroShotInput } from './texts.ts';

export interface Signature {
  readonly inputKind: string;
  readonly outputType: string;
  readonly targets: readonly { readonly name: string; readonly unit: string | null }[];
  readonly columns: readonly Column[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly labels: readonly string[];
  readonly multiLabel: boolean;
  readonly maskToken: string | null;
}

export interface Subject {
  readonly ref: string;
  readonly task: string;
  readonly signature: Signature;
  /** Whether its vectors have length one. */
  readonly isNormalized: boolean;
}

/** A `ModelInput`, as a client sends it. */
export type Input = Readonly<Record<string, Data>>;

/** Frequency in percent; slow models get fewer inputs. */
const WEIGHTS: Readonly<Record<string, number>> = { 'face-detector': 2, 'fashion-cnn': 30, 'breast-cancer-forest': 50 };

const SURVEY = `{
  models(first: 60) { nodes { name task version { state signature {
    inputKind outputType targets { name unit } labels multiLabel maskToken
    columns { name type minimum maximum categories }
    inputs { name datatype shape }
    outputs { name datatype shape }
  } } } }
}`;

/** The subjects of each task. */
export async function findSubjects(url: string): Promise<Map<string, Subject[]>> {
  const { data } = await post(url, SURVEY);
  const subjects: Subject[] = data.models.nodes.map(({ name, task, version }: Data) => ({
    ref: name,
    task,
    signature: version.signature,
    isNormalized: name === 'tiny-sentences',
  }));
  return Map.groupBy(subjects, ({ task }) => task);
}

/** Small images of every format, some with unusual sizes. */
export async function makeImages(): Promise<Buffer[]> {
  const sizes = [
    [1, 1],
    [1, 2],
    [2, 1],
    [1, 700],
    [900, 1],
    [3, 2],
    [33, 31],
    [64, 64],
    [257, 5],
  ] as const;
  const odd = sizes.flatMap(([width, height]) => {
    const image = () => gradient(width, height);
    return [image().jpeg().toBuffer(), image().png().toBuffer(), image().webp().toBuffer()];
  });
  const plain = sharp({ create: { width: 40, height: 30, channels: 4, background: '#0f08' } })
    .png()
    .toBuffer();
  return [...(await baseImages()), ...(await Promise.all([...odd, plain]))];
}

/** A subject and an input: usually of the kind it accepts, sometimes tensors, rarely of another kind. */
export function questionTo(
  subjects: readonly Subject[],
  images: readonly Buffer[],
): Arbitrary<readonly [Subject, Input]> {
  return fc.oneof(
    ...subjects.map((subject) => ({
      weight: WEIGHTS[subject.ref] ?? 100,
      arbitrary: inputOf(subject, images).map((input) => [subject, input] as const),
    })),
  );
}

export function inputOf({ task, signature }: Subject, images: readonly Buffer[]): Arbitrary<Input> {
  const { inputs, maskToken } = signature;
  const kinds: Readonly<Record<string, Arbitrary<Input>>> = {
    ROW: rowInput(signature.columns).map((row) => ({ row })),
    TEXT: textInput(maskToken),
    IMAGE: imageInput(images).map((image) => ({ image })),
    BYTES: fileInput.map((bytes) => ({ bytes })),
    QUESTION: questionInput.map((question) => ({ question })),
    SIMILARITY: similarityInput.map((similarity) => ({ similarity })),
    RANKING: rankingInput.map((ranking) => ({ ranking })),
    ZERO_SHOT: zeroShotInput.map((zeroShot) => ({ zeroShot })),
    TENSORS: tensorsInput(inputs, task !== 'TENSOR').map((tensors) => ({ tensors })),
  };
  const reads = [kinds[signature.inputKind]];
  if (task === 'FEATURE_EXTRACTION') reads.push(kinds['SIMILARITY']);
  if (task === 'SENTENCE_SIMILARITY') reads.push(kinds['TEXT']);
  const isLarge = inputs.some(({ shape }) => shape.reduce<number>((product, size) => product * (size ?? 1), 1) > 4_096);
  return fc.oneof(
    ...reads.map((arbitrary) => ({ weight: Math.round(90 / reads.length), arbitrary: arbitrary as Arbitrary<Input> })),
    { weight: isLarge ? 0 : 7, arbitrary: kinds['TENSORS'] as Arbitrary<Input> },
    {
      weight: 3,
      arbitrary: fc.oneof(
        anyText.map((text) => ({ text })),
        fc.constant({ row: {} }),
      ),
    },
  );
}
