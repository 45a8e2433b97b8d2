import { Field, Float, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';

export const EvaluationOrigin = enumOf('EvaluationOrigin', 'Where the metrics of an evaluation come from.', {
  IMPORTED: 'Stated in the model card and not verified by this server.',
  COMPUTED: 'Measured by this server.',
});

const JobState = enumOf('JobState', 'Progress of a job.', {
  QUEUED: 'The job has not started.',
  RUNNING: 'The job is running.',
  SUCCEEDED: 'The job finished, and its result is complete.',
  FAILED: 'The job ended with an error and has no result.',
  CANCELLED: 'The job was cancelled and has no result.',
});

@ObjectType({ description: 'Confidence interval of a metric.' })
export class Interval {
  @Field(() => Float, { description: 'Lower bound, in the unit of the metric.' })
  low!: number;

  @Field(() => Float, { description: 'Upper bound, in the unit of the metric.' })
  high!: number;

  @Field(() => Float, { description: 'Confidence level from 0 to 1, such as 0.95.' })
  level!: number;

  @Field({ description: 'Method that computed the interval.' })
  method!: string;
}

@ObjectType({ description: 'Measured quality of a version, as one number.' })
export class Metric {
  @Field({ description: 'Name of the metric, such as "accuracy", "f1", "roc_auc" or "log_loss".' })
  name!: string;

  /** Set where it is selected. */
  @Field(() => String, {
    nullable: true,
    description:
      'Unit of `value`: that of the predicted number, such as "g", for errors that have it; null for other metrics, and if it is not stated.',
  })
  unit?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'How the metric averages: over classes, such as "macro" or "weighted", or "targets" for the mean over several targets; null if it does not, or if not stated.',
  })
  average!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Class that the metric is about, or target of a version with several; null if it covers all of them.',
  })
  label!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Value of the metric; null if undefined, for the reason in `undefinedReason`.',
  })
  value!: number | null;

  @Field(() => String, { nullable: true, description: 'Why `value` is null; null if there is a value.' })
  undefinedReason!: string | null;

  @Field({ description: 'Whether a higher value is better.' })
  higherIsBetter!: boolean;

  @Field(() => Interval, {
    nullable: true,
    description:
      'Confidence interval of `value`; null if the evaluation was imported, if there are too few items for one, and if resamples of the items all have the same value, or leave it undefined too often.',
  })
  interval!: Interval | null;
}

@ObjectType({ implements: Node, description: 'Quality of a version on a dataset.' })
export class Evaluation extends Node {
  @Field(() => EvaluationOrigin, { description: 'Where the metrics come from.' })
  origin!: keyof typeof EvaluationOrigin;

  @Field(() => JobState, { description: 'Progress of the evaluation.' })
  jobState!: keyof typeof JobState;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Number of rows that the version was evaluated on; null if not stated.',
  })
  evaluatedRows!: number | null;

  @Field(() => DateTime, { description: 'When the evaluation was registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { nullable: true, description: 'When the evaluation ended; null until then.' })
  finishedAt!: Date | null;

  /** Not in the schema: `evaluatedVersion` and `dataset` are resolved from them. */
  versionId!: string;
  datasetId!: string;
  /** Not in the schema: null if the metrics were not read with the evaluation. */
  knownMetrics!: Metric[] | null;
}

@ObjectType({ description: 'One page of a list of evaluations.' })
export class EvaluationConnection extends connectionOf(Evaluation) {}
