/**
 * Signed URLs of images, so that `<img>` needs no key. Anyone who has one can read the image for 5 to 10 minutes, as long as the
 * key that it was made for is accepted and the prediction exists.
 *
 * Nothing is stored: the signature is a digest with the index key of the account.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Principal } from '../access/principal.js';
import type { DataKey } from '../vault/data-key.js';
import type { DataKeys } from '../vault/data-keys.js';

/** URLs of an image stay the same for this long, so that browsers find it in their cache. Each expires one to two times this after it was made. */
export const URL_LIFE_SECONDS = 300;
export const MAX_SECONDS = 1e11;

/** For whom a URL was made: the id of their API key, `TOKEN` or `LOCAL`. */
export type Reader = string;
export const TOKEN: Reader = 'token';
export const LOCAL: Reader = 'local';

const MASK = /^mask-(\d{1,5})$/;

/** The name of a mask of an answer. */
export function maskName(index: number): string {
  return `mask-${index}`;
}

/** Null if it is the name of no mask. */
export function indexOfMask(name: string): number | null {
  const [, index] = MASK.exec(name) ?? [];
  return index === undefined ? null : Number(index);
}

export interface PictureAddress {
  readonly predictionId: string;
  readonly name: string;
  /** 0 for the image itself. */
  readonly maxSize: number;
}

export interface PictureUrl extends PictureAddress {
  /** In seconds since 1970. */
  readonly expires: number;
  readonly reader: Reader;
  readonly signature: string;
}

/** The parameters of the query, as they were sent. */
export interface PictureQuery {
  readonly expires?: unknown;
  readonly reader?: unknown;
  readonly maxSize?: unknown;
  readonly signature?: unknown;
}

export class PictureUrls {
  readonly #keys: Pick<DataKeys, 'index'>;

  constructor(keys: Pick<DataKeys, 'index'>) {
    this.#keys = keys;
  }

  /** A path and a query. */
  async of(principal: Principal, address: PictureAddress): Promise<string> {
    const { predictionId, name, maxSize } = address;
    const url = { ...address, expires: expiresFor(principal, Date.now()), reader: readerOf(principal) };
    const signature = signatureOf(await this.#keys.index(principal.id), url);
    const size = maxSize === 0 ? '' : `&maxSize=${maxSize}`;
    return `/pictures/${predictionId}/${name}?expires=${url.expires}&reader=${encodeURIComponent(url.reader)}${size}&signature=${signature}`;
  }

  /** Whether it was made for a reader of this account. */
  async isSigned(url: PictureUrl, account: string): Promise<boolean> {
    const [given, expected] = [
      Buffer.from(url.signature),
      Buffer.from(signatureOf(await this.#keys.index(account), url)),
    ];
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

/** Null if it cannot be a URL that was made, or has expired. */
export function readPictureUrl(
  { prediction, name }: { readonly prediction: string; readonly name: string },
  query: PictureQuery,
  now: number,
): PictureUrl | null {
  const { expires, reader, maxSize = '0', signature } = query;
  if (typeof reader !== 'string' || typeof signature !== 'string') return null;
  const url = { predictionId: prediction, name, maxSize: Number(maxSize), expires: Number(expires), reader, signature };
  const isWhole = Number.isSafeInteger(url.maxSize) && Number.isSafeInteger(url.expires) && url.expires < MAX_SECONDS;
  return isWhole && url.expires * 1_000 > now ? url : null;
}

function signatureOf(index: DataKey, { predictionId, name, maxSize, expires, reader }: Omit<PictureUrl, 'signature'>) {
  return index.digest('picture', JSON.stringify([predictionId, name, maxSize, expires, reader]));
}

export function readerOf({ key, token }: Principal): Reader {
  if (key) return key.id;
  return token ? TOKEN : LOCAL;
}

/** In seconds since 1970; not later than the token. */
export function expiresFor({ token }: Principal, now: number): number {
  const period = URL_LIFE_SECONDS * 1_000;
  const end = (Math.floor(now / period) + 2) * period;
  return Math.floor(Math.min(end, token?.expiresAt.getTime() ?? end) / 1_000);
}
