import { Arg, Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { Dataset } from '../catalog/dataset.type.js';
import { Version } from '../catalog/version.type.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import { VersionRef } from '../graphql/scalars.js';
import {
  ComparisonPayload,
  MetricDifference,
  MetricKeyInput,
  UncomparedVersion,
  VersionComparison,
  VersionDifferences,
} from './comparison.type.js';
import { Evaluation } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';
import { metricTitle } from './metric-names.js';
import type { MetricKey } from './paired.js';
import {
  type ComparisonNeeds,
  compareVersions,
  MAX_COMPARED,
  type VersionDifference,
  type VersionsCompared,
} from './version-comparison.js';

/** Seconds of computing in a thread, one comparison at a time. */
export const POINTS_PER_COMPARISON = 2_000;

@Resolver(() => VersionDifferences)
export class ComparisonResolver {
  constructor(private readonly needs: ComparisonNeeds) {}

  @Policy('read')
  @Cost({ points: POINTS_PER_COMPARISON })
  @Query(() => ComparisonPayload, {
    nullable: true,
    description: `Compares versions, of one model or of several, with the first of them: differences of metrics on the rows that both have answered, with intervals and tests. Uses the newest finished evaluations by this server on the rows that the dataset has now, with the execution provider and the version of ONNX Runtime that it has now. Lists versions without one as \`missing\`. The same evaluations give the same numbers. Problems: InvalidInput, NotFound, Overloaded (too many comparisons are waiting), DeadlineExceeded (computing takes longer than 30 seconds).`,
  })
  async compare(
    @Arg('versions', () => [VersionRef], {
      description: `References to 2 to ${MAX_COMPARED.versions} versions. The first one is the baseline.`,
    })
    versions: string[],
    @Arg('dataset', () => String, { description: 'Name of the dataset, whose rows must be stored here.' })
    dataset: string,
    @Arg('metrics', () => [MetricKeyInput], {
      nullable: true,
      description: `Metrics to compare, at most ${MAX_COMPARED.metrics}: the more, the larger each \`adjustedPValue\`. Default: the first one of the evaluation, such as the accuracy, or the mean absolute error of numbers.`,
    })
    metrics: MetricKeyInput[] | null,
    @Ctx() { principal, catalogLoaders }: EvaluationContext,
  ): Promise<ComparisonPayload> {
    const { result, problem } = await payloadOf(async () => {
      const asked = versions
        .slice(0, MAX_COMPARED.versions)
        .map((ref, i) => catalogLoaders.getVersion(ref, ['versions', String(i)]));
      // The first one that does not exist is named, whichever is known first.
      await Promise.allSettled(asked);
      const found = await Promise.all(asked);
      const chosen = await catalogLoaders.getDataset(dataset);
      const wanted = { refs: versions, versions: found, datasetId: chosen.id, metrics: metrics?.map(keyOf) ?? null };
      const caller = { principal, loaders: catalogLoaders };
      return typeOf(await compareVersions(this.needs, wanted, caller), found[0] as Version, chosen);
    });
    return { comparison: result, problem };
  }

  @FieldResolver(() => Version, { nullable: true, description: 'Version that was compared with the baseline.' })
  comparedVersion(
    @Root() { versionId }: VersionDifferences,
    @Ctx() { catalogLoaders }: EvaluationContext,
  ): Promise<Version | null> {
    return catalogLoaders.version.load(versionId);
  }

  @FieldResolver(() => Evaluation, { nullable: true, description: 'Evaluation whose answers were compared.' })
  evaluation(
    @Root() { evaluationId }: VersionDifferences,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Evaluation | null> {
    return evaluationLoaders.evaluation.load(evaluationId);
  }
}

@Resolver(() => VersionComparison)
export class VersionComparisonResolver {
  @FieldResolver(() => Evaluation, {
    nullable: true,
    description: 'Evaluation of the baseline; null if it was not evaluated.',
  })
  baselineEvaluation(
    @Root() { holderEvaluationId }: VersionComparison,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<Evaluation | null> | null {
    return holderEvaluationId === null ? null : evaluationLoaders.evaluation.load(holderEvaluationId);
  }
}

export function keyOf({ name, average, label }: MetricKeyInput): MetricKey {
  return { name, average: average ?? null, label: label ?? null };
}

function typeOf({ holderEvaluationId, differences, missing }: VersionsCompared, baseline: Version, dataset: Dataset) {
  return create(VersionComparison, {
    dataset,
    baseline,
    holderEvaluationId,
    differences: differences.map(differencesOf),
    missing: missing.map((version) =>
      create(UncomparedVersion, {
        missingVersion: version,
        message: `Call evaluate(input: { version: "${version.ref}", dataset: "${dataset.name}" }), and compare again when it has succeeded.`,
      }),
    ),
  });
}

function differencesOf({ versionId, evaluationId, problem, rows, leftOut, metrics }: VersionDifference) {
  return create(VersionDifferences, {
    versionId,
    evaluationId,
    reason: problem,
    rows,
    leftOutRows: leftOut,
    metrics: metrics.map(({ holderValue, undefinedResamples: _, ...metric }) =>
      create(MetricDifference, {
        ...metric,
        title: metricTitle(metric.name, metric.average),
        baselineValue: holderValue,
      }),
    ),
  });
}
