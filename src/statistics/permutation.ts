/**
 * Permutation importance (Breiman, "Random Forests", 2001, in the form of scikit-learn's `permutation_importance`): by how much a
 * metric gets worse when the values of one column are shuffled. Pure.
 */

export interface Importance {
  /** Positive if the metric gets worse. */
  readonly mean: number;
  /** Over the repeats, divided by their number, as scikit-learn does. */
  readonly standardDeviation: number;
}

/** `baseline`: the metric of the rows as they are; `permuted`: of each repeat, at least one. */
export function importanceOf(baseline: number, permuted: readonly number[], higherIsBetter: boolean): Importance {
  const losses = permuted.map((value) => (higherIsBetter ? baseline - value : value - baseline));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const squares = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0);
  return { mean, standardDeviation: Math.sqrt(squares / losses.length) };
}
