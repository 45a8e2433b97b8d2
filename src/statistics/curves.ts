/** Curves of a classifier for one of its classes against the others, and its confusion matrix. */
import { type CalibrationBin, calibrationBins } from './calibration.js';
import { type ClassificationData, checkClassification, scoredClass } from './classification-data.js';
import { sampleOf } from './metric-set.js';
import { sweep } from './score-order.js';

/** A point of a curve, from the highest threshold to the lowest. Both coordinates are from 0 to 1. */
export interface CurvePoint {
  readonly x: number;
  readonly y: number;
  /** Items with this score or a higher one count as the class; null at the start, where none does. */
  readonly threshold: number | null;
}

/** Curves with more points are thinned: see `thinned`. */
export const MAX_CURVE_POINTS = 1_000;

/** Cells of a confusion matrix that are not 0, in order of the true and then the predicted class. */
export interface ConfusionCell {
  /** Index of the label. */
  readonly truth: number;
  /** Index of the label. */
  readonly predicted: number;
  readonly count: number;
}

/** At most as many cells as there are items. @throws RangeError */
export function confusionMatrix(data: ClassificationData, items?: ArrayLike<number>): ConfusionCell[] {
  checkClassification(data);
  const { labels, truth, predicted } = data;
  const counts = new Map<number, number>();
  sampleOf(truth.length, items).weights.forEach((weight, item) => {
    const cell = (truth[item] as number) * labels.length + (predicted[item] as number);
    if (weight > 0) counts.set(cell, (counts.get(cell) ?? 0) + weight);
  });
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([cell, count]) => ({ truth: Math.floor(cell / labels.length), predicted: cell % labels.length, count }));
}

/**
 * False positive rate (x) and true positive rate (y), from (0, 0) to (1, 1); empty unless both the class and others occur.
 *
 * @throws RangeError if the model returns labels only
 */
export function rocCurve(data: ClassificationData, label: number, items?: ArrayLike<number>): CurvePoint[] {
  const points: CurvePoint[] = [{ x: 0, y: 0, threshold: null }];
  sweepClass(data, label, items, (hits, falseAlarms, threshold) => points.push({ x: falseAlarms, y: hits, threshold }));
  const { x: negatives, y: positives } = points.at(-1) as CurvePoint;
  if (negatives === 0 || positives === 0) return [];
  return thinned(corners(points).map(({ x, y, threshold }) => ({ x: x / negatives, y: y / positives, threshold })));
}

/**
 * Recall (x) and precision (y), from (0, 1) to recall 1; empty if the class does not occur.
 *
 * @throws RangeError if the model returns labels only
 */
export function precisionRecallCurve(data: ClassificationData, label: number, items?: ArrayLike<number>): CurvePoint[] {
  const counts: { hits: number; falseAlarms: number; threshold: number }[] = [];
  sweepClass(data, label, items, (hits, falseAlarms, threshold) => counts.push({ hits, falseAlarms, threshold }));
  const positives = counts.at(-1)?.hits ?? 0;
  if (positives === 0) return [];
  return thinned([
    { x: 0, y: 1, threshold: null },
    ...counts.map(({ hits, falseAlarms, threshold }) => ({
      x: hits / positives,
      y: hits / (hits + falseAlarms),
      threshold,
    })),
  ]);
}

/**
 * The probabilities of a class beside how often it occurs, in 15 bins of equal width, empty ones left out, and so are scores
 * that are not finite.
 *
 * @throws RangeError if the model returns labels only
 */
export function calibrationCurve(
  data: ClassificationData,
  label: number,
  items?: ArrayLike<number>,
): readonly CalibrationBin[] {
  checkClassification(data);
  const { scoreOf, isTrue } = scoredClass(data, label);
  const probabilities = Float64Array.from(data.truth, (_, item) => scoreOf(item));
  const weights = sampleOf(data.truth.length, items).weights.map((weight, item) =>
    Number.isFinite(probabilities[item]) ? weight : 0,
  );
  return calibrationBins(probabilities, isTrue, weights);
}

function sweepClass(
  data: ClassificationData,
  label: number,
  items: ArrayLike<number> | undefined,
  visit: Parameters<typeof sweep>[2],
): void {
  checkClassification(data);
  sweep(scoredClass(data, label), sampleOf(data.truth.length, items), visit);
}

/**
 * Without points that lie between their neighbors on a straight line: those with the same steps before and after them. The
 * first threshold is kept, as in scikit-learn.
 */
function corners(points: readonly CurvePoint[]): CurvePoint[] {
  return points.filter((point, i) => {
    const [before, after] = [points[i - 1], points[i + 1]];
    if (!before || !after || i === 1) return true;
    return point.x - before.x !== after.x - point.x || point.y - before.y !== after.y - point.y;
  });
}

/**
 * The ends of a curve, and between them the first point in each of 998 parts of equal length, where length is the sum of the
 * steps in both coordinates. So each point that is left out is closer to one that is kept than such a part is long: at most
 * 2/998 on an ROC curve.
 */
function thinned(points: readonly CurvePoint[]): CurvePoint[] {
  if (points.length <= MAX_CURVE_POINTS) return [...points];
  const lengths = new Float64Array(points.length);
  for (let i = 1; i < points.length; i++) {
    const [before, point] = [points[i - 1] as CurvePoint, points[i] as CurvePoint];
    lengths[i] = (lengths[i - 1] as number) + Math.abs(point.x - before.x) + Math.abs(point.y - before.y);
  }
  const parts = MAX_CURVE_POINTS - 2;
  const partOf = (i: number) => Math.floor(((lengths[i] as number) / (lengths.at(-1) as number)) * parts);
  return points.filter(
    (_, i) => i === 0 || i === points.length - 1 || (partOf(i) > partOf(i - 1) && partOf(i) < parts),
  );
}
