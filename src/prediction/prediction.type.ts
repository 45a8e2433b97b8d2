import { Field, Float, Int, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Cost } from '../graphql/cost.js';
import { Node } from '../graphql/node.type.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime } from '../graphql/scalars.js';
import type { Answer } from '../tasks/answer.js';
import type { ModelInput } from '../tasks/tasks.js';
import { PredictionColumns } from './columns.type.js';
import type { ImageInputFile } from './recorded-input.js';

@ObjectType({
  description:
    'Duration of each step, in milliseconds. Preprocessing, run and postprocessing are measured for the whole batch.',
})
export class Timing {
  @Field(() => Float, { description: 'Time until a worker took the input, in milliseconds.' })
  queueMs!: number;

  @Field(() => Float, { description: 'Preprocessing, such as tokenizing text and resizing images, in milliseconds.' })
  prepareMs!: number;

  @Field(() => Float, { description: 'Running the graph, in milliseconds.' })
  inferMs!: number;

  @Field(() => Float, { description: "Postprocessing of the graph's outputs into answers, in milliseconds." })
  finishMs!: number;

  @Field(() => Float, {
    description:
      'Time from accepting the input to having the answer, in milliseconds. Includes communication with the worker but not storing the prediction.',
  })
  totalMs!: number;

  @Field(() => Int, {
    description:
      'Number of rows in the batch. Most inputs are one row; sentences, labels and rows of tensors count one each.',
  })
  batchSize!: number;
}

@ObjectType({ description: 'Hardware and model file that computed an answer.' })
export class Runtime {
  @Field({ description: 'Execution provider that was used, such as "cpu" or "cuda".' })
  executionProvider!: string;

  @Field({ description: 'Name of the CPU or GPU that ran the model, or of the execution provider if it is unknown.' })
  device!: string;

  @Field({ description: 'SHA-256 digest of the model file, in hexadecimal.' })
  artifactSha256!: string;

  @Field(() => String, { nullable: true, description: 'Variant that was requested; null for the default graph.' })
  variant!: string | null;
}

@ObjectType({ implements: Node, description: 'Answer of a version to one input.' })
export class Prediction extends Node {
  @Field(() => DateTime, { description: 'When the prediction was made.' })
  createdAt!: Date;

  @Field({ description: 'Whether the prediction is stored. If so, it was on disk before it was returned.' })
  recorded!: boolean;

  /** Not in the schema: the other fields are resolved from these. */
  versionId!: string;
  contents!: NewContents | StoredContents;
}

/** The contents of a prediction that was just made. */
export interface NewContents {
  readonly isStored: false;
  readonly timing: Timing;
  readonly runtime: Runtime;
  readonly answer: Answer;
  /** Labels of the version. */
  readonly labels: readonly string[];
  /** Null if the prediction is not recorded. */
  readonly input: ModelInput | null;
  /** Null if the input is no image, or the prediction is not recorded. */
  readonly image: ImageInputFile | null;
  /** Null if there is `image`, or the prediction is not recorded. */
  readonly inputJson: string | null;
}

export type NewPrediction = Prediction & { readonly contents: NewContents };

/** The bytes that are read for the contents of a stored prediction. They are read only if a field of them is selected. */
export interface StoredContents {
  readonly isStored: true;
  readonly answerBytes: number;
  /** Null if the input is in a blob. */
  readonly inputBytes: number | null;
  readonly inputSha256: string | null;
}

@ObjectType({ description: 'One page of a list of predictions.' })
export class PredictionConnection extends connectionOf(Prediction) {}

@ObjectType({
  description: 'The prediction, or the problem that prevented it: exactly one of them.',
})
export class PredictPayload {
  @Field(() => Prediction, { nullable: true, description: 'The prediction; null if there is a problem.' })
  prediction!: Prediction | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is no prediction; null if there is one.' })
  problem!: Problem | null;

  @Field({ description: 'Whether this is the stored result of an earlier request with the same idempotency key.' })
  replayed!: boolean;
}

@ObjectType({
  description:
    'Results of the inputs, as objects or as columns, or the problem that prevented running any. For many inputs, select `columns`.',
})
export class PredictManyPayload {
  @Cost({ elements: (_, { pageSize }) => pageSize })
  @Field(() => [PredictPayload], {
    nullable: true,
    description:
      'One result for each input: `results[i]` belongs to `inputs[i]`, or to row `i`. A bad input fails alone. Null if there is a problem with the whole request.',
  })
  results!: readonly Promise<PredictPayload>[] | null;

  @Field(() => PredictionColumns, {
    nullable: true,
    description: 'The same results as columns. Null if there is a problem with the whole request.',
  })
  columns!: Promise<PredictionColumns> | null;

  @Field(() => Problem, { nullable: true, description: 'Why no input was run; null if there are results.' })
  problem!: Problem | null;
}
