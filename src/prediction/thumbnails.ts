/**
 * Thumbnails of images of predictions and datasets: made when one is first asked for, one at a time, and stored like the image. They
 * are deleted with it, also if that happens while one is made.
 */
import type { Logger } from 'pino';
import type { Thumbnail } from '../engine/messages.js';
import type { ThumbnailMaker } from '../engine/thumbnail-maker.js';
import { StorageFullError } from '../errors.js';
import { fitsShare, Shares } from '../fair-share.js';
import { RoundRobin } from '../storage/round-robin.js';

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
  readonly maker: Pick<ThumbnailMaker, 'make'>;
  readonly log: Logger;
}

/** What a thumbnail is made of, and where it is stored. */
export interface Source<T> {
  /** Of the thumbnail. */
  readonly address: string;
  /** Whose turn it is made in: an account, or a reader of a dataset. */
  readonly account: string;
  /** The thumbnail, if it is stored already. */
  readonly find: () => Promise<T | undefined>;
  /** Reads the image. Called when it is its turn. */
  readonly read: () => Promise<Buffer>;
  /** Null if the image is gone. */
  readonly store: (made: Thumbnail) => Promise<T | null>;
}

export class Thumbnails {
  readonly #parts: Parts;
  /** By address: whoever asks for the same one waits for it. */
  readonly #making = new Map<string, Promise<unknown>>();
  readonly #waiting = new Shares();
  /** Accounts take turns. */
  readonly #turns = new RoundRobin<() => Promise<void>>(MAX_WAITING);
  #isMaking = false;
  /** Until when, by address. */
  readonly #failed = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Null if the image cannot be made smaller now, or is gone. @throws TooManyThumbnailsError */
  async make<T>(source: Source<T>, maxSize: number): Promise<T | null> {
    const { address, account } = source;
    if ((this.#failed.get(address) ?? 0) > Date.now()) return null;
    if (!fitsShare(1, this.#waiting.total, this.#waiting.of(account), MAX_WAITING)) throw new TooManyThumbnailsError();
    this.#waiting.add(account, 1);
    const making = (this.#making.get(address) ??
      this.#inTurn(account, () => this.#make(source, maxSize))) as Promise<T | null>;
    this.#making.set(address, making);
    try {
      return await making;
    } catch (error) {
      if (error instanceof StorageFullError) return null;
      throw error;
    } finally {
      this.#waiting.giveBack(account, 1);
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

  async #make<T>({ address, find, read, store }: Source<T>, maxSize: number): Promise<T | null> {
    const { maker, log } = this.#parts;
    const known = await find();
    const image = known ? null : await read().catch(() => null);
    if (known || !image) return known ?? null;
    const made = await maker.make(image, maxSize).catch((error: Error) => {
      log.warn({ picture: address, reason: error.message }, 'a thumbnail could not be made');
      if (this.#failed.size >= MAX_FAILED) this.#failed.clear();
      this.#failed.set(address, Date.now() + FAILED_MS);
      return null;
    });
    return made && store(made);
  }
}
