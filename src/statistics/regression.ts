/** Metrics of predicted numbers, with the values of scikit-learn 1.9 with `force_finite=False`, and of SciPy for Spearman. */
import {
  checkLengths,
  type Definition,
  type MetricSet,
  meanOf,
  metric,
  metricSet,
  type Sample,
  type Value,
} from './metric-set.js';
import { spearmanOf } from './ranks.js';

export interface RegressionData {
  readonly truth: Float64Array;
  readonly predicted: Float64Array;
  /** The quantile that the model predicts, between 0 and 1, for the pinball loss; null if it predicts none. */
  readonly quantile: number | null;
}

const ZERO_TARGET = 'A true value is 0.';
const TOO_FEW = 'There are fewer than two items.';
const CONSTANT = 'All true values are equal.';

/**
 * Mean absolute error and root mean squared error, in the unit of the target; R² (at most 1); mean absolute percentage error
 * as a fraction; Spearman correlation; and the pinball loss, named after the quantile: `pinball_loss_0.9`.
 *
 * @throws RangeError if the arrays differ in length, or if the quantile is not between 0 and 1
 */
export function regressionMetrics({ truth, predicted, quantile }: RegressionData): MetricSet {
  checkLengths({ predicted: predicted.length }, truth.length);
  const errors = truth.map((value, i) => value - (predicted[i] as number));
  const [absolute, squares] = [errors.map(Math.abs), errors.map((error) => error ** 2)];
  const relative = absolute.map((error, i) => error / Math.abs(truth[i] as number));
  const lower = { higherIsBetter: false };
  return metricSet(
    truth.length,
    [
      metric('mae', (sample) => meanOf(absolute, sample), lower),
      metric('rmse', (sample) => Math.sqrt(meanOf(squares, sample)), lower),
      metric('r2', (sample) => determinationOf(truth, squares, sample)),
      metric('mape', (sample) => (hasZero(truth, sample) ? ZERO_TARGET : meanOf(relative, sample)), lower),
      metric('spearman_correlation', spearmanOf(truth, predicted)),
      ...(quantile === null ? [] : [pinballLoss(errors, quantile)]),
    ],
    (sample) => sample,
  );
}

function pinballLoss(errors: Float64Array, quantile: number): Definition<Sample> {
  if (!(quantile > 0 && quantile < 1)) throw new RangeError(`quantile ${quantile} is not between 0 and 1`);
  const losses = errors.map((error) => (error >= 0 ? quantile * error : (quantile - 1) * error));
  return metric(`pinball_loss_${quantile}`, (sample) => meanOf(losses, sample), { higherIsBetter: false });
}

function hasZero(truth: Float64Array, { weights }: Sample): boolean {
  return truth.some((value, i) => value === 0 && (weights[i] as number) > 0);
}

function determinationOf(truth: Float64Array, squares: Float64Array, sample: Sample): Value {
  if (sample.total < 2) return TOO_FEW;
  const first = truth.find((_, i) => (sample.weights[i] as number) > 0) as number;
  // The mean of equal numbers can differ from them by a rounding error.
  if (!truth.some((value, i) => value !== first && (sample.weights[i] as number) > 0)) return CONSTANT;
  const mean = meanOf(truth, sample);
  const deviations = truth.map((value) => (value - mean) ** 2);
  return 1 - meanOf(squares, sample) / meanOf(deviations, sample);
}

/** Spearman correlation between the similarity of each pair and the one that was predicted. @throws RangeError */
export function similarityMetrics({ truth, predicted }: Omit<RegressionData, 'quantile'>): MetricSet {
  checkLengths({ predicted: predicted.length }, truth.length);
  return metricSet(truth.length, [metric('spearman_correlation', spearmanOf(truth, predicted))], (sample) => sample);
}
