/** The work of an item: read from headers and sizes, before anything is decoded or tokenized. */

import { MAX_IMAGE_PIXELS } from '#src/tasks/image.js';
import { imageSizeOf, imageSizeOfBase64 } from '#src/tasks/image-size.js';
import { checkInput, type ModelInput, type VersionSpec } from '#src/tasks/tasks.js';
import { animated, gradient, pixelBomb, withAppended, withClaimedSize } from '../support/images.js';

const image = {
  resize: { kind: 'shortest', edge: 256, longest: null },
  resample: 'bilinear',
  crop: { width: 224, height: 224 },
  pad: null,
  color: 'rgb',
  layout: 'NCHW',
  rescaleFactor: 1,
  mean: [],
  std: [],
} as const;
const base = {
  inputs: [],
  outputs: [],
  labels: [],
  columns: [],
  example: {},
  maxBatch: 1,
  maxBatchReason: '',
  maxRunMs: 1,
};
const imageSpec = {
  ...base,
  task: 'IMAGE_CLASSIFICATION',
  inputKind: 'IMAGE',
  image,
  text: null,
} as unknown as VersionSpec;

function workOf(spec: VersionSpec, input: ModelInput) {
  const { work, preprocessingWork } = checkInput(spec, input, []);
  return { work, preprocessingWork };
}

const encoded = (bytes: Buffer) => ({ image: { base64: bytes.toString('base64') } });

test('the size of PNG, JPEG and WebP images is read from their headers', async () => {
  const picture = gradient(301, 47);
  const files = await Promise.all([
    picture.clone().png().toBuffer(),
    picture.clone().png({ palette: true, progressive: true }).toBuffer(),
    picture.clone().jpeg().toBuffer(),
    picture.clone().jpeg({ progressive: true }).toBuffer(),
    picture.clone().withMetadata({ orientation: 6, density: 72 }).jpeg().toBuffer(),
    picture.clone().webp().toBuffer(),
    picture.clone().webp({ lossless: true }).toBuffer(),
    picture.clone().ensureAlpha(0.5).webp().toBuffer(),
  ]);

  for (const file of files) {
    expect(imageSizeOf(file)).toEqual({ width: 301, height: 47 });
    expect(imageSizeOfBase64(file.toString('base64'))).toEqual({ width: 301, height: 47 });
  }
  expect(imageSizeOf(await animated('webp'))).toEqual({ width: 24, height: 16 });
  expect(imageSizeOf(withAppended(files[2] as Buffer, 'zip'))).toEqual({ width: 301, height: 47 });
  expect(imageSizeOf(withClaimedSize(files[2] as Buffer, 9_000, 65_535))).toEqual({ width: 9_000, height: 65_535 });
});

test('a JPEG with padding between its segments has the same size', async () => {
  const file = await gradient(301, 47).jpeg().toBuffer();
  const padded = Buffer.concat([file.subarray(0, 2), Buffer.alloc(20, 0xff), file.subarray(2)]);

  expect(imageSizeOf(padded)).toEqual({ width: 301, height: 47 });
});

test('every prefix of an image, and every JPEG of endless segments, gives a size or null', async () => {
  const picture = gradient(30, 20);
  const files = [await picture.clone().png().toBuffer(), await picture.clone().jpeg().toBuffer()];
  const endless = Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(1_000_000, Buffer.from([0xff, 0xe0, 0, 2]))]);

  for (const file of files) {
    for (let length = 0; length < 700; length++) {
      const size = imageSizeOf(file.subarray(0, length));
      expect(size === null || size.width === 30).toBe(true);
      expect(imageSizeOfBase64(file.subarray(0, length).toString('base64'))).toEqual(size);
    }
  }
  expect(imageSizeOf(endless)).toBeNull();
});

test('the work of an image is its pixels, however few bytes it has', async () => {
  const small = await gradient(100, 50).png().toBuffer();

  expect(workOf(imageSpec, encoded(small))).toEqual({ work: 224 * 224, preprocessingWork: 100 * 50 + 512 * 256 });
  expect(workOf(imageSpec, encoded(pixelBomb(5_000, 5_000)))).toEqual({
    work: 224 * 224,
    preprocessingWork: 25_000_000 + 256 * 256,
  });
});

test('an image whose header cannot be read, or claims too many pixels, counts as the largest one', async () => {
  const unreadable = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.alloc(500)]);

  for (const bytes of [unreadable, pixelBomb(60_000, 60_000)])
    expect(workOf(imageSpec, encoded(bytes)).preprocessingWork).toBeGreaterThanOrEqual(MAX_IMAGE_PIXELS);
});

test('the work of tensors and rows is their values, and pixels for a version that reads images', () => {
  const x = { name: 'x', datatype: 'FP32', shape: [null, null] };
  const tensors = (shape: number[], count: number) => ({
    tensors: [{ name: 'x', datatype: 'FP32', shape, data: Array(count).fill(0) }],
  });
  const spec = {
    ...base,
    task: 'TENSOR',
    inputKind: 'TENSORS',
    inputs: [x],
    image: null,
    text: null,
    head: { kind: 'tensors' },
  };

  expect(workOf(spec as unknown as VersionSpec, tensors([3, 100], 300))).toEqual({ work: 300, preprocessingWork: 0 });
  expect(workOf({ ...spec, image } as unknown as VersionSpec, tensors([1, 300], 300)).work).toBe(100);
});

test('the work of strings is their tokens', () => {
  const inputs = [{ name: 'x', datatype: 'BYTES', shape: [null, 1] }];
  const spec = { ...base, inputs, image: null, text: null, head: { kind: 'tensors' } };
  const text = 'word '.repeat(8_000);
  const column = {
    name: 'note',
    type: 'TEXT',
    input: 'x',
    required: true,
    minimum: null,
    maximum: null,
    categories: [],
  };
  const tensors = [{ name: 'x', datatype: 'BYTES', shape: [2, 1], data: [text, text] }];

  const ofTensors = workOf({ ...spec, task: 'TENSOR' } as unknown as VersionSpec, { tensors });
  const ofRow = workOf({ ...spec, task: 'TABULAR_CLASSIFICATION', columns: [column] } as unknown as VersionSpec, {
    row: { note: text },
  });

  expect(ofTensors).toEqual({ work: 20_002, preprocessingWork: 0 });
  expect(ofRow).toEqual({ work: 10_002, preprocessingWork: 0 });
});

test('the work of a text is its tokens: those that run, and all of them to tokenize', () => {
  const text = { maxTokens: 128, longInputs: 'truncate' };
  const spec = { ...base, task: 'TEXT_CLASSIFICATION', inputKind: 'TEXT', image: null, text } as unknown as VersionSpec;

  expect(workOf(spec, { text: 'four' })).toEqual({ work: 2, preprocessingWork: 2 });
  expect(workOf(spec, { text: 'word '.repeat(8_000) })).toEqual({ work: 128, preprocessingWork: 10_001 });
});

test('the work of labels is that of the text and the template, once for each', () => {
  const text = { maxTokens: 128, longInputs: 'truncate' };
  const head = { kind: 'entailment', template: 'This is {}.' };
  const spec = { ...base, task: 'ZERO_SHOT_CLASSIFICATION', inputKind: 'ZERO_SHOT', image: null, text, head };
  const work = (hypothesisTemplate?: string) =>
    workOf(spec as unknown as VersionSpec, {
      zeroShot: { text: 'text', labels: ['four', 'fine'], multiLabel: false, hypothesisTemplate },
    });

  // Of the text and a label, a token each; of the template, 11 and 162 characters; and one more.
  expect(work()).toEqual({ work: 12, preprocessingWork: 12 });
  expect(work(`${'word '.repeat(32)}{}`)).toEqual({ work: 88, preprocessingWork: 88 });
});
