/** What the plot of a recommendation shows: the metric of the ranked versions against what they cost. */
import { metricTitle } from '../evaluation/metric-names.js';
import type { Shown } from '../evaluation/sealed-plots.js';
import { type CostName, MAX_OPTIMAL, type ParetoDrawing } from '../plots/pareto-plot.js';
import type { Recommended } from './choosing.js';
import type { Candidate } from './ranking.js';

/** Versions that a URL has room for. */
const MAX_DRAWN = 50;
/** Characters of a name. */
const MAX_NAME = 60;
const BYTES_PER_MB = 1e6;

/** In the unit of the axis; null if it was not measured. */
const COSTS: Readonly<Record<CostName, (candidate: Candidate) => number | null>> = {
  LATENCY: ({ p50Ms }) => p50Ms,
  MEMORY: ({ residentBytes }) => residentBytes && residentBytes / BYTES_PER_MB,
  SIZE: ({ artifactBytes }) => artifactBytes && artifactBytes / BYTES_PER_MB,
};

/** Null if no ranked version has the values. */
export function recommendationPlot(
  { ranked, dataset, metric }: Recommended,
  against: CostName,
): { readonly drawing: ParetoDrawing; readonly shown: Shown } | null {
  const points = ranked.flatMap(({ candidate, isParetoOptimal }) => {
    const [x, y] = [COSTS[against](candidate), candidate.metric?.value ?? null];
    return x === null || y === null ? [] : [{ x: digits(x), y: digits(y), isParetoOptimal, candidate }];
  });
  const optimal = points.filter(({ isParetoOptimal }) => isParetoOptimal).slice(0, MAX_OPTIMAL);
  const others = points.filter(({ isParetoOptimal }) => !isParetoOptimal).slice(0, MAX_DRAWN - optimal.length);
  const drawn = [...optimal, ...others];
  if (drawn.length === 0) return null;
  return {
    drawing: {
      kind: 'PARETO',
      metric: metricTitle(metric, drawn[0]?.candidate.metric?.average ?? null).slice(0, MAX_NAME),
      higherIsBetter: drawn[0]?.candidate.metric?.higherIsBetter ?? true,
      against,
      optimal: optimal.map(({ x, y, candidate }) => ({ name: candidate.ref.slice(0, MAX_NAME), x, y })),
      others: others.map(({ x, y }) => ({ x, y })),
      omitted: ranked.length - drawn.length,
    },
    shown: { datasetId: dataset.id, versionIds: drawn.map(({ candidate }) => candidate.versionId) },
  };
}

/** More could not be seen, and would make URLs longer. */
function digits(value: number): number {
  return Number(value.toPrecision(5));
}
