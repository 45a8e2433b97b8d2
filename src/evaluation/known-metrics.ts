/** Which metrics evaluations have, before there are any answers. */
import type { MetricIdentity } from '../statistics/metric-set.js';
import { NO_NUMBERS } from './answers-file.js';
import { hasManyClasses, measurableOf } from './measure.js';
import type { Plan } from './plan.js';

const NO_ANSWERS = { ...NO_NUMBERS, rows: new Uint32Array(), items: null };

/** Of classes, and of numbers. */
export function usualMetrics(): MetricIdentity[] {
  return [[], null].flatMap((labels) => measurableOf(labels, NO_ANSWERS).set.measure());
}

export function metricsOf({ answers, labels }: Pick<Plan, 'answers' | 'labels'>): MetricIdentity[] {
  if (answers === 'regression') return measurableOf(null, NO_ANSWERS).set.measure();
  const items = answers === 'classification' ? null : { kind: answers, lines: [] };
  const none = { ...NO_ANSWERS, items };
  return measurableOf(hasManyClasses(labels, none) ? [] : labels, none).set.measure();
}
