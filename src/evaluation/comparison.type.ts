import { Field, Float, InputType, Int, ObjectType } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { Version } from '../catalog/version.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { SafeInt } from '../graphql/scalars.js';
import type { Verdict } from '../statistics/comparison.js';
import { Interval } from './evaluation.type.js';

export const ComparisonVerdict = enumOf<Verdict>('ComparisonVerdict', 'What a comparison of two versions has shown.', {
  BETTER: 'The version is better than the baseline.',
  WORSE: 'The version is worse than the baseline.',
  NO_DIFFERENCE_SHOWN: 'No difference was shown: there may be none, or too few rows to show it.',
});

@InputType({ description: 'Which metric of an evaluation.' })
export class MetricKeyInput {
  @Field({ description: 'Name of the metric, such as "accuracy", "f1" or "mae".' })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: 'How it averages over classes, such as "macro". Default: metrics without an average.',
  })
  average?: string | null;

  @Field(() => String, { nullable: true, description: 'Class that it is about. Default: metrics of all classes.' })
  label?: string | null;
}

@ObjectType({
  description: 'Difference of one metric between a version and the baseline, on the rows that both answered.',
})
export class MetricDifference {
  @Field({ description: 'Name of the metric.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'How the metric averages over classes; null if it does not.' })
  average!: string | null;

  @Field(() => String, { nullable: true, description: 'Class that it is about; null if it covers all classes.' })
  label!: string | null;

  @Field({ description: 'Name for readers, with the average, such as "F1 (macro)".' })
  title!: string;

  @Field({ description: 'Whether a higher value is better.' })
  higherIsBetter!: boolean;

  @Field(() => Float, { nullable: true, description: 'Metric of the version; null if undefined.' })
  value!: number | null;

  @Field(() => Float, { nullable: true, description: 'Metric of the baseline; null if undefined.' })
  baselineValue!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Difference: `value` minus `baselineValue`; null if either is undefined.',
  })
  difference!: number | null;

  @Field(() => Interval, {
    nullable: true,
    description:
      'Confidence interval of `difference`, not adjusted for the number of comparisons: Tango\'s ("tango") for the accuracy, by the paired bootstrap ("bca_bootstrap") for other metrics; null for the reason in `undefinedReason`.',
  })
  interval!: Interval | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Two-sided p-value of "there is no difference": of McNemar\'s exact test for the accuracy, of the paired bootstrap for other metrics; null if it is unknown.',
  })
  pValue!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "The `pValue`, adjusted by Holm's method for all versions and metrics of this comparison.",
  })
  adjustedPValue!: number | null;

  @Field(() => ComparisonVerdict, { description: 'What was shown: a difference if `adjustedPValue` is at most 0.05.' })
  verdict!: Verdict;

  @Field(() => String, { nullable: true, description: 'Why `interval` is null; null if there is one.' })
  undefinedReason!: string | null;

  @Field(() => Int, { description: 'Number of bootstrap resamples; 0 for the accuracy.' })
  resamples!: number;
}

@ObjectType({ description: 'Differences between a version and the baseline.' })
export class VersionDifferences {
  @Field(() => SafeInt, { description: 'Number of rows that both answered, which all numbers are about.' })
  rows!: number;

  @Field(() => SafeInt, { description: 'Number of rows that only one of them answered. They are left out.' })
  leftOutRows!: number;

  @Field(() => [MetricDifference], { description: 'Difference of each metric; empty if there is a `reason`.' })
  metrics!: readonly MetricDifference[];

  @Field(() => String, { nullable: true, description: 'Why the versions cannot be compared; null if they were.' })
  reason!: string | null;

  /** Not in the schema: `comparedVersion` and `evaluation` are resolved from them. */
  versionId!: string;
  evaluationId!: string;
}

@ObjectType({ description: 'Version that was not compared, because this server has not evaluated it on these rows.' })
export class UncomparedVersion {
  @Field(() => Version, { description: 'Version without an evaluation.' })
  missingVersion!: Version;

  @Field({ description: 'What to do, in English: which mutation to call, with which arguments.' })
  message!: string;
}

@ObjectType({ description: 'Versions that were compared with the first one, the baseline, on the rows of a dataset.' })
export class VersionComparison {
  @Field(() => Dataset, { description: 'Dataset whose rows they have answered.' })
  dataset!: Dataset;

  @Field(() => Version, { description: 'Version that the others are compared with.' })
  baseline!: Version;

  @Field(() => [VersionDifferences], {
    description: 'Differences of each other version that was evaluated; empty if the baseline was not.',
  })
  differences!: readonly VersionDifferences[];

  @Field(() => [UncomparedVersion], { description: 'Versions that were not evaluated on these rows.' })
  missing!: readonly UncomparedVersion[];

  /** Not in the schema: `baselineEvaluation` is resolved from it. */
  holderEvaluationId!: string | null;
}

@ObjectType({ description: 'The comparison, or the problem that prevented it: exactly one of them.' })
export class ComparisonPayload {
  @Field(() => VersionComparison, { nullable: true, description: 'The comparison; null if there is a problem.' })
  comparison!: VersionComparison | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is none; null otherwise.' })
  problem!: Problem | null;
}
