/** Makes a small image of an encoded one, for people to look at: upright, in sRGB, without metadata such as places. */
import sharp from 'sharp';
import type { Thumbnail } from '../../engine/messages.js';
import { MAX_IMAGE_PIXELS } from '../../tasks/image.js';
// Which limits the decoders.
import './image.js';

const QUALITY = 80;

/** JPEG stays JPEG; other images may be transparent and become WebP. @throws Error if the image cannot be decoded */
export async function makeThumbnail(image: Uint8Array, maxSize: number): Promise<Thumbnail> {
  const decoded = sharp(image, { limitInputPixels: MAX_IMAGE_PIXELS, pages: 1 }).autoOrient();
  const { format } = await decoded.metadata();
  const resized = decoded.resize({ width: maxSize, height: maxSize, fit: 'inside', withoutEnlargement: true });
  const isJpeg = format === 'jpeg';
  const encoded = isJpeg ? resized.jpeg({ quality: QUALITY }) : resized.webp({ quality: QUALITY });
  const { data, info } = await encoded.toBuffer({ resolveWithObject: true });
  const mediaType = isJpeg ? 'image/jpeg' : 'image/webp';
  return { bytes: new Uint8Array(data), width: info.width, height: info.height, mediaType };
}
