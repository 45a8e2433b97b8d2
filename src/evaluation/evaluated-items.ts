/**
 * Answers that are no class and no number, beside what is true, and their metrics. Items are what the mathematics of `statistics/`
 * takes, with labels by name, so that they can be stored as JSON.
 */
import { answerMetrics } from '../statistics/answers.js';
import type { BoxEdges } from '../statistics/box-matching.js';
import { classificationMetrics } from '../statistics/classification.js';
import { detectionMetrics, foundObjectMetrics } from '../statistics/detection.js';
import { type EntityText, entityMetrics } from '../statistics/entities.js';
import { classMapOf, type MaskOverlap, maskMetrics, overlapsOf } from '../statistics/mask-overlap.js';
import type { Measured, MetricIdentity, MetricSet } from '../statistics/metric-set.js';
import { multiLabelMetrics } from '../statistics/multi-label.js';
import { rankingMetrics } from '../statistics/ranking.js';
import { regressionMetrics, similarityMetrics } from '../statistics/regression.js';

export interface LabelledBox {
  readonly label: string;
  readonly box: BoxEdges;
}

/** Numbers of pixels outside and inside of the class, in turn. */
interface MaskOfClass {
  readonly label: string;
  readonly runLengths: readonly number[];
}

/** What a row and its answer become, by the kind of the answers. */
export interface ItemTypes {
  readonly detections: {
    readonly truth: readonly LabelledBox[];
    readonly found: readonly (LabelledBox & { readonly score: number })[];
  };
  readonly tokens: EntityText;
  readonly answer: { readonly truth: readonly string[]; readonly predicted: string | null };
  readonly ranking: { readonly relevance: readonly number[]; readonly scores: readonly number[] };
  readonly similarities: { readonly truth: number; readonly predicted: number };
  readonly masks: {
    readonly pixels: number;
    readonly truth: readonly MaskOfClass[];
    readonly found: readonly MaskOfClass[];
  };
  /** Of classifiers that may choose several labels: those that apply, and the scores of all labels of the version. */
  readonly labels: { readonly truth: readonly string[]; readonly scores: readonly number[] };
  /** A number for each target. */
  readonly values: { readonly truth: readonly number[]; readonly predicted: readonly number[] };
  /** A class for each target. */
  readonly multiClassification: { readonly truth: readonly string[]; readonly predicted: readonly string[] };
}
export type ItemKind = keyof ItemTypes;

type ItemsOf<K extends ItemKind> = { readonly kind: K; readonly values: readonly ItemTypes[K][] };
type AnyItems = { readonly [K in ItemKind]: ItemsOf<K> }[ItemKind];

/** As they are stored. */
export interface Items {
  readonly kind: ItemKind;
  /** JSON of each. */
  readonly lines: readonly string[];
}

/** Documents that count, of those that are ranked. */
const RANKED = 10;
/** Labels that only the dataset has. Each takes 4 bytes for each image. */
const MAX_OTHER_LABELS = 100;
/** Of one of several targets. */
const MAX_CLASSES = 1_000;
/** A label of several that may apply is predicted from this score on. */
const MIN_SCORE = 0.5;

/** `names`: labels of the version, or names of its targets. `steps`: that a metric of one sample takes. */
export function metricsOf({ kind, lines }: Items, names: readonly string[]): { set: MetricSet; steps: number } {
  const items = { kind, values: lines.map((line) => JSON.parse(line)) } as AnyItems;
  return { set: setOf(items, names), steps: stepsOf(items, names) };
}

function setOf(items: AnyItems, names: readonly string[]): MetricSet {
  switch (items.kind) {
    case 'detections': {
      const labels = withOthers(
        names,
        items.values.flatMap(({ truth }) => truth.map(({ label }) => label)),
      );
      const index = indexOf(labels);
      const images = items.values.map(({ truth, found }) => ({
        truth: truth.map(({ label, box }) => ({ label: index(label), box, isCrowd: false })),
        found: found.map(({ label, ...one }) => ({ ...one, label: index(label) })),
      }));
      return both(detectionMetrics({ labels, images }), foundObjectMetrics({ labels, images }));
    }
    case 'tokens': {
      const types = items.values.flatMap(({ truth }) => truth.map(({ label }) => label));
      withOthers([], types, names.length + MAX_OTHER_LABELS);
      return entityMetrics(items.values);
    }
    case 'answer':
      return answerMetrics(items.values);
    case 'ranking':
      return rankingMetrics(items.values, RANKED);
    case 'similarities':
      return similarityMetrics(columnsOf(items.values));
    case 'masks': {
      const labels = withOthers(
        names,
        items.values.flatMap(({ truth }) => truth.map(({ label }) => label)),
      );
      return maskMetrics(
        labels,
        items.values.map((image) => overlapsIn(image, labels)),
      );
    }
    case 'labels':
      return ofSeveralLabels(items.values, names);
    case 'values':
      return byTarget(names, (i) => {
        const ofTarget = items.values.map(({ truth, predicted }) => ({ truth: truth[i], predicted: predicted[i] }));
        return regressionMetrics({ ...columnsOf(ofTarget as ItemTypes['similarities'][]), quantile: null });
      });
    case 'multiClassification':
      return byTarget(names, (i) => ofTarget(items.values, i));
  }
}

function stepsOf(items: AnyItems, names: readonly string[]): number {
  if (items.kind !== 'detections') return stepsOfClasses(items.values.length, names.length);
  const thresholds = 10;
  return items.values.reduce((sum, { truth, found }) => sum + thresholds * (1 + truth.length + found.length), 0);
}

/** Each class takes as long as some items, also if it does not occur. */
const ITEMS_PER_CLASS = 30;

/** That metrics of so many items and classes take. */
export function stepsOfClasses(items: number, classes: number): number {
  return (items + ITEMS_PER_CLASS) * Math.max(1, classes);
}

/** Names of metrics that are shares of the items. */
export const SHARES: ReadonlySet<string> = new Set(['exact_match', 'subset_accuracy']);

/** Kinds whose metrics are about one target each, whose name is their label, or means over all of them. */
export const BY_TARGET: ReadonlySet<string> = new Set(['values', 'multiClassification'] satisfies ItemKind[]);

function overlapsIn({ pixels, truth, found }: ItemTypes['masks'], labels: readonly string[]): MaskOverlap[] {
  const index = indexOf(labels);
  const map = (masks: readonly MaskOfClass[]) =>
    classMapOf(
      pixels,
      masks.map(({ label, runLengths }) => ({ label: index(label), runLengths: Uint32Array.from(runLengths) })),
    );
  return overlapsOf(map(truth), map(found));
}

/** @throws RangeError if there are too many others: each has metrics of its own */
function withOthers(names: readonly string[], occurring: Iterable<string>, most = MAX_OTHER_LABELS): string[] {
  const labels = new Set(names);
  for (const label of occurring) {
    labels.add(label);
    if (labels.size > names.length + most)
      throw new RangeError(`the targets have more than ${most} labels besides those of the version`);
  }
  return [...labels];
}

function indexOf(labels: readonly string[]): (label: string) => number {
  const indices = new Map(labels.map((label, i) => [label, i]));
  return (label) => indices.get(label) as number;
}

function columnsOf(values: readonly ItemTypes['similarities'][]) {
  return {
    truth: Float64Array.from(values, ({ truth }) => truth),
    predicted: Float64Array.from(values, ({ predicted }) => predicted),
  };
}

function ofSeveralLabels(values: readonly ItemTypes['labels'][], labels: readonly string[]): MetricSet {
  const scores = Float64Array.from(values.flatMap((item) => item.scores));
  const truth = Uint8Array.from(values.flatMap((item) => areTrue(labels, new Set(item.truth))));
  const predicted = Uint8Array.from(scores, (score) => Number(score >= MIN_SCORE));
  return multiLabelMetrics({ labels, itemCount: values.length, truth, predicted, scores });
}

function areTrue(labels: readonly string[], truth: ReadonlySet<string>): number[] {
  return labels.map((label) => Number(truth.has(label)));
}

function ofTarget(values: readonly ItemTypes['multiClassification'][], target: number): MetricSet {
  const pairs = values.map(({ truth, predicted }) => ({
    is: truth[target] as string,
    was: predicted[target] as string,
  }));
  const labels = withOthers(
    [],
    pairs.flatMap(({ is, was }) => [is, was]),
    MAX_CLASSES,
  ).sort();
  const index = indexOf(labels);
  return classificationMetrics({
    labels,
    truth: Int32Array.from(pairs, ({ is }) => index(is)),
    predicted: Int32Array.from(pairs, ({ was }) => index(was)),
    scores: null,
  });
}

/** Of the same items. */
function both(one: MetricSet, other: MetricSet): MetricSet {
  const measure: MetricSet['measure'] = (...of) => [...one.measure(...of), ...other.measure(...of)];
  return { itemCount: one.itemCount, measure };
}

/** How metrics average that are means over the targets. */
const OVER_TARGETS = 'targets';

/**
 * The metrics of each target that cover all of its classes, with the target as their label, and before them the means over the
 * targets of those that do not average by themselves.
 */
function byTarget(names: readonly string[], setOf: (target: number) => MetricSet): MetricSet {
  const sets = names.map((_, i) => setOf(i));
  return {
    itemCount: sets[0]?.itemCount ?? 0,
    measure: (items, wanted = () => true) => {
      const isInMean = (metric: MetricIdentity) =>
        metric.label === null && metric.average === null && wanted({ ...metric, average: OVER_TARGETS });
      const found = sets.map((set, i) => {
        const label = names[i] as string;
        const isWanted = (metric: MetricIdentity) => metric.label === null && wanted({ ...metric, label });
        const metrics = set.measure(items, (metric) => isWanted(metric) || isInMean(metric));
        return { own: metrics.filter(isWanted).map((one) => ({ ...one, label })), inMean: metrics.filter(isInMean) };
      });
      const means = found[0]?.inMean.flatMap(({ name }) =>
        meanOverTargets(
          name,
          found.map(({ inMean }) => inMean),
        ),
      );
      return [...(means ?? []), ...found.flatMap(({ own }) => own)];
    },
  };
}

/** None if a target does not have the metric. */
function meanOverTargets(name: string, targets: readonly (readonly Measured[])[]): Measured[] {
  const metrics = targets.flatMap((found) => found.find((metric) => metric.name === name) ?? []);
  const [first] = metrics;
  if (!first || metrics.length < targets.length) return [];
  const undefinedReason = metrics.find(({ value }) => value === null)?.undefinedReason ?? null;
  const sum = metrics.reduce((all, { value }) => all + (value ?? 0), 0);
  const value = undefinedReason === null ? sum / metrics.length : null;
  return [{ ...first, average: OVER_TARGETS, value, undefinedReason }];
}
