/**
 * The input `image`: a JPEG, PNG or WebP image as base64 or as a `data:` URL.
 *
 * The server checks only the signature at the start of the file; a worker decodes the image. If the image turns out to be
 * damaged there, the input fails with the same kind of problem, without affecting other items of the batch.
 */
import { DATATYPES, type Datatype, type NumericArray, type TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import { mediaTypeOf } from './image-file.js';
import { imageSizeOf } from './image-size.js';
import type { Problems } from './problems.js';
import type { AnySpec, Example, ImageSpec, SpecBase, TensorSpec } from './spec.js';
import { decodeBase64 } from './tensors.js';
import { type Work, workOfImage } from './work.js';

/** Limit for the image sent, and again after resizing. */
export const MAX_IMAGE_PIXELS = 25_000_000;

/** The position of an image in the tensor, and its original size. All values are in pixels. */
export interface ImageFrame {
  /** Size of the tensor. */
  readonly width: number;
  readonly height: number;
  /** Size of the image sent, after EXIF orientation. */
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  /** Size of the resized image, before cropping or padding. */
  readonly contentWidth: number;
  readonly contentHeight: number;
  /** Position of the resized image in the tensor; negative if it was cropped. */
  readonly left: number;
  readonly top: number;
}

/** As if the whole image had been resized to the tensor, without a crop or padding. */
export function wholeFrame(frame: ImageFrame): ImageFrame {
  return { ...frame, contentWidth: frame.width, contentHeight: frame.height, left: 0, top: 0 };
}

export interface PreprocessedImage extends ImageFrame {
  readonly data: Float32Array;
}

/** Functions that need the image library, provided by the worker. */
export interface ImageTools {
  /** Decodes an image to floats in the layout of the tensor. @throws UnreadableItemError */
  readonly imageToFloats: (bytes: Uint8Array, spec: ImageSpec, maxPixels: number) => Promise<PreprocessedImage>;
}

const EXPECTED_BASE64 = 'a JPEG, PNG or WebP image, as base64 or a data: URL';

interface ImageItem extends AnyItem {
  readonly kind: 'image';
  readonly bytes: Uint8Array;
}

export const imageInput = defineInput({ kind: 'IMAGE', key: 'image', check: checkImage });

interface ImageInput {
  readonly base64?: string | null | undefined;
  readonly prediction?: string | null | undefined;
  readonly upload?: string | null | undefined;
  /** Of an image that was named by one of these in place of being sent. */
  readonly bytes?: Uint8Array;
  readonly namedBy?: 'prediction' | 'upload';
}

/** Problems have the path `image.base64`, or that of the name of the image. */
function checkImage(image: ImageInput, spec: AnySpec, problems: Problems): ImageItem {
  const path = ['image', image.namedBy ?? 'base64'];
  if (image.bytes) return checkedFile(image.bytes, path, spec, problems);
  const text = image.base64 ?? '';
  const { media, base64 } = splitDataUrl(text);
  const bytes = decodeBase64(base64);
  if (media === null) problems.add(path, 'UNREADABLE', 'the data: URL is not encoded as base64', EXPECTED_BASE64, text);
  else if (base64 === '') problems.add(path, 'EMPTY', 'the image is empty', EXPECTED_BASE64, text);
  else if (!bytes) problems.add(path, 'UNREADABLE', 'the value is not valid base64', EXPECTED_BASE64, text);
  return checkedFile(bytes, path, spec, problems);
}

/** `bytes`: null if there is a problem already. */
function checkedFile(bytes: Uint8Array | null, path: readonly string[], spec: AnySpec, problems: Problems): ImageItem {
  if (bytes && bytes.length > 0 && mediaTypeOf(bytes) === null) {
    const received = `${bytes.length} bytes of another format`;
    problems.add([...path], 'UNREADABLE', 'the image is not a JPEG, PNG or WebP', EXPECTED_BASE64, received);
  }
  return { kind: 'image', rows: 1, ...workOf(bytes ?? Buffer.alloc(0), spec), bytes: bytes as Uint8Array };
}

/**
 * An image whose header cannot be read counts as the largest one accepted: its bytes say nothing about its size, and a
 * decoder may understand what the reader of headers does not. So does one above the limit, which is refused later.
 */
function workOf(bytes: Uint8Array, { image }: AnySpec): Work {
  const { width, height } = imageSizeOf(bytes) ?? LARGEST_IMAGE;
  const size = width * height <= MAX_IMAGE_PIXELS ? { width, height } : LARGEST_IMAGE;
  return image ? workOfImage(size, image) : { work: size.width * size.height, preprocessingWork: 0 };
}

export const LARGEST_IMAGE = { width: Math.sqrt(MAX_IMAGE_PIXELS), height: Math.sqrt(MAX_IMAGE_PIXELS) };

/** Of a prefix such as `data:image/png;base64,`. */
const MAX_PREFIX_CHARACTERS = 100;

/** `media`: null for a URL that is not base64, and then `base64` is empty. */
export function splitDataUrl(text: string): { media: string | null; base64: string } {
  if (!text.startsWith('data:')) return { media: '', base64: text };
  const comma = text.slice(0, MAX_PREFIX_CHARACTERS).indexOf(',');
  const media = text.slice('data:'.length, comma);
  return comma > 0 && media.endsWith(';base64')
    ? { media, base64: text.slice(comma + 1) }
    : { media: null, base64: '' };
}

/**
 * Converts an image to the inputs of the graph, each with a first dimension of 1. `frame` is the position of the image in
 * the tensor, which object detection needs to map boxes back to the image sent.
 */
export async function preprocessImage(
  item: ImageItem,
  spec: SpecBase & { readonly image: ImageSpec },
  tools: ImageTools,
): Promise<{ tensors: TensorData[]; frame: ImageFrame }> {
  const { data, ...frame } = await tools.imageToFloats(item.bytes, spec.image, MAX_IMAGE_PIXELS);
  const tensors = spec.inputs.map((input) =>
    isMask(input) ? maskOf(input, spec.image, frame) : pixelsOf(input, spec.image, data, frame),
  );
  return { tensors, frame };
}

/** Whether an input is a pixel mask, which tells the image from its padding. */
export function isMask({ name }: TensorSpec): boolean {
  return name === 'pixel_mask';
}

/**
 * The mask is 1 for pixels of the image and 0 for padding. Images padded before they are normalized have no zeros: they
 * count as a whole.
 */
function maskOf({ name, datatype, shape }: TensorSpec, { pad }: ImageSpec, frame: ImageFrame): TensorData {
  const [height, width] = [shape[1] ?? frame.height, shape[2] ?? frame.width];
  const mask = new Uint8Array(height * width).fill(1);
  if (pad?.isNormalized) {
    mask.fill(0);
    const { top, left, contentWidth, contentHeight } = frame;
    for (let y = Math.max(0, top); y < Math.min(height, top + contentHeight); y++)
      mask.fill(1, y * width + Math.max(0, left), y * width + Math.min(width, left + contentWidth));
  }
  return { name, datatype, shape: [1, height, width], data: arrayOf(datatype, mask) };
}

/** Shapes the pixels as the graph expects: with channels (4 dimensions, or 3 for a single image), without (3), or as a flat row (2). */
function pixelsOf(
  { name, datatype, shape }: TensorSpec,
  { color, layout }: ImageSpec,
  pixels: Float32Array,
  { width, height }: ImageFrame,
): TensorData {
  const channels = color === 'grey' ? 1 : 3;
  const one = layout.endsWith('HWC') ? [height, width, channels] : [channels, height, width];
  const flat = shape.length === 3 ? [1, height, width] : [1, pixels.length];
  const shaped = layout.length === 3 ? one : shape.length === 4 ? [1, ...one] : flat;
  return { name, datatype, shape: shaped, data: arrayOf(datatype, pixels) };
}

/** The numbers in the array of a datatype. The import has checked that they fit. */
function arrayOf(datatype: string, numbers: Float32Array | Uint8Array): NumericArray {
  const { array } = DATATYPES[datatype] as Datatype;
  if (numbers instanceof array) return numbers;
  const converted = new array(numbers.length);
  if (converted instanceof BigInt64Array || converted instanceof BigUint64Array) {
    for (let i = 0; i < numbers.length; i++) converted[i] = BigInt(numbers[i] as number);
  } else converted.set(numbers);
  return converted;
}

export function imageExamples(): Example[] {
  return [{ image: { base64: SMALL_IMAGE } }];
}

/** 32 x 32 pixels: red, green, blue and white quarters. */
const SMALL_IMAGE =
  'iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAMAAABEpIrGAAAADFBMVEXcKCjw8PAotDwoPNx/5BGKAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAHklEQVQ4y2NgQANMaIBhVMGIUsCMBhjRwKiCEaUAAFS2BgG4gpqYAAAAAElFTkSuQmCC';
