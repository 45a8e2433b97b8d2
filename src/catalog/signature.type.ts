/** What a version takes and returns. */
import { Field, Float, Int, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { JSONValue, ModelInputValue } from '../graphql/scalars.js';
import { OUTPUT_TYPES } from '../tasks/answer.js';
import { isMultiLabel } from '../tasks/scores.js';
import type { ColumnSpec, DatasetColumnType } from '../tasks/spec.js';
import {
  answerKindOf,
  INPUT_KEYS,
  type InputKind as InputKindName,
  targetsOf,
  type VersionSpec,
} from '../tasks/tasks.js';
import { readable } from './readable.js';

export const InputKind = enumOf<InputKindName>(
  'InputKind',
  'Key of `ModelInput` that a version takes.',
  Object.fromEntries(Object.entries(INPUT_KEYS).map(([kind, key]) => [kind, `Send \`ModelInput.${key}\`.`])) as Record<
    InputKindName,
    string
  >,
);

export const ColumnType = enumOf<DatasetColumnType>('ColumnType', 'Type of the values in a column.', {
  NUMBER: 'A JSON number.',
  INTEGER:
    'A JSON number without a fractional part. If the column feeds an INT64 or UINT64 input, also a string of digits, which is required beyond 2^53.',
  TEXT: 'A JSON string.',
  CATEGORY: 'A JSON string that is one of `Column.categories`.',
  BOOLEAN: 'A JSON boolean.',
  IMAGE: 'A JSON string: an image file as base64, or "sha256:" and its digest. Only in datasets.',
  JSON: 'Any JSON value, such as a list of boxes. Only in datasets.',
});

@ObjectType({ description: 'Named column of a row, with what a form field for it needs.' })
export class Column {
  @Field({
    description:
      'Name of the column: its key in `ModelInput.row`. In a time series, where steps are lists, columns are known by their position in each step.',
  })
  name!: string;

  @Field({ description: 'Name for readers, such as "Beak length": stated by the model, or derived from `name`.' })
  title!: string;

  @Field(() => ColumnType, { description: 'Type of the values.' })
  type!: DatasetColumnType;

  @Field(() => String, { nullable: true, description: 'Meaning of the column; null if not stated.' })
  description!: string | null;

  @Field(() => String, { nullable: true, description: 'Unit of the values, such as "mm"; null if they have none.' })
  unit!: string | null;

  @Field(() => Float, { nullable: true, description: 'Smallest accepted value; null if there is no limit.' })
  minimum!: number | null;

  @Field(() => Float, { nullable: true, description: 'Largest accepted value; null if there is no limit.' })
  maximum!: number | null;

  @Field(() => [String], { description: 'Accepted values if `type` is CATEGORY; empty for other types.' })
  categories!: string[];

  @Field({
    description:
      'Whether a row must have a value for this column. If false, omit it or send null; in a step of a time series, send null.',
  })
  required!: boolean;

  @Field(() => JSONValue, { nullable: true, description: 'Example of an accepted value; null if there is none.' })
  example!: unknown;
}

export function columnOf(spec: Omit<ColumnSpec, 'type'> & { readonly type: DatasetColumnType }): Column {
  return create(Column, { ...spec, title: spec.title ?? readable(spec.name), categories: [...spec.categories] });
}

@ObjectType('TensorSpec', {
  description: 'Input or output of the graph, as described by the Open Inference Protocol.',
})
export class TensorSpecType {
  @Field({ description: 'Name in the graph.' })
  name!: string;

  @Field({ description: 'Datatype of the Open Inference Protocol, such as FP32, INT64, BOOL or BYTES (strings).' })
  datatype!: string;

  @Field(() => [Int], { nullable: 'items', description: 'Size of each dimension; null for a dimension of any size.' })
  shape!: (number | null)[];
}

@ObjectType('Prompt', { description: 'Text that stands before every text that a model reads.' })
export class PromptType {
  @Field({ description: 'Name to choose the prompt by, such as "query".' })
  name!: string;

  @Field({ description: 'Text of the prompt; may be empty.' })
  text!: string;

  @Field({ description: 'Whether the prompt applies if an input names none.' })
  isDefault!: boolean;
}

@ObjectType('Target', {
  description: 'Number or class that a version predicts for an input.',
})
export class TargetType {
  @Field({ description: 'Name of the number or class, unique within its version.' })
  name!: string;

  @Field(() => String, {
    nullable: true,
    description: 'Unit of the number, such as "g"; null if it has none, and for a class.',
  })
  unit!: string | null;

  @Cost({ elements: 10 })
  @Field(() => [String], {
    description: 'Classes to choose from, in the order of the scores; empty for a number, and if they are not stated.',
  })
  labels!: string[];
}

@ObjectType({
  description: 'Input that a version accepts and outputs that it returns, in enough detail to build a form.',
})
export class Signature {
  @Field(() => InputKind, { description: 'Key of `ModelInput` to send.' })
  inputKind!: InputKindName;

  @Cost({ elements: 50 })
  @Field(() => [Column], {
    description:
      "Columns of a row, or of each step of a time series, in the order of the graph's inputs; empty if `inputKind` is neither ROW nor SERIES.",
  })
  columns!: Column[];

  @Field(() => [TensorSpecType], {
    description: 'Inputs of the graph. Every version accepts them as `ModelInput.tensors`, whatever its `inputKind`.',
  })
  inputs!: TensorSpecType[];

  @Field({
    description:
      'Name of the type in the union `Output` that answers an input of `inputKind`, such as "Classification": the `__typename` of `Prediction.output`.',
  })
  outputType!: string;

  @Cost({ elements: 10 })
  @Field(() => [TargetType], {
    description:
      'Numbers or classes that the version predicts, in the order of its answers; empty if `outputType` is not Regression, Values or MultiClassification.',
  })
  targets!: TargetType[];

  @Field(() => [TensorSpecType], { description: 'Outputs of the graph.' })
  outputs!: TensorSpecType[];

  @Cost({ elements: 100 })
  @Field(() => [String], {
    description: 'Classes that the model distinguishes, in the order of its scores; empty for tasks without classes.',
  })
  labels!: string[];

  @Field({
    description: 'Whether several labels may apply. If true, scores are independent and need not add up to 1.',
  })
  multiLabel!: boolean;

  @Field(() => Int, {
    nullable: true,
    description:
      'Maximum number of tokens per sequence, including special tokens; null if the version uses no tokenizer. Longer texts are truncated or, for token classification and question answering, read in overlapping windows.',
  })
  maxTokens!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'Token that marks the word to predict, such as "[MASK]"; null for tasks other than FILL_MASK.',
  })
  maskToken!: string | null;

  @Cost({ elements: 10 })
  @Field(() => [PromptType], {
    description:
      'Prompts of an embedding or ranking model: texts that stand before every text. The default one applies unless an input names another. Empty if the model has none.',
  })
  prompts!: PromptType[];

  @Field(() => ModelInputValue, { description: 'Valid input: send it unchanged as `PredictInput.input`.' })
  example!: unknown;
}

function promptsOf({ text }: VersionSpec): PromptType[] {
  const { list = [], default: name = null } = text?.prompts ?? {};
  return list.map((prompt) => ({ ...prompt, isDefault: prompt.name === name }));
}

export function signatureOf(spec: VersionSpec): Signature {
  const tensors = (specs: VersionSpec['inputs']) => specs.map((tensor) => ({ ...tensor, shape: [...tensor.shape] }));
  return {
    inputKind: spec.inputKind,
    columns: spec.columns.map(columnOf),
    inputs: tensors(spec.inputs),
    outputs: tensors(spec.outputs),
    outputType: OUTPUT_TYPES[answerKindOf(spec)],
    targets: targetsOf(spec).map((target) => ({ ...target, labels: [...target.labels] })),
    labels: [...spec.labels],
    multiLabel: isMultiLabel(spec),
    maxTokens: spec.text?.maxTokens ?? null,
    maskToken: spec.text?.maskToken ?? null,
    prompts: promptsOf(spec),
    example: spec.example,
  };
}
