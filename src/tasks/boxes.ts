/** Boxes of a detector: from the numbers of the graph to pixels of the image sent, and suppression of overlaps. */
import type { Box, DetectedObject } from './answer.js';
import type { Floats } from './datatypes.js';
import { UnusableOutputError } from './failures.js';
import type { ImageFrame } from './image.js';
import type { BoxFormat, BoxUnit } from './spec.js';

/** Answers include objects below the model's threshold, so that a caller can choose a lower one. */
export const MIN_SCORE = 0.05;
export const MAX_OBJECTS = 300;
/** Of the boxes that score enough, at most this many, the best ones, are compared with each other. */
export const MAX_CANDIDATES = 30_000;

/** A box before it is converted: `at` is the offset of its numbers. */
export interface Candidate {
  readonly label: number;
  readonly score: number;
  readonly at: number;
}

export interface BoxShape {
  readonly format: BoxFormat;
  readonly unit: BoxUnit;
}

/** Keeps the best candidates; of equal ones, those that were added first. Holds at most `2 * MAX_CANDIDATES`. */
export class Candidates {
  #list: Candidate[] = [];
  /** Candidates that score no more are not among the best. */
  #worst = Number.NEGATIVE_INFINITY;

  add(candidate: Candidate): void {
    if (candidate.score <= this.#worst) return;
    this.#list.push(candidate);
    if (this.#list.length < 2 * MAX_CANDIDATES) return;
    this.#list = this.best();
    this.#worst = this.#list.at(-1)?.score ?? this.#worst;
  }

  /** Best first. */
  best(): Candidate[] {
    return this.#list.sort((a, b) => b.score - a.score).slice(0, MAX_CANDIDATES);
  }
}

/** A fraction this large is a pixel: boxes may extend beyond the tensor, but not this far. */
const LARGEST_FRACTION = 10;

/**
 * Converts four numbers, `step` apart, to edges in pixels of the image sent.
 *
 * @throws UnusableOutputError if fractions are far outside the tensor
 */
export function boxAt(
  numbers: Floats,
  { at, step }: { readonly at: number; readonly step: number },
  { format, unit }: BoxShape,
  frame: ImageFrame,
): Box {
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => numbers[at + i * step] ?? 0) as [number, number, number, number];
  const largest = Math.max(Math.abs(a), Math.abs(b), Math.abs(c), Math.abs(d));
  if (unit === 'fractions' && largest > LARGEST_FRACTION)
    throw new UnusableOutputError(
      `a box has the coordinate ${largest}, but fractions are about 0 to 1; if the boxes are in pixels of the input, set output.boxUnit: pixels in model.yaml`,
    );
  const { x, y } = scalesOf(frame);
  const toX = (value: number) => ((unit === 'pixels' ? value : value * frame.width) - frame.left) * x;
  const toY = (value: number) => ((unit === 'pixels' ? value : value * frame.height) - frame.top) * y;
  if (format === 'center')
    return { xmin: toX(a - c / 2), ymin: toY(b - d / 2), xmax: toX(a + c / 2), ymax: toY(b + d / 2) };
  if (format === 'corners') return { xmin: toX(a), ymin: toY(b), xmax: toX(c), ymax: toY(d) };
  return { xmin: toX(b), ymin: toY(a), xmax: toX(d), ymax: toY(c) };
}

/** Pixels of the image sent for each pixel of the tensor, by the sides as they were rounded. */
function scalesOf({ sourceWidth, sourceHeight, contentWidth, contentHeight }: ImageFrame): { x: number; y: number } {
  return { x: sourceWidth / contentWidth, y: sourceHeight / contentHeight };
}

export function clipped({ xmin, ymin, xmax, ymax }: Box, { sourceWidth, sourceHeight }: ImageFrame): Box {
  const within = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  return {
    xmin: within(xmin, sourceWidth),
    ymin: within(ymin, sourceHeight),
    xmax: within(xmax, sourceWidth),
    ymax: within(ymax, sourceHeight),
  };
}

/**
 * Greedy non-maximum suppression, separately for each label: of two boxes that `overlap`, by their intersection over
 * union, only the better one is kept. `objects` must be sorted by score, best first. At most `MAX_OBJECTS` are kept, so
 * that there are at most `MAX_CANDIDATES` × `MAX_OBJECTS` comparisons.
 */
export function suppressOverlaps(
  objects: readonly DetectedObject[],
  overlap: (intersectionOverUnion: number) => boolean,
): DetectedObject[] {
  const kept: DetectedObject[] = [];
  for (const object of objects) {
    if (kept.length === MAX_OBJECTS) break;
    const isOverlapping = (other: DetectedObject) =>
      other.label === object.label && overlap(intersectionOverUnion(other.box, object.box));
    if (!kept.some(isOverlapping)) kept.push(object);
  }
  return kept;
}

/** Intersection over union (Jaccard index) of two boxes, 0 to 1. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (width <= 0 || height <= 0) return 0;
  const intersection = width * height;
  return intersection / (areaOf(a) + areaOf(b) - intersection);
}

function areaOf({ xmin, ymin, xmax, ymax }: Box): number {
  return (xmax - xmin) * (ymax - ymin);
}
