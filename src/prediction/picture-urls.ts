/**
 * Signed URLs of images, so that `<img>` needs no key. Anyone who has one can read the image for 5 to 10 minutes, as long as the
 * key that it was made for is accepted and the prediction or dataset exists. Who may see a dataset never changes.
 *
 * Nothing is stored: the signature is a digest with the index key of the account that has the prediction, or of the server for
 * datasets, which other accounts may see.
 */
import { timingSafeEqual } from 'node:crypto';
import { type Principal, SYSTEM } from '../access/principal.js';
import { typeOfId } from '../storage/ids.js';
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
  /** Of the prediction or dataset. */
  readonly id: string;
  readonly name: string;
  /** 0 for the image itself. */
  readonly maxSize: number;
}

export function isOfDataset({ id }: Pick<PictureAddress, 'id'>): boolean {
  return typeOfId(id) === 'Dataset';
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
    const { id, name, maxSize } = address;
    const url = { ...address, expires: expiresFor(principal, Date.now()), reader: readerOf(principal) };
    const account = isOfDataset(address) ? SYSTEM.id : principal.id;
    const signature = signatureOf(await this.#keys.index(account), url);
    const size = maxSize === 0 ? '' : `&maxSize=${maxSize}`;
    return `/pictures/${id}/${name}?expires=${url.expires}&reader=${encodeURIComponent(url.reader)}${size}&signature=${signature}`;
  }

  /** Whether it was made here, for a reader of this account. `account`: null for datasets. */
  async isSigned(url: PictureUrl, account: string | null): Promise<boolean> {
    return isSameSignature(url.signature, signatureOf(await this.#keys.index(account ?? SYSTEM.id), url));
  }
}

/** Null if it cannot be a URL that was made, or has expired. */
export function readPictureUrl(
  { id, name }: { readonly id: string; readonly name: string },
  query: PictureQuery,
  now: number,
): PictureUrl | null {
  const { expires, reader, maxSize = '0', signature } = query;
  if (typeof reader !== 'string' || typeof signature !== 'string') return null;
  const url = { id, name, maxSize: Number(maxSize), expires: Number(expires), reader, signature };
  const isWhole = Number.isSafeInteger(url.maxSize) && Number.isSafeInteger(url.expires) && url.expires < MAX_SECONDS;
  return isWhole && url.expires * 1_000 > now ? url : null;
}

function signatureOf(index: DataKey, { id, name, maxSize, expires, reader }: Omit<PictureUrl, 'signature'>) {
  return index.digest('picture', JSON.stringify([id, name, maxSize, expires, reader]));
}

/** How long it takes tells nothing about the expected one. */
export function isSameSignature(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
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
