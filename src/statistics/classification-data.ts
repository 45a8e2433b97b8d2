/** Items that a classifier has seen: what they are, and what it said. */
import { checkLengths } from './metric-set.js';
import { type Floats, type ScoredClass, scoredClassOf } from './score-order.js';

export interface ClassificationData {
  readonly labels: readonly string[];
  /** The true class of each item, as an index of `labels`. */
  readonly truth: Int32Array;
  /** The predicted class of each item, as an index of `labels`. */
  readonly predicted: Int32Array;
  /** The scores of all classes for the first item, then for the second, and so on; null if the model returns labels only. */
  readonly scores: Floats | null;
}

/** @throws RangeError */
export function checkClassification({ labels, truth, predicted, scores }: ClassificationData): void {
  checkLengths({ predicted: predicted.length }, truth.length);
  if (scores) checkLengths({ scores: scores.length }, truth.length * labels.length);
  for (const classes of [truth, predicted]) {
    const wrong = classes.find((one) => one < 0 || one >= labels.length);
    if (wrong !== undefined) throw new RangeError(`class ${wrong} is not one of ${labels.length} labels`);
  }
}

/** The scores of one class against all others. */
export function scoredClass({ labels, truth, scores }: ClassificationData, label: number): ScoredClass {
  if (!scores) throw new RangeError('a model that returns labels only has no scores');
  return scoredClassOf(
    truth.length,
    (row) => scores[row * labels.length + label] as number,
    (row) => truth[row] === label,
  );
}
