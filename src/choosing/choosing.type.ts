import { Field, Float, InputType, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { REASON } from '../access/reason.js';
import { TaskEnum } from '../catalog/model.type.js';
import { Evaluation, Interval } from '../evaluation/evaluation.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { SafeInt } from '../graphql/scalars.js';
import type { CostName } from '../plots/pareto-plot.js';
import type { TaskName } from '../tasks/tasks.js';
import type { Missing, Recommended } from './choosing.js';
import type { Candidate, ConstraintName, Defeat, Entry, Gap } from './ranking.js';

const ConstraintEnum = enumOf<ConstraintName>('Constraint', 'What `RecommendInput` demands of a version.', {
  WORST_METRIC: 'The metric is at least as good as `worstMetric`.',
  MAX_P50_MS: 'The median latency is at most `maxP50Ms`.',
  MAX_P95_MS: 'The 95th percentile of the latency is at most `maxP95Ms`.',
  MAX_RESIDENT_BYTES: 'The memory of a loaded copy is at most `maxResidentBytes`.',
  MAX_ARTIFACT_BYTES: 'The size of the file is at most `maxArtifactBytes`.',
  LICENSES: 'The license of the model is one of `licenses`.',
});

export const VersionCost = enumOf<CostName>('VersionCost', 'What a version costs.', {
  LATENCY: 'Median latency of one input on this machine, in milliseconds.',
  MEMORY: 'Memory of a loaded copy on this machine, in megabytes.',
  SIZE: 'Size of the file, in megabytes.',
});

@InputType({ description: 'What the version is needed for, and what it must fulfill.' })
export class RecommendInput {
  @Field(() => TaskEnum, { description: 'What the version must do: the task of its model.' })
  task!: TaskName;

  @Field({ description: 'Name of the dataset on which the versions are compared.' })
  dataset!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'Metric by which versions are ranked. Default: the usual one of the task, such as "accuracy" for classes and "mae" for numbers.',
  })
  metric?: string | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Worst acceptable value of the metric: the smallest if higher is better, otherwise the largest. Default: no limit.',
  })
  worstMetric?: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Largest acceptable median latency of one input on this machine, in milliseconds. Default: no limit.',
  })
  maxP50Ms?: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Largest acceptable 95th percentile of the latency of one input on this machine, in milliseconds. Default: no limit.',
  })
  maxP95Ms?: number | null;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Largest acceptable memory of a loaded copy on this machine, in bytes. Default: no limit.',
  })
  maxResidentBytes?: number | null;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Largest acceptable size of the file, in bytes. Default: no limit.',
  })
  maxArtifactBytes?: number | null;

  @Field(() => [String], {
    nullable: true,
    description: 'Acceptable licenses, such as ["mit", "apache-2.0"]; case is ignored. Default: all.',
  })
  licenses?: string[] | null;
}

@InputType({ description: 'The recommendation whose missing evaluations are to be begun.' })
export class RecommendEvaluationsInput extends RecommendInput {
  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'Constraint that a version does not meet, or is not known to meet.' })
export class MissedConstraint {
  @Field(() => ConstraintEnum, { description: 'The constraint.' })
  constraint!: ConstraintName;

  @Field(() => Float, { nullable: true, description: 'What the constraint allows; null for LICENSES.' })
  limit!: number | null;

  @Field(() => Float, { nullable: true, description: 'Value of the version; null if not measured, and for LICENSES.' })
  value!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'How far `value` is beyond `limit`, more than 0; null if there is no value.',
  })
  by!: number | null;

  @Field({ description: 'What is wrong, in English.' })
  message!: string;
}

@ObjectType({ description: 'How the metrics of two versions differ.' })
export class MetricGap implements Gap {
  @Field(() => Float, { description: 'Metric of this version minus that of the other one.' })
  difference!: number;

  @Field(() => Interval, {
    nullable: true,
    description:
      'Confidence interval of `difference`, from the answers to the same rows; null if they are not stored here, or would take too long to compare.',
  })
  interval!: Interval | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'Whether the versions are shown to differ, at a level of 95% for this comparison alone: by `interval`, or, without one, because the intervals of the two metrics do not overlap. Null if an imported metric has no interval.',
  })
  isShown!: boolean | null;
}

@ObjectType({ description: 'What beat a version, and by how much.' })
export class DefeatedBy {
  @Field({
    description:
      'Whether the winner is at least as good in metric, median latency, memory and size, as far as both were measured. Otherwise it is the first of the ranking, and this version is better in some respect.',
  })
  isInAllRespects!: boolean;

  @Field(() => Float, {
    nullable: true,
    description: 'Median latency of this version minus that of the winner, in milliseconds; null if not measured.',
  })
  p50Ms!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Memory of this version minus that of the winner, in bytes; null if not measured.',
  })
  residentBytes!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Size of this version minus that of the winner, in bytes; null if unknown.',
  })
  artifactBytes!: number | null;

  /** Not in the schema: `winner` and `metric` are resolved from them. */
  defeat!: Defeat;
  loser!: Candidate;
}

@ObjectType({ description: 'Version with its metric on a dataset, and its place among others.' })
export class RankedVersion {
  @Field(() => Int, { nullable: true, description: 'Place from 1; null if the version is not ranked.' })
  rank!: number | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Why the version is not ranked, apart from `misses`: it was trained on the dataset, or has no value of the metric. Null otherwise.',
  })
  unrankedReason!: string | null;

  @Field({ description: 'Whether the version was trained on the dataset, as `Evaluation.onTrainingData` says.' })
  onTrainingData!: boolean;

  @Field({
    description:
      'Whether no ranked version is at least as good in metric, median latency, memory and size, and better in one of them. What was measured of one version only does not count against either.',
  })
  isParetoOptimal!: boolean;

  @Field(() => Float, {
    nullable: true,
    description:
      'Median time of one input in a worker of this machine, in milliseconds: of `Serving.latency`. Null if not measured.',
  })
  p50Ms!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: '95th percentile of the time of one input in a worker, in milliseconds. Null if not measured.',
  })
  p95Ms!: number | null;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Memory of a loaded copy on this machine, in bytes. Null if not measured.',
  })
  residentBytes!: number | null;

  @Field(() => SafeInt, { nullable: true, description: 'Size of the file, in bytes; null if unknown.' })
  artifactBytes!: number | null;

  @Field(() => String, { nullable: true, description: 'License of the model; null if not stated.' })
  license!: string | null;

  @Field(() => [MissedConstraint], { description: 'Constraints that the version misses; empty if it is ranked.' })
  misses!: readonly MissedConstraint[];

  /** Not in the schema: the other fields are resolved from it. */
  entry!: Entry;
}

@ObjectType({ description: 'Version that has to be evaluated on the dataset before it can be ranked by it.' })
export class MissingEvaluation {
  @Field(() => [MissedConstraint], { description: 'Constraints on what was not measured of the version.' })
  misses!: readonly MissedConstraint[];

  /** Not in the schema: `missingVersion` and `evaluation` are resolved from it. */
  missing!: Missing;
}

@ObjectType({
  description:
    'Versions for a task, compared on a dataset. Evaluations by this server come before imported ones, which nobody here has verified.',
})
export class Recommendation {
  @Field({ description: 'Name of the metric by which the versions are ranked.' })
  metric!: string;

  @Field(() => Int, { description: 'Number of versions in `ranked`.' })
  rankedCount!: number;

  @Field(() => Int, { description: 'Number of versions in `excluded`.' })
  excludedCount!: number;

  @Field(() => Int, { description: 'Number of versions in `missing`.' })
  missingCount!: number;

  @Field({
    description:
      'Whether all versions of the task were considered. Otherwise only the best 200 of those that are evaluated on the dataset, and 50 of the others, default versions first.',
  })
  isComplete!: boolean;

  /** Not in the schema: the lists are resolved from it. */
  recommended!: Recommended;
}

@ObjectType({ description: 'The recommendation, or the problem that prevented it: exactly one of them.' })
export class RecommendationPayload {
  @Field(() => Recommendation, { nullable: true, description: 'The recommendation; null if there is a problem.' })
  recommendation!: Recommendation | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is none; null otherwise.' })
  problem!: Problem | null;
}

@Policy('contribute')
@ObjectType({ description: 'Version whose evaluation was not begun.' })
export class RefusedEvaluation {
  @Field(() => Problem, { description: 'Why it was not begun.' })
  problem!: Problem;

  /** Not in the schema: `refusedVersion` is resolved from it. */
  versionId!: string;
}

@ObjectType({
  description: 'The evaluations that were begun, and those that were not, or the problem that prevented all.',
})
export class RecommendEvaluationsPayload {
  @Field(() => [Evaluation], { description: 'Evaluations that were begun, or go on.' })
  evaluations!: readonly Evaluation[];

  @Field(() => [RefusedEvaluation], { description: 'Versions whose evaluation was not begun.' })
  refused!: readonly RefusedEvaluation[];

  @Field(() => Problem, { nullable: true, description: 'Why nothing was begun; null otherwise.' })
  problem!: Problem | null;
}
