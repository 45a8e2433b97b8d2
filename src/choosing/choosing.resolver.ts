import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, FieldResolver, Info, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Dataset } from '../catalog/dataset.type.js';
import { Version } from '../catalog/version.type.js';
import { withUnits } from '../evaluation/evaluation.resolver.js';
import { Evaluation, Metric } from '../evaluation/evaluation.type.js';
import { checkRange } from '../graphql/check-range.js';
import { type Args, Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf, problemOf } from '../graphql/problem.type.js';
import { selects } from '../graphql/selection.js';
import { type Choosing, MAX_BEGUN } from './choosing.js';
import {
  DefeatedBy,
  MetricGap,
  MissingEvaluation,
  RankedVersion,
  Recommendation,
  RecommendationPayload,
  RecommendEvaluationsInput,
  RecommendEvaluationsPayload,
  RecommendInput,
  RefusedEvaluation,
} from './choosing.type.js';
import type { ChoosingContext } from './loaders.js';
import type { Entry } from './ranking.js';

/** Reads all evaluations of the dataset, and the measurements and training data of up to 250 versions. */
const POINTS_PER_CHOICE = 500;
const POINTS_PER_EVALUATION = 1_000;
const MAX_LISTED = 100;
const FIRST = `Number of versions to return, 1 to ${MAX_LISTED}. Other values are a BAD_USER_INPUT error.`;

const listed = ({ first }: Args) => Math.min(Number(first), MAX_LISTED);

@Resolver()
export class ChoosingResolver {
  constructor(private readonly choosing: Choosing) {}

  @Policy('read')
  @Cost({ points: POINTS_PER_CHOICE })
  @Query(() => RecommendationPayload, {
    nullable: true,
    description:
      'Compares all READY versions for a task: by a metric on a dataset, and by latency, memory, size and license. Those that meet the constraints are ranked by the metric. Problems: InvalidInput, NotFound.',
  })
  async recommend(
    @Arg('input', () => RecommendInput, { description: 'What the version is needed for.' }) input: RecommendInput,
    @Ctx() context: ChoosingContext,
  ): Promise<RecommendationPayload> {
    const { result, problem } = await payloadOf(async () => {
      const recommended = await this.choosing.recommend(input, context);
      return create(Recommendation, {
        metric: recommended.metric,
        rankedCount: recommended.ranked.length,
        excludedCount: recommended.others.length,
        missingCount: recommended.missing.length,
        isComplete: recommended.isComplete,
        recommended,
      });
    });
    return { recommendation: result, problem };
  }

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE + MAX_BEGUN * POINTS_PER_EVALUATION })
  @Mutation(() => RecommendEvaluationsPayload, {
    nullable: true,
    description: `Evaluates the first versions that \`Recommendation.missing\` lists, as \`evaluate\` does: at most ${MAX_BEGUN}, and those that were not begun before first, so call it again when these have ended, until \`evaluations\` is empty. It stops when too many evaluations are waiting. Needs the role evaluator, or models of your account. Problems: InvalidInput, NotFound, Forbidden; of a version, those of \`evaluate\`.`,
  })
  async recommendEvaluations(
    @Arg('input', () => RecommendEvaluationsInput, { description: 'The recommendation.' })
    input: RecommendEvaluationsInput,
    @Ctx() context: ChoosingContext,
  ): Promise<RecommendEvaluationsPayload> {
    const { result, problem } = await payloadOf(() => this.choosing.evaluateMissing(input, context));
    if (!result) return { evaluations: [], refused: [], problem };
    const found = await context.evaluationLoaders.evaluation.loadMany(result.evaluationIds);
    return {
      evaluations: found.filter((one) => one instanceof Evaluation),
      refused: result.refused.map(({ versionId, error }) =>
        create(RefusedEvaluation, { versionId, problem: problemOf(error) }),
      ),
      problem: null,
    };
  }
}

@Resolver(() => Dataset)
export class DatasetLeaderboardResolver {
  constructor(private readonly choosing: Choosing) {}

  @Cost({ points: POINTS_PER_CHOICE, elements: listed })
  @FieldResolver(() => [RankedVersion], {
    description:
      'READY versions that were evaluated on this dataset, best first: those that this server has evaluated, then those with imported metrics, which nobody here has verified, then those that are not ranked. Ranks are among the best 200.',
  })
  async leaderboard(
    @Root() dataset: Dataset,
    @Arg('metric', () => String, {
      nullable: true,
      description: 'Metric by which versions are ranked. Default: the usual one of the task of the dataset.',
    })
    metric: string | null,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Ctx() context: ChoosingContext,
  ): Promise<RankedVersion[]> {
    checkRange('first', first, 1, MAX_LISTED);
    const { ranked, others } = await this.choosing.leaderboard(dataset, metric, context);
    return [...ranked, ...others].slice(0, first).map(rankedVersion);
  }
}

@Resolver(() => Recommendation)
export class RecommendationResolver {
  @FieldResolver(() => Dataset, { description: 'The dataset on which the versions are compared.' })
  dataset(@Root() { recommended }: Recommendation): Dataset {
    return recommended.dataset;
  }

  @Cost({ elements: listed })
  @FieldResolver(() => [RankedVersion], { description: 'Versions that meet all constraints, best first.' })
  ranked(
    @Root() { recommended }: Recommendation,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
  ): RankedVersion[] {
    checkRange('first', first, 1, MAX_LISTED);
    return recommended.ranked.slice(0, first).map(rankedVersion);
  }

  @Cost({ elements: listed })
  @FieldResolver(() => [RankedVersion], {
    description:
      'Those of the ranked versions that are Pareto-optimal, best first: for each other one, another version is at least as good in metric, median latency, memory and size, and better in one of them.',
  })
  paretoSet(
    @Root() { recommended }: Recommendation,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
  ): RankedVersion[] {
    checkRange('first', first, 1, MAX_LISTED);
    const optimal = recommended.ranked.filter(({ isParetoOptimal }) => isParetoOptimal);
    return optimal.slice(0, first).map(rankedVersion);
  }

  @Cost({ elements: listed })
  @FieldResolver(() => [RankedVersion], {
    description:
      'Versions that miss a constraint, were trained on the dataset, cannot be evaluated on it, or have no value of the metric, in the order of `ranked`.',
  })
  excluded(
    @Root() { recommended }: Recommendation,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
  ): RankedVersion[] {
    checkRange('first', first, 1, MAX_LISTED);
    return recommended.others.slice(0, first).map(rankedVersion);
  }

  @Cost({ elements: listed })
  @FieldResolver(() => [MissingEvaluation], {
    description:
      'Versions that this server has not evaluated on the present rows of the dataset, although it can, and that do not miss another constraint: default versions first. `recommendEvaluations` evaluates them. With imported metrics, they are ranked as well.',
  })
  missing(
    @Root() { recommended }: Recommendation,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
  ): MissingEvaluation[] {
    checkRange('first', first, 1, MAX_LISTED);
    return recommended.missing
      .slice(0, first)
      .map((missing) => create(MissingEvaluation, { misses: missing.misses, missing }));
  }
}

function rankedVersion(entry: Entry): RankedVersion {
  const { candidate, rank, unrankedReason, isParetoOptimal, misses } = entry;
  const { p50Ms, p95Ms, residentBytes, artifactBytes, license, isOnTrainingData } = candidate;
  const measured = { p50Ms, p95Ms, residentBytes, artifactBytes, license };
  const found = { rank, unrankedReason, isParetoOptimal, misses, onTrainingData: isOnTrainingData };
  return create(RankedVersion, { ...found, ...measured, entry });
}

@Resolver(() => RankedVersion)
export class RankedVersionResolver {
  constructor(private readonly choosing: Choosing) {}

  @FieldResolver(() => Version, {
    nullable: true,
    description: 'The version; null if it was deleted meanwhile.',
  })
  rankedVersion(@Root() { entry }: RankedVersion, @Ctx() { catalogLoaders }: ChoosingContext): Promise<Version | null> {
    return catalogLoaders.version.load(entry.candidate.versionId);
  }

  @FieldResolver(() => Evaluation, {
    nullable: true,
    description:
      'The evaluation that counts, by its `origin`: the newest COMPUTED one of the present rows of the dataset, otherwise the newest IMPORTED one. Null if there is none.',
  })
  async evaluation(
    @Root() { entry }: RankedVersion,
    @Ctx() { evaluationLoaders }: ChoosingContext,
  ): Promise<Evaluation | null> {
    const id = entry.candidate.evaluationId;
    return id === null ? null : evaluationLoaders.evaluation.load(id);
  }

  @FieldResolver(() => Metric, {
    nullable: true,
    description: 'The metric, over all classes; null if the evaluation does not have it.',
  })
  async metric(
    @Root() { entry }: RankedVersion,
    @Ctx() context: ChoosingContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Metric | null> {
    const { metric, versionId } = entry.candidate;
    if (!metric || !selects(info, 'unit')) return metric;
    return (await withUnits([metric], versionId, context))[0] ?? null;
  }

  @FieldResolver(() => Boolean, {
    nullable: true,
    description:
      'Whether no difference is shown between this version and the one that is ranked just above it. Null for the first, for versions that are not ranked, and if `MetricGap.isShown` is unknown.',
  })
  async tiedWithAbove(
    @Root() { entry: { candidate, above } }: RankedVersion,
    @Ctx() context: ChoosingContext,
  ): Promise<boolean | null> {
    if (!above) return null;
    const { isShown } = await this.choosing.gap({ candidate, other: above }, context);
    return isShown === null ? null : !isShown;
  }

  @FieldResolver(() => DefeatedBy, {
    nullable: true,
    description:
      'What beat the version: the best of those that are at least as good in metric, median latency, memory and size, and better in one of them; if there is none, the first of the ranking. Null for the first, and for versions that are not ranked.',
  })
  beatenBy(@Root() { entry }: RankedVersion): DefeatedBy | null {
    const { candidate, beatenBy: defeat } = entry;
    if (!defeat) return null;
    const { winner, isInAllRespects } = defeat;
    const behind = (key: 'p50Ms' | 'residentBytes' | 'artifactBytes') =>
      candidate[key] === null || winner[key] === null ? null : candidate[key] - winner[key];
    return create(DefeatedBy, {
      isInAllRespects,
      p50Ms: behind('p50Ms'),
      residentBytes: behind('residentBytes'),
      artifactBytes: behind('artifactBytes'),
      defeat,
      loser: candidate,
    });
  }
}

@Resolver(() => DefeatedBy)
export class DefeatResolver {
  constructor(private readonly choosing: Choosing) {}

  @FieldResolver(() => Version, { nullable: true, description: 'The winner; null if it was deleted meanwhile.' })
  winner(@Root() { defeat }: DefeatedBy, @Ctx() { catalogLoaders }: ChoosingContext): Promise<Version | null> {
    return catalogLoaders.version.load(defeat.winner.versionId);
  }

  @FieldResolver(() => MetricGap, { description: 'How the metric differs from that of the winner.' })
  metric(@Root() { defeat, loser }: DefeatedBy, @Ctx() context: ChoosingContext): Promise<MetricGap> {
    return this.choosing.gap({ candidate: loser, other: defeat.winner }, context);
  }
}

@Resolver(() => MissingEvaluation)
export class MissingEvaluationResolver {
  @FieldResolver(() => Version, { nullable: true, description: 'The version; null if it was deleted meanwhile.' })
  missingVersion(
    @Root() { missing }: MissingEvaluation,
    @Ctx() { catalogLoaders }: ChoosingContext,
  ): Promise<Version | null> {
    return catalogLoaders.version.load(missing.version.versionId);
  }

  @FieldResolver(() => Evaluation, {
    nullable: true,
    description:
      'The newest evaluation by this server: it is not finished, has FAILED or was CANCELLED, or is of rows that the dataset no longer has. Null if there is none.',
  })
  async evaluation(
    @Root() { missing }: MissingEvaluation,
    @Ctx() { evaluationLoaders }: ChoosingContext,
  ): Promise<Evaluation | null> {
    const id = missing.version.begunId;
    return id === null ? null : evaluationLoaders.evaluation.load(id);
  }
}

@Resolver(() => RefusedEvaluation)
export class RefusedEvaluationResolver {
  @FieldResolver(() => Version, { nullable: true, description: 'The version; null if it was deleted meanwhile.' })
  refusedVersion(
    @Root() { versionId }: RefusedEvaluation,
    @Ctx() { catalogLoaders }: ChoosingContext,
  ): Promise<Version | null> {
    return catalogLoaders.version.load(versionId);
  }
}
