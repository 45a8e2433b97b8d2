/**
 * Metrics of classifiers that choose one class for each item.
 *
 * They have the values of scikit-learn 1.9 with `zero_division=nan`. Where it returns 0 for 0/0 (Matthews correlation
 * when only one class occurs or was predicted; average precision of a class that does not occur), the value is undefined.
 */
import { calibrationErrorOf } from './calibration.js';
import { type AreaSample, areaMetrics, areasBySample, NO_SCORES } from './class-areas.js';
import { type ClassCounts, type CountedSample, countMetrics, emptyCounts, recallOf } from './class-counts.js';
import { type ClassificationData, checkClassification, scoredClass } from './classification-data.js';
import {
  type Definition,
  type MetricSet,
  meanOf,
  meanOfDefined,
  metric,
  metricSet,
  type Sample,
  type Value,
} from './metric-set.js';
import { type Probabilities, probabilitiesOf } from './probabilities.js';

type ClassificationSample = CountedSample & AreaSample;

const NOT_PROBABILITIES = 'The scores of an item are not probabilities that add up to 1.';
const ONE_CLASS = 'Only one class occurs, or only one was predicted.';

/**
 * Accuracy, balanced accuracy, Matthews correlation; precision, recall and F1 (macro, micro, weighted, per class); area
 * under the ROC curve and average precision of each class against the others, and their means over the classes for which they are defined
 * (of two classes, the area is that of the last class); log loss (natural logarithm, probabilities clipped to
 * [2.2e-16, 1 − 2.2e-16]); Brier score (0 to 1 for two classes, 0 to 2 for more); expected calibration error.
 *
 * @throws RangeError if arrays differ in length or a class is not one of the labels
 */
export function classificationMetrics(data: ClassificationData): MetricSet {
  checkClassification(data);
  const { labels, truth, scores } = data;
  const areas = areasBySample(labels.length, truth.length, (label) => scoredClass(data, label));
  return metricSet<ClassificationSample>(
    truth.length,
    [
      metric('accuracy', ({ counts, total }) => sumOf(counts.hits) / total),
      metric('balanced_accuracy', ({ counts }) => meanOfDefined(labels.map((_, i) => recallOf(counts, i)))),
      metric('matthews_correlation', matthewsOf),
      ...countMetrics<ClassificationSample>(labels),
      ...areaMetrics<ClassificationSample>(labels, { hasScores: scores !== null, isBinary: labels.length === 2 }),
      ...probabilityMetrics(data),
    ],
    (sample) => ({ ...sample, counts: countsOf(data, sample), areas: areas(sample) }),
  );
}

function countsOf({ labels, truth, predicted }: ClassificationData, { weights }: Sample): ClassCounts {
  const counts = emptyCounts(labels.length);
  for (let i = 0; i < truth.length; i++) {
    const weight = weights[i] as number;
    const [is, said] = [truth[i] as number, predicted[i] as number];
    counts.occurring[is] = (counts.occurring[is] as number) + weight;
    counts.predicted[said] = (counts.predicted[said] as number) + weight;
    if (is === said) counts.hits[is] = (counts.hits[is] as number) + weight;
  }
  return counts;
}

function sumOf(values: Float64Array): number {
  return values.reduce((all, value) => all + value, 0);
}

/** Gorodkin's form for any number of classes: a correlation of −1 to 1. */
function matthewsOf({ counts: { hits, predicted, occurring }, total }: CountedSample): Value {
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((all, value, i) => all + value * (b[i] as number), 0);
  const spreads = (total ** 2 - dot(predicted, predicted)) * (total ** 2 - dot(occurring, occurring));
  return spreads === 0 ? ONE_CLASS : (sumOf(hits) * total - dot(occurring, predicted)) / Math.sqrt(spreads);
}

function probabilityMetrics(data: ClassificationData): Definition<ClassificationSample>[] {
  const known = data.scores ? probabilitiesOf(data, data.scores) : null;
  const define = (name: string, of: (known: Probabilities, sample: Sample) => Value) =>
    metric<ClassificationSample>(
      name,
      (sample) => {
        if (!known) return NO_SCORES;
        return known.invalidItems.some((item) => (sample.weights[item] as number) > 0)
          ? NOT_PROBABILITIES
          : of(known, sample);
      },
      { higherIsBetter: false },
    );
  return [
    define('log_loss', ({ logLosses }, sample) => meanOf(logLosses, sample)),
    define('brier_score', ({ brierScores }, sample) => meanOf(brierScores, sample)),
    define('expected_calibration_error', ({ confidences }, sample) =>
      calibrationErrorOf(confidences, (item) => data.truth[item] === data.predicted[item], sample),
    ),
  ];
}
