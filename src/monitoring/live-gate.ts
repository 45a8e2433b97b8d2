/** Whether outcomes show that a version misses the thresholds of a gate. Pure. */
import type { GateCondition } from '../evaluation/gate-verdict.js';
import type { MeasuredMetric } from '../evaluation/measure.js';
import { isSameMetric } from '../evaluation/paired.js';
import type { Interval } from '../statistics/interval.js';

export interface LiveCheck extends Pick<GateCondition, 'name' | 'average' | 'label'> {
  readonly threshold: number;
  readonly value: number | null;
  readonly interval: Interval | null;
  /** Whether the whole interval is on the wrong side of the threshold; null if there is no interval. */
  readonly isMissed: boolean | null;
  readonly undefinedReason: string | null;
}

const NO_INTERVAL = 'There are too few outcomes for an interval.';
const UNKNOWN = 'Outcomes have no such metric.';

/** Of the conditions that have a threshold. */
export function liveChecks(conditions: readonly GateCondition[], metrics: readonly MeasuredMetric[]): LiveCheck[] {
  return conditions.flatMap(({ name, average, label, threshold }) => {
    if (threshold === null) return [];
    const metric = metrics.find((one) => isSameMetric(one, { name, average, label }));
    const key = { name, average, label, threshold };
    return [{ ...key, ...checked(metric, threshold) }];
  });
}

function checked(
  metric: MeasuredMetric | undefined,
  threshold: number,
): Pick<LiveCheck, 'value' | 'interval' | 'isMissed' | 'undefinedReason'> {
  if (!metric) return { value: null, interval: null, isMissed: null, undefinedReason: UNKNOWN };
  const { value, interval, higherIsBetter } = metric;
  if (!interval) return { value, interval, isMissed: null, undefinedReason: metric.undefinedReason ?? NO_INTERVAL };
  const isMissed = higherIsBetter ? interval.high < threshold : interval.low > threshold;
  return { value, interval, isMissed, undefinedReason: null };
}
