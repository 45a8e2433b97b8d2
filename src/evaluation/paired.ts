/**
 * Answers of two versions to the same rows, and the differences of their metrics. Pure, and takes long.
 *
 * A row that one of them did not answer is in neither.
 */
import { type Comparison, compareMetrics, compareProportions, type Pair } from '../statistics/comparison.js';
import { type Gain, gainOfMetric, gainOfProportions } from '../statistics/gate.js';
import { LEVEL } from '../statistics/interval.js';
import type { MetricIdentity, MetricSet } from '../statistics/metric-set.js';
import type { Answers } from './answers-file.js';
import type { ItemKind } from './evaluated-items.js';
import { measurableOf, resamplesOf } from './measure.js';

export type MetricKey = Pick<MetricIdentity, 'name' | 'average' | 'label'>;

export interface VersionAnswers {
  /** Null for numbers; names of the targets of versions with several. */
  readonly labels: readonly string[] | null;
  readonly answers: Answers;
}

export interface Paired extends Pair<Answers> {
  /** Of both versions; null for numbers. */
  readonly labels: readonly string[] | null;
  readonly rows: number;
  /** Rows that only one of them answered. */
  readonly leftOut: number;
}

/** A metric of both on the same rows. */
interface PairedMetric extends MetricIdentity {
  readonly value: number | null;
  readonly holderValue: number | null;
  /** Why one of them is null. */
  readonly undefinedReason: string | null;
}

export interface MetricComparison extends PairedMetric, Comparison {}
export interface MetricGain extends PairedMetric, Gain {}

/** The answers to the rows that both have answered, or why they cannot be compared. */
export function pairedAnswers({ candidate, holder }: Pair<VersionAnswers>): Paired | { readonly problem: string } {
  if (kindOf(candidate) !== kindOf(holder))
    return { problem: 'the versions answer differently: classes, numbers or others' };
  const labels = commonLabels(candidate, holder);
  if (labels === undefined) return { problem: 'the versions have different labels or targets' };
  const items = commonRows(candidate.answers.rows, holder.answers.rows);
  const chosen = {
    candidate: chosenAnswers(candidate, items.candidate, labels),
    holder: chosenAnswers(holder, items.holder, labels),
  };
  if (!isSameTruth(chosen)) return { problem: 'the target of the dataset has changed between their evaluations' };
  const rows = items.holder.length;
  return { ...chosen, labels, rows, leftOut: candidate.answers.rows.length + holder.answers.rows.length - 2 * rows };
}

function kindOf({ labels, answers }: VersionAnswers): string {
  return answers.items?.kind ?? (labels === null ? 'number' : 'class');
}

/** Items that have a number for each label or target of the version, in this order. */
const BY_POSITION: ReadonlySet<string> = new Set(['labels', 'values', 'multiClassification'] satisfies ItemKind[]);

/** Undefined if answers depend on labels that differ. */
function commonLabels(candidate: VersionAnswers, holder: VersionAnswers): readonly string[] | null | undefined {
  const all = holder.labels && [...new Set([...holder.labels, ...(candidate.labels ?? [])])];
  const isSame = JSON.stringify(candidate.labels) === JSON.stringify(holder.labels);
  return isSame || !BY_POSITION.has(kindOf(holder)) ? all : undefined;
}

function isSameTruth({ candidate, holder }: Pair<Answers>): boolean {
  const truths = ({ truth, items }: Answers) => (items ? items.lines.map(truthOfLine) : truth);
  const other = truths(holder);
  return truths(candidate).every((value, i) => value === other[i]);
}

function truthOfLine(line: string): string {
  const { truth, relevance } = JSON.parse(line);
  return JSON.stringify(truth ?? relevance);
}

/** Indices of the rows that are in both lists, which ascend. */
function commonRows(candidate: Uint32Array, holder: Uint32Array): Pair<Uint32Array> {
  const found = { candidate: new Uint32Array(candidate.length), holder: new Uint32Array(candidate.length) };
  let count = 0;
  for (let i = 0, k = 0; i < candidate.length && k < holder.length; ) {
    const [a, b] = [candidate[i] as number, holder[k] as number];
    if (a === b) {
      found.candidate[count] = i;
      found.holder[count++] = k;
    }
    if (a <= b) i++;
    if (b <= a) k++;
  }
  return { candidate: found.candidate.subarray(0, count), holder: found.holder.subarray(0, count) };
}

/** Answers to some rows, with `labels` in place of those of the version. Other labels get the score 0. */
function chosenAnswers(
  { labels: own, answers }: VersionAnswers,
  items: Uint32Array,
  labels: readonly string[] | null,
): Answers {
  const pick = (values: Float64Array) => Float64Array.from(items, (i) => values[i] as number);
  const rows = Uint32Array.from(items, (i) => answers.rows[i] as number);
  if (answers.items)
    return {
      ...answers,
      rows,
      items: { ...answers.items, lines: Array.from(items, (i) => answers.items?.lines[i] ?? '') },
    };
  if (own === null || labels === null)
    return { rows, truth: pick(answers.truth), predicted: pick(answers.predicted), scores: null, items: null };
  const placeOf = new Map(labels.map((label, place) => [label, place]));
  const places = Uint32Array.from(own, (label) => placeOf.get(label) as number);
  const classes = (values: Float64Array) => pick(values).map((label) => places[label] as number);
  const scores = answers.scores && new Float64Array(items.length * labels.length);
  for (let k = 0; scores && k < items.length; k++)
    for (let i = 0; i < own.length; i++)
      scores[k * labels.length + (places[i] as number)] = answers.scores?.[
        (items[k] as number) * own.length + i
      ] as number;
  return { rows, truth: classes(answers.truth), predicted: classes(answers.predicted), scores, items: null };
}

export function isSameMetric(a: MetricKey, b: MetricKey): boolean {
  return a.name === b.name && a.average === b.average && a.label === b.label;
}

/** The differences of these metrics, in the order of the metric set. */
export function comparedMetrics(paired: Paired, wanted: readonly MetricKey[], seed: string): MetricComparison[] {
  const { sets, metrics, ofOne, items, options, isShare } = prepared(paired, wanted, seed);
  const isResampled = (metric: MetricIdentity) => isAmong(metrics, metric) && !isShare(metric);
  const pair = { candidate: statisticsOf(sets.candidate, isResampled), holder: statisticsOf(sets.holder, isResampled) };
  const resampled = (metrics.every(isShare) ? [] : compareMetrics(pair, items, options)).values();
  const compared = metrics.map((metric) => {
    const comparison = isShare(metric)
      ? compareProportions(rightAnswers(paired))
      : (resampled.next().value as Comparison);
    return { ...metric, ...comparison, undefinedReason: metric.undefinedReason ?? comparison.undefinedReason };
  });
  return [...compared, ...ofOne.map((metric) => ({ ...metric, ...NOT_COMPARED }))];
}

const NOT_COMPARED = { difference: null, pValue: null, interval: null, resamples: 0, undefinedResamples: 0 } as const;
const ONLY_HOLDER = 'Only the other version has the metric: for this one, the class neither occurs nor was predicted.';

/**
 * How much better the candidate is than the holder in these metrics, with lower bounds. The same graph with the same answers is
 * no worse: of other graphs, few rows with the same answers do not tell that.
 */
export function gainsOfMetrics(
  paired: Paired,
  wanted: readonly MetricKey[],
  { seed, isSameGraph }: { readonly seed: string; readonly isSameGraph: boolean },
): MetricGain[] {
  const { sets, metrics, items, options, isShare } = prepared(paired, wanted, seed);
  const isSame = isSameGraph && hasSameAnswers(paired);
  return metrics.map((metric): MetricGain => {
    if (isSame && metric.value !== null)
      return {
        ...metric,
        gain: 0,
        lowerBound: 0,
        level: LEVEL,
        method: isShare(metric) ? 'tango' : 'bca_bootstrap',
        undefinedReason: null,
      };
    if (isShare(metric)) return { ...metric, ...gainOfProportions(rightAnswers(paired)) };
    const only = (other: MetricIdentity) => isSameMetric(metric, other);
    const measuring = (set: MetricSet) => (chosen: Uint32Array) => set.measure(chosen, only)[0]?.value ?? null;
    const pair = { candidate: measuring(sets.candidate), holder: measuring(sets.holder) };
    const { higherIsBetter } = metric;
    const found = gainOfMetric(pair, items, { ...options, higherIsBetter });
    return { ...metric, ...found, undefinedReason: metric.undefinedReason ?? found.undefinedReason };
  });
}

function hasSameAnswers({ candidate, holder, leftOut }: Paired): boolean {
  return (
    leftOut === 0 &&
    areSame(candidate.predicted, holder.predicted) &&
    areSame(candidate.scores ?? [], holder.scores ?? []) &&
    areSame(candidate.items?.lines ?? [], holder.items?.lines ?? [])
  );
}

function areSame(some: ArrayLike<unknown>, others: ArrayLike<unknown>): boolean {
  for (let i = 0; i < some.length; i++) if (!Object.is(some[i], others[i])) return false;
  return some.length === others.length;
}

function prepared(paired: Paired, wanted: readonly MetricKey[], seed: string) {
  const { labels, rows, candidate, holder } = paired;
  const [ofCandidate, ofHolder] = [measurableOf(labels, candidate), measurableOf(labels, holder)];
  const of = ({ set }: { readonly set: MetricSet }) => set.measure(undefined, (metric) => isAmong(wanted, metric));
  const [own, others] = [of(ofCandidate), of(ofHolder)];
  const metrics = own.flatMap((metric): PairedMetric[] => {
    const other = others.find((one) => isSameMetric(one, metric));
    if (!other) return [];
    return [{ ...metric, holderValue: other.value, undefinedReason: metric.undefinedReason ?? other.undefinedReason }];
  });
  // Types of entities are those that occur or were predicted.
  const ofOne = others
    .filter((metric) => !isAmong(own, metric))
    .map((metric) => ({ ...metric, value: null, holderValue: metric.value, undefinedReason: ONLY_HOLDER }));
  return {
    sets: { candidate: ofCandidate.set, holder: ofHolder.set },
    metrics,
    ofOne,
    items: { count: rows, groups: null },
    options: { seed, resamples: resamplesOf(ofCandidate.steps + ofHolder.steps) },
    // Of one class for each row, precision, recall and F1 over all decisions are the accuracy.
    isShare: ({ name, average }: MetricKey) =>
      labels !== null && candidate.items === null && (name === 'accuracy' || average === 'micro'),
  };
}

function isAmong(wanted: readonly MetricKey[], metric: MetricKey): boolean {
  return wanted.some((one) => isSameMetric(one, metric));
}

function statisticsOf(set: MetricSet, isWanted: (metric: MetricIdentity) => boolean) {
  return (items: Uint32Array) => set.measure(items, isWanted).map(({ value }) => value);
}

function rightAnswers({ candidate, holder }: Paired): Pair<Uint8Array> {
  const right = ({ truth, predicted }: Answers) =>
    Uint8Array.from(truth, (value, i) => (value === predicted[i] ? 1 : 0));
  return { candidate: right(candidate), holder: right(holder) };
}
