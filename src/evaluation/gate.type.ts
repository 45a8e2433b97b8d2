import { Field, Float, InputType, Int, ObjectType } from 'type-graphql';
import { REASON } from '../access/reason.js';
import { GateReason, Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import { MetricKeyInput } from './comparison.type.js';
import { MAX_CONDITIONS } from './new-gate.js';

@InputType({ description: 'What a metric must have shown: at least one of `threshold` and `margin`.' })
export class GateConditionInput extends MetricKeyInput {
  @Field(() => Float, {
    nullable: true,
    description:
      'Least value of the metric, or the greatest one of metrics of which lower is better, in the unit of the metric: shares such as the accuracy are from 0 to 1. Default: any value.',
  })
  threshold?: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'By how much the version may be worse than the one that the alias points to, in the unit of the metric, 0 or more: the lower bound of the paired difference, one-sided at 95%, must be above −`margin`. Does not count while the alias points to no version. Default: the versions are not compared.',
  })
  margin?: number | null;
}

@InputType({ description: 'Gate of an alias. It replaces the one that the alias has.' })
export class SetGateInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({ description: 'Name of the alias, which need not exist yet.' })
  alias!: string;

  @Field({ description: 'Name of the dataset. The gate is about the rows that it has now.' })
  dataset!: string;

  @Field(() => [GateConditionInput], {
    description: `Conditions, 1 to ${MAX_CONDITIONS}, all of which must be met.`,
  })
  conditions!: GateConditionInput[];

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@InputType({ description: 'Gate to remove.' })
export class RemoveGateInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field({ description: 'Name of the alias.' })
  alias!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'What a metric must have shown.' })
export class GateCondition {
  @Field({ description: 'Name of the metric.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'How the metric averages over classes; null if it does not.' })
  average!: string | null;

  @Field(() => String, { nullable: true, description: 'Class that it is about; null if it covers all classes.' })
  label!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Least value, or the greatest one of metrics of which lower is better; null for any value.',
  })
  threshold!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'By how much it may be worse than that of the present version; null if they are not compared.',
  })
  margin!: number | null;
}

@ObjectType({ description: 'What a condition has found.' })
export class GateCheck extends GateCondition {
  @Field({ description: 'Whether the condition is met, as far as it was checked.' })
  isPassed!: boolean;

  @Field(() => Float, { nullable: true, description: 'Metric of the version; null if undefined.' })
  value!: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'By how much it is better than that of the present version on the rows that both answered, negative if it is worse; null if they were not compared.',
  })
  gain!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'One-sided lower bound of the true gain at 95%; null if there is none.',
  })
  lowerBound!: number | null;
}

@ObjectType({ description: 'Whether a version passes a gate.' })
export class GateVerdict {
  @Field({ description: 'Whether `setAlias` would move the alias to the version.' })
  isPassed!: boolean;

  @Field(() => [GateReason], { description: 'Everything that is missing; empty if it passes.' })
  reasons!: readonly GateReason[];

  @Field(() => [GateCheck], { description: 'What each condition has found; empty without an evaluation that counts.' })
  checks!: readonly GateCheck[];

  /** Not in the schema: `evaluation` and `comparedWith` are resolved from them. */
  evaluationId!: string | null;
  holderId!: string | null;
}

@ObjectType({ description: 'What a version must have shown before `setAlias` points an alias to it.' })
export class Gate {
  @Field({ description: 'Name of the alias.' })
  alias!: string;

  @Field({ description: 'SHA-256 of the rows that evaluations must be of, as in `Dataset.rowsSha256`.' })
  rowsSha256!: string;

  @Field(() => [GateCondition], { description: 'Conditions, all of which must be met.' })
  conditions!: readonly GateCondition[];

  @Field(() => Int, {
    description:
      'How often `setAlias` has judged versions on these rows, whatever the conditions were: the more, the likelier one has passed by chance.',
  })
  attempts!: number;

  @Field(() => DateTime, { description: 'When the gate was set.' })
  updatedAt!: Date;

  /** Not in the schema: `dataset` and `verdict` are resolved from them. */
  modelId!: string;
  datasetId!: string;
}

@ObjectType({ description: 'The gate, or the problem that prevented setting it: exactly one of them.' })
export class SetGatePayload {
  @Field(() => Gate, { nullable: true, description: 'The gate; null if there is a problem.' })
  gate!: Gate | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not set; null if it was.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'The alias whose gate was removed, or the problem that prevented it: exactly one of them.' })
export class RemoveGatePayload {
  @Field(() => String, { nullable: true, description: 'Name of the alias; null if there is a problem.' })
  alias!: string | null;

  @Field(() => Problem, { nullable: true, description: 'Why the gate was not removed; null if it was.' })
  problem!: Problem | null;
}
