/** Chooses between versions by what is known of them: metrics on a dataset, and latency and memory on this machine. */
import type { Dataset } from '../catalog/dataset.type.js';
import type { Engine } from '../engine/engine.js';
import type { LatencyPoint } from '../engine/latency-curve.js';
import { AppError, BadArgumentError, type InputProblem, InvalidInputError, UploadLimitError } from '../errors.js';
import type { Comparisons } from '../evaluation/comparisons.js';
import type { Evaluator } from '../evaluation/evaluator.js';
import { evaluablePlan } from '../evaluation/plan.js';
import { usualMetric } from '../evaluation/usual-metric.js';
import { measuredHere } from '../serving/latency-records.js';
import type { TaskName } from '../tasks/tasks.js';
import type { Option, Unevaluated } from './candidates.queries.js';
import type { ChoosingContext } from './loaders.js';
import { findGaps } from './paired-gaps.js';
import {
  type Candidate,
  type Choice,
  type Constraints,
  choose,
  type Gap,
  isCertain,
  type Measured,
  type Miss,
  missesOf,
  type Pair,
} from './ranking.js';

export interface Wanted extends Constraints {
  readonly task: TaskName;
  readonly dataset: string;
  readonly metric?: string | null;
}

/** A version that may meet all constraints once it is evaluated on the dataset. */
export interface Missing {
  readonly version: Measured<Unevaluated>;
  /** Constraints on what was not measured of it. */
  readonly misses: readonly Miss[];
}

export interface Recommended extends Choice {
  readonly dataset: Dataset;
  readonly metric: string;
  readonly missing: readonly Missing[];
  readonly isComplete: boolean;
}

export interface Begun {
  readonly evaluationIds: readonly string[];
  readonly refused: readonly { readonly versionId: string; readonly error: AppError }[];
}

const MAX_METRIC_CHARACTERS = 100;
const MAX_LICENSES = 20;
/** Evaluations that are begun together. */
export const MAX_BEGUN = 3;

interface ChoosingNeeds {
  readonly engine: Engine;
  readonly evaluator: Evaluator;
  readonly comparisons: Comparisons;
}

export class Choosing {
  readonly #engine: Engine;
  readonly #evaluator: Evaluator;
  readonly #comparisons: Comparisons;

  constructor({ engine, evaluator, comparisons }: ChoosingNeeds) {
    this.#engine = engine;
    this.#evaluator = evaluator;
    this.#comparisons = comparisons;
  }

  /** @throws InvalidInputError, NotFoundError */
  async recommend(wanted: Wanted, context: ChoosingContext): Promise<Recommended> {
    checkWanted(wanted);
    const dataset = await context.catalogLoaders.getDataset(wanted.dataset);
    const { task } = wanted;
    const metric = wanted.metric ?? usualMetric(task);
    const constraints = { ...wanted, licenses: wanted.licenses?.map((license) => license.toLowerCase()) ?? null };
    const [{ candidates, hasMore }, unevaluated] = await Promise.all([
      this.#candidates(dataset.id, { metric, task }, context),
      context.choosingLoaders.unevaluated(dataset.id, task),
    ]);
    const measured = await this.#measured(unevaluated.found, context);
    const others: (UnevaluatedVersion & Missing)[] = [];
    // One after the other: the spec of a version with many labels takes some milliseconds.
    for (const version of measured)
      others.push({
        version,
        misses: missesOf(version, constraints),
        refusal: dataset.rowsSha256 === null ? null : await refusalOf(version, dataset, context),
      });
    const known = new Set(candidates.map(({ versionId }) => versionId));
    const unfit = others.filter(
      ({ misses, refusal }) => dataset.rowsSha256 === null || refusal !== null || misses.some(isCertain),
    );
    const unknown = unfit.filter(({ version }) => !known.has(version.versionId));
    return {
      ...choose([...candidates, ...unknown.map(withoutEvaluation)], constraints),
      dataset,
      metric,
      missing: others.filter((one) => !unfit.includes(one)),
      isComplete: !hasMore && !unevaluated.hasMore,
    };
  }

  /** How two versions of the same ranking differ. */
  gap(pair: Pair, context: ChoosingContext): Promise<Gap> {
    return context.choosingLoaders.gap(pair, (pairs) => findGaps(pairs, this.#comparisons, context));
  }

  async leaderboard(dataset: Dataset, metric: string | null, context: ChoosingContext): Promise<Choice> {
    const problem = metricProblem(metric, ['metric']);
    if (problem) throw new BadArgumentError(`metric: ${problem.message}; it must have ${problem.expected}.`);
    const wanted = { metric: metric ?? usualMetric(dataset.task), task: null };
    return choose((await this.#candidates(dataset.id, wanted, context)).candidates, {});
  }

  /**
   * Begins to evaluate the first versions that are missing in a recommendation.
   *
   * @throws InvalidInputError, NotFoundError
   */
  async evaluateMissing(
    wanted: Wanted & { readonly reason?: string | null },
    context: ChoosingContext,
  ): Promise<Begun> {
    const { missing, dataset } = await this.recommend(wanted, context);
    if (dataset.rowsSha256 === null) throw new InvalidInputError([WITHOUT_ROWS]);
    const evaluationIds: string[] = [];
    const refused: { versionId: string; error: AppError }[] = [];
    // Those that have failed would otherwise be begun again and again, and the others never.
    const newFirst = missing.toSorted(
      (a, b) => Number(a.version.begunId !== null) - Number(b.version.begunId !== null),
    );
    for (const { version } of newFirst) {
      const { versionId } = version;
      const error = await this.#evaluate(version, dataset, { reason: wanted.reason ?? null, context, evaluationIds });
      if (error) refused.push({ versionId, error });
      if (error instanceof UploadLimitError || evaluationIds.length >= MAX_BEGUN) break;
    }
    return { evaluationIds, refused };
  }

  /** Returns why it was refused. */
  async #evaluate(
    { versionId, ref }: Option,
    { id: datasetId }: Dataset,
    { reason, context, evaluationIds }: { reason: string | null; context: ChoosingContext; evaluationIds: string[] },
  ): Promise<AppError | null> {
    const { principal, catalogLoaders } = context;
    const version = await catalogLoaders.version.load(versionId);
    const model = version && (await catalogLoaders.model.load(version.modelId));
    // Deleted meanwhile.
    if (!version || !model) return null;
    try {
      const { id } = await this.#evaluator.evaluate({ version, model, datasetId }, { version: ref, reason }, principal);
      evaluationIds.push(id);
      return null;
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }

  async #candidates(
    datasetId: string,
    { metric, task }: { readonly metric: string; readonly task: TaskName | null },
    context: ChoosingContext,
  ): Promise<{ readonly candidates: Candidate[]; readonly hasMore: boolean }> {
    const { found, hasMore } = await context.choosingLoaders.evaluated(datasetId, metric, task);
    const measured = await this.#measured(found, context);
    const { isOnTrainingData } = context.evaluationLoaders;
    const candidates = await Promise.all(
      measured.map(async (one) => ({ ...one, isOnTrainingData: await isOnTrainingData.load(one.evaluationId) })),
    );
    return { candidates, hasMore };
  }

  /** With what was measured on this machine, of one input at a time. */
  #measured<T extends Option>(versions: readonly T[], { servingLoaders }: ChoosingContext): Promise<Measured<T>[]> {
    return Promise.all(
      versions.map(async (version) => {
        const measured = measuredHere(await servingLoaders.latencies.load(version.versionId), this.#engine.provider);
        const points: LatencyPoint[] = measured ? JSON.parse(measured.points) : [];
        const one = points.find(({ batchSize }) => batchSize === 1);
        const residentBytes = measured?.resident_bytes ?? null;
        return { ...version, p50Ms: one?.p50Ms ?? null, p95Ms: one?.p95Ms ?? null, residentBytes };
      }),
    );
  }
}

interface UnevaluatedVersion {
  readonly version: Measured;
  readonly refusal: string | null;
}

function withoutEvaluation({ version, refusal }: UnevaluatedVersion): Candidate {
  return { ...version, evaluationId: null, isComputed: false, metric: null, isOnTrainingData: false, refusal };
}

/** Why the version can never be evaluated on the dataset; null if it can. */
async function refusalOf(
  { versionId }: Option,
  { id, target, rowCount }: Dataset,
  { catalogLoaders }: ChoosingContext,
): Promise<string | null> {
  const [version, found] = await Promise.all([catalogLoaders.spec.load(versionId), catalogLoaders.columns.load(id)]);
  if (!version?.spec || !found) return null;
  try {
    evaluablePlan(version.spec, { target, columns: found.columns }, rowCount ?? 0);
    return null;
  } catch (error) {
    if (error instanceof InvalidInputError) return error.problems[0]?.message ?? error.message;
    throw error;
  }
}

const WITHOUT_ROWS: InputProblem = {
  path: ['input', 'dataset'],
  code: 'WRONG_KIND',
  message: 'its rows are not stored here',
  expected: 'a dataset with rows',
  received: null,
};

const LIMITS = ['maxP50Ms', 'maxP95Ms', 'maxResidentBytes', 'maxArtifactBytes'] as const;
const NUMBERS = ['worstMetric', ...LIMITS] as const;

/** @throws InvalidInputError */
function checkWanted(wanted: Wanted): void {
  const problems = [metricProblem(wanted.metric, ['input', 'metric'])].filter((problem) => problem !== null);
  for (const name of NUMBERS)
    if (!Number.isFinite(wanted[name] ?? 0))
      problems.push({
        path: ['input', name],
        code: 'NOT_FINITE',
        message: 'the number is not finite',
        expected: 'a finite number',
        received: `${wanted[name]}`,
      });
  for (const name of LIMITS) {
    const value = wanted[name];
    if (value == null || value >= 0 || !Number.isFinite(value)) continue;
    const message = 'the limit is negative';
    problems.push({
      path: ['input', name],
      code: 'OUT_OF_RANGE',
      message,
      expected: 'at least 0',
      received: `${value}`,
    });
  }
  const count = wanted.licenses?.length ?? 0;
  if (wanted.licenses && (count === 0 || count > MAX_LICENSES))
    problems.push({
      path: ['input', 'licenses'],
      code: count === 0 ? 'EMPTY' : 'TOO_LARGE',
      message: count === 0 ? 'the list is empty' : 'the list is too long',
      expected: `1 to ${MAX_LICENSES} licenses`,
      received: `${count}`,
    });
  if (problems.length > 0) throw new InvalidInputError(problems);
}

function metricProblem(metric: string | null | undefined, path: readonly string[]): InputProblem | null {
  if (metric == null || (metric.length >= 1 && metric.length <= MAX_METRIC_CHARACTERS)) return null;
  const expected = `1 to ${MAX_METRIC_CHARACTERS} characters`;
  const received = `${metric.length} characters`;
  if (metric.length === 0) return { path, code: 'EMPTY', message: 'the name is empty', expected, received };
  return { path, code: 'TOO_LARGE', message: 'the name is too long', expected, received };
}
