/** Metrics of entities found in texts: an entity is right if its type, start and end are. Items are texts. */
import { type ClassCounts, type CountedSample, countMetrics, emptyCounts } from './class-counts.js';
import { type MetricSet, metricSet, type Sample } from './metric-set.js';
import type { Span } from './tag-spans.js';

export interface EntityText {
  /** Spans of tokens (`spansOfTags`) or of characters, such as UTF-16 offsets: the same for both lists. */
  readonly truth: readonly Span[];
  readonly predicted: readonly Span[];
}

/** Counts of one type in one text. */
interface Contribution {
  readonly type: number;
  readonly hits: number;
  readonly predicted: number;
  readonly occurring: number;
}

/**
 * Precision, recall and F1: micro, macro, weighted and per type, as seqeval with the rules of `class-counts.ts` for types that
 * never occur or were never predicted. Types are those of the spans, in alphabetical order. A repeated span counts once.
 */
export function entityMetrics(texts: readonly EntityText[]): MetricSet {
  const spans = texts.flatMap(({ truth, predicted }) => [...truth, ...predicted]);
  const types = [...new Set(spans.map(({ label }) => label))].sort();
  const indices = new Map(types.map((type, i) => [type, i]));
  const contributions = texts.map((text) => contributionsOf(text, indices));
  return metricSet<CountedSample>(texts.length, countMetrics(types), (sample) => ({
    ...sample,
    counts: countsOf(types.length, contributions, sample),
  }));
}

function contributionsOf({ truth, predicted }: EntityText, types: ReadonlyMap<string, number>): Contribution[] {
  const [trueKeys, predictedKeys] = [keysByType(truth), keysByType(predicted)];
  return [...new Set([...trueKeys.keys(), ...predictedKeys.keys()])].map((label) => {
    const [is, said] = [trueKeys.get(label) ?? new Set(), predictedKeys.get(label) ?? new Set()];
    const hits = is.intersection(said).size;
    return { type: types.get(label) as number, hits, predicted: said.size, occurring: is.size };
  });
}

function keysByType(spans: readonly Span[]): Map<string, Set<string>> {
  const keys = new Map<string, Set<string>>();
  for (const { label, start, end } of spans) {
    const ofType = keys.get(label) ?? new Set();
    keys.set(label, ofType.add(`${start} ${end}`));
  }
  return keys;
}

function countsOf(types: number, contributions: readonly Contribution[][], { weights }: Sample): ClassCounts {
  const counts = emptyCounts(types);
  for (const [text, ofText] of contributions.entries()) {
    const weight = weights[text] as number;
    for (const { type, ...more } of ofText) {
      for (const kind of ['hits', 'predicted', 'occurring'] as const)
        counts[kind][type] = (counts[kind][type] as number) + weight * more[kind];
    }
  }
  return counts;
}
