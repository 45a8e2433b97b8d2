import { Field, Float, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';

export const EvaluationOrigin = { IMPORTED: 'IMPORTED', COMPUTED: 'COMPUTED' } as const;
registerEnumType(EvaluationOrigin, {
  name: 'EvaluationOrigin',
  description: 'IMPORTED from a model card: somebody else measured it. COMPUTED here. Never confuse the two.',
});

const JobState = {
  QUEUED: 'QUEUED',
  RUNNING: 'RUNNING',
  SUCCEEDED: 'SUCCEEDED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
} as const;
registerEnumType(JobState, { name: 'JobState', description: 'How far a job has come.' });

@ObjectType({ simpleResolvers: true, description: 'Where the true value lies, with this confidence.' })
export class Interval {
  @Field(() => Float, { description: 'Lower end, in the unit of the metric.' })
  low!: number;

  @Field(() => Float, { description: 'Upper end, in the unit of the metric.' })
  high!: number;

  @Field(() => Float, { description: 'Confidence, such as 0.95.' })
  level!: number;

  @Field({ description: 'How it was computed.' })
  method!: string;
}

@ObjectType({ simpleResolvers: true, description: 'One number that says how good a version is.' })
export class Metric {
  @Field({ description: '"accuracy", "f1", "roc_auc", "log_loss" …' })
  name!: string;

  @Field(() => String, { nullable: true, description: '"macro", "weighted"; null where there is none.' })
  average!: string | null;

  @Field(() => String, { nullable: true, description: 'The class, for a metric of one class.' })
  label!: string | null;

  @Field(() => Float, { nullable: true, description: 'Null when it is undefined; then `undefinedReason` says why.' })
  value!: number | null;

  @Field(() => String, { nullable: true, description: 'Why there is no value; null where there is one.' })
  undefinedReason!: string | null;

  @Field({ description: 'Is a larger value a better one?' })
  higherIsBetter!: boolean;

  @Field(() => Interval, { nullable: true, description: 'Null when imported.' })
  interval!: Interval | null;
}

@ObjectType({ implements: Node, simpleResolvers: true, description: 'How good a version is on a dataset.' })
export class Evaluation extends Node {
  @Field(() => EvaluationOrigin, { description: 'Who measured it.' })
  origin!: keyof typeof EvaluationOrigin;

  @Field(() => JobState, { description: 'How far measuring has come.' })
  jobState!: keyof typeof JobState;

  @Field(() => SafeInt, { nullable: true, description: 'Rows it was measured on; null where the card does not say.' })
  evaluatedRows!: number | null;

  @Field(() => DateTime, { description: 'When it was registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { nullable: true, description: 'When measuring ended; null while it has not.' })
  finishedAt!: Date | null;

  /** Not fields: `evaluatedVersion` and `dataset` are resolved from them. */
  versionId!: string;
  datasetId!: string;
}

@ObjectType({ description: 'A page of a list of evaluations.' })
export class EvaluationConnection extends connectionOf(Evaluation) {}
