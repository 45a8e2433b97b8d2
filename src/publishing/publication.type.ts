import { Field, ID, InputType, Int, ObjectType } from 'type-graphql';
import { REASON } from '../access/reason.js';
import { Model, TaskEnum, VisibilityEnum } from '../catalog/model.type.js';
import { Version } from '../catalog/version.type.js';
import { InvalidInputError } from '../errors.js';
import { create } from '../graphql/create.js';
import { enumOf } from '../graphql/enum.type.js';
import { Node } from '../graphql/node.type.js';
import { InvalidInput, Problem } from '../graphql/problem.type.js';
import { DateTime, JSONObject, VersionRef } from '../graphql/scalars.js';
import type { PublicationTable } from '../storage/migrations/publishing.table.js';
import type { TaskName } from '../tasks/tasks.js';
import { MAX_FILES } from './paths.js';

const PublicationStage = enumOf<PublicationTable['stage']>('PublicationStage', 'How far a publication is.', {
  RECEIVED: 'It is recorded, and waits for those before it.',
  SCANNED: 'The files were read, and the manifest is valid. The graphs are being tried.',
  PROBED: 'The graphs have answered, as the golden cases say if there are any.',
  PUBLISHED: 'The version exists.',
  REFUSED: 'There is no new version; `problem` says why.',
});

@ObjectType({
  implements: Node,
  description:
    'Files that become a version of a model once they are proven. It goes on in the background: ask for it again, about once a second, until its stage is PUBLISHED or REFUSED.',
})
export class Publication extends Node {
  @Field(() => PublicationStage, { description: 'How far it is.' })
  stage!: PublicationTable['stage'];

  @Field(() => Problem, { nullable: true, description: 'Why it was refused; null otherwise.' })
  problem!: Problem | null;

  @Field(() => DateTime, { description: 'When it was recorded.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When it reached its stage.' })
  updatedAt!: Date;

  /** Not in the schema. */
  modelId!: string;
  versionId!: string | null;
}

export function publicationOf(row: PublicationTable): Publication {
  const { id, stage, refusal, created_at, updated_at, model_id, version_id } = row;
  return create(Publication, {
    id,
    stage,
    problem: refusal === null ? null : new InvalidInput(new InvalidInputError([unusable(refusal)])),
    createdAt: new Date(created_at),
    updatedAt: new Date(updated_at),
    modelId: model_id,
    versionId: version_id,
  });
}

function unusable(reason: string) {
  return { path: ['input', 'files'], code: 'UNREADABLE' as const, message: reason, expected: null, received: null };
}

@InputType({ description: 'A file to publish.' })
export class PublishedFileInput {
  @Field({
    description:
      'Path of the file in the folder of the model, as in the model store, such as "README.md", "1/model.onnx" or "onnx/model.onnx".',
  })
  path!: string;

  @Field(() => ID, { description: 'Id of a complete upload of your account.' })
  upload!: string;
}

@InputType({ description: 'Files that become a version.' })
export class PublishInput {
  @Field({ description: 'Name of a model that your account has registered.' })
  model!: string;

  @Field(() => [PublishedFileInput], {
    description: `All files of the version, 1 to ${MAX_FILES}: the folder of one version in the model store, or a repository of the Hugging Face Hub with its graphs.`,
  })
  files!: PublishedFileInput[];

  @Field(() => JSONObject, {
    nullable: true,
    description: 'The keys of model.yaml, in place of that file. Default: the file, or none.',
  })
  manifest?: Record<string, unknown> | null;

  @Field(() => [String], {
    nullable: true,
    description: 'Aliases, at most 10, that point to the version once it exists. Default: none.',
  })
  aliases?: string[] | null;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'The publication, or the problem that prevented it: exactly one of them.' })
export class PublishPayload {
  @Field(() => Publication, { nullable: true, description: 'The publication; null if there is a problem.' })
  publication!: Publication | null;

  @Field(() => Problem, { nullable: true, description: 'Why nothing was recorded; null otherwise.' })
  problem!: Problem | null;
}

@InputType({ description: 'New model, without versions.' })
export class RegisterModelInput {
  @Field({ description: 'Name, unique on the server, matching `[a-z0-9][a-z0-9-]{0,63}`. It cannot be changed.' })
  name!: string;

  @Field(() => TaskEnum, { description: 'What the model does. Versions of another task are refused.' })
  task!: TaskName;

  @Field(() => String, { nullable: true, description: 'Display name, 1 to 200 characters. Default: the name.' })
  title?: string | null;

  @Field(() => String, { nullable: true, description: 'What it does, 1 to 500 characters. Default: none.' })
  summary?: string | null;

  @Field(() => [String], { nullable: true, description: 'Tags, at most 20, of 1 to 50 characters. Default: none.' })
  tags?: string[] | null;

  @Field(() => String, { nullable: true, description: 'License, such as "mit", 1 to 100 characters. Default: none.' })
  license?: string | null;

  @Field(() => VisibilityEnum, { defaultValue: 'PRIVATE', description: 'Who may see it.' })
  visibility!: 'PUBLIC' | 'PRIVATE';

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@InputType({ description: 'What to change of a model. What is null or left out stays as it is.' })
export class UpdateModelInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field(() => String, { nullable: true, description: 'Display name, 1 to 200 characters.' })
  title?: string | null;

  @Field(() => String, { nullable: true, description: 'What it does, 1 to 500 characters.' })
  summary?: string | null;

  @Field(() => String, { nullable: true, description: 'Person or team responsible for it, 1 to 200 characters.' })
  owner?: string | null;

  @Field(() => [String], { nullable: true, description: 'All of its tags, at most 20, of 1 to 50 characters.' })
  tags?: string[] | null;

  @Field(() => String, { nullable: true, description: 'License, such as "mit", 1 to 100 characters.' })
  license?: string | null;

  @Field(() => VisibilityEnum, { nullable: true, description: 'Who may see it.' })
  visibility?: 'PUBLIC' | 'PRIVATE';

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@InputType({ description: 'Version to archive, or to take back into use.' })
export class ArchiveVersionInput {
  @Field(() => VersionRef, { description: 'The version, such as "my-penguins:1".' })
  version!: string;

  @Field(() => Boolean, {
    defaultValue: true,
    description: 'Whether it is archived; false makes an ARCHIVED version READY again.',
  })
  archived!: boolean;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'The version, or the problem that prevented the change: exactly one of them.' })
export class ArchiveVersionPayload {
  @Field(() => Version, { nullable: true, description: 'The version after the change; null if there is a problem.' })
  version!: Version | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not changed; null otherwise.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'The model, or the problem that prevented it: exactly one of them.' })
export class RegisterModelPayload {
  @Field(() => Model, { nullable: true, description: 'The model; null if there is a problem.' })
  model!: Model | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not registered; null otherwise.' })
  problem!: Problem | null;
}

@InputType({ description: 'Model to delete.' })
export class DeleteModelInput {
  @Field({ description: 'Name of the model.' })
  model!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'What was deleted, or the problem that prevented it.' })
export class DeleteModelPayload {
  @Field(() => ID, { nullable: true, description: 'Id that the model had; null if there is a problem.' })
  deletedId!: string | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Number of predictions that were deleted with it; null if there is a problem.',
  })
  deletedPredictions!: number | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not deleted; null otherwise.' })
  problem!: Problem | null;
}
