import { Directive, Field, ID, InputType, Int } from 'type-graphql';
import { TaskEnum } from '../catalog/model.type.js';
import type { PriorityName } from '../engine/queue.js';
import { enumOf } from '../graphql/enum.type.js';
import { Base64, DateTime, JSONObject, JSONValue, VersionRef } from '../graphql/scalars.js';
import type { BulkInput } from '../tasks/bulk-rows.js';
import { MAX_FILE_BYTES } from '../tasks/bytes.js';
import { MAX_SENTENCES } from '../tasks/embedding.js';
import { MAX_IMAGE_PIXELS } from '../tasks/image.js';
import { MAX_SERIES_VALUES } from '../tasks/series.js';
import { MAX_TEXT_CHARACTERS } from '../tasks/strings.js';
import type { ModelInput as TaskInput, TaskName } from '../tasks/tasks.js';
import { MAX_DOCUMENTS, MAX_DOCUMENTS_CHARACTERS } from '../tasks/text-ranking.js';
import {
  KEY_LIFE_MS,
  MAX_DEADLINE_MS,
  MAX_INPUTS,
  MAX_KEY_CHARACTERS,
  MAX_NAMED_IMAGE_BYTES,
  MAX_SUBJECT_CHARACTERS,
} from './request-limits.js';

const Priority = enumOf<PriorityName>(
  'Priority',
  'How the waiting inputs of one caller share the computing time that the caller gets. Inputs of the same priority are run in order of arrival.',
  {
    HIGH: '16 parts. For what a person waits for.',
    NORMAL: '4 parts.',
    LOW: '1 part, and counts four times against the caller. For bulk work.',
  },
);

/** The fields that the tasks read and a class lacks. A class that `implements` them compiles only if there are none. */
type Missing<Read, Class> = Required<Omit<NonNullable<Read>, keyof Class>>;

const MODEL = 'Reference to the version that makes the prediction.';
const VARIANT =
  'Name of one of the version\'s `variants` to run, such as "quantized". Default: the version\'s default graph.';
const TEXT_LENGTH = `at most ${MAX_TEXT_CHARACTERS.toLocaleString('en')} characters`;
const DEADLINES = `1 to ${MAX_DEADLINE_MS.toLocaleString('en')}`;
export const DEADLINE = `Time to wait for the answer, in milliseconds, ${DEADLINES}. When it passes, the result is a DeadlineExceeded problem, and work that has not started is dropped. Default: \`limits.defaultDeadlineMs\`.`;
const SUBJECT = `Whom the input is about, such as your own id of a customer, 1 to ${MAX_SUBJECT_CHARACTERS} characters. \`erasePredictions\` erases everything that is stored about a subject. Only a keyed digest of it is stored. Default: nobody.`;
const PRIORITY = 'Priority among waiting inputs.';

@Directive('@oneOf')
@InputType({
  description: `Image, sent or named by exactly one key: JPEG, PNG or WebP, at most ${MAX_IMAGE_PIXELS / 1_000_000} million pixels. EXIF orientation is applied; of an animation, the first frame is used.`,
})
export class ImageInput implements Missing<TaskInput['image'], ImageInput> {
  @Field(() => Base64, { nullable: true, description: 'Image file as base64, or as a base64 `data:` URL.' })
  base64?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: 'Id of one of your recorded predictions, to use its image again.',
  })
  prediction?: string | null;

  @Field(() => ID, {
    nullable: true,
    description: `Id of a complete upload of your account, of at most ${MAX_NAMED_IMAGE_BYTES.toLocaleString('en')} bytes. Needs the role publisher.`,
  })
  upload?: string | null;

  /** Not in the schema: see `named-images.ts`. */
  bytes?: Uint8Array;
  namedBy?: 'prediction' | 'upload';
}

@InputType({ description: 'Tensor. Give its values either as `data` or as `base64`, not both.' })
export class TensorInput implements Missing<NonNullable<TaskInput['tensors']>[number], TensorInput> {
  @Field({ description: "Name of the graph's input, as in `signature.inputs`." })
  name!: string;

  @Field({ description: 'Datatype as in `signature.inputs`, such as FP32, INT64 or BYTES.' })
  datatype!: string;

  @Field(() => [Int], { description: 'Size of each dimension.' })
  shape!: number[];

  @Field(() => JSONValue, {
    nullable: true,
    description: 'Values as a flat or nested list in row-major order. Send integers beyond 2^53 as strings.',
  })
  data?: unknown;

  @Field(() => Base64, {
    nullable: true,
    description:
      'Values as little-endian bytes in row-major order. Preferable to `data` for large tensors; not possible for BYTES.',
  })
  base64?: string | null;
}

@InputType({ description: 'Question, and the text to find its answer in.' })
export class QuestionInput implements Missing<TaskInput['question'], QuestionInput> {
  @Field({
    description: `Question, ${TEXT_LENGTH}. Truncated if it takes more than half of \`signature.maxTokens\`.`,
  })
  question!: string;

  @Field({
    description: `Text to find the answer in, ${TEXT_LENGTH}. Long texts are read in overlapping windows.`,
  })
  context!: string;

  @Field({
    defaultValue: true,
    description:
      'Whether the answer may be that the context does not answer the question. If false, the best span is returned.',
  })
  handleImpossibleAnswer!: boolean;
}

const PROMPT = 'Name of one of `signature.prompts`';

@InputType({ description: 'Text, and the name of the prompt that stands before it.' })
export class PromptedTextInput implements Missing<TaskInput['promptedText'], PromptedTextInput> {
  @Field({ description: `Text, ${TEXT_LENGTH}.` })
  text!: string;

  @Field({ description: `${PROMPT}, such as "query".` })
  prompt!: string;
}

@InputType({ description: 'Source sentence, and the sentences to compare it with.' })
export class SimilarityInput implements Missing<TaskInput['similarity'], SimilarityInput> {
  @Field({ description: `Source sentence, ${TEXT_LENGTH}.` })
  source!: string;

  @Field(() => [String], { description: `1 to ${MAX_SENTENCES} sentences to compare, each ${TEXT_LENGTH}.` })
  sentences!: string[];

  @Field(() => String, { nullable: true, description: `${PROMPT}, before the source. Default: the default prompt.` })
  sourcePrompt?: string | null;

  @Field(() => String, { nullable: true, description: `${PROMPT}, before each sentence. Default: the default prompt.` })
  sentencesPrompt?: string | null;
}

@InputType({ description: 'Query, and the documents to rank.' })
export class RankingInput implements Missing<TaskInput['ranking'], RankingInput> {
  @Field({ description: `Query, ${TEXT_LENGTH}.` })
  query!: string;

  @Field(() => [String], {
    description: `1 to ${MAX_DOCUMENTS} documents, together at most ${MAX_DOCUMENTS_CHARACTERS.toLocaleString('en')} characters, each ${TEXT_LENGTH}. If a query and a document do not fit into \`signature.maxTokens\`, the longer of both is truncated first.`,
  })
  documents!: string[];

  @Field(() => String, { nullable: true, description: `${PROMPT}, before the query. Default: the default prompt.` })
  prompt?: string | null;
}

@InputType({
  description:
    'Text, and the labels to choose from. Scores are computed as by the zero-shot pipeline of Hugging Face Transformers.',
})
export class ZeroShotInput implements Missing<TaskInput['zeroShot'], ZeroShotInput> {
  @Field({ description: `Text to classify, ${TEXT_LENGTH}.` })
  text!: string;

  @Field(() => [String], { description: '1 to 100 different labels, each at most 200 characters.' })
  labels!: string[];

  @Field({
    defaultValue: false,
    description:
      'Whether several labels may apply. If true, each label is scored independently; if false, the scores of two or more labels add up to 1.',
  })
  multiLabel!: boolean;

  @Field(() => String, {
    nullable: true,
    description:
      'Statement about the text in which {} stands for the label, at most 1,000 characters. Default: the template of the model, usually "This example is {}.".',
  })
  hypothesisTemplate?: string | null;
}

@InputType({ description: 'Time series.' })
export class SeriesInput implements Missing<TaskInput['series'], SeriesInput> {
  @Field(() => JSONValue, {
    description: `List of steps, oldest first. Each step is a list with one value for each of \`signature.columns\`. At most ${MAX_SERIES_VALUES.toLocaleString('en')} values; if the model reads a fixed number of steps, \`signature.example\` has that many.`,
  })
  values!: unknown;
}

@Directive('@oneOf')
@InputType({
  description:
    'Input of a model. Give exactly one key: the one that `signature.inputKind` names, or `tensors`, which every version accepts. Text-embedding models accept `text`, `promptedText` and `similarity`; ranking models also accept `text`.',
})
export class ModelInput implements Missing<TaskInput, ModelInput> {
  @Field(() => JSONObject, {
    nullable: true,
    description: 'Values by column name, as in `signature.columns`. Send it as a variable.',
  })
  row?: Record<string, unknown> | null;

  @Field(() => SeriesInput, { nullable: true, description: 'Time series. Send it as a variable.' })
  series?: SeriesInput | null;

  @Field(() => String, { nullable: true, description: `Text, ${TEXT_LENGTH}.` })
  text?: string | null;

  @Field(() => PromptedTextInput, {
    nullable: true,
    description: 'Text with a prompt chosen by name, for models that have `signature.prompts`.',
  })
  promptedText?: PromptedTextInput | null;

  @Field(() => ImageInput, {
    nullable: true,
    description: 'Image, for the tasks that read images.',
  })
  image?: ImageInput | null;

  @Field(() => Base64, {
    nullable: true,
    description: `File as base64, or as a base64 \`data:\` URL, for file classification; at most ${MAX_FILE_BYTES / 1_048_576} MiB.`,
  })
  bytes?: string | null;

  @Field(() => [TensorInput], { nullable: true, description: 'One tensor for each of `signature.inputs`.' })
  tensors?: TensorInput[] | null;

  @Field(() => QuestionInput, {
    nullable: true,
    description: 'Question and context, for question answering.',
  })
  question?: QuestionInput | null;

  @Field(() => SimilarityInput, {
    nullable: true,
    description: 'Source sentence and sentences to compare it with, for text-embedding models.',
  })
  similarity?: SimilarityInput | null;

  @Field(() => ZeroShotInput, {
    nullable: true,
    description: 'Text and labels to choose from, for zero-shot classification.',
  })
  zeroShot?: ZeroShotInput | null;

  @Field(() => RankingInput, { nullable: true, description: 'Query and documents, for text ranking.' })
  ranking?: RankingInput | null;
}

@InputType({ description: 'One input for a version, with options.' })
export class PredictInput {
  @Field(() => VersionRef, { description: MODEL })
  model!: string;

  @Field(() => ModelInput, { description: 'Input to run the model on.' })
  input!: ModelInput;

  @Field(() => String, { nullable: true, description: VARIANT })
  variant?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: DEADLINE,
  })
  deadlineMs?: number | null;

  @Field(() => Priority, { defaultValue: 'NORMAL', description: PRIORITY })
  priority!: PriorityName;

  @Field(() => String, {
    nullable: true,
    description: `Key for safe retries, 1 to ${MAX_KEY_CHARACTERS} characters. Within ${KEY_LIFE_MS / 3_600_000} hours, a request with the same key, \`model\` as it was sent, variant, input and subject returns the first prediction again; any other request with this key gets an IdempotencyConflict problem. Requires \`record: true\`.`,
  })
  idempotencyKey?: string | null;

  @Field({
    defaultValue: true,
    description:
      'Whether to store the prediction before returning it. If false, nothing is stored, and the prediction cannot be looked up or replayed.',
  })
  record!: boolean;

  @Field(() => String, { nullable: true, description: SUBJECT })
  subject?: string | null;
}

@Directive('@oneOf')
@InputType({
  description: `Rows for one version that are sent together, 1 to ${MAX_INPUTS.toLocaleString('en')}. Each is checked, runs and fails as if it was sent alone, but takes a fraction of the time. Give exactly one key.`,
})
export class RowsInput implements BulkInput {
  @Field(() => JSONObject, {
    nullable: true,
    description:
      'For versions that read rows: lists of values by column name, as in `signature.columns`. All lists have one value for each row. Send it as a variable.',
  })
  columns?: Record<string, unknown> | null;

  @Field(() => [TensorInput], {
    nullable: true,
    description:
      'One tensor for each of `signature.inputs`, whose first dimension counts the rows. Row `i` is what an input of tensors with the first dimension 1 would be.',
  })
  tensors?: TensorInput[] | null;
}

@InputType({ description: 'Several inputs for one version, with options. Give either `inputs` or `rows`, not both.' })
export class PredictManyInput {
  @Field(() => VersionRef, { description: MODEL })
  model!: string;

  @Field(() => [ModelInput], {
    nullable: true,
    description: `Inputs to run the model on, 1 to ${MAX_INPUTS.toLocaleString('en')}.`,
  })
  inputs?: ModelInput[] | null;

  @Field(() => RowsInput, { nullable: true, description: 'Rows to run the model on, as columns or as tensors.' })
  rows?: RowsInput | null;

  @Field(() => String, { nullable: true, description: VARIANT })
  variant?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: `Time to wait for each answer, in milliseconds, ${DEADLINES}. Default: \`limits.defaultDeadlineMs\`.`,
  })
  deadlineMs?: number | null;

  @Field(() => Priority, { defaultValue: 'NORMAL', description: PRIORITY })
  priority!: PriorityName;

  @Field({
    defaultValue: true,
    description:
      'Whether to store the predictions before returning them. If false, nothing is stored, and the predictions cannot be looked up.',
  })
  record!: boolean;

  @Field(() => String, { nullable: true, description: SUBJECT })
  subject?: string | null;
}

@InputType({ description: 'Conditions on predictions. A prediction must meet all that are given.' })
export class PredictionFilter {
  @Field(() => VersionRef, {
    nullable: true,
    description:
      'Version that made the prediction. A model name without number or alias means all versions of the model.',
  })
  model?: string | null;

  @Field(() => TaskEnum, {
    nullable: true,
    description: 'Task of the model that made the prediction. Predictions of models that you may not see are left out.',
  })
  task?: TaskName | null;

  @Field(() => DateTime, { nullable: true, description: 'Earliest time of the prediction, inclusive.' })
  since?: Date | null;

  @Field(() => DateTime, { nullable: true, description: 'Latest time of the prediction, exclusive.' })
  until?: Date | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Label that the answer has, compared exactly: of a classification or of one of several targets, of a detected object or a mask, or of a span with `aggregation: SIMPLE`. Of an answer, the first 100 different labels count.',
  })
  label?: string | null;
}
