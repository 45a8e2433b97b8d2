/**
 * How much computation an item needs, estimated before it is decoded or tokenized. The engine learns how long a unit of
 * work takes for each version; here work is only counted.
 */
import type { ImageSize } from './image-size.js';
import type { AnySpec, ImageSpec } from './spec.js';

export interface Work {
  /** What the graph reads: tokens if the version reads tokens, pixels if it reads images, otherwise values. At least 1. */
  readonly work: number;
  /** What is read before the graph runs: tokens to tokenize, or pixels to decode and resize; 0 for rows and tensors. */
  readonly preprocessingWork: number;
}

/**
 * The work of one batch, in the unit of the version. A larger item is a batch of its own. This bounds the memory of a
 * batch and how long other versions wait for it: 8 million pixels are 100 MB as floats; 16 million pixels to decode, or 512
 * thousand tokens to tokenize, are meant to take a fraction of a second.
 */
export function maxBatchWork({ text, image }: Pick<AnySpec, 'text' | 'image'>): Work {
  if (text) return { work: 16_384, preprocessingWork: 524_288 };
  if (image) return { work: 8_388_608, preprocessingWork: 16_777_216 };
  return { work: 4_194_304, preprocessingWork: 4_194_304 };
}

/** Pixels of the tensor, and pixels to decode and to resize, for an image of this size. */
export function workOfImage(source: ImageSize, spec: ImageSpec): Work {
  const content = approximateResize(source, spec.resize);
  const tensor = spec.crop ?? (spec.pad ? paddedSize(content, spec.pad, spec.resize) : content);
  return { work: pixels(tensor), preprocessingWork: pixels(source) + pixels(content) };
}

/** The size of an image with its padding. Lines of text are as wide as they are, but at least as wide as the padding says. */
export function paddedSize(content: ImageSize, pad: ImageSize, resize: ImageSpec['resize']): ImageSize {
  return resize?.kind === 'height' ? { width: Math.max(pad.width, content.width), height: pad.height } : pad;
}

/**
 * In pixels, of a line of text. It limits the scores that a graph returns: for 4,096 pixels and 6,625 characters they
 * usually take 14 MB.
 */
export const MAX_LINE_WIDTH = 4096;

/** The size of a line of text: as RapidOCR rounds it, the tensor's width down and the width of the image in it up. */
export function lineSize(
  source: ImageSize,
  { height, minWidth, maxWidth }: Extract<ImageSpec['resize'], { kind: 'height' }>,
): ImageSize {
  const width = height * (source.width / source.height);
  const widest = Math.max(minWidth, Math.min(Math.floor(width), maxWidth));
  return { width: Math.max(1, Math.min(Math.ceil(width), widest)), height };
}

function pixels({ width, height }: ImageSize): number {
  return Math.max(1, width * height);
}

/** The resized size, without the rounding of each edge that the worker applies. */
function approximateResize(source: ImageSize, resize: ImageSpec['resize']): ImageSize {
  if (resize === null) return source;
  if (resize.kind === 'exact') return resize;
  if (resize.kind === 'height') return lineSize(source, resize);
  const [short, long] = [Math.min(source.width, source.height), Math.max(source.width, source.height)];
  const scale =
    resize.kind === 'inside'
      ? Math.min(resize.height / source.height, resize.width / source.width)
      : Math.min(resize.edge / short, (resize.longest ?? Number.POSITIVE_INFINITY) / long);
  return { width: Math.ceil(source.width * scale), height: Math.ceil(source.height * scale) };
}
