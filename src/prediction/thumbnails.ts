/**
 * Thumbnails of images of predictions: made when one is first asked for, one at a time, and stored like the image, sealed with a
 * key that ends with it. They are deleted with the prediction, also if that happens while one is made.
 */
import type { Logger } from 'pino';
import type { ThumbnailMaker } from '../engine/thumbnail-maker.js';
import { StorageFullError } from '../errors.js';
import { fitsShare, Shares } from '../fair-share.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import { RoundRobin } from '../storage/round-robin.js';
import type { DataKey } from '../vault/data-key.js';
import { findPictureOfUrl, insertThumbnail, type PictureOfUrl } from './picture.queries.js';
import { addressOfFile } from './sealed-contents.js';

/** The longest edges that thumbnails have: few, so that an image has few of them. In pixels. */
const SIZES = [32, 64, 128, 256, 512, 1_024, 2_048] as const;
export const MIN_SIZE = SIZES[0];
/** Requests that wait for a thumbnail; for images of one account, as many as are left for all others. */
const MAX_WAITING = 200;
/** Images of which no thumbnail could be made. They are tried again later, because the machine may have been busy. */
const MAX_FAILED = 1_000;
const FAILED_MS = 600_000;

/** The longest edge of the thumbnail for this longest edge; 0 for the image itself, if that is not larger. */
export function thumbnailSize(
  maxSize: number,
  { width, height }: { readonly width: number; readonly height: number },
): number {
  const size = SIZES.findLast((one) => one <= maxSize) ?? MIN_SIZE;
  return Math.max(width, height) <= size ? 0 : size;
}

/** Too many requests wait for thumbnails. */
export class TooManyThumbnailsError extends Error {}

interface Parts {
  readonly db: PredictionDatabase;
  readonly blobs: BlobFolder;
  readonly maker: Pick<ThumbnailMaker, 'make'>;
  readonly log: Logger;
}

/** What a thumbnail is made of. */
export interface Source {
  readonly picture: PictureOfUrl;
  readonly key: DataKey;
  /** Called when it is its turn. */
  readonly read: () => Promise<Buffer>;
}

export class Thumbnails {
  readonly #parts: Parts;
  /** By address: whoever asks for the same one waits for it. */
  readonly #making = new Map<string, Promise<PictureOfUrl | null>>();
  readonly #waiting = new Shares();
  /** Accounts take turns. */
  readonly #turns = new RoundRobin<() => Promise<void>>(MAX_WAITING);
  #isMaking = false;
  /** Until when, by address. */
  readonly #failed = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Null if the image cannot be made smaller now, or its prediction is gone. @throws TooManyThumbnailsError */
  async make(source: Source, maxSize: number): Promise<PictureOfUrl | null> {
    const { prediction_id, principal_id, name } = source.picture;
    const address = `${prediction_id}/${name}/${maxSize}`;
    if ((this.#failed.get(address) ?? 0) > Date.now()) return null;
    if (!fitsShare(1, this.#waiting.total, this.#waiting.of(principal_id), MAX_WAITING))
      throw new TooManyThumbnailsError();
    this.#waiting.add(principal_id, 1);
    const making = this.#making.get(address) ?? this.#inTurn(principal_id, () => this.#make(source, maxSize, address));
    this.#making.set(address, making);
    try {
      return await making;
    } catch (error) {
      if (error instanceof StorageFullError) return null;
      throw error;
    } finally {
      this.#waiting.giveBack(principal_id, 1);
      if (this.#making.get(address) === making) this.#making.delete(address);
    }
  }

  #inTurn<T>(account: string, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#turns.add(account, () => work().then(resolve, reject));
    if (!this.#isMaking) void this.#makeAll();
    return promise;
  }

  async #makeAll(): Promise<void> {
    this.#isMaking = true;
    for (let work = this.#turns.next(); work; work = this.#turns.next()) await work();
    this.#isMaking = false;
  }

  async #make({ picture, key, read }: Source, maxSize: number, address: string): Promise<PictureOfUrl | null> {
    const { db, blobs, maker, log } = this.#parts;
    const { prediction_id, principal_id, name, data_key } = picture;
    const known = await findPictureOfUrl(db, { prediction_id, name, max_size: maxSize });
    const image = known ? null : await read().catch(() => null);
    if (known || !image) return known ?? null;
    const made = await maker.make(image, maxSize).catch((error: Error) => {
      log.warn({ picture: address, reason: error.message }, 'a thumbnail could not be made');
      if (this.#failed.size >= MAX_FAILED) this.#failed.clear();
      this.#failed.set(address, Date.now() + FAILED_MS);
      return null;
    });
    if (!made) return null;
    const file = key.ofFile(addressOfFile({ id: prediction_id, principal_id }, name, maxSize));
    const sealed = await file.seal(made.bytes);
    await blobs.put(sealed.bytes, sealed.sha256);
    const { width, height, mediaType: media_type } = made;
    const size_bytes = made.bytes.length;
    const row = {
      prediction_id,
      name,
      max_size: maxSize,
      width,
      height,
      media_type,
      size_bytes,
      sha256: sealed.sha256,
    };
    if (await insertThumbnail(db, row)) return { ...row, principal_id, data_key };
    await blobs.deleteUnused(sealed.sha256, Number.POSITIVE_INFINITY);
    return null;
  }
}
