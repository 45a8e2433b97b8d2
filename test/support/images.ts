/** Small images, and images with one defect each. */
import { Buffer } from 'node:buffer';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** An image whose pixels all differ, so that every rotation or crop is noticed. */
export function gradient(width: number, height: number): Sharp {
  const levels = Buffer.alloc(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    levels.set([(255 * x) / width, (255 * y) / height, (255 * (x + y)) / (width + height)], 3 * i);
  }
  return sharp(levels, { raw: { width, height, channels: 3 } });
}

/** An animation of two frames: the gradient and its negative. */
export async function animated(format: 'webp' | 'gif'): Promise<Buffer> {
  const frames = [gradient(24, 16), gradient(24, 16).negate()].map((frame) => frame.png().toBuffer());
  const joined = sharp(await Promise.all(frames), { join: { animated: true } });
  return format === 'webp' ? joined.webp({ lossless: true }).toBuffer() : joined.gif().toBuffer();
}

/** A PNG of a few bytes whose header claims the given size. */
export function pixelBomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const data = deflateSync(Buffer.alloc(1_000));
  return Buffer.concat([PNG_SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, body, sumOf(body)]);
}

function sumOf(body: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return sum;
}

/** Changes the size in the header and corrects the checksum. Bytes without a known header stay unchanged. */
export function withClaimedSize(bytes: Buffer, width: number, height: number): Buffer {
  const copy = Buffer.from(bytes);
  const frame = copy.findIndex((byte, i) => byte === 0xff && (copy[i + 1] === 0xc0 || copy[i + 1] === 0xc2));
  if (copy.length > 33 && copy.subarray(0, 8).equals(PNG_SIGNATURE)) {
    copy.writeUInt32BE(width, 16);
    copy.writeUInt32BE(height, 20);
    sumOf(copy.subarray(12, 29)).copy(copy, 29);
  } else if (copy[0] === 0xff && frame > 0 && frame + 9 <= copy.length) {
    copy.writeUInt16BE(height, frame + 5);
    copy.writeUInt16BE(width, frame + 7);
  } else if (copy.length > 30 && copy.toString('latin1', 12, 16) === 'VP8X') {
    copy.writeUIntLE(Math.max(0, width - 1), 24, 3);
    copy.writeUIntLE(Math.max(0, height - 1), 27, 3);
  } else if (copy.length > 30 && copy.toString('latin1', 12, 16) === 'VP8 ') {
    copy.writeUInt16LE(width & 0x3fff, 26);
    copy.writeUInt16LE(height & 0x3fff, 28);
  } else if (copy.length > 25 && copy.toString('latin1', 12, 16) === 'VP8L') {
    const others = copy.readUInt32LE(21) & 0xf0000000;
    copy.writeUInt32LE((others | (((height - 1) & 0x3fff) << 14) | ((width - 1) & 0x3fff)) >>> 0, 21);
  }
  return copy;
}

/** An empty ZIP archive. */
const ZIP = Buffer.concat([Buffer.from('PK\x05\x06', 'latin1'), Buffer.alloc(18)]);

/** Appends another file: readers that start at the end of the bytes find that file instead of the image. */
export function withAppended(bytes: Buffer, other: 'zip' | 'pdf' | 'html'): Buffer {
  const tails = { zip: ZIP, pdf: Buffer.from('%PDF-1.7\n%%EOF'), html: Buffer.from('<script>alert(1)</script>') };
  return Buffer.concat([bytes, tails[other]]);
}

/** Base64 of an image whose header is whole, so that only the worker finds that the rest is missing. */
export async function truncatedImage(): Promise<string> {
  const whole = await gradient(64, 64).png().toBuffer();
  return whole.subarray(0, whole.length / 2).toString('base64');
}
