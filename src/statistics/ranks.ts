/** Ranks of values in a sample, and their correlation. */
import type { Sample, Value } from './metric-set.js';
import { ascending } from './score-order.js';

const CONSTANT = 'All predictions or all true values are equal.';

/** Spearman's rank correlation of two numbers of each item, −1 to 1; equal values have their mean rank. */
export function spearmanOf(a: Float64Array, b: Float64Array): (sample: Sample) => Value {
  const [ranksOfA, ranksOfB] = [rankerOf(a), rankerOf(b)];
  return (sample) => {
    const [ranksA, ranksB] = [ranksOfA(sample), ranksOfB(sample)];
    const mean = (sample.total + 1) / 2;
    let [products, squaresA, squaresB] = [0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      const weight = sample.weights[i] as number;
      if (weight === 0) continue;
      const [x, y] = [(ranksA[i] as number) - mean, (ranksB[i] as number) - mean];
      products += weight * x * y;
      squaresA += weight * x * x;
      squaresB += weight * y * y;
    }
    return squaresA === 0 || squaresB === 0 ? CONSTANT : products / Math.sqrt(squaresA) / Math.sqrt(squaresB);
  };
}

/** Ranks from 1; those of values that are not finite are NaN. */
function rankerOf(values: Float64Array): (sample: Sample) => Float64Array {
  const order = ascending(values.length, (i) => values[i] as number).filter((i) => Number.isFinite(values[i]));
  return ({ weights }) => {
    const ranks = new Float64Array(values.length).fill(Number.NaN);
    let before = 0;
    for (let start = 0; start < order.length; ) {
      let end = start;
      let tied = 0;
      for (; end < order.length && values[order[end] as number] === values[order[start] as number]; end++)
        tied += weights[order[end] as number] as number;
      for (let i = start; i < end; i++) ranks[order[i] as number] = before + (tied + 1) / 2;
      before += tied;
      start = end;
    }
    return ranks;
  };
}
