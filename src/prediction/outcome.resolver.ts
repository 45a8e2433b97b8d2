import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import type { PredictionContext } from './loaders.js';
import { Outcome, RecordOutcomeInput, RecordOutcomePayload } from './outcome.type.js';
import type { Outcomes } from './outcomes.js';
import { Prediction } from './prediction.type.js';

/** A row of the database. */
const OUTCOME_POINTS = 1;

@Resolver(() => Prediction)
export class OutcomeResolver {
  constructor(private readonly outcomes: Outcomes) {}

  @Policy('history')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => RecordOutcomePayload, {
    nullable: true,
    description:
      'Records what turned out to be true of one of your recorded predictions: its class, if it chose one of the labels of its version, or its number. A second outcome replaces the first. `Version.live` has metrics of outcomes. Outcomes are encrypted as predictions are, and deleted with them. Null only with an entry in `errors`. Problems: InvalidInput, NotFound, StorageFull.',
  })
  async recordOutcome(
    @Arg('input', () => RecordOutcomeInput, { description: 'Prediction, and what is true of it.' })
    input: RecordOutcomeInput,
    @Ctx() context: PredictionContext,
  ): Promise<RecordOutcomePayload> {
    const { result, problem } = await payloadOf(() => this.outcomes.record(input, context));
    return { prediction: result, problem };
  }

  @Cost({ points: OUTCOME_POINTS })
  @FieldResolver(() => Outcome, {
    nullable: true,
    description:
      'What turned out to be true, as `recordOutcome` has recorded it; null if nothing was recorded, or you may not read predictions.',
  })
  outcome(
    @Root() { id, contents }: Prediction,
    @Ctx() { predictionLoaders }: PredictionContext,
  ): null | Promise<Outcome | null> {
    if (!contents.isStored) return null;
    return predictionLoaders.outcome.load(id).then((stored) => {
      if (!stored) return null;
      const { truth, reason } = stored.contents;
      const { recordedAt, firstRecordedAt } = stored;
      const isLabel = typeof truth === 'string';
      const [label, value] = [isLabel ? truth : null, isLabel ? null : truth];
      return create(Outcome, { label, value, reason, recordedAt, firstRecordedAt });
    });
  }
}
