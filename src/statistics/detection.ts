/**
 * Average precision of detected objects as pycocotools 2.0 computes it: 101 thresholds of recall, all areas, at most 100
 * detections of a class in an image. Detections with equal scores are taken in the order of the images.
 */
import { type FoundBox, IOU_THRESHOLDS, type MatchedBox, matchBoxes, type TrueBox } from './box-matching.js';
import { type ClassCounts, type CountedSample, countMetrics, emptyCounts } from './class-counts.js';
import {
  type Definition,
  type MetricSet,
  meanOfDefined,
  metric,
  metricSet,
  type Sample,
  type Value,
} from './metric-set.js';

export interface DetectionImage {
  /** True boxes, with the indices of their labels. */
  readonly truth: readonly (TrueBox & { readonly label: number })[];
  /** Detected boxes, with the indices of their labels. */
  readonly found: readonly (FoundBox & { readonly label: number })[];
}

export interface DetectionData {
  readonly labels: readonly string[];
  readonly images: readonly DetectionImage[];
}

/** The detections of one class in all images, highest score first. */
interface ClassDetections {
  readonly images: Uint32Array;
  readonly hits: Uint16Array;
  readonly ignored: Uint16Array;
  /** Per image, the objects of the class without crowds. */
  readonly objects: Uint32Array;
}

/** Per class, the average precision at each threshold of IoU. */
type DetectionSample = Sample & { readonly precisions: readonly (readonly Value[])[] };

const RECALLS = Float64Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : i * 0.01));
const NO_OBJECTS = 'The class does not occur.';

/**
 * `map_50` at an IoU of 0.5 and `map` over 0.5, 0.55 … 0.95: means over the classes that occur. `average_precision_50`
 * and `average_precision` are the same for each class. Items are images.
 *
 * @throws RangeError if the label of a box is not one of the labels, or a number is not finite
 */
export function detectionMetrics({ labels, images }: DetectionData): MetricSet {
  checkBoxes(labels.length, images);
  const classes = detectionsOf(labels.length, images);
  return metricSet<DetectionSample>(
    images.length,
    [
      metric('map', ({ precisions }) => meanOfDefined(precisions.map(meanOfThresholds))),
      metric('map_50', ({ precisions }) => meanOfDefined(precisions.map(([first]) => first as Value))),
      ...labels.flatMap((label, i): Definition<DetectionSample>[] => [
        metric('average_precision', ({ precisions }) => meanOfThresholds(precisions[i] as Value[]), { label }),
        metric('average_precision_50', ({ precisions }) => precisions[i]?.[0] as Value, { label }),
      ]),
    ],
    (sample) => ({ ...sample, precisions: classes.map((one) => averagePrecisions(one, sample)) }),
  );
}

/**
 * Precision, recall and F1 of all detections at an IoU of 0.5: micro, macro, weighted and per class, with the rules of
 * `class-counts.ts`. Items are images.
 *
 * @throws RangeError as `detectionMetrics`
 */
export function foundObjectMetrics({ labels, images }: DetectionData): MetricSet {
  checkBoxes(labels.length, images);
  const classes = detectionsOf(labels.length, images);
  return metricSet<CountedSample>(images.length, countMetrics(labels), (sample) => ({
    ...sample,
    counts: countsOf(classes, sample),
  }));
}

/** The first threshold of IoU is 0.5. */
function countsOf(classes: readonly ClassDetections[], { weights }: Sample): ClassCounts {
  const counts = emptyCounts(classes.length);
  const add = (kind: keyof ClassCounts, label: number, image: number) => {
    counts[kind][label] = (counts[kind][label] as number) + (weights[image] as number);
  };
  for (const [label, { images, hits, ignored, objects }] of classes.entries()) {
    for (const [i, image] of images.entries()) {
      if ((ignored[i] as number) & 1) continue;
      add('predicted', label, image);
      if ((hits[i] as number) & 1) add('hits', label, image);
    }
    for (const [image, count] of objects.entries())
      counts.occurring[label] = (counts.occurring[label] as number) + count * (weights[image] as number);
  }
  return counts;
}

function checkBoxes(labels: number, images: readonly DetectionImage[]): void {
  for (const { truth, found } of images) {
    for (const one of [...truth, ...found]) {
      if (!(Number.isInteger(one.label) && one.label >= 0 && one.label < labels))
        throw new RangeError(`class ${one.label} is not one of ${labels} labels`);
      const numbers = [...Object.values(one.box), 'score' in one ? one.score : 0];
      if (!numbers.every(Number.isFinite)) throw new RangeError(`a box is not finite: ${numbers.join(', ')}`);
    }
  }
}

/** The detections of each class, in the order of the labels. */
function detectionsOf(labels: number, images: readonly DetectionImage[]): ClassDetections[] {
  const matched = Array.from({ length: labels }, (): (MatchedBox & { image: number })[] => []);
  const objects = matched.map(() => new Uint32Array(images.length));
  for (const [image, { truth, found }] of images.entries()) {
    const trueByLabel = Map.groupBy(truth, ({ label }) => label);
    const foundByLabel = Map.groupBy(found, ({ label }) => label);
    for (const [label, boxes] of trueByLabel) {
      const counts = objects[label] as Uint32Array;
      counts[image] = boxes.filter(({ isCrowd }) => !isCrowd).length;
    }
    for (const [label, boxes] of foundByLabel) {
      for (const match of matchBoxes(trueByLabel.get(label) ?? [], boxes)) matched[label]?.push({ ...match, image });
    }
  }
  return matched.map((ofClass, label) => {
    ofClass.sort((a, b) => b.score - a.score);
    return {
      images: Uint32Array.from(ofClass, ({ image }) => image),
      hits: Uint16Array.from(ofClass, ({ hits }) => hits),
      ignored: Uint16Array.from(ofClass, ({ ignored }) => ignored),
      objects: objects[label] as Uint32Array,
    };
  });
}

function averagePrecisions(detections: ClassDetections, { weights }: Sample): Value[] {
  const objects = detections.objects.reduce((sum, count, image) => sum + count * (weights[image] as number), 0);
  return IOU_THRESHOLDS.map((_, bit) =>
    objects === 0 ? NO_OBJECTS : averagePrecision(detections, weights, bit, objects),
  );
}

/** The mean over 101 thresholds of recall of the highest precision at this recall or a higher one; 0 where it is not reached. */
function averagePrecision(
  { images, hits, ignored }: ClassDetections,
  weights: Uint32Array,
  bit: number,
  objects: number,
): number {
  const recalls: number[] = [];
  const precisions: number[] = [];
  let [found, wrong] = [0, 0];
  for (let i = 0; i < images.length; i++) {
    const weight = weights[images[i] as number] as number;
    if (weight === 0 || ((ignored[i] as number) >> bit) & 1) continue;
    if (((hits[i] as number) >> bit) & 1) found += weight;
    else wrong += weight;
    recalls.push(found / objects);
    precisions.push(found / (wrong + found + Number.EPSILON));
  }
  let sum = 0;
  let highest = 0;
  let next = RECALLS.length - 1;
  // From the last detection up: thresholds above the recall before a detection are first reached by it.
  for (let i = recalls.length - 1; i >= 0; i--) {
    highest = Math.max(highest, precisions[i] as number);
    const before = i === 0 ? -1 : (recalls[i - 1] as number);
    while (next >= 0 && (RECALLS[next] as number) > (recalls[i] as number)) next--;
    for (; next >= 0 && (RECALLS[next] as number) > before; next--) sum += highest;
  }
  return sum / RECALLS.length;
}

function meanOfThresholds(values: readonly Value[]): Value {
  return typeof values[0] === 'string' ? NO_OBJECTS : meanOfDefined(values);
}
