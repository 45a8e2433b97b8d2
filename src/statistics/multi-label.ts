/** Metrics of classifiers that may choose several labels for an item, or none, with the values of scikit-learn 1.9. */
import { type AreaSample, areaMetrics, areasBySample } from './class-areas.js';
import { type ClassCounts, type CountedSample, countMetrics, emptyCounts } from './class-counts.js';
import { checkLengths, type MetricSet, meanOf, metric, metricSet, type Sample } from './metric-set.js';
import { type Floats, scoredClassOf } from './score-order.js';

/** Each array has a value for each label of the first item, then of the second, and so on. */
export interface MultiLabelData {
  readonly labels: readonly string[];
  readonly itemCount: number;
  /** 1 if the label applies, else 0. */
  readonly truth: Uint8Array;
  /** 1 if the label was predicted, else 0. */
  readonly predicted: Uint8Array;
  readonly scores: Floats | null;
}

type MultiLabelSample = CountedSample & AreaSample;

/**
 * The share of items whose labels are all right (`subset_accuracy`) and of labels that are wrong (`hamming_loss`); precision, recall and F1
 * (macro, micro, weighted, per label); area under the ROC curve and average precision (macro, per label).
 *
 * @throws RangeError if arrays differ in length
 */
export function multiLabelMetrics(data: MultiLabelData): MetricSet {
  const { labels, itemCount, truth, predicted, scores } = data;
  const width = labels.length;
  const lengths = { truth: truth.length, predicted: predicted.length, ...(scores && { scores: scores.length }) };
  checkLengths(lengths, itemCount * width);
  const wrong = wrongLabelsOf(data);
  const areSame = wrong.map((count) => Number(count === 0));
  const areas = areasBySample(width, itemCount, (label) =>
    scoredClassOf(
      itemCount,
      (item) => (scores as Floats)[item * width + label] as number,
      (item) => truth[item * width + label] === 1,
    ),
  );
  return metricSet<MultiLabelSample>(
    itemCount,
    [
      metric('subset_accuracy', (sample) => meanOf(areSame, sample)),
      metric('hamming_loss', (sample) => meanOf(wrong, sample) / width, { higherIsBetter: false }),
      ...countMetrics<MultiLabelSample>(labels),
      ...areaMetrics<MultiLabelSample>(labels, { hasScores: scores !== null, isBinary: false }),
    ],
    (sample) => ({ ...sample, counts: countsOf(data, sample), areas: areas(sample) }),
  );
}

/** For each item, how many labels are predicted that do not apply, or the other way around. */
function wrongLabelsOf({ labels, itemCount, truth, predicted }: MultiLabelData): Float64Array {
  const wrong = new Float64Array(itemCount);
  for (let i = 0; i < truth.length; i++) {
    const item = Math.floor(i / labels.length);
    if (truth[i] !== predicted[i]) wrong[item] = (wrong[item] as number) + 1;
  }
  return wrong;
}

function countsOf({ labels, truth, predicted }: MultiLabelData, { weights }: Sample): ClassCounts {
  const counts = emptyCounts(labels.length);
  for (let i = 0; i < truth.length; i++) {
    const weight = weights[Math.floor(i / labels.length)] as number;
    const label = i % labels.length;
    const [is, said] = [truth[i] as number, predicted[i] as number];
    counts.occurring[label] = (counts.occurring[label] as number) + weight * is;
    counts.predicted[label] = (counts.predicted[label] as number) + weight * said;
    counts.hits[label] = (counts.hits[label] as number) + weight * is * said;
  }
  return counts;
}
