/**
 * Which of several versions to choose: their order by a metric, the Pareto set, and what excludes the others. Pure.
 *
 * What this server has computed comes before what was imported, which nobody here has verified. A value that was not measured
 * is never guessed: a constraint on it is missed, and in it no version is better than another.
 */
import type { Metric } from '../evaluation/evaluation.type.js';
import type { Evaluated, Option } from './candidates.queries.js';

/** Of one input, on this machine; null if it was not measured. */
export interface Measures {
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly residentBytes: number | null;
}

export type Measured<T extends Option = Option> = T & Measures;

export interface Candidate extends Measured, Pick<Evaluated, 'isComputed' | 'metric'> {
  /** Null if it was not evaluated. */
  readonly evaluationId: string | null;
  readonly isOnTrainingData: boolean;
  /** Why it cannot be evaluated; absent or null if it can. */
  readonly refusal?: string | null;
}

export interface Constraints {
  readonly worstMetric?: number | null;
  readonly maxP50Ms?: number | null;
  readonly maxP95Ms?: number | null;
  readonly maxResidentBytes?: number | null;
  readonly maxArtifactBytes?: number | null;
  /** In lower case. */
  readonly licenses?: readonly string[] | null;
}

export type ConstraintName =
  | 'WORST_METRIC'
  | 'MAX_P50_MS'
  | 'MAX_P95_MS'
  | 'MAX_RESIDENT_BYTES'
  | 'MAX_ARTIFACT_BYTES'
  | 'LICENSES';

/** A constraint that a version does not meet, or is not known to meet. */
export interface Miss {
  readonly constraint: ConstraintName;
  readonly limit: number | null;
  /** Null if it is unknown, and of licenses. */
  readonly value: number | null;
  /** Distance of the value from the limit, positive. */
  readonly by: number | null;
  readonly message: string;
}

/** What beat a version: the best one that is at least as good in all respects, otherwise the first of all. */
export interface Defeat {
  readonly winner: Candidate;
  readonly isInAllRespects: boolean;
}

export interface Entry {
  readonly candidate: Candidate;
  /** From 1; null if it is not ranked. */
  readonly rank: number | null;
  /** Why it is not ranked. */
  readonly unrankedReason: string | null;
  readonly misses: readonly Miss[];
  /** The one that is ranked just above it. */
  readonly above: Candidate | null;
  readonly isParetoOptimal: boolean;
  readonly beatenBy: Defeat | null;
}

export interface Choice {
  readonly ranked: readonly Entry[];
  readonly others: readonly Entry[];
}

/** Ranks those that can be ranked and meet all constraints; the others follow in the same order. */
export function choose(candidates: readonly Candidate[], constraints: Constraints): Choice {
  const all = candidates
    .map((candidate) => ({
      candidate,
      unrankedReason: reasonAgainst(candidate),
      misses: missesOf(candidate, constraints),
    }))
    .sort((a, b) => order(a.candidate, b.candidate));
  const rankable = all.filter(({ unrankedReason }) => unrankedReason === null);
  // The others are compared with it, so it is that of a version that is ranked, if there is one.
  const { candidate: first } = rankable.find(({ misses }) => misses.length === 0) ?? rankable[0] ?? {};
  const ordered = all.map((one) => ({
    ...one,
    unrankedReason: one.unrankedReason ?? reasonOfAverage(one.candidate, first?.metric?.average ?? null),
  }));
  const isIn = ({ unrankedReason, misses }: (typeof ordered)[number]) => unrankedReason === null && misses.length === 0;
  const best = ordered.filter(isIn).map(({ candidate }) => candidate);
  const unplaced = { rank: null, above: null, isParetoOptimal: false, beatenBy: null };
  return {
    ranked: best.map((candidate, i) => {
      const dominating = best.find((other) => dominates(other, candidate));
      const winner = dominating ?? (i > 0 ? best[0] : undefined);
      return {
        candidate,
        rank: i + 1,
        unrankedReason: null,
        misses: [],
        above: best[i - 1] ?? null,
        isParetoOptimal: dominating === undefined,
        beatenBy: winner ? { winner, isInAllRespects: dominating !== undefined } : null,
      };
    }),
    others: ordered.filter((one) => !isIn(one)).map((one) => ({ ...one, ...unplaced })),
  };
}

function reasonAgainst({ isOnTrainingData, metric, evaluationId, refusal }: Candidate): string | null {
  if (evaluationId === null)
    return refusal ? `The version cannot be evaluated: ${refusal}.` : 'The version was not evaluated on the dataset.';
  if (isOnTrainingData) return 'The version was trained on the dataset, so the metric does not say how good it is.';
  if (metric === null)
    return 'The evaluation does not have the metric over all classes: `Evaluation.metrics` lists those that it has.';
  return metric.value === null ? (metric.undefinedReason ?? 'The metric is undefined.') : null;
}

function reasonOfAverage({ metric }: Candidate, average: string | null): string | null {
  if (metric === null || metric.average === average) return null;
  return `The metric is ${averaged(metric.average)}, and that of the others ${averaged(average)}.`;
}

function averaged(average: string | null): string {
  return average === null ? 'not averaged' : `averaged as "${average}"`;
}

/** Positive if `a` is better. */
function lead(a: Metric, b: Metric): number {
  const difference = (a.value as number) - (b.value as number);
  return a.higherIsBetter ? difference : -difference;
}

/** Versions with the same metric: the smaller one first, then by name. */
function order(a: Candidate, b: Candidate): number {
  if (a.isComputed !== b.isComputed) return a.isComputed ? -1 : 1;
  const [hasA, hasB] = [a, b].map(({ metric }) => metric?.value != null);
  if (hasA !== hasB) return hasA ? -1 : 1;
  const ahead = hasA ? lead(b.metric as Metric, a.metric as Metric) : 0;
  return (
    ahead ||
    (a.artifactBytes ?? Infinity) - (b.artifactBytes ?? Infinity) ||
    (a.ref < b.ref ? -1 : Number(a.ref > b.ref))
  );
}

const SMALLER_IS_BETTER = ['p50Ms', 'residentBytes', 'artifactBytes'] as const;

/** Whether `a` is at least as good in all respects, and better in one. What was measured of one only is no such respect. */
function dominates(a: Candidate, b: Candidate): boolean {
  if (b.isComputed && !a.isComputed) return false;
  const leads = [lead(a.metric as Metric, b.metric as Metric)];
  for (const key of SMALLER_IS_BETTER) {
    const [mine, other] = [a[key], b[key]];
    if ((mine === null) !== (other === null)) return false;
    if (mine !== null && other !== null) leads.push(other - mine);
  }
  return leads.every((by) => by >= 0) && leads.some((by) => by > 0);
}

export function missesOf(version: Measured & { readonly metric?: Metric | null }, wanted: Constraints): Miss[] {
  const { p50Ms, p95Ms, residentBytes, artifactBytes, license } = version;
  return [
    missOfMetric(version.metric, wanted.worstMetric),
    missOf('MAX_P50_MS', wanted.maxP50Ms, p50Ms),
    missOf('MAX_P95_MS', wanted.maxP95Ms, p95Ms),
    missOf('MAX_RESIDENT_BYTES', wanted.maxResidentBytes, residentBytes),
    missOf('MAX_ARTIFACT_BYTES', wanted.maxArtifactBytes, artifactBytes),
    missOfLicense(license, wanted.licenses),
  ].filter((miss) => miss !== null);
}

/** Whether the version cannot meet the constraint, whatever is still measured. */
export function isCertain({ constraint, value }: Miss): boolean {
  return value !== null || constraint === 'LICENSES';
}

const UNMEASURED =
  'Not measured on this machine: that is done when the server is idle, once a prediction or `load` has loaded the version.';

function missOf(constraint: ConstraintName, limit: number | null | undefined, value: number | null): Miss | null {
  if (limit == null || (value !== null && value <= limit)) return null;
  const by = value === null ? null : value - limit;
  const message = by === null ? UNMEASURED : `${value} exceeds ${limit} by ${by}.`;
  return { constraint, limit, value, by, message };
}

/** Undefined: of a version without an evaluation. */
function missOfMetric(metric: Metric | null | undefined, limit: number | null | undefined): Miss | null {
  // Without a value, it is not ranked for that reason.
  if (limit == null || metric?.value == null) return null;
  const { value, higherIsBetter } = metric;
  const by = higherIsBetter ? limit - value : value - limit;
  if (by <= 0) return null;
  const message = `${value} is ${by} ${higherIsBetter ? 'below' : 'above'} ${limit}.`;
  return { constraint: 'WORST_METRIC', limit, value, by, message };
}

function missOfLicense(license: string | null, allowed: readonly string[] | null | undefined): Miss | null {
  if (allowed == null || (license !== null && allowed.includes(license.toLowerCase()))) return null;
  const message = license === null ? 'The model states no license.' : `The license is ${license}.`;
  return { constraint: 'LICENSES', limit: null, value: null, by: null, message };
}

/** Two ranked versions. */
export interface Pair {
  readonly candidate: Candidate;
  readonly other: Candidate;
}

/** How far the metric of a version is behind that of another one, or ahead of it. */
export interface Gap {
  /** Of the version minus the other. */
  readonly difference: number;
  readonly interval: {
    readonly low: number;
    readonly high: number;
    readonly level: number;
    readonly method: string;
  } | null;
  /** Whether the versions are shown to differ; null if nothing says how exact the metrics are. */
  readonly isShown: boolean | null;
}

/** Without pairs: two metrics are shown to differ if their intervals do not overlap. */
export function gapOfIntervals(metric: Metric, other: Metric): Gap {
  const difference = (metric.value as number) - (other.value as number);
  const [mine, others] = [metric.interval, other.interval];
  const isShown = mine && others ? mine.high < others.low || others.high < mine.low : null;
  return { difference, interval: null, isShown: difference === 0 ? false : isShown };
}
