/** The media type of an answer, by the Accept header: chosen in the same way as by Apollo Server. */
import Negotiator from 'negotiator';

const JSON_TYPE = 'application/json; charset=utf-8';
const TYPES = [JSON_TYPE, 'application/graphql-response+json; charset=utf-8'];

/** Most requests have the same header as the one before. */
let last = { accept: '', type: JSON_TYPE as string | null };

/** The type that the client prefers; null if it accepts neither. */
export function mediaTypeFor(accept = ''): string | null {
  if (accept === last.accept) return last.type;
  last = {
    accept,
    type: accept === '' ? JSON_TYPE : (new Negotiator({ headers: { accept } }).mediaType(TYPES) ?? null),
  };
  return last.type;
}

/** Clients parse a refusal only in a type that they know. */
export function mediaTypeOfRefusal(accept: string | undefined): string {
  return mediaTypeFor(accept) ?? JSON_TYPE;
}
