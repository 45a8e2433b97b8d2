/**
 * From the bytes of a picture to the numbers a graph wants.
 *
 * Decoding and resizing are sharp's (libvips): antialiased triangle filter, which is what PIL calls BILINEAR.
 * Shrink-on-load is off, because it changes the pixels by up to 50 levels.
 */
import sharp from 'sharp';
import type { ImageSpec } from '../spec.js';

export class UnreadableImage extends Error {}

/** One thread a worker: several workers share the cores, and libvips would otherwise start one pool each. */
sharp.concurrency(1);
sharp.cache(false);

/**
 * Pixels of one image as float32, row by row: [height × width] for grey, [3 × height × width] planes for rgb.
 * Each value is `(level × rescaleFactor − mean) / std`, level in 0..255.
 *
 * The first bytes decide the format, and the caller has let only JPEG, PNG and WebP through.
 *
 * @throws UnreadableImage when the bytes are not a complete JPEG, PNG or WebP picture within the pixel limit.
 */
export async function imageToFloats(bytes: Uint8Array, spec: ImageSpec, maxPixels: number): Promise<Float32Array> {
  return normalise(await decodeAndResize(bytes, spec, maxPixels), spec);
}

async function decodeAndResize(bytes: Uint8Array, spec: ImageSpec, maxPixels: number): Promise<Buffer> {
  try {
    return await sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', pages: 1 })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .resize(spec.width, spec.height, { fit: 'fill', kernel: 'linear', fastShrinkOnLoad: false })
      .raw()
      .toBuffer();
  } catch (error) {
    throw new UnreadableImage(error instanceof Error ? error.message : String(error));
  }
}

function normalise(pixels: Buffer, spec: ImageSpec): Float32Array {
  const size = spec.width * spec.height;
  const channelsIn = pixels.length / size;
  const level = (pixel: number, channel: number) => pixels[pixel * channelsIn + Math.min(channel, channelsIn - 1)] ?? 0;
  const scaled = (value: number, channel: number) =>
    (value * spec.rescaleFactor - (spec.mean[channel] ?? 0)) / (spec.std[channel] ?? 1);

  if (spec.color === 'grey') {
    // ITU-R BT.601 luma in integers, as PIL's convert('L').
    const grey = (i: number) => (level(i, 0) * 19595 + level(i, 1) * 38470 + level(i, 2) * 7471 + 0x8000) >> 16;
    return Float32Array.from({ length: size }, (_, i) => scaled(grey(i), 0));
  }
  return Float32Array.from({ length: 3 * size }, (_, i) => {
    const channel = Math.floor(i / size);
    return scaled(level(i % size, channel), channel);
  });
}
