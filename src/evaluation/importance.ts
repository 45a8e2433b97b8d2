/** Permutation importance of the columns of a version on a dataset: what can be asked for, and what is stored of a column. */
import { type InputProblem, InvalidInputError } from '../errors.js';
import type { MetricIdentity } from '../statistics/metric-set.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { metricsOf } from './known-metrics.js';
import { describeMetric } from './metric-names.js';
import { isSameMetric } from './paired.js';
import type { Plan } from './plan.js';
import { usualMetric } from './usual-metric.js';
import { unknownMetric } from './version-comparison.js';

export interface WantedImportance {
  /** Default: the usual one of the task. */
  readonly metric?: { readonly name: string; readonly average?: string | null; readonly label?: string | null } | null;
  readonly repeats: number;
}

/** What is asked for, with all keys, so that the same is the same JSON. */
export interface Importance extends MetricIdentity {
  /** How often each column is shuffled. */
  readonly repeats: number;
  /** Number of columns that are shuffled, one after the other. */
  readonly columns: number;
}

/** What was found of one column. The numbers are null if one of them is undefined. */
export interface ColumnImportance {
  readonly mean: number | null;
  readonly standardDeviation: number | null;
  /** The metric after each shuffle. */
  readonly permuted: readonly number[] | null;
  readonly undefinedReason: string | null;
}

/** The most important column first; those without numbers are the last. */
export function mostImportant(
  parts: readonly { readonly label: string | null; readonly content: string }[],
): (ColumnImportance & { readonly feature: string })[] {
  return parts
    .map(({ label, content }) => ({ feature: label ?? '', ...(JSON.parse(content) as ColumnImportance) }))
    .sort((a, b) => (b.mean ?? Number.NEGATIVE_INFINITY) - (a.mean ?? Number.NEGATIVE_INFINITY) || 0);
}

export const DEFAULT_REPEATS = 5;
export const MAX_REPEATS = 30;
/** Rows × columns × repeats: about ten minutes of a small model. They are run at low priority, and other accounts have their turns. */
export const MAX_PERMUTED_ROWS = 10_000_000;
/** Of the rows with all of their columns: a thread holds what the version reads of them. */
const MAX_ROW_BYTES = 256 * 1024 ** 2;
/** A shuffle of fewer rows takes about as long as one of these. */
const MIN_ROWS = 1_000;
const MAX_NAMED = 20;

/** @throws InvalidInputError */
export function checkImportance(
  { metric: named, repeats }: WantedImportance,
  spec: VersionSpec,
  { plan, rows, rowBytes }: { readonly plan: Plan; readonly rows: number; readonly rowBytes: number },
): Importance {
  const refuse = (...problems: InputProblem[]) => new InvalidInputError(problems);
  const path = ['input', 'importance'];
  if (plan.columns === null)
    throw refuse({
      path,
      code: 'WRONG_KIND',
      message: 'only the columns of rows have an importance',
      expected: 'a version that reads rows',
      received: spec.inputKind,
    });
  if (repeats < 1 || repeats > MAX_REPEATS)
    throw refuse({
      path: [...path, 'repeats'],
      code: 'OUT_OF_RANGE',
      message: 'the number of repeats is not accepted',
      expected: `1 to ${MAX_REPEATS}`,
      received: `${repeats}`,
    });
  const columns = plan.columns.length;
  const most = Math.floor(MAX_PERMUTED_ROWS / (columns * Math.max(rows, MIN_ROWS)));
  if (repeats > most)
    throw refuse({
      path: [...path, 'repeats'],
      code: 'TOO_LARGE',
      message: `${rows} rows of ${columns} columns are too many for so many repeats`,
      expected: most < 1 ? `at most ${MAX_PERMUTED_ROWS} rows × columns` : `at most ${most}`,
      received: `${repeats}`,
    });
  if (rowBytes > MAX_ROW_BYTES)
    throw refuse({
      path: ['input', 'dataset'],
      code: 'TOO_LARGE',
      message: 'its rows are too large for an importance',
      expected: `at most ${MAX_ROW_BYTES} bytes`,
      received: `${rowBytes} bytes`,
    });
  return { ...metricNamed(named, spec, plan), repeats, columns };
}

/** @throws InvalidInputError */
function metricNamed(named: WantedImportance['metric'], spec: VersionSpec, plan: Plan): MetricIdentity {
  const path = ['input', 'importance', 'metric'];
  const key = {
    name: named?.name ?? usualMetric(spec.task),
    average: named?.average ?? null,
    label: named?.label ?? null,
  };
  const known = metricsOf(plan);
  const ofAll = ({ name, label }: MetricIdentity) => !named && name === key.name && label === null;
  const found = known.find((metric) => isSameMetric(metric, key)) ?? known.find(ofAll);
  if (found) {
    const { name, average, label, higherIsBetter } = found;
    return { name, average, label, higherIsBetter };
  }
  if (named) throw new InvalidInputError([unknownMetric(path, key, known)]);
  // Of several labels that may apply.
  const message = 'it has to be said which of the metrics of this version is meant';
  const expected = known.slice(0, MAX_NAMED).map(describeMetric).join(', ');
  throw new InvalidInputError([{ path, code: 'MISSING', message, expected, received: null }]);
}
