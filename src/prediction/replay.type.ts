import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Problem } from '../graphql/problem.type.js';
import type { Answer } from '../tasks/answer.js';
import { DEADLINE } from './prediction.input.js';
import { Prediction, Runtime, Timing } from './prediction.type.js';

@InputType({ description: 'Recorded prediction to run again.' })
export class ReplayPredictionInput {
  @Field(() => ID, { description: 'Id of one of your recorded predictions.' })
  prediction!: string;

  @Field(() => Int, { nullable: true, description: DEADLINE })
  deadlineMs?: number | null;
}

@Policy('history')
@ObjectType({
  description: 'A recorded prediction that was run again, and how its answer differs from the recorded one.',
})
export class Replay {
  @Field(() => Prediction, { description: 'Recorded prediction.' })
  prediction!: Prediction;

  @Field({ description: 'Whether the answers are the same, up to differences of numbers within `tolerance`.' })
  isSame!: boolean;

  @Field(() => String, {
    nullable: true,
    description: 'First place where the answers differ, with both values; null if `isSame`.',
  })
  difference!: string | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Largest difference between two numbers in the same place of both answers: absolute for recorded values up to 1, relative above. Null if no place has a number in both.',
  })
  largestDifference!: number | null;

  @Field(() => Float, {
    description:
      'Largest difference that runs of the same graph may have, on any execution provider, because kernels add in a different order for another batch size or device: 0.000002 for rows of a table, 0.0001 for deep networks.',
  })
  tolerance!: number;

  @Field(() => Timing, { description: 'Duration of each step of the second run.' })
  timing!: Timing;

  @Field(() => Runtime, { description: 'Hardware and model file of the second run.' })
  runtime!: Runtime;

  /** Not in the schema: `output` is resolved from these. */
  answer!: Answer;
  labels!: readonly string[];
}

@ObjectType({ description: 'The replay, or the problem that prevented it: exactly one of them.' })
export class ReplayPredictionPayload {
  @Field(() => Replay, { nullable: true, description: 'The replay; null if there is a problem.' })
  replay!: Replay | null;

  @Field(() => Problem, { nullable: true, description: 'Why the input was not run again; null if it was.' })
  problem!: Problem | null;
}
