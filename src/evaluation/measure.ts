/** What is made of the answers to a dataset: metrics with intervals, curves, and the confusion matrix. Pure, and takes long. */
import { bootstrapIntervals, RESAMPLES } from '../statistics/bootstrap.js';
import { classificationMetrics } from '../statistics/classification.js';
import type { ClassificationData } from '../statistics/classification-data.js';
import {
  type CurvePoint,
  calibrationCurve,
  confusionMatrix,
  precisionRecallCurve,
  rocCurve,
} from '../statistics/curves.js';
import { type Interval, wilson } from '../statistics/interval.js';
import type { Measured, MetricIdentity, MetricSet } from '../statistics/metric-set.js';
import { regressionMetrics } from '../statistics/regression.js';
import type { EvaluationPartTable } from '../storage/migrations/evaluation.table.js';
import type { Answers } from './answers-file.js';
import { BY_TARGET, type Items, metricsOf, SHARES, stepsOfClasses } from './evaluated-items.js';

export interface MeasuredMetric extends Measured {
  readonly interval: Interval | null;
}

export type NewPart = Pick<EvaluationPartTable, 'kind' | 'label' | 'content'>;

/** Cells that are not 0: [true label, predicted label, count], labels as indices. */
export interface Confusion {
  readonly labels: readonly string[];
  readonly cells: readonly (readonly [truth: number, predicted: number, count: number])[];
}

/** `thresholds`: of all points but the first; null for calibration, which has the numbers of rows in each bin instead. */
export interface Curve {
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly thresholds: readonly number[] | null;
  readonly counts: readonly number[] | null;
}

export interface ToMeasure {
  /** Null for numbers; names of the targets of versions with several. */
  readonly labels: readonly string[] | null;
  readonly answers: Answers;
  /** The same seed gives the same intervals. */
  readonly seed: string;
  /** Rows × classes × resamples. By default, as many as take less than a minute. */
  readonly maxResampled?: number;
}

/** More classes have no curves. */
const MAX_CURVE_CLASSES = 20;
/** Of more classes, only metrics over all of them are measured: the resamples of each metric are in memory, in 16 KB. */
const MAX_MEASURED_CLASSES = 1_000;
export const MAX_RESAMPLED = 4_000_000_000;
const MIN_RESAMPLES = 200;

/** `isWanted`: by default all metrics, as far as classes have metrics of their own. */
export function measure(
  { labels, answers, seed, maxResampled = MAX_RESAMPLED }: ToMeasure,
  isWanted: (metric: MetricIdentity) => boolean = ({ label }) => label === null || !hasManyClasses(labels, answers),
): MeasuredMetric[] {
  const { set, proportion, steps } = measurableOf(labels, answers);
  const measured = set.measure(undefined, isWanted);
  const isResampled = (metric: MetricIdentity) => isWanted(metric) && proportion(metric) === null;
  const count = answers.rows.length;
  const resampled = bootstrapIntervals(
    (items) => set.measure(items, isResampled).map(({ value }) => value),
    { count, groups: null },
    { seed, resamples: resamplesOf(steps, maxResampled) },
  ).values();
  return measured.map((metric) => {
    const share = proportion(metric);
    if (!share) return { ...metric, interval: resampled.next().value?.interval ?? null };
    return { ...metric, interval: share.count > 0 ? wilson(share.successes, share.count) : null };
  });
}

export function hasManyClasses(labels: readonly string[] | null, { items }: Answers): boolean {
  return (labels?.length ?? 0) > MAX_MEASURED_CLASSES && !BY_TARGET.has(items?.kind ?? '');
}

/** `steps`: that the metrics of one sample take. The more, the fewer resamples, so that they do not take too long. */
export function resamplesOf(steps: number, maxResampled = MAX_RESAMPLED): number {
  return Math.min(RESAMPLES, Math.max(MIN_RESAMPLES, Math.floor(maxResampled / Math.max(1, steps))));
}

interface Measurable {
  readonly set: MetricSet;
  /** That the metrics of one sample take. */
  readonly steps: number;
  /** Null for metrics that are no share of independent rows. */
  readonly proportion: (metric: MetricIdentity) => { readonly successes: number; readonly count: number } | null;
}

/** `labels`: as in `ToMeasure`. */
export function measurableOf(labels: readonly string[] | null, answers: Answers): Measurable {
  if (answers.items) return ofItems(answers.items, labels ?? []);
  return labels ? ofClasses(labels, answers) : ofNumbers(answers);
}

function ofItems(items: Items, names: readonly string[]): Measurable {
  const { set, steps } = metricsOf(items, names);
  const count = items.lines.length;
  const proportion: Measurable['proportion'] = (metric) => {
    if (!SHARES.has(metric.name)) return null;
    const [share] = set.measure(undefined, ({ name }) => name === metric.name);
    return { successes: Math.round((share?.value ?? 0) * count), count };
  };
  return { set, steps, proportion };
}

function ofNumbers({ truth, predicted }: Answers): Measurable {
  const set = regressionMetrics({ truth, predicted, quantile: null });
  return { set, steps: truth.length, proportion: () => null };
}

function ofClasses(labels: readonly string[], answers: Answers): Measurable {
  const data = classified(labels, answers);
  const { truth, predicted } = data;
  const indexOf = new Map(labels.map((label, i) => [label, i]));
  const zeros = () => new Float64Array(labels.length);
  const [hits, occurring, said] = [zeros(), zeros(), zeros()];
  let right = 0;
  for (let i = 0; i < truth.length; i++) {
    const [is, was] = [truth[i] as number, predicted[i] as number];
    occurring[is] = (occurring[is] as number) + 1;
    said[was] = (said[was] as number) + 1;
    if (is !== was) continue;
    hits[is] = (hits[is] as number) + 1;
    right++;
  }
  return {
    set: classificationMetrics(data),
    steps: stepsOfClasses(truth.length, labels.length),
    proportion: ({ name, average, label }) => {
      // Of one class for each row, precision, recall and F1 over all decisions are the accuracy.
      if (name === 'accuracy' || average === 'micro') return { successes: right, count: truth.length };
      if (label === null || (name !== 'precision' && name !== 'recall')) return null;
      const i = indexOf.get(label) as number;
      return { successes: hits[i] as number, count: (name === 'recall' ? occurring : said)[i] as number };
    },
  };
}

function classified(labels: readonly string[], { truth, predicted, scores }: Answers): ClassificationData {
  return { labels, truth: Int32Array.from(truth), predicted: Int32Array.from(predicted), scores };
}

/** The confusion matrix, and the curves of each class; nothing for other answers. */
export function partsOf({ labels, answers }: ToMeasure): NewPart[] {
  if (!labels || answers.items) return [];
  const data = classified(labels, answers);
  const cells = confusionMatrix(data).map(({ truth, predicted, count }) => [truth, predicted, count] as const);
  const confusion: Confusion = { labels, cells };
  const parts: NewPart[] = [{ kind: 'CONFUSION', label: null, content: JSON.stringify(confusion) }];
  if (!data.scores || labels.length > MAX_CURVE_CLASSES) return parts;
  const areProbabilities = data.scores.every((score) => score >= 0 && score <= 1);
  for (const [i, label] of labels.entries()) {
    const add = (kind: NewPart['kind'], curve: Curve) => {
      if (curve.x.length > 0) parts.push({ kind, label, content: JSON.stringify(curve) });
    };
    add('ROC', curveOf(rocCurve(data, i)));
    add('PR', curveOf(precisionRecallCurve(data, i)));
    if (!areProbabilities) continue;
    const bins = calibrationCurve(data, i);
    add('CALIBRATION', {
      x: bins.map(({ meanProbability }) => meanProbability),
      y: bins.map(({ rate }) => rate),
      thresholds: null,
      counts: bins.map(({ count }) => count),
    });
  }
  return parts;
}

function curveOf(points: readonly CurvePoint[]): Curve {
  return {
    x: points.map(({ x }) => x),
    y: points.map(({ y }) => y),
    thresholds: points.slice(1).map(({ threshold }) => threshold as number),
    counts: null,
  };
}
