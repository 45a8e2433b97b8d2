import { Field, ID, InputType, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Problem } from '../graphql/problem.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';
import { MAX_FILE_NAME_CHARACTERS, MAX_UPLOAD_BYTES } from './new-upload.js';

@Policy('contribute')
@ObjectType({
  description:
    'File that is sent to a URL, to become part of a model or a dataset. It belongs to the account of its key.',
})
export class Upload {
  @Field(() => ID, { description: 'Opaque id, for `completeUpload`, `publish` and `registerDataset`.' })
  id!: string;

  @Field({ description: 'Name that the client gave to the file. Nothing is opened by it.' })
  fileName!: string;

  @Field(() => SafeInt, { description: 'Size of the file, in bytes, as announced.' })
  sizeBytes!: number;

  @Field(() => SafeInt, { description: 'Bytes that were received and are on the disk.' })
  receivedBytes!: number;

  @Field({ description: 'SHA-256 of the file, in hexadecimal, as announced.' })
  sha256!: string;

  @Field(() => String, {
    nullable: true,
    description:
      'Where to send the bytes: a path and a query, relative to the address of the server. Whoever has it may send them, without a key. Shown only by the `createUpload` that made it; null also if the account has a complete upload with these bytes.',
  })
  url!: string | null;

  @Field(() => DateTime, { nullable: true, description: 'When all bytes were found to be there; null before.' })
  completedAt!: Date | null;

  @Field(() => DateTime, { description: 'When the upload is removed: 24 hours after it was created or completed.' })
  expiresAt!: Date;
}

@InputType({ description: 'File to be uploaded.' })
export class CreateUploadInput {
  @Field({ description: `Name of the file, for people, 1 to ${MAX_FILE_NAME_CHARACTERS} characters.` })
  fileName!: string;

  @Field(() => SafeInt, { description: `Size in bytes, 0 to ${MAX_UPLOAD_BYTES.toLocaleString('en')}.` })
  sizeBytes!: number;

  @Field({ description: 'SHA-256 of the bytes: 64 hexadecimal digits in lower case.' })
  sha256!: string;
}

@ObjectType({ description: 'The upload, or the problem that prevented it: exactly one of them.' })
export class UploadPayload {
  @Field(() => Upload, { nullable: true, description: 'The upload; null if there is a problem.' })
  upload!: Upload | null;

  @Field(() => Problem, { nullable: true, description: 'Why it was not created or is not complete; null otherwise.' })
  problem!: Problem | null;
}
