import { Field, Float, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Interval } from '../evaluation/evaluation.type.js';
import { MAX_CONDITIONS } from '../evaluation/new-gate.js';
import { Cost } from '../graphql/cost.js';
import { DateTime } from '../graphql/scalars.js';

@Policy('history')
@ObjectType({ description: 'A threshold of a gate, and the metric of the outcomes.' })
export class LiveGateCheck {
  @Field({ description: 'Name of the metric.' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'How the metric averages over classes; null if it does not.' })
  average!: string | null;

  @Field(() => String, { nullable: true, description: 'Class that it is about; null if it covers all classes.' })
  label!: string | null;

  @Field(() => Float, { description: 'Least value, or the greatest one of metrics of which lower is better.' })
  threshold!: number;

  @Field(() => Float, {
    nullable: true,
    description: 'Metric of the outcomes; null for the reason in `undefinedReason`.',
  })
  value!: number | null;

  @Field(() => Interval, {
    nullable: true,
    description: 'Confidence interval of `value`; null for the reason in `undefinedReason`.',
  })
  interval!: Interval | null;

  @Field(() => Boolean, {
    nullable: true,
    description:
      'Whether the outcomes show that the threshold is missed: the whole interval is on the wrong side of it. Null for the reason in `undefinedReason`.',
  })
  isMissed!: boolean | null;

  @Field(() => String, { nullable: true, description: 'Why `isMissed` is null; null if it is not.' })
  undefinedReason!: string | null;
}

@Policy('history')
@ObjectType({
  description: 'The version that an alias points to, its outcomes, and the thresholds of the gate of the alias.',
})
export class LiveGate {
  @Field(() => DateTime, { description: 'When the outcomes were measured, at most a minute ago.' })
  measuredAt!: Date;

  @Field(() => Int, { description: 'Outcomes that were measured, as in `Version.live`.' })
  outcomes!: number;

  @Field({ description: 'Whether the outcomes show that a threshold is missed.' })
  isMissed!: boolean;

  @Cost({ elements: MAX_CONDITIONS })
  @Field(() => [LiveGateCheck], { description: 'Conditions of the gate that have a threshold.' })
  checks!: readonly LiveGateCheck[];

  /** Not in the schema: `version` is resolved from it. */
  versionId!: string;
}
