/**
 * The route that uploads are sent to: PUT for a whole file, HEAD and PATCH to send it in pieces, as in the core protocol of
 * tus 1.0. The token in the URL is all that a client needs; the key that created the upload must still be accepted, and its quota
 * pays for the bytes.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Quota } from '../access/quota.js';
import { type QuotaExceededError, StorageFullError } from '../errors.js';
import { TooManyBytesError } from '../publishing/upload-files.js';
import type { Uploads } from '../publishing/uploads.js';
import { cutOff, tooSlow } from './body-refusals.js';
import { sendExceeded } from './quotas.js';
import { RefusedRequest, refusal } from './refusals.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route reads the body itself, as a stream. */
    streamsBody?: boolean;
  }
}

const TUS_VERSION = '1.0.0';
/** Longest time without a byte. */
const IDLE_MS = 30_000;
const OFFSET = /^\d{1,15}$/;
/** How long a client waits if another request sends to the same upload, or if too many uploads are being received. */
const BUSY_SECONDS = 1;

interface UploadRequest {
  Params: { id: string };
  Querystring: { token?: string };
}

export interface UploadRouteParts {
  readonly uploads: Pick<Uploads, 'ofUrl' | 'receive'>;
  /** The quota of the key with this id; null if there is none. */
  readonly quotaOf: (keyId: string) => Quota | null;
}

export async function registerUploads(http: FastifyInstance, parts: UploadRouteParts): Promise<void> {
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    scope.route<UploadRequest>({
      method: ['HEAD', 'PATCH', 'PUT'],
      url: '/uploads/:id',
      config: { policy: 'public', streamsBody: true },
      handler: (request, reply) => answer(parts, request, reply),
    });
  });
}

async function answer(
  { uploads, quotaOf }: UploadRouteParts,
  request: FastifyRequest<UploadRequest>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  reply.header('tus-resumable', TUS_VERSION);
  const { method, headers, params, query } = request;
  const version = headers['tus-resumable'] ?? TUS_VERSION;
  if (version !== TUS_VERSION) throw otherVersion(String(version));
  const found = typeof query.token === 'string' ? await uploads.ofUrl(params.id, query.token) : null;
  if (!found) throw unknownUpload();
  const { upload, receivedBytes } = found;
  if (method === 'HEAD') {
    reply.headers({ 'upload-offset': receivedBytes, 'upload-length': upload.size_bytes });
    return reply.code(200).send();
  }
  const offset = method === 'PATCH' ? offsetOf(request) : null;
  const missing = upload.size_bytes - (offset ?? 0);
  // Of a body in chunks, as many as there can be.
  const length = Number(headers['content-length'] ?? (headers['transfer-encoding'] === undefined ? 0 : missing));
  if (length > missing) throw tooManyBytes(upload.size_bytes);
  const metered = new MeteredBytes(upload.key_id === null ? null : quotaOf(upload.key_id), length);
  if (metered.exceeded) {
    sendExceeded(reply, metered.exceeded);
    return reply;
  }
  const refused = await uploads
    .receive(upload, offset, metered.count(chunksOf(request)))
    .catch((error) => {
      if (error instanceof TooManyBytesError) throw tooManyBytes(upload.size_bytes);
      throw error instanceof StorageFullError ? diskFull(error) : error;
    })
    .finally(() => metered.settle());
  if (refused?.kind === 'busy') throw busy();
  if (refused?.kind === 'complete') throw conflict('The upload is complete.', upload.size_bytes);
  if (refused?.kind === 'offset')
    throw conflict('Bytes were received up to another offset. Continue there.', refused.receivedBytes);
  const { receivedBytes: now } = (await uploads.ofUrl(params.id, query.token as string)) ?? { receivedBytes };
  return reply.code(204).header('upload-offset', now).send();
}

/** Bytes that are taken from a quota before they arrive, and given back if they do not. */
class MeteredBytes {
  readonly exceeded: QuotaExceededError | null;
  readonly #quota: Quota | null;
  readonly #taken: number;
  readonly #day: number;
  #received = 0;

  constructor(quota: Quota | null, bytes: number) {
    this.#quota = quota;
    this.#taken = bytes;
    this.#day = quota?.day ?? 0;
    this.exceeded = quota?.take({ operations: 0, computeMs: 0, bytes }) ?? null;
  }

  async *count(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#received += chunk.length;
      yield chunk;
    }
  }

  settle(): void {
    this.#quota?.correct({ operations: 0, computeMs: 0, bytes: this.#received - this.#taken }, this.#day);
  }
}

function offsetOf({ headers }: FastifyRequest): number {
  const type = headers['content-type'];
  if (type !== 'application/offset+octet-stream')
    throw new RefusedRequest(
      415,
      refusal('UNSUPPORTED_MEDIA_TYPE', 'PATCH needs content-type: application/offset+octet-stream.'),
    );
  const offset = String(headers['upload-offset'] ?? '');
  if (!OFFSET.test(offset))
    throw new RefusedRequest(400, refusal('BAD_REQUEST', 'PATCH needs the header Upload-Offset, a number of bytes.'));
  return Number(offset);
}

/** @throws RefusedRequest if the client sends nothing for too long, or has disconnected */
async function* chunksOf({ raw }: FastifyRequest): AsyncGenerator<Uint8Array> {
  const idle = setTimeout(() => raw.destroy(tooSlow()), IDLE_MS).unref();
  try {
    // What is left of a request that is refused is read, so that the client gets the answer.
    for await (const chunk of raw.iterator({ destroyOnReturn: false })) {
      yield chunk as Uint8Array;
      release(chunk);
      idle.refresh();
    }
  } catch (error) {
    throw error instanceof RefusedRequest ? error : cutOff();
  } finally {
    clearTimeout(idle);
  }
}

/** Frees the memory of bytes that nobody needs any more, which would else wait for a collection, with many others. */
function release({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function otherVersion(version: string): RefusedRequest {
  const message = `Tus-Resumable is "${version.slice(0, 20)}"; this server speaks ${TUS_VERSION}.`;
  return new RefusedRequest(412, refusal('UPLOAD_PROTOCOL', message));
}

function unknownUpload(): RefusedRequest {
  const message = 'There is no such upload, its URL has expired, or the key that created it is no longer accepted.';
  return new RefusedRequest(404, refusal('UPLOAD_NOT_FOUND', message));
}

function tooManyBytes(sizeBytes: number): RefusedRequest {
  const message = `The upload was announced with ${sizeBytes} bytes, and this request sends more. Nothing of it was kept.`;
  return new RefusedRequest(413, refusal('BODY_TOO_LARGE', message, { allowed: sizeBytes }));
}

function conflict(message: string, receivedBytes: number): RefusedRequest {
  return new RefusedRequest(409, refusal('UPLOAD_CONFLICT', message, { receivedBytes }));
}

function busy(): RefusedRequest {
  const message = 'Another request sends to this upload, or too many uploads are being received. Try again in 1 s.';
  return new RefusedRequest(423, refusal('UPLOAD_BUSY', message), BUSY_SECONDS);
}

function diskFull({ code, message, retryAfterMs }: StorageFullError): RefusedRequest {
  return new RefusedRequest(507, refusal(code, message), retryAfterMs / 1_000);
}
