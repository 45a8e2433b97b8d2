import { Field, Float, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { VersionStateEnum } from '../graphql/problem.type.js';
import { DateTime, JSONValue, ModelInputValue, SafeInt, VersionRef } from '../graphql/scalars.js';
import { isMultiLabel } from '../tasks/scores.js';
import { type ColumnSpec, type ColumnType as ColumnTypeName } from '../tasks/spec.js';
import { readSpec } from '../tasks/stored-spec.js';
import { INPUT_KINDS, type InputKind as InputKindName, type VersionSpec } from '../tasks/tasks.js';

const InputKind = Object.fromEntries(INPUT_KINDS.map((kind) => [kind, kind])) as Record<InputKindName, InputKindName>;
registerEnumType(InputKind, { name: 'InputKind', description: 'Which key of ModelInput a version reads.' });

const ColumnType = {
  NUMBER: 'NUMBER',
  INTEGER: 'INTEGER',
  TEXT: 'TEXT',
  CATEGORY: 'CATEGORY',
  BOOLEAN: 'BOOLEAN',
} as const;
registerEnumType(ColumnType, { name: 'ColumnType', description: 'What a column holds.' });

@ObjectType({ simpleResolvers: true, description: 'A named column of a row: enough to build a form field from.' })
export class Column {
  @Field({ description: 'The key in `row`.' })
  name!: string;

  @Field(() => ColumnType, { description: 'What its values are.' })
  type!: ColumnTypeName;

  @Field(() => String, { nullable: true, description: 'What it means; null where its owner does not say.' })
  description!: string | null;

  @Field(() => String, { nullable: true, description: 'Of its values, such as "mm"; null where it has none.' })
  unit!: string | null;

  @Field(() => Float, { nullable: true, description: 'Smaller values are refused.' })
  minimum!: number | null;

  @Field(() => Float, { nullable: true, description: 'Larger values are refused.' })
  maximum!: number | null;

  @Field(() => [String], { description: 'All values there are, when the type is CATEGORY; otherwise empty.' })
  categories!: string[];

  @Field({ description: 'Must a row have it?' })
  required!: boolean;

  @Field(() => JSONValue, { nullable: true, description: 'A value that is accepted; null where there is none.' })
  example!: unknown;
}

export function columnOf(spec: ColumnSpec): Column {
  return Object.assign(new Column(), { ...spec, categories: [...spec.categories] });
}

@ObjectType('TensorSpec', {
  simpleResolvers: true,
  description: "One input or output of the graph, in the Open Inference Protocol's words.",
})
export class TensorSpecType {
  @Field({ description: 'Its name in the graph.' })
  name!: string;

  @Field({ description: 'FP32, INT64, BYTES (strings), BOOL …' })
  datatype!: string;

  @Field(() => [Int], { nullable: 'items', description: 'Size of each dimension; null where any size fits.' })
  shape!: (number | null)[];
}

@ObjectType({
  simpleResolvers: true,
  description: 'What to send and what comes back, in words a form can be built from.',
})
export class Signature {
  @Field(() => InputKind, { description: 'The key of `ModelInput` to send.' })
  inputKind!: InputKindName;

  @Field(() => [Column], {
    description: 'Columns of a row, in the order of the graph; empty for other kinds of input.',
  })
  columns!: Column[];

  @Field(() => [TensorSpecType], {
    description: 'Inputs of the graph; they can be sent as `tensors` whatever the kind.',
  })
  inputs!: TensorSpecType[];

  @Field(() => [TensorSpecType], { description: 'Outputs of the graph.' })
  outputs!: TensorSpecType[];

  @Field(() => [String], { description: 'Words that a classification answers with.' })
  labels!: string[];

  @Field({ description: 'May several labels hold at once? Then their scores are independent of each other.' })
  multiLabel!: boolean;

  @Field(() => Int, {
    nullable: true,
    description: 'Tokens that are read of a text, special ones included; null where it is not cut into tokens.',
  })
  maxTokens!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'What stands in a text for the word to be guessed; null for other tasks.',
  })
  maskToken!: string | null;

  @Field(() => ModelInputValue, { description: 'Works when sent as the variable `input.input`.' })
  example!: unknown;
}

export function signatureOf(spec: VersionSpec): Signature {
  const tensors = (specs: VersionSpec['inputs']) => specs.map((tensor) => ({ ...tensor, shape: [...tensor.shape] }));
  return {
    inputKind: spec.inputKind,
    columns: spec.columns.map(columnOf),
    inputs: tensors(spec.inputs),
    outputs: tensors(spec.outputs),
    labels: [...spec.labels],
    multiLabel: isMultiLabel(spec),
    maxTokens: spec.text?.maxTokens ?? null,
    maskToken: spec.text?.maskToken ?? null,
    example: spec.example,
  };
}

@ObjectType({ simpleResolvers: true, description: 'The file that is run.' })
export class Artifact {
  @Field({ description: 'Always "ONNX".' })
  format!: string;

  @Field({ description: 'Digest of the bytes, in hexadecimal.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes.' })
  sizeBytes!: number;

  @Field(() => SafeInt, {
    nullable: true,
    description: 'Trained numbers in the graph; null where it keeps them elsewhere, as trees do.',
  })
  parameterCount!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Version of the ONNX operators that the graph uses; null where the file does not say.',
  })
  opset!: number | null;

  @Field(() => String, { nullable: true, description: 'What wrote the file, as the file says: "tf2onnx 1.17.0".' })
  producer!: string | null;

  @Field(() => String, { nullable: true, description: 'What the model was trained with: "tensorflow 2.21.0".' })
  framework!: string | null;
}

@ObjectType({
  simpleResolvers: true,
  description:
    "Another form of a version's graph, such as a quantised one: smaller or faster, and a little less exact.",
})
export class Variant {
  @Field({
    description: 'What the file name says: "quantized" of model_quantized.onnx. `PredictInput.variant` takes it.',
  })
  name!: string;

  @Field({ description: 'Digest of the bytes, in hexadecimal.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes.' })
  sizeBytes!: number;

  @Field(() => String, { nullable: true, description: 'Why it cannot be used; null when it can.' })
  reason!: string | null;

  @Field(() => Int, { nullable: true, description: 'Inputs that may share one run; null when it cannot be used.' })
  maxBatch!: number | null;
}

@ObjectType({
  implements: Node,
  simpleResolvers: true,
  description: 'One immutable state of a model: a graph and its signature.',
})
export class Version extends Node {
  @Field(() => Int, { description: 'From 1, never reused.' })
  number!: number;

  @Field(() => VersionRef, { description: 'Always names this very version: "digits-mlp:3".' })
  ref!: string;

  @Field(() => VersionStateEnum, { description: 'Does it answer predictions?' })
  state!: 'READY' | 'FAILED' | 'ARCHIVED';

  @Field(() => String, { nullable: true, description: 'Why it failed, or what to know about it.' })
  stateReason!: string | null;

  @Field(() => Artifact, {
    nullable: true,
    description: 'Null for a version that failed before its file could be read.',
  })
  artifact!: Artifact | null;

  @Field(() => [Variant], { description: 'Other forms of its graph, by name; empty for most.' })
  variants!: Variant[];

  @Field(() => DateTime, { description: 'When it was registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When it was last changed.' })
  updatedAt!: Date;

  /** Not fields. */
  modelId!: string;
  specJson!: string | null;
  testDataset!: string | null;

  @Field(() => Signature, {
    nullable: true,
    description: 'Null for a version that failed before its graph could be read.',
  })
  signature(): Signature | null {
    return this.specJson === null ? null : signatureOf(readSpec(this.specJson));
  }
}

@ObjectType({ description: 'A page of a list of versions.' })
export class VersionConnection extends connectionOf(Version) {}

@ObjectType({ simpleResolvers: true, description: 'A name that points at one version and can be moved.' })
export class Alias {
  @Field({ description: '[a-z][a-z0-9-]{0,31}, unique within its model.' })
  name!: string;

  @Field(() => DateTime, { description: 'When it was last pointed at a version.' })
  updatedAt!: Date;

  /** Not a field: `aliasedVersion` is resolved from it. */
  versionId!: string;
}
