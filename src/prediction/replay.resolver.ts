import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Cost } from '../graphql/cost.js';
import { payloadOf } from '../graphql/problem.type.js';
import type { PredictionContext } from './loaders.js';
import { Output, outputOf } from './output.type.js';
import type { Replays } from './replay.js';
import { Replay, ReplayPredictionInput, ReplayPredictionPayload } from './replay.type.js';

/** What is run is known only when it has been read, so that this is the price of a large input on a large model. */
const REPLAY_POINTS = 4_000;

@Resolver(() => Replay)
export class ReplayResolver {
  constructor(private readonly replays: Replays) {}

  @Policy('history')
  @Cost({ points: REPLAY_POINTS })
  @Mutation(() => ReplayPredictionPayload, {
    nullable: true,
    description: `Runs the input of a recorded prediction again, on the graph that answered it, and compares the answers. Nothing is recorded. Costs ${REPLAY_POINTS.toLocaleString('en')} points, whatever it runs; quotas count the time that it takes. Problems: NotFound, also after an erasure; NotReady if the version is archived; Conflict if the graph was replaced; and those of \`predict\`.`,
  })
  async replayPrediction(
    @Arg('input', () => ReplayPredictionInput, { description: 'Prediction to run again.' })
    input: ReplayPredictionInput,
    @Ctx() context: PredictionContext,
  ): Promise<ReplayPredictionPayload> {
    const { result, problem } = await payloadOf(() => this.replays.replay(input, context));
    return { replay: result, problem };
  }

  @FieldResolver(() => Output, { description: 'Answer of the second run.' })
  output(@Root() { answer, labels }: Replay): typeof Output {
    return outputOf(answer, labels, null);
  }
}
