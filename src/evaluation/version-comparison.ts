/** Versions that were evaluated on the same rows, compared with the first of them. */
import type { Principal } from '../access/principal.js';
import type { CatalogLoaders } from '../catalog/loaders.js';
import type { Version } from '../catalog/version.type.js';
import { type InputProblem, InvalidInputError } from '../errors.js';
import { environmentOf } from '../serving/latency-records.js';
import { holm, type Verdict, verdictOf } from '../statistics/comparison.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { VersionSpec } from '../tasks/tasks.js';
import { findNewestEvaluations } from './comparison.queries.js';
import type { ComparedEvaluation, Comparisons } from './comparisons.js';
import { findMetrics } from './evaluation.queries.js';
import { findEvaluatedDataset } from './job.queries.js';
import { describeMetric } from './metric-names.js';
import { isSameMetric, type MetricComparison, type MetricKey } from './paired.js';
import { type PlannedDataset, planOf } from './plan.js';
import { withoutRows } from './planned-dataset.js';

export const MAX_COMPARED = { versions: 10, metrics: 10 } as const;
const MAX_NAMED = 20;

export interface ComparisonNeeds {
  readonly db: CatalogDatabase;
  readonly comparisons: Comparisons;
  /** Execution provider of the engine. */
  readonly provider: () => string;
}

export interface WantedVersions {
  /** As they were named. */
  readonly refs: readonly string[];
  readonly versions: readonly Version[];
  readonly datasetId: string;
  /** Null: the first metric of the task. */
  readonly metrics: readonly MetricKey[] | null;
}

export interface ComparedMetric extends MetricComparison {
  /** The p-value, adjusted for all comparisons that are made together. */
  readonly adjustedPValue: number | null;
  readonly verdict: Verdict;
}

export interface VersionDifference {
  readonly versionId: string;
  readonly evaluationId: string;
  readonly problem: string | null;
  readonly rows: number;
  readonly leftOut: number;
  readonly metrics: readonly ComparedMetric[];
}

export interface VersionsCompared {
  /** Null if the first version was not evaluated. */
  readonly holderEvaluationId: string | null;
  readonly differences: readonly VersionDifference[];
  /** Versions without an evaluation on these rows. */
  readonly missing: readonly Version[];
}

type Loaders = Pick<CatalogLoaders, 'spec'>;

/** @throws InvalidInputError, UploadLimitError, ComputingTimeoutError */
export async function compareVersions(
  { db, comparisons, provider }: ComparisonNeeds,
  { refs, versions, datasetId, metrics }: WantedVersions,
  { principal, loaders }: { readonly principal: Principal; readonly loaders: Loaders },
): Promise<VersionsCompared> {
  checkVersions(refs, versions);
  const dataset = await findEvaluatedDataset(db, principal, datasetId);
  if (!dataset || dataset.rows_sha256 === null) throw withoutRows(dataset?.name ?? '', ['dataset']);
  const environment = environmentOf(provider());
  const versionIds = versions.map(({ id }) => id);
  const found = (await findNewestEvaluations(db, principal, { datasetId, versionIds })).filter(
    ({ rows_sha256, provider, runtime }) =>
      rows_sha256 === dataset.rows_sha256 && provider === environment.provider && runtime === environment.runtime,
  );
  const planned = { target: dataset.target, columns: JSON.parse(dataset.columns) };
  const evaluated: (ComparedEvaluation & { readonly versionId: string })[] = [];
  for (const { version_id: versionId, id, artifact_sha256: artifactSha256 } of found) {
    const spec = (await loaders.spec.load(versionId))?.spec;
    if (spec) evaluated.push({ versionId, id, artifactSha256, labels: labelsIn(spec, planned) });
  }
  const ofVersion = new Map(evaluated.map((one) => [one.versionId, one]));
  const missing = versions.filter(({ id }) => !ofVersion.has(id));
  const [holder, ...candidates] = versionIds.map((id) => ofVersion.get(id));
  const others = candidates.filter((one) => one !== undefined);
  if (!holder || others.length === 0) return { holderEvaluationId: holder?.id ?? null, differences: [], missing };
  const known = (await findMetrics(db, principal, [holder.id])).map(toKey);
  const wanted = { holder, candidates: others, rowsSha256: dataset.rows_sha256, kind: 'differences' as const };
  const chosen = metrics === null ? known.slice(0, 1) : checkMetrics(metrics, known);
  const compared = await comparisons.compare(
    { ...wanted, metrics: chosen },
    { purpose: 'question', caller: principal.id },
  );
  const adjusted = holm(compared.flatMap(({ differences }) => differences.map(({ pValue }) => pValue))).values();
  const differences = others.map(({ versionId, id }, i): VersionDifference => {
    const { differences: found = [], problem = null, rows = 0, leftOut = 0 } = compared[i] ?? {};
    const metrics = found.map((difference) => withVerdict(difference, adjusted.next().value ?? null));
    return { versionId, evaluationId: id, problem, rows, leftOut, metrics };
  });
  return { holderEvaluationId: holder.id, differences, missing };
}

function withVerdict(difference: MetricComparison, adjustedPValue: number | null): ComparedMetric {
  const { higherIsBetter } = difference;
  return {
    ...difference,
    adjustedPValue,
    verdict: verdictOf(difference, { pValue: adjustedPValue, higherIsBetter }),
  };
}

/** That stored answers are about; null for numbers. @throws InvalidInputError if the version cannot be evaluated on the dataset */
export function labelsIn(spec: VersionSpec, dataset: PlannedDataset): readonly string[] | null {
  const { answers, labels } = planOf(spec, dataset);
  return answers === 'regression' ? null : labels;
}

function toKey({ name, average, label }: MetricKey): MetricKey {
  return { name, average, label };
}

function checkVersions(refs: readonly string[], versions: readonly Version[]): void {
  const { versions: most } = MAX_COMPARED;
  if (refs.length < 2 || refs.length > most)
    throw new InvalidInputError([
      {
        path: ['versions'],
        code: refs.length === 0 ? 'EMPTY' : 'OUT_OF_RANGE',
        message: 'the number of versions is not accepted',
        expected: `2 to ${most} versions`,
        received: `${refs.length}`,
      },
    ]);
  const repeated = versions.findIndex(({ id }, i) => versions.findIndex((other) => other.id === id) < i);
  if (repeated >= 0)
    throw new InvalidInputError([
      {
        path: ['versions', String(repeated)],
        code: 'WRONG_KIND',
        message: 'the version is listed twice',
        expected: 'different versions',
        received: `${refs[repeated]}, which is ${versions[repeated]?.ref}`,
      },
    ]);
}

/** @throws InvalidInputError */
function checkMetrics(metrics: readonly MetricKey[], known: readonly MetricKey[]): readonly MetricKey[] {
  const { metrics: most } = MAX_COMPARED;
  if (metrics.length < 1 || metrics.length > most)
    throw new InvalidInputError([
      {
        path: ['metrics'],
        code: metrics.length === 0 ? 'EMPTY' : 'TOO_LARGE',
        message: 'the number of metrics is not accepted',
        expected: `1 to ${most} metrics`,
        received: `${metrics.length}`,
      },
    ]);
  const problems = metrics.flatMap((metric, i) =>
    known.some((one) => isSameMetric(one, metric)) ? [] : [unknownMetric(['metrics', String(i)], metric, known)],
  );
  if (problems.length > 0) throw new InvalidInputError(problems);
  return metrics;
}

export function unknownMetric(path: readonly string[], metric: MetricKey, known: readonly MetricKey[]): InputProblem {
  return {
    path,
    code: 'UNKNOWN_NAME',
    message: 'evaluations of this task have no such metric',
    expected: similarTo(metric, known).slice(0, MAX_NAMED).map(describeMetric).join(', '),
    received: describeMetric(metric),
  };
}

/** Those of the same class; of an unknown class, those of other classes. */
function similarTo({ name, label }: MetricKey, known: readonly MetricKey[]): readonly MetricKey[] {
  const ofClass = known.filter((one) => one.label === label);
  if (ofClass.length > 0) return ofClass;
  const ofName = known.filter((one) => one.label !== null && one.name === name);
  return ofName.length > 0 ? ofName : known.filter((one) => one.label !== null);
}
