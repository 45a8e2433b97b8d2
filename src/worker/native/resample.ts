/**
 * Resizes images bit for bit like Pillow: the same filters in the same fixed-point arithmetic, one axis at a time.
 *
 * Pure. Pixels are stored row by row as RGB, with levels from 0 to 255.
 */
import type { ImageSpec, ResampleName } from '../../tasks/spec.js';

export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

export type Size = Pick<Pixels, 'width' | 'height'>;

const CHANNELS = 3;

/** Weights are fixed-point numbers with 22 fraction bits, which leaves 8 bits for the level and 2 for overshoot. */
const FRACTION_BITS = 22;
const ONE = 2 ** FRACTION_BITS;
const HALF = ONE / 2;

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** The support of each filter, in pixels of the smaller image, and its weight at a distance from the center. */
const RESAMPLING_FILTERS = {
  bilinear: { support: 1, weightAt: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weightAt: bicubic },
  lanczos: { support: 3, weightAt: (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const;
type PillowFilter = Extract<ResampleName, 'nearest' | keyof typeof RESAMPLING_FILTERS>;
type Filter = (typeof RESAMPLING_FILTERS)[keyof typeof RESAMPLING_FILTERS];

function bicubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/**
 * Resizes both axes. The result is rounded after each axis, so the order affects the last bit. `pillow` is the version
 * whose order applies; undefined for specs of earlier releases.
 */
export function resample(from: Pixels, to: Size, filter: PillowFilter, pillow: ImageSpec['pillow']): Pixels {
  if (filter === 'nearest') return pickNearest(from, to);
  const steps = isHeightFirst(from, to, pillow) ? [changeHeight, changeWidth] : [changeWidth, changeHeight];
  return steps.reduce((pixels, step) => step(pixels, to, RESAMPLING_FILTERS[filter]), from);
}

/** Pillow 13 starts with the height if that loses more than twice as many pixels as the width. */
function isHeightFirst(from: Size, to: Size, pillow: ImageSpec['pillow']): boolean {
  if (pillow === undefined) return to.width > from.width && to.height < from.height;
  return to.height < from.height && from.height - to.height > 2 * (from.width - to.width);
}

/** For each target pixel: the first source pixel, the number of source pixels, and their weights, `stride` apart. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

function tapsOf(from: number, to: number, { support, weightAt }: Filter): Taps {
  const scale = from / to;
  // When shrinking, the filter widens so that every source pixel contributes. When enlarging, it keeps its width.
  const widening = Math.max(scale, 1);
  const reach = support * widening;
  const stride = Math.ceil(reach) * 2 + 1;
  const taps = { first: new Int32Array(to), count: new Int32Array(to), weights: new Int32Array(to * stride), stride };
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const count = Math.min(from, Math.trunc(center + reach + 0.5)) - first;
    const exact = Array.from({ length: count }, (_, k) => weightAt((first + k - center + 0.5) * (1 / widening)));
    // At the border there are fewer source pixels, so their weights are normalized to a sum of 1.
    const sum = exact.reduce((total, weight) => total + weight, 0);
    taps.first[i] = first;
    taps.count[i] = count;
    taps.weights.set(
      exact.map((weight) => toFixed(sum === 0 ? weight : weight / sum)),
      i * stride,
    );
  }
  return taps;
}

/** Converts to fixed point, rounding halves away from zero. */
function toFixed(weight: number): number {
  return Math.trunc(weight * ONE + (weight < 0 ? -0.5 : 0.5));
}

function changeWidth(from: Pixels, { width }: Size, filter: Filter): Pixels {
  if (width === from.width) return from;
  const { height } = from;
  const taps = tapsOf(from.width, width, filter);
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  for (let y = 0; y < height; y++) {
    changeRow(from.data, y * from.width * CHANNELS, data.subarray(y * width * CHANNELS), taps);
  }
  return { data, width, height };
}

/** Handles one row per call: V8 optimizes a function that is called often better than one long loop. */
function changeRow(source: Pixels['data'], start: number, row: Uint8ClampedArray, taps: Taps): void {
  const { first, count, weights, stride } = taps;
  let out = 0;
  for (let x = 0; x < first.length; x++) {
    let p = start + (first[x] as number) * CHANNELS;
    const end = x * stride + (count[x] as number);
    let r = HALF;
    let g = HALF;
    let b = HALF;
    for (let k = x * stride; k < end; k++) {
      const weight = weights[k] as number;
      r = (r + Math.imul(source[p++] as number, weight)) | 0;
      g = (g + Math.imul(source[p++] as number, weight)) | 0;
      b = (b + Math.imul(source[p++] as number, weight)) | 0;
    }
    row[out++] = r >> FRACTION_BITS;
    row[out++] = g >> FRACTION_BITS;
    row[out++] = b >> FRACTION_BITS;
  }
}

function changeHeight(from: Pixels, { height }: Size, filter: Filter): Pixels {
  if (height === from.height) return from;
  const { width } = from;
  const { first, count, weights, stride } = tapsOf(from.height, height, filter);
  const sums = new Int32Array(width * CHANNELS);
  const data = new Uint8ClampedArray(sums.length * height);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < (count[y] as number); k++) {
      const row = (first[y] as number) + k;
      addRow(sums, from.data, row * sums.length, weights[y * stride + k] as number);
    }
    for (let i = 0; i < sums.length; i++) data[y * sums.length + i] = (sums[i] as number) >> FRACTION_BITS;
  }
  return { data, width, height };
}

function addRow(sums: Int32Array, source: Pixels['data'], start: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) {
    sums[i] = (sums[i] as number) + Math.imul(source[start + i] as number, weight);
  }
}

function pickNearest({ data: source, ...from }: Pixels, { width, height }: Size): Pixels {
  const columns = nearestOf(from.width, width);
  const rows = nearestOf(from.height, height);
  const data = new Uint8Array(width * height * CHANNELS);
  let out = 0;
  for (let y = 0; y < height; y++) {
    const row = (rows[y] as number) * from.width;
    for (let x = 0; x < width; x++) {
      let p = (row + (columns[x] as number)) * CHANNELS;
      data[out++] = source[p++] as number;
      data[out++] = source[p++] as number;
      data[out++] = source[p++] as number;
    }
  }
  return { data, width, height };
}

/** Adds up positions like Pillow instead of multiplying: rounding decides which pixel is nearest in a tie. */
function nearestOf(from: number, to: number): Int32Array {
  const step = from / to;
  const picked = new Int32Array(to);
  for (let i = 0, place = step * 0.5; i < to; i++, place += step) picked[i] = Math.min(from - 1, Math.trunc(place));
  return picked;
}
