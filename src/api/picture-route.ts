/** The route that images are read from, by signed URLs: for `<img>`, which sends no key. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Quota } from '../access/quota.js';
import { type PictureQuery, readPictureUrl } from '../prediction/picture-urls.js';
import type { Pictures } from '../prediction/pictures.js';
import { TooManyThumbnailsError } from '../prediction/thumbnails.js';
import { sendPicture } from './opened-picture.js';
import { RefusedRequest, refusal } from './refusals.js';
import { RETRY_AFTER_MS } from './response-budget.js';

interface PictureRequest {
  Params: { id: string; name: string };
  Querystring: PictureQuery;
}

export interface PictureRouteParts {
  readonly pictures: Pick<Pictures, 'ofUrl'>;
  /** The quota of the key that a URL was made for; null if there is none. */
  readonly quotaOf: (reader: string) => Quota | null;
}

export function registerPictures(http: FastifyInstance, parts: PictureRouteParts): void {
  http.route<PictureRequest>({
    method: ['GET', 'HEAD'],
    url: '/pictures/:id/:name',
    config: { policy: 'public' },
    handler: (request, reply) => answer(parts, request, reply),
  });
}

async function answer(
  { pictures, quotaOf }: PictureRouteParts,
  request: FastifyRequest<PictureRequest>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const url = readPictureUrl(request.params, request.query, Date.now());
  const picture = url && (await pictures.ofUrl(url).catch(throwAsRefusal));
  if (!url || !picture) throw unknownPicture();
  return sendPicture(picture, quotaOf(url.reader), request, reply);
}

function throwAsRefusal(error: unknown): never {
  if (!(error instanceof TooManyThumbnailsError)) throw error;
  const message = 'Too many thumbnails are being made. Try again in 1 s.';
  throw new RefusedRequest(503, refusal('OVERLOADED', message, { retryable: true }), RETRY_AFTER_MS / 1_000);
}

/** The same for all reasons, so that a URL that no longer works tells nothing about its image. */
function unknownPicture(): RefusedRequest {
  const message =
    'There is no such image, its URL has expired, or the key that asked for the URL is no longer accepted. Ask for a new URL.';
  return new RefusedRequest(404, refusal('PICTURE_NOT_FOUND', message));
}
