/** What the probabilities of each item contribute to log loss, Brier score and calibration. */
import type { ClassificationData } from './classification-data.js';
import type { Floats } from './score-order.js';

export interface Probabilities {
  readonly logLosses: Float64Array;
  readonly brierScores: Float64Array;
  /** Probabilities of the predicted classes. */
  readonly confidences: Float64Array;
  /** Items whose scores are not probabilities that add up to 1. */
  readonly invalidItems: readonly number[];
}

/** Probabilities of float16 add up to 1 within this. */
const SUM_TOLERANCE = 1e-3;

export function probabilitiesOf(data: ClassificationData, scores: Floats): Probabilities {
  const { labels, truth, predicted } = data;
  const invalidItems: number[] = [];
  const zeros = () => new Float64Array(truth.length);
  const [logLosses, brierScores, confidences] = [zeros(), zeros(), zeros()];
  for (let item = 0; item < truth.length; item++) {
    const start = item * labels.length;
    const row = scores.subarray(start, start + labels.length);
    if (!isDistribution(row)) invalidItems.push(item);
    const trueClass = truth[item] as number;
    logLosses[item] = -Math.log(clipped(row[trueClass] as number));
    brierScores[item] = brierOf(row, trueClass);
    confidences[item] = row[predicted[item] as number] as number;
  }
  return { logLosses, brierScores, confidences, invalidItems };
}

function isDistribution(row: Floats): boolean {
  let sum = 0;
  for (const score of row) {
    // False for NaN, too.
    if (!(score >= 0 && score <= 1)) return false;
    sum += score;
  }
  return Math.abs(sum - 1) <= SUM_TOLERANCE;
}

/** As scikit-learn clips probabilities of float64. */
function clipped(probability: number): number {
  return Math.min(Math.max(probability, Number.EPSILON), 1 - Number.EPSILON);
}

/** The squared distance from the truth; half of it for two classes, which is the squared error of either probability. */
function brierOf(row: Floats, trueClass: number): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += ((row[i] as number) - (i === trueClass ? 1 : 0)) ** 2;
  return row.length < 3 ? sum / 2 : sum;
}
