import { Field, Float, Int, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, SafeInt, VersionRef } from '../graphql/scalars.js';
import { VersionStateEnum } from '../graphql/version-state.type.js';

@ObjectType({ description: 'File that holds weights of a graph, such as model.onnx.data.' })
export class ArtifactDataFile {
  @Field({ description: 'Path of the file as the graph names it, relative to the folder of the graph.' })
  location!: string;

  @Field({ description: 'SHA-256 digest of the file, in hexadecimal.' })
  sha256!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes.' })
  sizeBytes!: number;
}

@ObjectType({ description: 'Model file of a version.' })
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

  @Field(() => String, {
    nullable: true,
    description:
      'SHA-256, in hexadecimal, of the PEM of the public key that verified the signature of all files of the version (OpenSSF Model Signing), before the version was added. Null if no signature was verified.',
  })
  signedBy!: string | null;

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
