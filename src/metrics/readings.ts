/** Metrics whose values are counted elsewhere, without prom-client, and are read only when they are scraped. */
import type { Metric, Registry } from 'prom-client';
import type { Buckets } from '../counting/buckets.js';

type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
  /** For a histogram: its suffix included. Default: the name of the metric. */
  readonly metricName?: string;
}

export interface Reading {
  /** `modelgraph_…`, with the base unit, and `_total` for counters. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly read: () => Iterable<Sample>;
}

export function register(registry: Registry, { name, help, type, read }: Reading): void {
  const metric = { name, get: async () => ({ name, help, type, values: read() }) };
  // The classes of prom-client count for themselves. A registry needs only the name and `get`.
  registry.registerMetric(metric as unknown as Metric);
}

/** The samples of one histogram. `unit`: what one of the base unit is in the unit of the buckets, such as 1,000 for ms. */
export function* histogramSamples(name: string, labels: Labels, buckets: Buckets, unit: number): Iterable<Sample> {
  const { bounds, counts, sum } = buckets;
  let total = 0;
  for (const [i, bound] of bounds.entries()) {
    total += counts[i] as number;
    yield { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound / unit) }, value: total };
  }
  total += counts[bounds.length] as number;
  yield { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: total };
  yield { metricName: `${name}_sum`, labels, value: sum / unit };
  yield { metricName: `${name}_count`, labels, value: total };
}
