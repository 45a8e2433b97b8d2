import { Directive, Field, InputType, Int, registerEnumType } from 'type-graphql';
import { PRIORITIES, type PriorityName } from '../engine/queue.js';
import { Base64, DateTime, JSONObject, JSONValue, VersionRef } from '../graphql/scalars.js';

const Priority = Object.fromEntries(PRIORITIES.map((name) => [name, name])) as Record<PriorityName, PriorityName>;
registerEnumType(Priority, {
  name: 'Priority',
  description: 'Whose turn comes first; within one, first come, first served.',
});

@Directive('@oneOf')
@InputType({ description: 'A picture: JPEG, PNG or WebP, at most 25 million pixels.' })
export class ImageInput {
  @Field(() => Base64, { nullable: true, description: 'Bare base64, or a data: URL.' })
  base64?: string | null;
}

@InputType({ description: 'A tensor: its values as `data` or as `base64`, exactly one of them.' })
export class TensorInput {
  @Field({ description: 'Name of the input of the graph.' })
  name!: string;

  @Field({ description: 'As in the signature: FP32, INT64, BYTES …' })
  datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension.' })
  shape!: number[];

  @Field(() => JSONValue, {
    nullable: true,
    description: 'Values, flat or nested, row by row; whole numbers beyond 2^53 as strings.',
  })
  data?: unknown;

  @Field(() => Base64, { nullable: true, description: 'Little-endian bytes, row by row: the way for anything large.' })
  base64?: string | null;
}

@InputType({ description: 'A question, and the text that may hold its answer.' })
export class QuestionInput {
  @Field({ description: 'At most 100,000 characters; it is read as far as it takes half of what the model reads.' })
  question!: string;

  @Field({ description: 'At most 100,000 characters; a long one is read in windows that overlap.' })
  context!: string;

  @Field({ defaultValue: true, description: 'May the answer be that the text holds none?' })
  handleImpossibleAnswer!: boolean;
}

@InputType({ description: 'A text, and those that it is compared with.' })
export class SimilarityInput {
  @Field({ description: 'At most 100,000 characters.' })
  source!: string;

  @Field(() => [String], { description: '1 to 256 texts.' })
  sentences!: string[];
}

@InputType({ description: 'A text, and labels of your own for it.' })
export class ZeroShotInput {
  @Field({ description: 'At most 100,000 characters.' })
  text!: string;

  @Field(() => [String], { description: '1 to 100 different ones, each at most 200 characters.' })
  labels!: string[];

  @Field({ defaultValue: false, description: 'May several hold? Then each label is scored for itself.' })
  multiLabel!: boolean;

  @Field(() => String, {
    nullable: true,
    description: 'What is said of the text, with {} for the label. Default: the model\'s, "This example is {}."',
  })
  hypothesisTemplate?: string | null;
}

@Directive('@oneOf')
@InputType({
  description:
    "Exactly one key: the one that `signature.inputKind` names, or `tensors`, which every version reads. Models of texts' vectors read `text` and `similarity`.",
})
export class ModelInput {
  @Field(() => JSONObject, {
    nullable: true,
    description: 'Named columns, as in `signature.columns`. Send it as a variable.',
  })
  row?: Record<string, unknown> | null;

  @Field(() => String, { nullable: true, description: 'At most 100,000 characters.' })
  text?: string | null;

  @Field(() => ImageInput, {
    nullable: true,
    description: 'A picture, for models that classify, search or describe pictures.',
  })
  image?: ImageInput | null;

  @Field(() => [TensorInput], { nullable: true, description: 'One for each of `signature.inputs`.' })
  tensors?: TensorInput[] | null;

  @Field(() => QuestionInput, {
    nullable: true,
    description: 'A question and a text, for models that answer out of the text.',
  })
  question?: QuestionInput | null;

  @Field(() => SimilarityInput, {
    nullable: true,
    description: "A text and others to compare it with, for models of texts' vectors.",
  })
  similarity?: SimilarityInput | null;

  @Field(() => ZeroShotInput, { nullable: true, description: 'A text and labels of your own, for zero-shot models.' })
  zeroShot?: ZeroShotInput | null;
}

@InputType({ description: 'One input, and how it is to be answered.' })
export class PredictInput {
  @Field(() => VersionRef, { description: 'The version that answers.' })
  model!: string;

  @Field(() => ModelInput, { description: 'What is to be answered.' })
  input!: ModelInput;

  @Field(() => String, {
    nullable: true,
    description: 'One of `version.variants`, such as "quantized"; without it the plain graph runs.',
  })
  variant?: string | null;

  @Field(() => Int, {
    nullable: true,
    description:
      'The answer is worthless after this many milliseconds, 1 to 3,600,000; the work is dropped, not done late. Default: `limits.defaultDeadlineMs`.',
  })
  deadlineMs?: number | null;

  @Field(() => Priority, { defaultValue: 'NORMAL', description: 'Whose turn comes first when inputs wait.' })
  priority!: PriorityName;

  @Field(() => String, {
    nullable: true,
    description:
      'The same key from the same caller within 24 h returns the first result; with another input: IdempotencyConflict. 1 to 200 characters.',
  })
  idempotencyKey?: string | null;

  @Field({
    defaultValue: true,
    description: 'false: nothing of this prediction is kept, so it has no history, no replay and no idempotency.',
  })
  record!: boolean;
}

@InputType({ description: 'Many inputs for one version, and how they are to be answered.' })
export class PredictManyInput {
  @Field(() => VersionRef, { description: 'The version that answers.' })
  model!: string;

  @Field(() => [ModelInput], { description: '1 to 1,000.' })
  inputs!: ModelInput[];

  @Field(() => String, {
    nullable: true,
    description: 'One of `version.variants`, such as "quantized"; without it the plain graph runs.',
  })
  variant?: string | null;

  @Field(() => Int, { nullable: true, description: 'For each input, in milliseconds, 1 to 3,600,000.' })
  deadlineMs?: number | null;

  @Field(() => Priority, { defaultValue: 'NORMAL', description: 'Whose turn comes first when inputs wait.' })
  priority!: PriorityName;

  @Field({ defaultValue: true, description: 'false: nothing of these predictions is kept.' })
  record!: boolean;
}

@InputType({ description: 'Narrows predictions; all that is given must hold.' })
export class PredictionFilter {
  @Field(() => VersionRef, { nullable: true, description: 'A bare name means all versions of the model.' })
  model?: string | null;

  @Field(() => DateTime, { nullable: true, description: 'Not before.' })
  since?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Before.' })
  until?: Date | null;

  @Field(() => String, { nullable: true, description: 'The label that a classification answered.' })
  label?: string | null;
}
