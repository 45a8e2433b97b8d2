/**
 * Compresses answers with gzip for clients that accept it, in threads of Node's pool.
 *
 * The length of a compressed text tells how much of it repeats, so whoever can put guesses beside a secret and see the lengths
 * of encrypted answers can find the secret (BREACH). No web page can make a browser send somebody's key, because keys are not
 * cookies. Against guesses that are stored: contents of recorded predictions, which other callers may have sent, are never
 * compressed, and the length of everything else varies at random.
 */
import { randomInt } from 'node:crypto';
import { constants, gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';

/** Answers below are left as they are: two or three of them fit into one packet. */
const MIN_CHARACTERS = 1_024;
/** Of the four threads of Node's pool, which also reads and writes files. Answers beyond are sent as they are. */
const MAX_AT_A_TIME = 2;
const PADDING_BYTES = 64;
const OPTIONS = { level: constants.Z_BEST_SPEED };

export function acceptsGzip({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return new Negotiator({ headers }).encoding(['gzip', 'identity']) === 'gzip';
}

export function compressAnswers(http: FastifyInstance): void {
  let running = 0;
  http.addHook<unknown>('onSend', (request, reply, payload, done) => {
    if (
      typeof payload !== 'string' ||
      payload.length < MIN_CHARACTERS ||
      running === MAX_AT_A_TIME ||
      request.answer?.hasRecordedContents ||
      !acceptsGzip(request)
    ) {
      done(null, payload);
      return;
    }
    running++;
    gzip(payload, OPTIONS, (error, compressed) => {
      running--;
      if (!error) markCompressed(reply);
      done(null, error ? payload : padded(compressed));
    });
  });
}

export function markCompressed(reply: FastifyReply): void {
  const vary = reply.getHeader('vary');
  reply
    .removeHeader('content-length')
    .header('content-encoding', 'gzip')
    .header('vary', vary ? `${vary}, accept-encoding` : 'accept-encoding');
}

const FLAGS_AT = 3;
const HEADER_BYTES = 10;
const HAS_NAME = 8;

/** Puts a file name of random length into the header (RFC 1952), which clients skip. */
function padded(compressed: Buffer): Buffer {
  const name = Buffer.alloc(randomInt(PADDING_BYTES) + 1, 'x');
  name[name.length - 1] = 0;
  const whole = Buffer.concat([compressed.subarray(0, HEADER_BYTES), name, compressed.subarray(HEADER_BYTES)]);
  whole[FLAGS_AT] = HAS_NAME;
  return whole;
}
