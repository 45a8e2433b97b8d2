/**
 * Resizes images bit for bit like `cv2.resize` of OpenCV 5: INTER_NEAREST, INTER_LINEAR and INTER_AREA, for levels of 8 bits.
 * When an image shrinks, the first two skip pixels, unlike the filters of Pillow.
 *
 * Pure. Pixels are stored row by row as RGB, with levels from 0 to 255.
 */
import type { ResampleName } from '../../tasks/spec.js';
import type { Pixels, Size } from './resample.js';

const CHANNELS = 3;
/** Weights are fixed-point numbers with 11 fraction bits. */
const ONE = 2048;

type OpencvFilter = Extract<ResampleName, `opencv-${string}`>;

export function isOpencv(name: ResampleName): name is OpencvFilter {
  return name.startsWith('opencv-');
}

export function resampleLikeOpencv(from: Pixels, to: Size, filter: OpencvFilter): Pixels {
  if (to.width === from.width && to.height === from.height) return from;
  if (filter === 'opencv-nearest') return pickNearest(from, to);
  if (filter === 'opencv-linear') return blend(from, to, centerOf);
  const [x, y] = [scaleOf(from.width, to.width), scaleOf(from.height, to.height)];
  // An area can only be averaged if neither side grows.
  if (x < 1 || y < 1) return blend(from, to, overlapOf);
  return isWhole(x) && isWhole(y) ? averageBlocks(from, to, [Math.round(x), Math.round(y)]) : averageAreas(from, to);
}

/** OpenCV takes the reciprocal of the inverse, whose last bit can differ from that of the ratio. */
function scaleOf(from: number, to: number): number {
  return 1 / (to / from);
}

function isWhole(scale: number): boolean {
  return Math.abs(scale - Math.round(scale)) < Number.EPSILON;
}

/** Rounds to the nearest integer, halves to the even one, as Python's `round` and OpenCV's `cvRound`. */
export function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

function pickNearest({ data: source, ...from }: Pixels, { width, height }: Size): Pixels {
  const picked = (size: number, length: number) => {
    const scale = scaleOf(size, length);
    return Int32Array.from({ length }, (_, i) => Math.min(Math.floor(i * scale), size - 1));
  };
  const columns = picked(from.width, width);
  const rows = picked(from.height, height);
  const data = new Uint8Array(width * height * CHANNELS);
  let out = 0;
  for (const row of rows) {
    for (const column of columns) {
      const p = (row * from.width + column) * CHANNELS;
      data[out++] = source[p] as number;
      data[out++] = source[p + 1] as number;
      data[out++] = source[p + 2] as number;
    }
  }
  return { data, width, height };
}

// ── two neighbors ──

/** The position of a target pixel between two source pixels: the first one, and the share of the second. */
type Position = (i: number, from: number, to: number) => readonly [first: number, share: number];

const centerOf: Position = (i, from, to) => {
  const at = Math.fround((i + 0.5) * scaleOf(from, to) - 0.5);
  return [Math.floor(at), Math.fround(at - Math.floor(at))];
};

const overlapOf: Position = (i, from, to) => {
  const first = Math.floor(i * scaleOf(from, to));
  const share = Math.fround(i + 1 - (first + 1) * (to / from));
  return [first, share <= 0 ? 0 : Math.fround(share - Math.floor(share))];
};

/** The two source pixels of each target pixel, and their weights. */
interface Pairs {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly firstWeight: Int32Array;
  readonly secondWeight: Int32Array;
}

/** `isExact`: beyond the border, the weight is that of one pixel, as for columns; rows are then taken twice. */
function pairsOf(from: number, to: number, position: Position, isExact: boolean): Pairs {
  const last = from - 1;
  const pairs = [0, 1, 2, 3].map(() => new Int32Array(to));
  const [first, second, firstWeight, secondWeight] = pairs as [Int32Array, Int32Array, Int32Array, Int32Array];
  for (let i = 0; i < to; i++) {
    const [at, between] = position(i, from, to);
    const share = isExact && (at < 0 || at >= last) ? 0 : between;
    first[i] = Math.min(Math.max(at, 0), last);
    second[i] = Math.min(Math.max(at + 1, 0), last);
    firstWeight[i] = roundHalfEven(Math.fround(Math.fround(1 - share) * ONE));
    secondWeight[i] = roundHalfEven(Math.fround(share * ONE));
  }
  return { first, second, firstWeight, secondWeight };
}

function blend(from: Pixels, { width, height }: Size, position: Position): Pixels {
  const columns = pairsOf(from.width, width, position, true);
  const { first, second, firstWeight, secondWeight } = pairsOf(from.height, height, position, false);
  const stride = width * CHANNELS;
  const data = new Uint8ClampedArray(stride * height);
  let [above, below] = [new Int32Array(stride), new Int32Array(stride)];
  let [aboveRow, belowRow] = [-1, -1];
  for (let y = 0; y < height; y++) {
    const [a, b] = [first[y] as number, second[y] as number];
    if (a === belowRow) {
      [above, below] = [below, above];
      [aboveRow, belowRow] = [belowRow, aboveRow];
    }
    if (a !== aboveRow) blendRow(from, a, above, columns);
    if (b !== belowRow) blendRow(from, b, below, columns);
    [aboveRow, belowRow] = [a, b];
    const [p, q] = [firstWeight[y] as number, secondWeight[y] as number];
    for (let i = 0, out = y * stride; i < stride; i++) {
      const upper = Math.imul(p, (above[i] as number) >> 4) >> 16;
      const lower = Math.imul(q, (below[i] as number) >> 4) >> 16;
      data[out++] = (upper + lower + 2) >> 2;
    }
  }
  return { data, width, height };
}

function blendRow({ data, width }: Pixels, y: number, row: Int32Array, columns: Pairs): void {
  const { first, second, firstWeight, secondWeight } = columns;
  const start = y * width * CHANNELS;
  for (let x = 0, out = 0; x < first.length; x++) {
    const p = start + (first[x] as number) * CHANNELS;
    const q = start + (second[x] as number) * CHANNELS;
    const [a, b] = [firstWeight[x] as number, secondWeight[x] as number];
    for (let c = 0; c < CHANNELS; c++)
      row[out++] = Math.imul(data[p + c] as number, a) + Math.imul(data[q + c] as number, b);
  }
}

// ── areas ──

function averageBlocks(from: Pixels, { width, height }: Size, [columns, rows]: readonly [number, number]): Pixels {
  const data = new Uint8ClampedArray(width * height * CHANNELS);
  const scale = Math.fround(1 / (columns * rows));
  const isQuarter = columns === 2 && rows === 2;
  const sums = new Int32Array(width * CHANNELS);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let k = 0; k < rows; k++) {
      let p = (y * rows + k) * from.width * CHANNELS;
      for (let x = 0; x < width * CHANNELS; x += CHANNELS) {
        for (let j = 0; j < columns; j++)
          for (let c = 0; c < CHANNELS; c++) sums[x + c] = (sums[x + c] as number) + (from.data[p++] as number);
      }
    }
    for (const [i, sum] of sums.entries())
      data[y * sums.length + i] = isQuarter ? (sum + 2) >> 2 : roundHalfEven(Math.fround(sum * scale));
  }
  return { data, width, height };
}

/** The source pixels that a target pixel covers, and the share of each. */
type Cover = readonly { readonly from: number; readonly share: number }[];

/** Shares of a thousandth of a pixel or less are left out. */
const LEAST_SHARE = 1e-3;

function coversOf(from: number, to: number): Cover[] {
  const scale = scaleOf(from, to);
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [i * scale, i * scale + scale];
    const covered = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const cover: { from: number; share: number }[] = [];
    const add = (from: number, share: number) => cover.push({ from, share: Math.fround(share / covered) });
    if (first - start > LEAST_SHARE) add(first - 1, first - start);
    for (let pixel = first; pixel < last; pixel++) add(pixel, 1);
    if (end - last > LEAST_SHARE) add(last, Math.min(end - last, 1, covered));
    return cover;
  });
}

/** In single precision, like OpenCV. */
function averageAreas(from: Pixels, { width, height }: Size): Pixels {
  const columns = coversOf(from.width, width);
  const row = new Float32Array(width * CHANNELS);
  const sums = new Float32Array(width * CHANNELS);
  const data = new Uint8ClampedArray(sums.length * height);
  for (const [y, cover] of coversOf(from.height, height).entries()) {
    sums.fill(0);
    for (const { from: source, share } of cover) {
      averageRow(from, source, row, columns);
      for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + Math.fround((row[i] as number) * share);
    }
    for (const [i, sum] of sums.entries()) data[y * sums.length + i] = roundHalfEven(sum);
  }
  return { data, width, height };
}

function averageRow({ data, width }: Pixels, y: number, row: Float32Array, columns: readonly Cover[]): void {
  const start = y * width * CHANNELS;
  row.fill(0);
  for (const [x, cover] of columns.entries()) {
    for (const { from, share } of cover) {
      for (let c = 0; c < CHANNELS; c++) {
        const level = data[start + from * CHANNELS + c] as number;
        row[x * CHANNELS + c] = (row[x * CHANNELS + c] as number) + Math.fround(level * share);
      }
    }
  }
}
