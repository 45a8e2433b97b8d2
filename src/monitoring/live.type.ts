import { Field, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { MeasuredMetric } from '../evaluation/measure.js';
import { DateTime } from '../graphql/scalars.js';
import type { WantedDrift } from './drifts.js';

@Policy('history')
@ObjectType({ description: 'Metrics of a version on the outcomes of its recorded predictions.' })
export class LiveMetrics {
  @Field(() => DateTime, {
    description: 'Beginning of the window: only predictions that were made since are measured.',
  })
  since!: Date;

  @Field(() => DateTime, { description: 'When it was measured, at most a minute ago.' })
  measuredAt!: Date;

  @Field(() => Int, {
    nullable: true,
    description:
      'Recorded predictions in the window. Compare it with `outcomes`: if outcomes are known for few of them, those may be unlike the others. Null if the version made more than 100,000 predictions in the window, for all accounts together.',
  })
  predictions!: number | null;

  @Field(() => Int, {
    description:
      'Outcomes that were measured: of the newest predictions in the window, at most 100,000, and at most 200,000 divided by the number of labels.',
  })
  outcomes!: number;

  @Field({ description: 'Whether outcomes of older predictions in the window were left out.' })
  outcomesCapped!: boolean;

  /** Not in the schema: `metrics` are resolved from them. */
  measured!: readonly MeasuredMetric[];
  /** Unit of the number that the version predicts. */
  unit!: string | null;
  /** Not in the schema: `drift` is resolved from it. */
  wanted!: WantedDrift;
}
