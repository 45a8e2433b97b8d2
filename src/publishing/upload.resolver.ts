import { Arg, Ctx, ID, Mutation, Resolver } from 'type-graphql';
import { Policy } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { Cost, POINTS_PER_CHANGE } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import { CreateUploadInput, Upload, UploadPayload } from './upload.type.js';
import type { Upload as StoredUpload, Uploads } from './uploads.js';

/** Most uploads are small. The digest is computed in steps between which other requests are answered. */
const POINTS_PER_DIGEST = 200;

interface AccessContext {
  readonly principal: Principal;
}

@Resolver()
export class UploadResolver {
  constructor(private readonly uploads: Uploads) {}

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE })
  @Mutation(() => UploadPayload, {
    nullable: true,
    description:
      'Returns a URL that a file can be sent to: all of it with PUT, or in pieces with PATCH, as in tus 1.0. Then `completeUpload` checks it. If the account has a complete upload with these bytes, that is returned. Problems: InvalidInput, Overloaded (too many files or bytes are kept), Forbidden, StorageFull.',
  })
  async createUpload(
    @Arg('input', () => CreateUploadInput, { description: 'The file.' }) input: CreateUploadInput,
    @Ctx() { principal }: AccessContext,
  ): Promise<UploadPayload> {
    const { result, problem } = await payloadOf(() => this.uploads.create(input, principal));
    return { upload: result && typeOf(result), problem };
  }

  @Policy('contribute')
  @Cost({ points: POINTS_PER_CHANGE + POINTS_PER_DIGEST })
  @Mutation(() => UploadPayload, {
    nullable: true,
    description:
      'Checks that all bytes of an upload have arrived and have the announced SHA-256; bytes with another one are dropped. Takes up to a few seconds for each GB. Problems: InvalidInput, NotFound, Overloaded (it is still being received), Forbidden, StorageFull.',
  })
  async completeUpload(
    @Arg('id', () => ID, { description: 'Id of the upload.' }) id: string,
    @Ctx() { principal }: AccessContext,
  ): Promise<UploadPayload> {
    const { result, problem } = await payloadOf(() => this.uploads.complete(id, principal));
    return { upload: result && typeOf(result), problem };
  }
}

function typeOf(upload: StoredUpload): Upload {
  const { id, file_name, size_bytes, sha256, completed_at, expires_at, receivedBytes, url } = upload;
  return create(Upload, {
    id,
    fileName: file_name,
    sizeBytes: size_bytes,
    receivedBytes,
    sha256,
    url,
    completedAt: completed_at === null ? null : new Date(completed_at),
    expiresAt: new Date(expires_at),
  });
}
