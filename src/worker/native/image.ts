/**
 * Converts an encoded image to the input tensor of a graph: decode, resize, crop or pad, normalize. The result is the
 * same as that of Pillow and the Hugging Face image processors, or of OpenCV for its filters.
 *
 * libvips decodes bit for bit like Pillow. Decoding and resizing are separate steps: in a single call, sharp lets the
 * decoder shrink large JPEGs even with `fastShrinkOnLoad: false`, which changes pixels by up to 50 of 255 levels.
 * Color profiles are ignored. The alpha channel is dropped without blending, so a transparent pixel keeps its color.
 * Images with 16 bits per channel are reduced to the upper 8 bits.
 */
import sharp, { type Sharp } from 'sharp';
import type { PreprocessedImage } from '../../tasks/image.js';
import type { ImageSpec, PadSpec } from '../../tasks/spec.js';
import { lineSize, paddedSize } from '../../tasks/work.js';
import { type Pixels, resample, type Size } from './resample.js';
import { isOpencv, resampleLikeOpencv, roundHalfEven } from './resample-opencv.js';

/** The image cannot be decoded, or exceeds the pixel limit; in that case the message contains "pixel limit". */
export class UnreadableImageError extends Error {}

/** One libvips thread per worker: the workers share the cores, and each would otherwise start its own thread pool. */
sharp.concurrency(1);
sharp.cache(false);

/** Blocks all decoders except JPEG, PNG and WebP: libvips picks the decoder by content, not by what a caller claims. */
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer', 'VipsForeignLoadWebpBuffer'],
});

/** The limit of JPEG. A resize allocates weights per edge length, which the pixel limit does not bound. */
const MAX_EDGE = 65_535;

/**
 * Returns the pixels of an image as float32. Each value is `(level × rescaleFactor − mean) / std` with a level from 0 to
 * 255; `mean` and `std` are in the channel order of the tensor. Of an animation, only the first frame is used.
 *
 * `maxPixels` limits both the source and the resized image, and is checked before memory for pixels is allocated.
 *
 * @throws UnreadableImageError if the bytes are not a complete JPEG, PNG or WebP image within the pixel limit
 */
export async function imageToFloats(bytes: Uint8Array, spec: ImageSpec, maxPixels: number): Promise<PreprocessedImage> {
  const { image, isCmyk, source } = await openImage(bytes, maxPixels);
  const content = resizedSize(source, spec.resize);
  checkSizes(source, content, maxPixels);
  const decoded = await decodePixels(image, isCmyk);
  const pixels = resized(spec.isGreyFirst ? inGray(decoded) : decoded, content, spec);
  const frame = tensorFrameOf(content, spec);
  return {
    data: toFloats(pixels, frame, spec),
    width: frame.width,
    height: frame.height,
    sourceWidth: source.width,
    sourceHeight: source.height,
    contentWidth: content.width,
    contentHeight: content.height,
    left: frame.left,
    top: frame.top,
  };
}

function resized(pixels: Pixels, to: Size, { resample: name, pillow }: ImageSpec): Pixels {
  return isOpencv(name) ? resampleLikeOpencv(pixels, to, name) : resample(pixels, to, name, pillow);
}

/** Reads only the header. */
async function openImage(bytes: Uint8Array, limitInputPixels: number) {
  try {
    const image = sharp(bytes, { limitInputPixels, failOn: 'error', pages: 1, ignoreIcc: true }).autoOrient();
    const { space, autoOrient: source } = await image.metadata();
    return { image, isCmyk: space === 'cmyk', source };
  } catch (error) {
    throw toUnreadableImageError(error);
  }
}

/** libvips has checked the source against the pixel limit, but a long and narrow image can grow when it is resized. */
function checkSizes(source: Size, content: Size, maxPixels: number): void {
  const [from, to] = [source, content].map(({ width, height }) => `${width} × ${height}`);
  if (Math.max(source.width, source.height) > MAX_EDGE)
    throw new UnreadableImageError(`Input image of ${from} exceeds pixel limit of an edge, ${MAX_EDGE}`);
  if (content.width * content.height > maxPixels)
    throw new UnreadableImageError(`Input image of ${from}, resized to ${to}, exceeds pixel limit of ${maxPixels}`);
}

async function decodePixels(image: Sharp, isCmyk: boolean): Promise<Pixels> {
  const inSpace = isCmyk
    ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
    : image.removeAlpha().toColourspace('srgb');
  try {
    const { data, info } = await inSpace.raw().toBuffer({ resolveWithObject: true });
    return { data: isCmyk ? cmykToRgb(data) : data, width: info.width, height: info.height };
  } catch (error) {
    throw toUnreadableImageError(error);
  }
}

function toUnreadableImageError(error: unknown): UnreadableImageError {
  return new UnreadableImageError(error instanceof Error ? error.message : String(error));
}

/** Converts CMYK like Pillow, without a color profile: `(255 − ink) × (255 − black) / 255`. */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = 255 - (cmyk[from + 3] as number);
    for (let ink = 0; ink < 3; ink++) {
      const product = (cmyk[from + ink] as number) * light + 0x80;
      rgb[to++] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

/** The size and rounding rules of Hugging Face, with a minimum of 1 pixel per edge. */
function resizedSize(source: Size, resize: ImageSpec['resize']): Size {
  if (resize === null) return source;
  if (resize.kind === 'exact') return { width: resize.width, height: resize.height };
  if (resize.kind === 'height') return lineSize(source, resize);
  if (resize.kind === 'shortest') return inMultiples(shortestEdge(source, resize), resize.multiple ?? 1);
  const scale = Math.min(resize.height / source.height, resize.width / source.width);
  const round = resize.rounds ? roundHalfEven : Math.trunc;
  return atLeastOne(round(source.width * scale), round(source.height * scale));
}

/**
 * Hugging Face's `get_size_with_aspect_ratio`: the short edge is rounded to the nearest integer, the long edge is
 * truncated.
 */
function shortestEdge(source: Size, { edge, longest }: { edge: number; longest: number | null }): Size {
  const short = Math.min(source.width, source.height);
  const long = Math.max(source.width, source.height);
  const isTooLong = longest !== null && (long / short) * edge > longest;
  const exact = isTooLong ? (longest * short) / long : edge;
  const newShort = roundHalfEven(exact);
  if (newShort === short) return source;
  const newLong = (exact * long) / short;
  return source.width < source.height ? atLeastOne(newShort, newLong) : atLeastOne(newLong, newShort);
}

function inMultiples({ width, height }: Size, multiple: number): Size {
  const cut = (edge: number) => Math.max(multiple, edge - (edge % multiple));
  return { width: cut(width), height: cut(height) };
}

function atLeastOne(width: number, height: number): Size {
  return { width: Math.max(1, Math.trunc(width)), height: Math.max(1, Math.trunc(height)) };
}

/** The area of the tensor, the position of the image in it, and what fills the rest. */
interface TensorFrame extends Size {
  readonly left: number;
  readonly top: number;
  readonly fill: Pick<PadSpec, 'level' | 'isNormalized'>;
}

/**
 * A crop like Hugging Face's `center_crop`: an odd pixel is cropped at the right and bottom, and padded at the left and
 * top. With centered padding, as for YOLO, it is padded at the right and bottom.
 */
function tensorFrameOf(content: Size, { crop, pad, resize }: ImageSpec): TensorFrame {
  const { width, height } = crop ?? (pad ? paddedSize(content, pad, resize) : content);
  const odd = crop ? 1 : 0;
  const isCentered = crop !== null || pad?.position === 'center';
  const left = isCentered ? (width - content.width + odd) >> 1 : 0;
  const top = isCentered ? (height - content.height + odd) >> 1 : 0;
  return { width, height, left, top, fill: crop || !pad ? { level: 0 } : pad };
}

function toFloats(pixels: Pixels, frame: TensorFrame, { color, layout, ...scale }: ImageSpec): Float32Array {
  const size = frame.width * frame.height;
  const levels = color === 'grey' ? { data: toGrayscale(pixels), step: 1 } : { data: pixels.data, step: 3 };
  const order = { grey: [0], rgb: [0, 1, 2], bgr: [2, 1, 0] }[color];
  const data = new Float32Array(size * order.length);
  for (const [channel, start] of order.entries()) {
    const normalized = (level: number) =>
      (level * scale.rescaleFactor - (scale.mean[channel] ?? 0)) / (scale.std[channel] ?? 1);
    const to = layout.endsWith('CHW') ? { start: channel * size, step: 1 } : { start: channel, step: order.length };
    const { level, isNormalized } = frame.fill;
    const filling = typeof level === 'number' ? level : (level[start] ?? 0);
    fillChannel(data, to, { count: size, value: isNormalized ? filling : normalized(filling) });
    // There are only 256 levels, so each is normalized once.
    const table = Float32Array.from({ length: 256 }, (_, level) => normalized(level));
    copyChannel({ ...levels, start, size: pixels }, { data, ...to, frame }, table);
  }
  return data;
}

function fillChannel(
  data: Float32Array,
  { start, step }: Channel,
  { count, value }: { count: number; value: number },
): void {
  for (let i = 0, at = start; i < count; i++, at += step) data[at] = value;
}

/** One channel in an array: every `step`-th element, starting at `start`. */
interface Channel {
  readonly start: number;
  readonly step: number;
}

/** Copies the part of the image that lies within the frame. */
function copyChannel(
  from: Channel & { data: ArrayLike<number>; size: Size },
  to: Channel & { data: Float32Array; frame: TensorFrame },
  table: Float32Array,
): void {
  const { left, top, width, height } = to.frame;
  const columns = { begin: Math.max(0, left), end: Math.min(width, left + from.size.width) };
  const rows = { begin: Math.max(0, top), end: Math.min(height, top + from.size.height) };
  for (let y = rows.begin; y < rows.end; y++) {
    let source = from.start + ((y - top) * from.size.width + columns.begin - left) * from.step;
    let target = to.start + (y * width + columns.begin) * to.step;
    for (let x = columns.begin; x < columns.end; x++) {
      to.data[target] = table[from.data[source] as number] as number;
      source += from.step;
      target += to.step;
    }
  }
}

/** The same image without colors: all channels are equal, and remain so when it is resized. */
function inGray(pixels: Pixels): Pixels {
  const { width, height } = pixels;
  const data = new Uint8Array(width * height * 3);
  for (const [i, luma] of toGrayscale(pixels).entries()) data.fill(luma, 3 * i, 3 * i + 3);
  return { data, width, height };
}

/** ITU-R BT.601 luma in integer arithmetic, like Pillow's `convert('L')`. */
function toGrayscale({ data, width, height }: Pixels): Uint8Array {
  const luma = new Uint8Array(width * height);
  for (let i = 0, p = 0; i < luma.length; i++, p += 3) {
    const [r, g, b] = [data[p] as number, data[p + 1] as number, data[p + 2] as number];
    luma[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  }
  return luma;
}
