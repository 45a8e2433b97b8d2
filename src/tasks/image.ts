/**
 * Images: JPEG, PNG or WebP, as bare base64 or as a `data:` URL.
 *
 * The server looks at the first bytes only; a worker decodes. So a picture that is broken further in fails there,
 * alone, with the same kind of problem.
 */

import { type TensorData } from './datatypes.js';
import { type Item, type ModelInput, Problems } from './input.js';
import { graphInput } from './row.js';
import type { ImageSpec, VersionSpec } from './spec.js';
import { decodeBase64 } from './tensors.js';

export const MAX_IMAGE_PIXELS = 25_000_000;

/** What a worker lends to this task. */
export interface ImageTools {
  readonly imageToFloats: (bytes: Uint8Array, spec: ImageSpec, maxPixels: number) => Promise<Float32Array>;
}

const EXPECTED = 'base64 of a JPEG, PNG or WebP picture, or a data: URL of one';

/** @throws InvalidInputError with path `image.base64` */
export function checkImage(_spec: VersionSpec, input: ModelInput, prefix: readonly string[]): Item {
  const problems = new Problems(prefix);
  const path = ['image', 'base64'];
  const text = input.image?.base64 ?? '';
  const { media, base64 } = splitDataUrl(text);
  const bytes = decodeBase64(base64);
  if (text === '') problems.add(path, 'EMPTY', 'there is no picture', EXPECTED, text);
  else if (media === null) problems.add(path, 'UNREADABLE', 'this data: URL is not base64', EXPECTED, text);
  else if (!bytes) problems.add(path, 'UNREADABLE', 'this is not base64', EXPECTED, text);
  else if (!isAcceptedFormat(bytes)) {
    problems.add(path, 'UNREADABLE', 'the bytes are no JPEG, PNG or WebP', EXPECTED, `${bytes.length} other bytes`);
  }
  problems.throwIfAny();
  return { kind: 'image', rows: 1, bytes: bytes as Uint8Array };
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

/** Pixels in the shape that the graph asks for, with a leading 1. */
export async function prepareImage(
  item: Extract<Item, { kind: 'image' }>,
  spec: VersionSpec,
  tools: ImageTools,
): Promise<TensorData[]> {
  const { name, datatype, shape } = graphInput(spec);
  const image = spec.image as ImageSpec;
  const data = await tools.imageToFloats(item.bytes, image, MAX_IMAGE_PIXELS);
  const perItem = shape.slice(1).map((size, i, sizes) => size ?? freeSize(image, i, sizes.length));
  return [{ name, datatype, shape: [1, ...perItem], data }];
}

/** The last two dimensions of a picture are height and width. */
function freeSize(image: ImageSpec, index: number, count: number): number {
  if (index === count - 1) return image.width;
  return index === count - 2 ? image.height : 1;
}
