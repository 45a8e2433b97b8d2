/** Metrics of images whose pixels were classified. */
import {
  checkLengths,
  type MetricSet,
  meanOfDefined,
  metric,
  metricSet,
  ratio,
  type Sample,
  type Value,
} from './metric-set.js';

/** Pixels of one class in one image. */
export interface MaskOverlap {
  /** Index of the label. */
  readonly label: number;
  /** Pixels of the class in both masks, and in one of them or both. */
  readonly intersection: number;
  readonly union: number;
}

/** The class of pixels whose truth is unknown: they are left out. */
export const UNKNOWN_PIXEL = 0xffff;

/** One class of pixels: numbers of pixels outside and inside it, in turn, row by row, as models return masks. */
export interface MaskRuns {
  /** Index of the label. */
  readonly label: number;
  readonly runLengths: Uint32Array;
}

/** The class of each of so many pixels; `UNKNOWN_PIXEL` where there is none. @throws RangeError if runs are longer than that */
export function classMapOf(pixels: number, masks: readonly MaskRuns[]): Uint16Array {
  const classes = new Uint16Array(pixels).fill(UNKNOWN_PIXEL);
  for (const { label, runLengths } of masks) {
    let end = 0;
    for (const [i, length] of runLengths.entries()) {
      const start = end;
      end += length;
      if (end > pixels) throw new RangeError(`a mask has more than ${pixels} pixels`);
      if (i % 2 === 1) classes.fill(label, start, end);
    }
  }
  return classes;
}

const NEITHER = 'The class neither occurs nor was predicted.';

/** The classes that occur in one of two maps of classes, one per pixel, or in both. @throws RangeError if their sizes differ */
export function overlapsOf(truth: Uint16Array, predicted: Uint16Array): MaskOverlap[] {
  checkLengths({ predicted: predicted.length }, truth.length);
  const pixels = new Map<number, { intersection: number; union: number }>();
  const add = (label: number, intersection: number) => {
    const known = pixels.get(label) ?? { intersection: 0, union: 0 };
    known.intersection += intersection;
    known.union++;
    pixels.set(label, known);
  };
  for (let i = 0; i < truth.length; i++) {
    const [is, said] = [truth[i] as number, predicted[i] as number];
    if (is === UNKNOWN_PIXEL) continue;
    add(is, Number(is === said));
    if (is !== said && said !== UNKNOWN_PIXEL) add(said, 0);
  }
  return [...pixels].map(([label, counts]) => ({ label, ...counts }));
}

type MaskSample = Sample & { readonly overlaps: readonly Value[] };

/**
 * `iou` of each class over the pixels of all images together, 0 to 1, and `mean_iou`, the mean over the classes that occur or
 * were predicted. Items are images.
 */
export function maskMetrics(labels: readonly string[], images: readonly (readonly MaskOverlap[])[]): MetricSet {
  return metricSet<MaskSample>(
    images.length,
    [
      metric('mean_iou', ({ overlaps }) => meanOfDefined(overlaps)),
      ...labels.map((label, i) => metric<MaskSample>('iou', ({ overlaps }) => overlaps[i] as Value, { label })),
    ],
    (sample) => ({ ...sample, overlaps: ratiosOf(labels.length, images, sample) }),
  );
}

function ratiosOf(labels: number, images: readonly (readonly MaskOverlap[])[], { weights }: Sample): Value[] {
  const [intersections, unions] = [new Float64Array(labels), new Float64Array(labels)];
  for (const [image, overlaps] of images.entries()) {
    const weight = weights[image] as number;
    for (const { label, intersection, union } of overlaps) {
      if (!(label >= 0 && label < labels)) throw new RangeError(`class ${label} is not one of ${labels} labels`);
      intersections[label] = (intersections[label] as number) + weight * intersection;
      unions[label] = (unions[label] as number) + weight * union;
    }
  }
  return [...unions].map((union, i) => ratio(intersections[i] as number, union, NEITHER));
}
