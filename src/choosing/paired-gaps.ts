/**
 * Differences between versions on the same rows, where this server has stored the answers of both; otherwise, and beyond the
 * limits here, what the intervals of their metrics say.
 */
import { ComputingTimeoutError, InvalidInputError, UploadLimitError } from '../errors.js';
import type { ComparedEvaluation, Comparisons, WantedComparison } from '../evaluation/comparisons.js';
import type { Metric } from '../evaluation/evaluation.type.js';
import type { MetricComparison } from '../evaluation/paired.js';
import { labelsIn } from '../evaluation/version-comparison.js';
import { verdictOf } from '../statistics/comparison.js';
import type { ChoosingContext } from './loaders.js';
import { type Candidate, type Gap, gapOfIntervals, type Pair } from './ranking.js';

/** Of all pairs of a request together; of metrics that are resampled, rows take a thousand times as long. */
const MAX_ROWS = { accuracy: 20_000_000, resampled: 50_000 };

interface Stored {
  readonly evaluation: ComparedEvaluation;
  readonly rowsSha256: string;
  readonly rowCount: number;
}

/** Pairs with the same other version and metric, by their places in the list. */
interface Group {
  readonly holder: Stored;
  readonly metric: Metric;
  readonly members: { readonly place: number; readonly evaluation: ComparedEvaluation }[];
}

/** For each pair, in order. */
export async function findGaps(
  pairs: readonly Pair[],
  comparisons: Comparisons,
  context: ChoosingContext,
): Promise<Gap[]> {
  const gaps = pairs.map(({ candidate, other }) => gapOfIntervals(candidate.metric as Metric, other.metric as Metric));
  const rowsLeft = { ...MAX_ROWS };
  for (const { holder, metric, members } of await groupsOf(pairs, context)) {
    const { name, average, label } = metric;
    const kind = name === 'accuracy' ? 'accuracy' : 'resampled';
    rowsLeft[kind] -= holder.rowCount * members.length;
    if (rowsLeft[kind] < 0) continue;
    const wanted: WantedComparison = {
      holder: holder.evaluation,
      candidates: members.map(({ evaluation }) => evaluation),
      rowsSha256: holder.rowsSha256,
      metrics: [{ name, average, label }],
      kind: 'differences',
    };
    const compared = await comparedWith(comparisons, wanted, context.principal.id);
    // The others would wait, or take too long, too.
    if (compared === null) break;
    for (const [k, { place }] of members.entries())
      gaps[place] = gapOf(compared[k]?.differences[0]) ?? (gaps[place] as Gap);
  }
  return gaps;
}

/** Of the pairs whose answers to the same rows are stored here. */
async function groupsOf(pairs: readonly Pair[], context: ChoosingContext): Promise<Iterable<Group>> {
  const stored = await Promise.all(
    pairs.map(({ candidate, other }) => Promise.all([findStored(candidate, context), findStored(other, context)])),
  );
  const groups = new Map<string, Group>();
  for (const [place, [mine, holder]] of stored.entries()) {
    if (!mine || !holder || mine.rowsSha256 !== holder.rowsSha256) continue;
    const metric = (pairs[place] as Pair).candidate.metric as Metric;
    const key = JSON.stringify([holder.evaluation.id, metric.name, metric.average]);
    const group = groups.get(key) ?? { holder, metric, members: [] };
    group.members.push({ place, evaluation: mine.evaluation });
    groups.set(key, group);
  }
  return groups.values();
}

/** Null if it is not possible now. */
async function comparedWith(comparisons: Comparisons, wanted: WantedComparison, caller: string) {
  try {
    return await comparisons.compare(wanted, { purpose: 'question', caller });
  } catch (error) {
    if (error instanceof UploadLimitError || error instanceof ComputingTimeoutError) return null;
    throw error;
  }
}

/** Null if the versions cannot be compared row by row. */
function gapOf(compared: MetricComparison | undefined): Gap | null {
  if (!compared || compared.difference === null || (compared.pValue === null && compared.difference !== 0)) return null;
  const { difference, interval } = compared;
  return { difference, interval, isShown: verdictOf(compared, compared) !== 'NO_DIFFERENCE_SHOWN' };
}

/** Null if the answers of the version are not stored here. */
async function findStored(candidate: Candidate, context: ChoosingContext): Promise<Stored | null> {
  const { evaluationId: id, versionId, isComputed } = candidate;
  const { catalogLoaders, evaluationLoaders } = context;
  if (!isComputed || id === null) return null;
  const [job, evaluation, version] = await Promise.all([
    evaluationLoaders.job.load(id),
    evaluationLoaders.evaluation.load(id),
    catalogLoaders.spec.load(versionId),
  ]);
  if (!job || !evaluation || !version?.spec) return null;
  const [dataset, found] = await Promise.all([
    catalogLoaders.dataset.load(evaluation.datasetId),
    catalogLoaders.columns.load(evaluation.datasetId),
  ]);
  if (!dataset || !found) return null;
  try {
    const labels = labelsIn(version.spec, { target: dataset.target, columns: found.columns });
    return {
      evaluation: { id, artifactSha256: job.artifact_sha256, labels },
      rowsSha256: job.rows_sha256,
      rowCount: job.row_count,
    };
  } catch (error) {
    // The columns of the dataset have changed.
    if (error instanceof InvalidInputError) return null;
    throw error;
  }
}
