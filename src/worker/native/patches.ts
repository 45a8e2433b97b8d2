/** Hides parts of an image behind its mean color, to find out how much a model looks at them. */
import sharp from 'sharp';
import type { ImageToHide } from '../../engine/messages.js';
import { MAX_IMAGE_PIXELS } from '../../tasks/image.js';
// Which limits the decoders.
import './image.js';

/** PNG, one for each patch: upright, in sRGB, without transparency. @throws Error if the image cannot be decoded */
export async function hidePatches({ image, width, height, patches }: ImageToHide): Promise<Uint8Array[]> {
  const { data, info } = await sharp(image, { limitInputPixels: MAX_IMAGE_PIXELS, pages: 1 })
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb')
    .resize({ width, height, fit: 'fill' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { channels } = info;
  const color = meanOf(data, channels);
  const hidden: Uint8Array[] = [];
  for (const patch of patches) {
    const pixels = Buffer.from(data);
    const line = Buffer.alloc(patch.width * channels, color);
    for (let y = patch.y; line.length > 0 && y < patch.y + patch.height; y++)
      pixels.set(line, (y * width + patch.x) * channels);
    const png = sharp(pixels, { raw: { width, height, channels } }).png({ compressionLevel: 1 });
    hidden.push(new Uint8Array(await png.toBuffer()));
  }
  return hidden;
}

function meanOf(pixels: Uint8Array, channels: number): Uint8Array {
  const sums = new Float64Array(channels);
  for (let at = 0; at < pixels.length; at++)
    sums[at % channels] = (sums[at % channels] as number) + (pixels[at] as number);
  return Uint8Array.from(sums, (sum) => Math.round((sum * channels) / pixels.length));
}
