import { Field, Float, Int, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import type { Answer } from '../tasks/answer.js';

@ObjectType({
  simpleResolvers: true,
  description: 'Where the time went, in milliseconds. Prepare, infer and finish are those of the whole batch.',
})
export class Timing {
  @Field(() => Float, { description: 'Waiting for room in a worker.' })
  queueMs!: number;

  @Field(() => Float, { description: 'From what was sent to the tensors of the graph.' })
  prepareMs!: number;

  @Field(() => Float, { description: 'In the graph.' })
  inferMs!: number;

  @Field(() => Float, { description: "From the graph's outputs to the answer." })
  finishMs!: number;

  @Field(() => Float, {
    description: 'From arrival to answer, the way to the worker and back included, the recording not.',
  })
  totalMs!: number;

  @Field(() => Int, { description: 'Inputs that shared the run.' })
  batchSize!: number;
}

@ObjectType({ simpleResolvers: true, description: 'What computed the answer.' })
export class Runtime {
  @Field({ description: 'The one actually used: "cpu" or "cuda".' })
  executionProvider!: string;

  @Field({ description: 'What it ran on; the name of the provider where nothing more is known.' })
  device!: string;

  @Field({ description: 'Digest of the file that was run.' })
  artifactSha256!: string;

  @Field(() => String, { nullable: true, description: 'The variant that was asked for; null for the plain graph.' })
  variant!: string | null;
}

@ObjectType({ implements: Node, simpleResolvers: true, description: 'One answer to one input.' })
export class Prediction extends Node {
  @Field(() => DateTime, { description: 'When the input was answered.' })
  createdAt!: Date;

  @Field({ description: 'Is it kept? It was on the disk before it was answered.' })
  recorded!: boolean;

  @Field({ description: 'Was the input longer than the model reads? Then the end of it was left out.' })
  truncated(): boolean {
    return this.answer.isTruncated ?? false;
  }

  @Field(() => Timing, { nullable: true, description: 'Where the time went; null where it is not known.' })
  timing!: Timing | null;

  @Field(() => Runtime, { nullable: true, description: 'What computed the answer; null where it is not known.' })
  runtime!: Runtime | null;

  /** Not fields: `predictedBy`, `input` and `output` are resolved from them. */
  versionId!: string;
  answer!: Answer;
  /** Known at once after predicting; otherwise those of the version's spec. */
  labels!: readonly string[] | null;
  inputJson!: string | null;
  inputSha256!: string | null;
}

@ObjectType({ description: 'A page of a list of predictions.' })
export class PredictionConnection extends connectionOf(Prediction) {}

@ObjectType({ simpleResolvers: true, description: 'The prediction, or why there is none: exactly one of them.' })
export class PredictPayload {
  @Field(() => Prediction, { nullable: true, description: 'The answer; null when there is a problem.' })
  prediction!: Prediction | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is no answer; null when there is one.' })
  problem!: Problem | null;

  @Field({ description: 'True when an idempotency key found an earlier result.' })
  replayed!: boolean;
}

@ObjectType({
  simpleResolvers: true,
  description: 'One payload for each input, or why nothing was tried: exactly one of them.',
})
export class PredictManyPayload {
  @Field(() => [PredictPayload], {
    nullable: true,
    description: '`results[i]` answers `inputs[i]`; one bad value fails alone.',
  })
  results!: PredictPayload[] | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was tried; null when `results` is there.' })
  problem!: Problem | null;
}
