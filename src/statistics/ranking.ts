/** Metrics of documents ranked for queries. */
import { type MetricSet, metric, metricSet, ratio, type Sample, type Value } from './metric-set.js';

export interface RankedQuery {
  /** How relevant each document is: 0 or more, a higher number for a better one. */
  readonly relevance: readonly number[];
  /** The predicted score of each document. */
  readonly scores: readonly number[];
}

const NOTHING_RELEVANT = 'No query has a relevant document.';

/**
 * `ndcg_at_k`: normalized discounted cumulative gain of the best k documents, 0 to 1, the mean over the queries. The gain
 * is the relevance itself, the discount log2 of the rank + 1, and documents with equal scores share the mean of their gains, as in
 * scikit-learn. Queries without a relevant document are left out; scikit-learn would count them as 0. Items are queries.
 *
 * @throws RangeError if a query has other numbers of scores than of documents, a relevance is negative, or k is not a count
 */
export function rankingMetrics(queries: readonly RankedQuery[], k: number): MetricSet {
  if (!(Number.isInteger(k) && k > 0)) throw new RangeError(`k ${k} is not a positive integer`);
  const gains = Float64Array.from(queries, (query) => normalizedGain(query, k));
  const hasRelevant = Uint8Array.from(queries, ({ relevance }) => Number(relevance.some((value) => value > 0)));
  return metricSet(queries.length, [metric(`ndcg_at_${k}`, meanOfRelevant(gains, hasRelevant))], (sample) => sample);
}

function meanOfRelevant(gains: Float64Array, hasRelevant: Uint8Array): (sample: Sample) => Value {
  return ({ weights }) => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < gains.length; i++) {
      const weight = (weights[i] as number) * (hasRelevant[i] as number);
      if (weight === 0) continue;
      sum += weight * (gains[i] as number);
      count += weight;
    }
    return ratio(sum, count, NOTHING_RELEVANT);
  };
}

/** NaN if a number is not finite or nothing is relevant. */
function normalizedGain({ relevance, scores }: RankedQuery, k: number): number {
  if (scores.length !== relevance.length)
    throw new RangeError(`a query has ${relevance.length} documents and ${scores.length} scores`);
  const negative = relevance.find((value) => value < 0);
  if (negative !== undefined) throw new RangeError(`relevance ${negative} is negative`);
  if (![...relevance, ...scores].every(Number.isFinite)) return Number.NaN;
  return gainBy(scores, relevance, k) / gainBy(relevance, relevance, k);
}

/** The discounted gain of the best k documents by a score. Each of several with equal scores has the mean of their gains. */
function gainBy(scores: readonly number[], relevance: readonly number[], k: number): number {
  const order = scores.map((_, i) => i).sort((a, b) => (scores[b] as number) - (scores[a] as number));
  let gain = 0;
  for (let start = 0; start < Math.min(k, order.length); ) {
    let [end, tied, discount] = [start, 0, 0];
    for (; end < order.length && scores[order[end] as number] === scores[order[start] as number]; end++) {
      tied += relevance[order[end] as number] as number;
      if (end < k) discount += 1 / Math.log2(end + 2);
    }
    gain += (tied / (end - start)) * discount;
    start = end;
  }
  return gain;
}
