import { Field, Float, Int, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, JSONValue, ModelInputValue, SafeInt, VersionRef } from '../graphql/scalars.js';
import { VersionStateEnum } from '../graphql/version-state.type.js';
import { OUTPUT_TYPES } from '../tasks/answer.js';
import { isMultiLabel } from '../tasks/scores.js';
import { type ColumnSpec, type ColumnType as ColumnTypeName } from '../tasks/spec.js';
import {
  answerKindOf,
  INPUT_KEYS,
  type InputKind as InputKindName,
  targetsOf,
  type VersionSpec,
} from '../tasks/tasks.js';

const InputKind = enumOf<InputKindName>(
  'InputKind',
  'Key of `ModelInput` that a version takes.',
  Object.fromEntries(Object.entries(INPUT_KEYS).map(([kind, key]) => [kind, `Send \`ModelInput.${key}\`.`])) as Record<
    InputKindName,
    string
  >,
);

const ColumnType = enumOf<ColumnTypeName>('ColumnType', 'Type of the values in a column.', {
  NUMBER: 'A JSON number.',
  INTEGER:
    'A JSON number without a fractional part. If the column feeds an INT64 or UINT64 input, also a string of digits, which is required beyond 2^53.',
  TEXT: 'A JSON string.',
  CATEGORY: 'A JSON string that is one of `Column.categories`.',
  BOOLEAN: 'A JSON boolean.',
});

@ObjectType({ simpleResolvers: true, description: 'Named column of a row, with what a form field for it needs.' })
export class Column {
  @Field({
    description:
      'Name of the column: its key in `ModelInput.row`. In a time series, where steps are lists, columns are known by their position in each step.',
  })
  name!: string;

  @Field(() => ColumnType, { description: 'Type of the values.' })
  type!: ColumnTypeName;

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

export function columnOf(spec: ColumnSpec): Column {
  return create(Column, { ...spec, categories: [...spec.categories] });
}

@ObjectType('TensorSpec', {
  simpleResolvers: true,
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

@ObjectType('Prompt', { simpleResolvers: true, description: 'Text that stands before every text that a model reads.' })
export class PromptType {
  @Field({ description: 'Name to choose the prompt by, such as "query".' })
  name!: string;

  @Field({ description: 'Text of the prompt; may be empty.' })
  text!: string;

  @Field({ description: 'Whether the prompt applies if an input names none.' })
  isDefault!: boolean;
}

@ObjectType('Target', {
  simpleResolvers: true,
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
  simpleResolvers: true,
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

@ObjectType({ simpleResolvers: true, description: 'File that holds weights of a graph, such as model.onnx.data.' })
export class ArtifactDataFile {
  @Field({ description: 'Path of the file as the graph names it, relative to the folder of the graph.' })
  location!: string;

  @Field({ description: 'SHA-256 digest of the file, in hexadecimal.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes.' })
  sizeBytes!: number;
}

@ObjectType({ simpleResolvers: true, description: 'Model file of a version.' })
export class Artifact {
  @Field({ description: 'File format: always "ONNX".' })
  format!: string;

  @Field({ description: 'SHA-256 digest of the file, in hexadecimal. Weights in `dataFiles` are not part of it.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file with its data files, in bytes.' })
  sizeBytes!: number;

  @Field(() => SafeInt, {
    nullable: true,
    description:
      'Number of trained parameters in the graph; null if they are not stored as tensors, as in decision trees.',
  })
  parameterCount!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Version of the ONNX operator set that the graph uses; null if the file does not state it.',
  })
  opset!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'Tool that wrote the file, as stated in the file: "tf2onnx 1.17.0". Null if not stated.',
  })
  producer!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Framework that the model was trained with, and its version: "tensorflow 2.21.0". Null if not stated.',
  })
  framework!: string | null;

  /** Not in the schema: for `dataFiles`. */
  versionId!: string;
  specBytes!: number | null;
}

@ObjectType({
  simpleResolvers: true,
  description:
    'Comparison of the answers of a version with those of its source framework, made once, before the version was published. A version with a golden case that differs is not published.',
})
export class Verification {
  @Field(() => Int, { description: 'Number of golden cases; 0 if the version has none, and so was not compared.' })
  cases!: number;

  @Field(() => String, {
    nullable: true,
    description:
      'Framework that computed the expected answers, such as "scikit-learn 1.9.1"; null without golden cases.',
  })
  source!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Largest difference that was accepted, in the terms of `maxDifference`; null without golden cases.',
  })
  tolerance!: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Largest difference between a number of an answer and the expected one: absolute for expected values up to 1, relative to the expected value above. Edges of boxes, which may differ by a pixel, are left out. Null if no numbers were compared.',
  })
  maxDifference!: number | null;

  @Field({ description: 'Result of the comparison as one English sentence, for display.' })
  summary!: string;
}

@ObjectType({
  simpleResolvers: true,
  description: "Alternative form of a version's graph, such as a quantized one: smaller or faster, but less exact.",
})
export class Variant {
  @Field({
    description:
      'Name of the variant, from the file name: "quantized" for model_quantized.onnx. `PredictInput.variant` accepts it.',
  })
  name!: string;

  @Field({ description: 'SHA-256 digest of the file, in hexadecimal.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes.' })
  sizeBytes!: number;

  @Field(() => String, { nullable: true, description: 'Why the variant cannot be used; null if it can.' })
  reason!: string | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Maximum number of inputs per batch; null if the variant cannot be used.',
  })
  maxBatch!: number | null;
}

@ObjectType({
  implements: Node,
  simpleResolvers: true,
  description: 'Immutable version of a model: a graph and its signature.',
})
export class Version extends Node {
  @Field(() => Int, { description: 'Number of the version, from 1; never reused within a model.' })
  number!: number;

  @Field(() => VersionRef, { description: 'Reference that always names this version: "spam-filter:3".' })
  ref!: string;

  @Field(() => VersionStateEnum, { description: 'Whether the version runs predictions.' })
  state!: 'READY' | 'FAILED' | 'ARCHIVED';

  @Field(() => String, {
    nullable: true,
    description: 'Reason for the state, such as why the import failed; null if there is none.',
  })
  stateReason!: string | null;

  @Field(() => Artifact, {
    nullable: true,
    description: 'Model file of the version; null if the import failed.',
  })
  artifact!: Artifact | null;

  @Field(() => Verification, {
    nullable: true,
    description:
      'What the golden cases of the version have shown; with `cases: 0` if there are none. Null if the import failed, or if an earlier release imported the version and did not record it.',
  })
  verification!: Verification | null;

  @Field(() => DateTime, { description: 'When the version was registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When the version was last imported or changed.' })
  updatedAt!: Date;

  /** Not in the schema. `signature` and `variants` are read only if they are selected. */
  modelId!: string;
  /** Null if the import failed before the version had a spec. */
  specBytes!: number | null;
  variantsBytes!: number;
}

@ObjectType({ description: 'One page of a list of versions.' })
export class VersionConnection extends connectionOf(Version) {}

@ObjectType({
  simpleResolvers: true,
  description: 'Name that points to a version of a model and can be moved to another.',
})
export class Alias {
  @Field({ description: 'Name, unique within its model, matching `[a-z][a-z0-9-]{0,31}`.' })
  name!: string;

  @Field(() => DateTime, { description: 'When the alias was last moved.' })
  updatedAt!: Date;

  /** Not in the schema: `aliasedVersion` is resolved from `versionId`. */
  modelId!: string;
  versionId!: string;
}
