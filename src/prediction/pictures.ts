/**
 * Reads the images of predictions and datasets for holders of their URLs. Images are read in chunks of 64 KiB: a reader takes little memory,
 * however large the image is, and its read fails if the prediction is erased meanwhile.
 */
import type { Thumbnail } from '../engine/messages.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import { splitDataUrl } from '../tasks/image.js';
import { maskPng } from '../tasks/mask-png.js';
import type { DataKey } from '../vault/data-key.js';
import type { DataKeys } from '../vault/data-keys.js';
import { CHUNK_BYTES, type FileKey, placeOf } from '../vault/file-key.js';
import { decodeAnswer } from './answer-json.js';
import type { DatasetPictures } from './dataset-pictures.js';
import { inMemory, type OpenPicture, readAll } from './open-picture.js';
import {
  findAnswerOfUrl,
  findPictureOfUrl,
  findRowOfPicture,
  insertThumbnail,
  type PictureOfUrl,
} from './picture.queries.js';
import { indexOfMask, isOfDataset, type PictureUrl, type PictureUrls, type Reader } from './picture-urls.js';
import { addressOfFile, StoredRow } from './sealed-contents.js';
import type { Thumbnails } from './thumbnails.js';

/** What a reader holds in memory: two chunks, each sealed and decrypted. */
export const READER_BYTES = 4 * CHUNK_BYTES;

interface Parts {
  /** The lane of reads by key. */
  readonly db: PredictionDatabase;
  readonly blobs: BlobFolder;
  readonly dataKeys: DataKeys;
  readonly urls: PictureUrls;
  readonly thumbnails: Thumbnails;
  readonly datasets: DatasetPictures;
  /** Whether the key that a URL was made for is still accepted. */
  readonly isReaderAccepted: (reader: Reader) => boolean;
}

export class Pictures {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Null if there is no such image, if the URL was not made here, or if its reader may no longer read. If a thumbnail cannot
   * be made, the image itself.
   *
   * @throws TooManyThumbnailsError
   */
  async ofUrl(url: PictureUrl): Promise<OpenPicture | null> {
    const { urls, isReaderAccepted } = this.#parts;
    if (!isReaderAccepted(url.reader)) return null;
    if (isOfDataset(url)) return (await urls.isSigned(url, null)) ? this.#parts.datasets.open(url) : null;
    const mask = indexOfMask(url.name);
    if (mask !== null) return this.#ofMask(url, mask);
    const image = await this.#find(url, 0);
    if (!image || !(await urls.isSigned(url, image.principal_id))) return null;
    if (url.maxSize === 0) return this.#open(image);
    const thumbnail = (await this.#find(url, url.maxSize)) ?? (await this.#makeThumbnail(image, url.maxSize));
    return this.#open(thumbnail ?? image);
  }

  /** Drawn from the answer each time it is read. */
  async #ofMask(url: PictureUrl, index: number): Promise<OpenPicture | null> {
    const row = await findAnswerOfUrl(this.#parts.db, url.id);
    if (!row || !(await this.#parts.urls.isSigned(url, row.principal_id))) return null;
    const key = await this.#keyOf(row);
    const answer = row.data_key === null || key ? decodeAnswer(new StoredRow(row, key).answer()) : null;
    const mask = answer?.kind === 'masks' ? answer.items[index] : undefined;
    if (!mask || answer?.kind !== 'masks') return null;
    return inMemory(await maskPng(mask.runLengths, answer), 'image/png', `${url.id}.${index}`);
  }

  /** The image that was sent for a prediction; null if there is none. Callers check who may read it. */
  async ofPrediction(
    id: string,
  ): Promise<{ readonly sizeBytes: number; readonly readAll: () => Promise<Buffer> } | null> {
    const image = await this.#find({ id, name: 'input' }, 0);
    const opened = image && (await this.#open(image));
    return opened ? { sizeBytes: opened.sizeBytes, readAll: () => readAll(opened) } : null;
  }

  #find(
    { id: prediction_id, name }: Pick<PictureUrl, 'id' | 'name'>,
    max_size: number,
  ): Promise<PictureOfUrl | undefined> {
    return findPictureOfUrl(this.#parts.db, { prediction_id, name, max_size });
  }

  async #makeThumbnail(picture: PictureOfUrl, maxSize: number): Promise<PictureOfUrl | null> {
    const [key, opened] = await Promise.all([this.#keyOf(picture), this.#open(picture)]);
    if (!key || !opened) return null;
    const { prediction_id, principal_id, name } = picture;
    return this.#parts.thumbnails.make(
      {
        address: `${prediction_id}/${name}/${maxSize}`,
        account: principal_id,
        find: () => this.#find({ id: prediction_id, name }, maxSize),
        read: () => readAll(opened),
        store: (made) => this.#store(picture, key, { made, maxSize }),
      },
      maxSize,
    );
  }

  /** Sealed with a key that ends with the prediction. Null if that is gone. */
  async #store(
    { prediction_id, principal_id, name, data_key }: PictureOfUrl,
    key: DataKey,
    { made, maxSize }: { readonly made: Thumbnail; readonly maxSize: number },
  ): Promise<PictureOfUrl | null> {
    const { db, blobs } = this.#parts;
    const file = key.ofFile(addressOfFile({ id: prediction_id, principal_id }, name, maxSize));
    const { bytes, sha256 } = await file.seal(made.bytes);
    await blobs.put(bytes, sha256);
    const { width, height, mediaType: media_type } = made;
    const place = { prediction_id, name, max_size: maxSize };
    const row = { ...place, width, height, media_type, size_bytes: made.bytes.length, sha256 };
    if (await insertThumbnail(db, row)) return { ...row, principal_id, data_key };
    await blobs.deleteUnused(sha256, Number.POSITIVE_INFINITY);
    return null;
  }

  async #keyOf({ data_key }: Pick<PictureOfUrl, 'data_key'>): Promise<DataKey | undefined> {
    return data_key === null ? undefined : (await this.#parts.dataKeys.find([data_key])).get(data_key);
  }

  async #open(picture: PictureOfUrl): Promise<OpenPicture | null> {
    const key = await this.#keyOf(picture);
    if (!key) return null;
    return picture.sha256 === null ? this.#ofRow(picture, key) : this.#ofBlob(picture, picture.sha256, key);
  }

  #ofBlob(picture: PictureOfUrl, digest: string, dataKey: DataKey): OpenPicture {
    const { prediction_id, principal_id, name, max_size, media_type, size_bytes } = picture;
    const key = dataKey.ofFile(addressOfFile({ id: prediction_id, principal_id }, name, max_size));
    const sizeBytes = Number(size_bytes);
    const read = (from: number, to: number) => this.#chunks({ digest, key, sizeBytes }, from, to);
    return { mediaType: media_type, sizeBytes, tag: digest.slice(0, 32), read };
  }

  async *#chunks(
    { digest, key, sizeBytes }: { readonly digest: string; readonly key: FileKey; readonly sizeBytes: number },
    from: number,
    to: number,
  ): AsyncGenerator<Buffer> {
    for (let at = from; at < to; ) {
      const { chunk, offset, length } = placeOf(at, sizeBytes);
      // Opened each time: the file of an erased prediction must not be read to its end.
      const opened = key.open(await this.#parts.blobs.getPart(digest, offset, length), chunk, sizeBytes);
      if (!opened) throw new Error(`chunk ${chunk} of the blob ${digest} cannot be decrypted`);
      const begin = chunk * CHUNK_BYTES;
      yield opened.subarray(at - begin, Math.min(opened.length, to - begin));
      at = begin + opened.length;
    }
  }

  async #ofRow({ prediction_id, media_type }: PictureOfUrl, key: DataKey): Promise<OpenPicture | null> {
    const row = await findRowOfPicture(this.#parts.db, prediction_id);
    if (!row) return null;
    const { base64 = '' } = JSON.parse(new StoredRow(row, key).input(null)).image ?? {};
    const bytes = Buffer.from(splitDataUrl(base64).base64, 'base64');
    return inMemory(bytes, media_type, prediction_id);
  }
}
