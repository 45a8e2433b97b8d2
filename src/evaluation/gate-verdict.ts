/** Decides whether a version passes a gate, from its metrics and its gains over the present version. Pure. */
import type { GateReason } from '../errors.js';
import { isNoWorse } from '../statistics/gate.js';
import { describeMetric } from './metric-names.js';
import { isSameMetric, type MetricGain, type MetricKey } from './paired.js';

/** At least one of `threshold` and `margin` is there. */
export interface GateCondition extends MetricKey {
  /** The least value, or the greatest one of metrics of which lower is better. */
  readonly threshold: number | null;
  /** By how much the version may be worse than the present one, in the unit of the metric. */
  readonly margin: number | null;
}

/** What a condition has found. */
export interface GateCheck extends GateCondition {
  readonly isPassed: boolean;
  readonly value: number | null;
  readonly gain: number | null;
  readonly lowerBound: number | null;
  readonly reasons: readonly GateReason[];
}

export interface KnownMetric extends MetricKey {
  readonly value: number | null;
  readonly undefinedReason: string | null;
  readonly higherIsBetter: boolean;
}

/** `gains`: over the present version; null if there is none, or if they are unknown for a reason that was given already. */
export function checkCondition(
  condition: GateCondition,
  metrics: readonly KnownMetric[],
  gains: readonly MetricGain[] | null,
): GateCheck {
  const metric = metrics.find((one) => isSameMetric(one, condition));
  const gain = condition.margin === null ? undefined : gains?.find((one) => isSameMetric(one, condition));
  const reasons = [
    ...(condition.threshold === null ? [] : missedThreshold(condition, condition.threshold, metric)),
    ...(condition.margin === null || gains === null ? [] : tooUncertain(condition, condition.margin, gain)),
  ];
  return {
    ...condition,
    isPassed: reasons.length === 0,
    value: metric?.value ?? null,
    gain: gain?.gain ?? null,
    lowerBound: gain?.lowerBound ?? null,
    reasons,
  };
}

function missedThreshold(key: MetricKey, threshold: number, metric: KnownMetric | undefined): GateReason[] {
  const name = describeMetric(key);
  if (!metric || metric.value === null) {
    const why = metric?.undefinedReason ?? 'The evaluation does not have it.';
    return [{ code: 'METRIC_UNDEFINED', message: `${name} has no value: ${withoutStop(why)}` }];
  }
  const { value, higherIsBetter } = metric;
  if (higherIsBetter ? value >= threshold : value <= threshold) return [];
  const wanted = `at ${higherIsBetter ? 'least' : 'most'} ${threshold}`;
  return [{ code: 'THRESHOLD_MISSED', message: `${name} is ${rounded(value)}, and must be ${wanted}` }];
}

function tooUncertain(key: MetricKey, margin: number, gain: MetricGain | undefined): GateReason[] {
  const name = describeMetric(key);
  if (!gain || gain.lowerBound === null) {
    const why = gain?.undefinedReason ?? 'The evaluation does not have it.';
    return [{ code: 'METRIC_UNDEFINED', message: `the gain in ${name} has no lower bound: ${withoutStop(why)}` }];
  }
  if (isNoWorse(gain, margin)) return [];
  const bound = `the gain is ${rounded(gain.gain)} with a lower bound of ${rounded(gain.lowerBound)} (${gain.level * 100}%, one-sided)`;
  return [
    {
      code: 'MAY_BE_WORSE',
      message: `${name} may be worse than that of the present version: ${bound}, which must be above ${-margin}`,
    },
  ];
}

function rounded(value: number | null): string {
  return value === null ? 'unknown' : String(Number(value.toPrecision(6)));
}

function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
}
