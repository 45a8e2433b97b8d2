/** Damaged images. */
import sharp from 'sharp';
import { animated, gradient, withAppended, withClaimedSize } from '../../support/images.ts';
import { below, pick, type Random } from '../../support/seeded-random.ts';

/** Small images of every supported format and of some others. */
export async function baseImages(): Promise<Buffer[]> {
  const image = () => gradient(24, 16);
  return Promise.all([
    image().jpeg().toBuffer(),
    image().jpeg({ progressive: true, quality: 30 }).toBuffer(),
    image().toColourspace('cmyk').jpeg().toBuffer(),
    image().greyscale().jpeg().toBuffer(),
    image().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    image().png().toBuffer(),
    image().png({ palette: true }).toBuffer(),
    image().png({ progressive: true }).toBuffer(),
    image().toColourspace('rgb16').png().toBuffer(),
    image().ensureAlpha(0.5).png().toBuffer(),
    image().webp().toBuffer(),
    image().webp({ lossless: true }).toBuffer(),
    image().ensureAlpha(0.5).webp().toBuffer(),
    animated('webp'),
    animated('gif'),
    image().tiff().toBuffer(),
    sharp({ create: { width: 9, height: 9, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .png()
      .toBuffer(),
  ]);
}

/** A value for `image.base64`. */
export function mutateImage(random: Random, images: readonly Buffer[]): string {
  let bytes = pick(random, images);
  for (let changes = below(random, 4); changes > 0; changes--) bytes = mutateOnce(random, bytes, images);
  return dress(random, bytes.toString('base64'));
}

/** Makes one change: cuts, flips bits, drops or repeats a piece, inserts a piece of another image, or falsifies the header. */
export function mutateOnce(random: Random, bytes: Buffer, images: readonly Buffer[]): Buffer {
  const at = below(random, bytes.length + 1);
  const kind = below(random, 8);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1) return flip(random, bytes, bytes.length);
  if (kind === 2) return flip(random, bytes, 64);
  if (kind === 3) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + below(random, 50))]);
  if (kind === 4)
    return Buffer.concat([
      bytes.subarray(0, at),
      Buffer.alloc(below(random, 200), below(random, 256)),
      bytes.subarray(at),
    ]);
  if (kind === 5) return withAppended(bytes, pick(random, ['zip', 'pdf', 'html'] as const));
  if (kind === 6) return withClaimedSize(bytes, size(random), size(random));
  return Buffer.concat([bytes.subarray(0, at), pick(random, images).subarray(at)]);
}

function size(random: Random): number {
  return pick(random, [0, 1, 23, 25, 1_000, 4_999, 17_000, 65_535]);
}

function flip(random: Random, bytes: Buffer, within: number): Buffer {
  const copy = Buffer.from(bytes);
  const last = Math.min(within, copy.length);
  for (let flips = 1 + below(random, 12); flips > 0 && last > 0; flips--)
    copy[below(random, last)] = below(random, 256);
  return copy;
}

/** Encodes as base64, as a data: URL, or as neither. */
export function dress(random: Random, base64: string): string {
  const kind = random();
  if (kind < 0.6) return base64;
  if (kind < 0.8) return `data:image/${pick(random, ['png', 'jpeg', 'gif', 'svg+xml', 'x'])};base64,${base64}`;
  const cut = below(random, base64.length + 1);
  const odd = [
    `data:,${base64}`,
    `data:;base64;base64,${base64}`,
    base64.replaceAll('=', ''),
    `${base64}=`,
    `${base64}====`,
  ];
  odd.push(
    base64.replaceAll('+', '-').replaceAll('/', '_'),
    `${base64.slice(0, cut)}\n${base64.slice(cut)}`,
    `${base64}é`,
  );
  return pick(random, odd);
}
