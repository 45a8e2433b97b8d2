/** Sends an image to the holder of its signed URL: GET and HEAD, with ranges and ETag. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Quota } from '../access/quota.js';
import type { OpenPicture } from '../prediction/open-picture.js';
import { URL_LIFE_SECONDS } from '../prediction/picture-urls.js';
import { READER_BYTES } from '../prediction/pictures.js';
import { sendExceeded } from './quotas.js';
import { answerNotSent, RefusedRequest, refusal } from './refusals.js';
import { RETRY_AFTER_MS } from './response-budget.js';

/** A client that takes no bytes for this long is disconnected. */
const IDLE_MS = 30_000;
const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/** `quota`: of the key that the URL was made for; null if there is none. */
export function sendPicture(
  picture: OpenPicture,
  quota: Quota | null,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { method, headers } = request;
  const etag = `"${picture.tag}"`;
  reply.headers({
    'accept-ranges': 'bytes',
    'cache-control': `private, max-age=${URL_LIFE_SECONDS}`,
    // The signature decides who may read it, not the page that shows it.
    'cross-origin-resource-policy': 'cross-origin',
    etag,
  });
  if (isKnown(headers['if-none-match'], etag)) return reply.code(304).send();
  // Only GET has ranges (RFC 9110, 14.2).
  const isPart = method === 'GET' && isRangeOf(headers['if-range'], etag);
  const range = isPart ? rangeOf(headers.range, picture.sizeBytes) : null;
  if (range === 'none') throw noSuchRange(reply, picture.sizeBytes);
  const { from, to } = range ?? { from: 0, to: picture.sizeBytes };
  if (range) reply.code(206).header('content-range', `bytes ${from}-${to - 1}/${picture.sizeBytes}`);
  reply.headers({ 'content-type': picture.mediaType, 'content-length': to - from });
  if (method === 'HEAD') return reply.send();
  const exceeded = quota?.takeRequest(to - from);
  if (exceeded) {
    forgetPicture(reply);
    sendExceeded(reply, exceeded);
    return reply;
  }
  if (request.answer.reserve(READER_BYTES, 0) !== null) {
    forgetPicture(reply);
    throw new RefusedRequest(503, answerNotSent(), RETRY_AFTER_MS / 1_000);
  }
  return reply.send(streamOf(picture, from, to, request));
}

/** Ends the connection if the client takes nothing for too long. */
function streamOf(picture: OpenPicture, from: number, to: number, { connection }: FastifyRequest): Readable {
  const idle = setTimeout(() => connection.disconnect(), IDLE_MS).unref();
  connection.onClose(() => clearTimeout(idle));
  const chunks = async function* () {
    for await (const chunk of picture.read(from, to)) {
      idle.refresh();
      yield chunk;
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}

/** Removes the headers of the image: a refusal is sent instead. */
function forgetPicture(reply: FastifyReply): void {
  for (const name of ['content-type', 'content-length', 'content-range', 'etag']) reply.removeHeader(name);
  reply.header('cache-control', 'no-store');
}

function isKnown(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}

/** Whether ranges are wanted: `If-Range` must name what is here. Dates are not supported, and count as another image. */
function isRangeOf(header: string | string[] | undefined, etag: string): boolean {
  return header === undefined || header === etag;
}

/** Null for the whole image: also for several ranges, and what is no range. "none" if the image ends before it. */
function rangeOf(header: string | undefined, sizeBytes: number): { from: number; to: number } | 'none' | null {
  const [, first = '', last = ''] = RANGE.exec(header ?? '') ?? [];
  if (first === '' && last === '') return null;
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'none' : { from: sizeBytes - length, to: sizeBytes };
  }
  if (last !== '' && Number(last) < Number(first)) return null;
  if (Number(first) >= sizeBytes) return 'none';
  return { from: Number(first), to: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}

function noSuchRange(reply: FastifyReply, sizeBytes: number): RefusedRequest {
  forgetPicture(reply);
  reply.header('content-range', `bytes */${sizeBytes}`);
  return new RefusedRequest(416, refusal('RANGE_NOT_SATISFIABLE', `The image has ${sizeBytes} bytes.`));
}
