/** A mask as a PNG: white where the class is, transparent elsewhere, so that pages can lay it over the image or cut with it. */
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';
import type { Mask } from './answer.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const ONE_BIT = 1;
const PALETTE = 3;
/** Transparent black, and white. */
const COLORS = Buffer.from([0, 0, 0, 255, 255, 255]);
const ALPHAS = Buffer.from([0, 255]);

/** `runLengths`: pixels outside and inside, in turn, row by row. */
export async function maskPng(
  runLengths: Mask['runLengths'],
  { width, height }: { readonly width: number; readonly height: number },
): Promise<Buffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([ONE_BIT, PALETTE], 8);
  const pixels = await promisify(deflate)(rowsOf(runLengths, width, height));
  const chunks = [chunk('IHDR', header), chunk('PLTE', COLORS), chunk('tRNS', ALPHAS), chunk('IDAT', pixels)];
  return Buffer.concat([SIGNATURE, ...chunks, chunk('IEND', Buffer.alloc(0))]);
}

/** Each row begins with the number of its filter, 0 for none. Whole bytes are filled, because a mask has a million pixels. */
function rowsOf(runLengths: Mask['runLengths'], width: number, height: number): Uint8Array {
  const stride = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(stride * height);
  let at = 0;
  for (let i = 0; i < runLengths.length; i++) {
    const end = Math.min(width * height, at + (runLengths[i] as number));
    if (i % 2 === 1)
      for (let from = at; from < end; ) {
        const row = Math.floor(from / width);
        const to = Math.min(end, (row + 1) * width);
        const left = 8 * (row * stride + 1) - row * width;
        setBits(rows, left + from, left + to);
        from = to;
      }
    at = end;
  }
  return rows;
}

/** Sets the bits from `from` on, before `to`, of which there is at least one. The first bit of a byte is its highest. */
function setBits(bytes: Uint8Array, from: number, to: number): void {
  const [first, last] = [from >> 3, (to - 1) >> 3];
  const [head, tail] = [0xff >> (from & 7), 0xff << (7 - ((to - 1) & 7))];
  if (first === last) {
    bytes[first] = (bytes[first] as number) | (head & tail);
    return;
  }
  bytes[first] = (bytes[first] as number) | head;
  if (last > first + 1) bytes.fill(0xff, first + 1, last);
  bytes[last] = (bytes[last] as number) | tail;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const bytes = Buffer.alloc(body.length + 8);
  bytes.writeUInt32BE(data.length, 0);
  body.copy(bytes, 4);
  bytes.writeUInt32BE(crc32(body), body.length + 4);
  return bytes;
}
