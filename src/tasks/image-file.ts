/** What the first bytes of an image file say: its format, and the size in which it is shown. */
import { isTurned } from './image-orientation.js';
import { type ImageSize, imageSizeOf } from './image-size.js';

export type ImageMediaType = 'image/jpeg' | 'image/png' | 'image/webp';

/** The size is that after EXIF orientation. */
export interface ImageFacts extends ImageSize {
  readonly mediaType: ImageMediaType;
}

const JPEG = Buffer.from([0xff, 0xd8, 0xff]);
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Null if it is none of the formats that are accepted. */
export function mediaTypeOf({ buffer, byteOffset, byteLength }: Uint8Array): ImageMediaType | null {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  if (bytes.subarray(0, JPEG.length).equals(JPEG)) return 'image/jpeg';
  if (bytes.subarray(0, PNG.length).equals(PNG)) return 'image/png';
  const isWebp = bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP';
  return isWebp ? 'image/webp' : null;
}

/** Null if the header cannot be read. */
export function factsOfImage(bytes: Uint8Array): ImageFacts | null {
  const mediaType = mediaTypeOf(bytes);
  const size = imageSizeOf(bytes);
  if (!mediaType || !size) return null;
  const { width, height } = size;
  return isTurned(bytes) ? { width: height, height: width, mediaType } : { width, height, mediaType };
}
