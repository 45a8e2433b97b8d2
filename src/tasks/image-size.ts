/**
 * Reads the size of a PNG, JPEG or WebP image from its header, without decoding it and without reading more than a few
 * kilobytes. The number of pixels says what decoding will cost; the number of bytes does not, because a PNG of 3 KB can
 * hold 25 megapixels.
 */

/** In pixels, before any EXIF orientation is applied. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Returns up to `length` bytes from `offset`; fewer at the end, none beyond it. */
type ReadBytes = (offset: number, length: number) => Uint8Array;

/** A camera writes about ten segments before the size. An image with more than this counts as unreadable. */
const MAX_JPEG_SEGMENTS = 256;
/** Bytes between two JPEG segments that are skipped: decoders ignore them too. */
const MAX_JPEG_GAP_BYTES = 64;

/** Null if the bytes have no header of a known format. */
export function imageSizeOf(bytes: Uint8Array): ImageSize | null {
  return readSize((offset, length) => bytes.subarray(offset, offset + length));
}

/** The same for base64 without a `data:` prefix. Decodes only the header. */
export function imageSizeOfBase64(base64: string): ImageSize | null {
  return readSize((offset, length) => {
    const group = Math.floor(offset / 3);
    const from = offset - 3 * group;
    const text = base64.slice(4 * group, 4 * (group + Math.ceil((from + length) / 3)));
    return Buffer.from(text, 'base64').subarray(from, from + length);
  });
}

function readSize(read: ReadBytes): ImageSize | null {
  const start = viewOf(read(0, 30));
  if (start.byteLength >= 24 && start.getUint32(0) === 0x89504e47) return pngSize(start);
  if (start.byteLength >= 4 && start.getUint16(0) === 0xffd8) return jpegSize(read);
  if (start.byteLength >= 30 && start.getUint32(8) === 0x57454250) return webpSize(start);
  return null;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function pngSize(start: DataView): ImageSize | null {
  return sizeOrNull(start.getUint32(16), start.getUint32(20));
}

/** Walks over the segments up to the frame header (SOF), the only one that holds the size. */
function jpegSize(read: ReadBytes): ImageSize | null {
  let offset = 2;
  for (let segments = 0; segments < MAX_JPEG_SEGMENTS; segments++) {
    const marker = nextMarker(read(offset, MAX_JPEG_GAP_BYTES));
    if (marker === null) return null;
    offset += marker.end;
    // Markers without a length: TEM and the restart markers.
    if (marker.code === 0x01 || (marker.code >= 0xd0 && marker.code <= 0xd8)) continue;
    const segment = viewOf(read(offset, 7));
    if (segment.byteLength < 7) return null;
    if (isFrameHeader(marker.code)) return sizeOrNull(segment.getUint16(5), segment.getUint16(3));
    offset += Math.max(2, segment.getUint16(0));
  }
  return null;
}

/** The marker's code, and the position after it. A marker is 0xff, repeated any number of times, and a code. */
export function nextMarker(bytes: Uint8Array): { code: number; end: number } | null {
  for (let i = 1; i < bytes.length; i++) {
    const code = bytes[i] as number;
    if (bytes[i - 1] === 0xff && code !== 0xff && code !== 0) return { code, end: i + 1 };
  }
  return null;
}

/** SOF0 to SOF15, except for DHT, JPG and DAC, whose codes lie in between. */
function isFrameHeader(code: number): boolean {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
}

function webpSize(start: DataView): ImageSize | null {
  const chunk = start.getUint32(12);
  if (chunk === VP8X) return sizeOrNull(1 + readUint24(start, 24), 1 + readUint24(start, 27));
  if (chunk === VP8) return sizeOrNull(start.getUint16(26, true) & 0x3fff, start.getUint16(28, true) & 0x3fff);
  if (chunk !== VP8L) return null;
  const bits = start.getUint32(21, true);
  return sizeOrNull(1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff));
}

const VP8X = 0x56503858;
const VP8 = 0x56503820;
const VP8L = 0x5650384c;

function readUint24(view: DataView, offset: number): number {
  return view.getUint16(offset, true) + (view.getUint8(offset + 2) << 16);
}

function sizeOrNull(width: number, height: number): ImageSize | null {
  return width > 0 && height > 0 ? { width, height } : null;
}
