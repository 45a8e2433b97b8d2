/**
 * Reads from the EXIF data of a JPEG, PNG or WebP image whether it is shown turned, so that its width is the height of its
 * pixels. Only headers are read.
 */
import { nextMarker } from './image-size.js';

/** Parts of a file that are looked at. A PNG of 16 MiB in chunks of 8 KiB has 2,048. */
const MAX_PARTS = 4_096;
const MAX_JPEG_GAP_BYTES = 64;
const EXIF = 'Exif\0\0';
const ORIENTATION = 0x0112;
/** The orientations that turn by 90 or 270 degrees. */
const TURNED = [5, 6, 7, 8];

/** False if the bytes say nothing of it, or nothing that can be read. */
export function isTurned(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const exif = exifOf(file);
  return exif !== null && TURNED.includes(orientationOf(exif));
}

function exifOf(file: Buffer): Buffer | null {
  if (file.length < 16) return null;
  if (file.readUInt16BE(0) === 0xffd8) return exifOfJpeg(file);
  if (file.readUInt32BE(0) === 0x89504e47) return chunkOf(file, { name: 'eXIf', begin: 8, isPng: true });
  const chunk = chunkOf(file, { name: 'EXIF', begin: 12, isPng: false });
  return chunk && isExif(chunk) ? chunk.subarray(EXIF.length) : chunk;
}

function isExif(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, EXIF.length) === EXIF;
}

function exifOfJpeg(file: Buffer): Buffer | null {
  let offset = 2;
  for (let parts = 0; parts < MAX_PARTS; parts++) {
    const marker = nextMarker(file.subarray(offset, offset + MAX_JPEG_GAP_BYTES));
    if (marker === null) return null;
    offset += marker.end;
    // The pixels begin.
    if (marker.code === 0xda || marker.code === 0xd9 || offset + 2 > file.length) return null;
    const length = file.readUInt16BE(offset);
    const segment = file.subarray(offset + 2, offset + length);
    if (marker.code === 0xe1 && isExif(segment)) return segment.subarray(EXIF.length);
    offset += Math.max(2, length);
  }
  return null;
}

/** PNG and WebP are lists of chunks: in PNG the length comes first, in big endian; in WebP the name, and lengths are padded. */
function chunkOf(
  file: Buffer,
  { name, begin, isPng }: { readonly name: string; readonly begin: number; readonly isPng: boolean },
): Buffer | null {
  let offset = begin;
  for (let parts = 0; parts < MAX_PARTS && offset + 8 <= file.length; parts++) {
    const length = isPng ? file.readUInt32BE(offset) : file.readUInt32LE(offset + 4);
    const found = file.toString('latin1', offset + (isPng ? 4 : 0), offset + (isPng ? 8 : 4));
    if (found === name) return file.subarray(offset + 8, offset + 8 + length);
    offset += 8 + length + (isPng ? 4 : length % 2);
  }
  return null;
}

/** 0 if there is none. `exif`: a TIFF header and its first directory. */
function orientationOf(exif: Buffer): number {
  const isLittle = exif.toString('latin1', 0, 2) === 'II';
  const short = (at: number) => (at + 2 > exif.length ? 0 : isLittle ? exif.readUInt16LE(at) : exif.readUInt16BE(at));
  const long = (at: number) => (at + 4 > exif.length ? 0 : isLittle ? exif.readUInt32LE(at) : exif.readUInt32BE(at));
  const directory = long(4);
  const entries = short(directory);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.length) return 0;
    if (short(entry) === ORIENTATION) return short(entry + 8);
  }
  return 0;
}
