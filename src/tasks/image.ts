/**
 * Images: JPEG, PNG or WebP, as bare base64 or as a `data:` URL.
 *
 * The server looks at the first bytes only; a worker decodes. So a picture that is broken further in fails there,
 * alone, with the same kind of problem.
 */

import type { TensorData } from './datatypes.js';
import { type AnyItem, defineInput } from './define-input.js';
import type { Problems } from './problems.js';
import type { Example, ImageSpec, SpecBase, TensorSpec } from './spec.js';
import { decodeBase64 } from './tensors.js';

export const MAX_IMAGE_PIXELS = 25_000_000;

/** Where a picture lies in a tensor, and how large it was when it was sent. */
export interface ImageFrame {
  /** Of the tensor. */
  readonly width: number;
  readonly height: number;
  /** Of the picture as it is looked at, after EXIF orientation. */
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  /** Of the resized picture, before it was cropped or padded. */
  readonly contentWidth: number;
  readonly contentHeight: number;
  /** Where the resized picture begins in the tensor; negative where it was cropped. */
  readonly left: number;
  readonly top: number;
}

export interface PreprocessedImage extends ImageFrame {
  readonly data: Float32Array;
}

/** What a worker lends to this task. */
export interface ImageTools {
  readonly imageToFloats: (bytes: Uint8Array, spec: ImageSpec, maxPixels: number) => Promise<PreprocessedImage>;
}

const EXPECTED_BASE64 = 'base64 of a JPEG, PNG or WebP picture, or a data: URL of one';

interface ImageItem extends AnyItem {
  readonly kind: 'image';
  readonly bytes: Uint8Array;
}

export const imageInput = defineInput({ kind: 'IMAGE', key: 'image', check: checkImage });

/** Problems have the path `image.base64`. */
function checkImage(
  image: { readonly base64?: string | null | undefined },
  _spec: unknown,
  problems: Problems,
): ImageItem {
  const path = ['image', 'base64'];
  const text = image.base64 ?? '';
  const { media, base64 } = splitDataUrl(text);
  const bytes = decodeBase64(base64);
  if (media === null) problems.add(path, 'UNREADABLE', 'this data: URL is not base64', EXPECTED_BASE64, text);
  else if (base64 === '') problems.add(path, 'EMPTY', 'there is no picture', EXPECTED_BASE64, text);
  else if (!bytes) problems.add(path, 'UNREADABLE', 'this is not base64', EXPECTED_BASE64, text);
  else if (!isAcceptedFormat(bytes)) {
    problems.add(
      path,
      'UNREADABLE',
      'the bytes are no JPEG, PNG or WebP',
      EXPECTED_BASE64,
      `${bytes.length} other bytes`,
    );
  }
  return { kind: 'image', rows: 1, work: 1, bytes: bytes as Uint8Array };
}

function splitDataUrl(text: string): { media: string | null; base64: string } {
  if (!text.startsWith('data:')) return { media: '', base64: text };
  const comma = text.indexOf(',');
  const media = text.slice('data:'.length, comma);
  return comma > 0 && media.endsWith(';base64')
    ? { media, base64: text.slice(comma + 1) }
    : { media: null, base64: '' };
}

function isAcceptedFormat(bytes: Buffer): boolean {
  const isJpeg = bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]));
  const isPng = bytes.subarray(0, 8).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  const isWebp = bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP';
  return isJpeg || isPng || isWebp;
}

/** The picture in the graph's shape, with a leading 1, and where it lies in there. */
export async function preprocessImage(
  item: ImageItem,
  spec: SpecBase & { readonly image: ImageSpec },
  tools: ImageTools,
): Promise<{ tensors: TensorData[]; frame: ImageFrame }> {
  const rules = spec.image;
  const { data, ...frame } = await tools.imageToFloats(item.bytes, rules, MAX_IMAGE_PIXELS);
  const tensors = spec.inputs.map((input) =>
    isMask(input) ? maskOf(input, frame) : pixelsOf(input, rules, data, frame),
  );
  return { tensors, frame };
}

/** Which pixels are of the picture: all of them, as pictures of one run have one size. */
export function isMask({ name }: TensorSpec): boolean {
  return name === 'pixel_mask';
}

function maskOf({ name, datatype, shape }: TensorSpec, { width, height }: ImageFrame): TensorData {
  const sizes = [1, shape[1] ?? height, shape[2] ?? width];
  const count = (sizes[1] as number) * (sizes[2] as number);
  const data = datatype === 'INT64' ? new BigInt64Array(count).fill(1n) : new Float32Array(count).fill(1);
  return { name, datatype, shape: sizes, data };
}

/** A graph that wants its pixels in one row gets them so: their order is that of the layout. */
function pixelsOf(
  { name, datatype, shape }: TensorSpec,
  rules: ImageSpec,
  pixels: Float32Array,
  { width, height }: ImageFrame,
): TensorData {
  const channels = rules.color === 'grey' ? 1 : 3;
  const sizes = rules.layout === 'NHWC' ? [1, height, width, channels] : [1, channels, height, width];
  const flat = shape.length === 3 ? [1, height, width] : [1, pixels.length];
  const data = datatype === 'FP16' ? Float16Array.from(pixels) : pixels;
  return { name, datatype, shape: shape.length === 4 ? sizes : flat, data };
}

export function imageExamples(): Example[] {
  return [{ image: { base64: SMALL_IMAGE } }];
}

/** 32 x 32 pixels: red, green, blue and white quarters. */
const SMALL_IMAGE =
  'iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAMAAABEpIrGAAAADFBMVEXcKCjw8PAotDwoPNx/5BGKAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAHklEQVQ4y2NgQANMaIBhVMGIUsCMBhjRwKiCEaUAAFS2BgG4gpqYAAAAAElFTkSuQmCC';
