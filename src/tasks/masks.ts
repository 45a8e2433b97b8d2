/**
 * From scores on a coarse grid to a mask for each class, in pixels of the image sent. Pure.
 *
 * Scores are interpolated like `torch.nn.functional.interpolate` (bilinear, `align_corners=False`), which transformers uses
 * to bring them to the size of the image. Then each pixel gets the class with the highest score.
 */
import type { AnswerOf, Mask } from './answer.js';
import type { Floats } from './datatypes.js';
import type { ImageFrame } from './image.js';
import type { ImageSize } from './image-size.js';

/** Masks of larger images are smaller than the image. */
export const MAX_MASK_PIXELS = 1_048_576;
/** Scores that are interpolated: pixels of the mask × labels. */
export const MAX_MASK_VALUES = 33_554_432;
/** Run lengths of all masks together. If there are more, the masks are halved in size. */
export const MAX_RUN_LENGTHS = 131_072;

/** The class of a pixel that was cropped away. */
export const OUTSIDE = 0xffff;

/** The class of each pixel, row by row. */
export type ClassMap = Uint16Array;

interface Grid {
  readonly height: number;
  readonly width: number;
}

/** The size of the masks: that of the image, unless it has too many pixels. */
export function maskSizeOf({ width, height }: ImageSize, labels: number): ImageSize {
  const most = Math.min(MAX_MASK_PIXELS, MAX_MASK_VALUES / labels);
  const scale = Math.min(1, Math.sqrt(most / (width * height)));
  return scaled({ width, height }, scale);
}

function scaled({ width, height }: ImageSize, scale: number): ImageSize {
  return { width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale)) };
}

/** The masks of the classes that occur, in the order of the labels. */
export function masksOf(
  size: ImageSize,
  labels: readonly string[],
  classify: (size: ImageSize) => ClassMap,
): AnswerOf<'masks'> {
  const runs = runsOf(classify(size), labels.length);
  if (!runs) return masksOf(scaled(size, 0.5), labels, classify);
  const items = runs.flatMap((lengths, i): Mask[] =>
    lengths.length > 0 ? [{ label: labels[i] as string, runLengths: Uint32Array.from(lengths) }] : [],
  );
  return { kind: 'masks', ...size, items };
}

/** For each class, the lengths of runs outside and inside it, in turn; empty if it does not occur. Null if there are too many. */
function runsOf(classes: ClassMap, labels: number): number[][] | null {
  const runs = Array.from({ length: labels }, (): number[] => []);
  const ends = new Uint32Array(labels);
  let count = 0;
  for (let start = 0; start < classes.length; ) {
    const label = classes[start] as number;
    let end = start + 1;
    while (end < classes.length && classes[end] === label) end++;
    if (label !== OUTSIDE) {
      runs[label]?.push(start - (ends[label] as number), end - start);
      ends[label] = end;
      count += 2;
    }
    if (count > MAX_RUN_LENGTHS && classes.length > MAX_RUN_LENGTHS) return null;
    start = end;
  }
  return runs;
}

/** Where each pixel of a mask is on a grid, on one axis: NaN if it was cropped away. In cells, from the edge of the first. */
function positionsOf(
  count: number,
  { content, offset, tensor }: { readonly content: number; readonly offset: number; readonly tensor: number },
  cells: number,
): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const at = ((i + 0.5) * content) / count + offset;
    return at >= 0 && at <= tensor ? (at * cells) / tensor : Number.NaN;
  });
}

function axesOf({ width, height }: ImageSize, frame: ImageFrame, grid: Grid) {
  const { contentWidth, contentHeight, left, top } = frame;
  return {
    columns: positionsOf(width, { content: contentWidth, offset: left, tensor: frame.width }, grid.width),
    rows: positionsOf(height, { content: contentHeight, offset: top, tensor: frame.height }, grid.height),
  };
}

/** Takes the class of the nearest cell. */
export function nearestClasses(
  grid: Grid & { readonly data: Uint16Array },
  size: ImageSize,
  frame: ImageFrame,
): ClassMap {
  const { columns, rows } = axesOf(size, frame, grid);
  const classes = new Uint16Array(size.width * size.height).fill(OUTSIDE);
  for (const [y, row] of rows.entries()) {
    const start = Math.min(Math.floor(row), grid.height - 1) * grid.width;
    for (const [x, column] of columns.entries()) {
      const cell = grid.data[start + Math.min(Math.floor(column), grid.width - 1)];
      if (cell !== undefined) classes[y * size.width + x] = cell;
    }
  }
  return classes;
}

/** Scores on a grid; `steps` are the distances of neighbors in `data`. */
interface ScoreGrid extends Grid {
  readonly data: Floats;
  readonly channels: number;
  readonly steps: { readonly channel: number; readonly row: number; readonly column: number };
}

/** The two cells around each position, and the share of the second. */
interface Neighbors {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly share: Float64Array;
}

function neighborsOf(positions: Float64Array, cells: number): Neighbors {
  const at = positions.map((position) => Math.max(0, position - 0.5));
  const first = Int32Array.from(at, (position) => Math.min(Math.floor(position), cells - 1));
  return {
    first,
    second: first.map((cell) => Math.min(cell + 1, cells - 1)),
    share: at.map((position, i) => Math.min(1, position - (first[i] as number))),
  };
}

/** Takes the class with the highest interpolated score. */
export function strongestClasses(grid: ScoreGrid, size: ImageSize, frame: ImageFrame): ClassMap {
  const { columns, rows } = axesOf(size, frame, grid);
  const across = neighborsOf(columns, grid.width);
  const down = neighborsOf(rows, grid.height);
  const classes = new Uint16Array(size.width * size.height);
  const highest = new Float64Array(size.width);
  const blended = new Float64Array(grid.width);
  for (let y = 0; y < size.height; y++) {
    const row = classes.subarray(y * size.width, (y + 1) * size.width);
    highest.fill(Number.NEGATIVE_INFINITY);
    for (let channel = 0; channel < grid.channels; channel++) {
      blendRows(grid, channel, down, y, blended);
      raise(row, highest, blended, across, channel);
    }
    for (let x = 0; x < size.width; x++)
      if (Number.isNaN((columns[x] as number) + (rows[y] as number))) row[x] = OUTSIDE;
  }
  return classes;
}

function blendRows(
  { data, steps, width }: ScoreGrid,
  channel: number,
  { first, second, share }: Neighbors,
  y: number,
  blended: Float64Array,
): void {
  let above = channel * steps.channel + (first[y] as number) * steps.row;
  let below = channel * steps.channel + (second[y] as number) * steps.row;
  const part = share[y] as number;
  for (let x = 0; x < width; x++, above += steps.column, below += steps.column) {
    const score = data[above] as number;
    blended[x] = score + ((data[below] as number) - score) * part;
  }
}

/** Sets the class of each pixel of a row whose score exceeds the highest so far. */
function raise(
  row: Uint16Array,
  highest: Float64Array,
  scores: Float64Array,
  { first, second, share }: Neighbors,
  channel: number,
): void {
  for (let x = 0; x < row.length; x++) {
    const score = scores[first[x] as number] as number;
    const value = score + ((scores[second[x] as number] as number) - score) * (share[x] as number);
    if (value > (highest[x] as number)) {
      highest[x] = value;
      row[x] = channel;
    }
  }
}
