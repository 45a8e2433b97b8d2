/** Images of the rows of datasets: those that rows name by digest, with thumbnails, and those that are a part of their row. */
import { SYSTEM } from '../access/principal.js';
import { findImage, insertImageThumbnail } from '../datasets/dataset-images.queries.js';
import { MAX_PICTURE_ROW_BYTES } from '../datasets/dataset-limits.js';
import { findRowPlaces } from '../datasets/dataset-rows.queries.js';
import { digestIn } from '../datasets/image-value.js';
import type { Thumbnail } from '../engine/messages.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { DatasetImageTable } from '../storage/migrations/catalog.table.js';
import { factsOfImage } from '../tasks/image-file.js';
import { inMemory, type OpenPicture, readAll } from './open-picture.js';
import type { PictureUrl, Reader } from './picture-urls.js';
import type { Thumbnails } from './thumbnails.js';

interface Parts {
  readonly db: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly thumbnails: Thumbnails;
}

const CHUNK_BYTES = 64 * 1024;
const IN_ROW = /^row-(\d{1,9})-(\d{1,5})$/;

/** The name of the image that a value of a row is. `index`: of the value among those of the row. */
export function imageName(value: string, row: number, index: number): string {
  return digestIn(value) ?? `row-${row}-${index}`;
}

export class DatasetPictures {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Null if there is none. Callers check who may read it. @throws TooManyThumbnailsError */
  async open({ id, name, maxSize, reader }: PictureUrl): Promise<OpenPicture | null> {
    const [, row, index] = IN_ROW.exec(name) ?? [];
    if (row !== undefined) return this.#inRow(id, Number(row), Number(index));
    const image = await this.#find({ dataset_id: id, image: name, max_size: 0 });
    if (!image) return null;
    const thumbnail = maxSize === 0 ? null : await this.#thumbnailOf(image, maxSize, reader);
    return this.#ofBlob(thumbnail ?? image);
  }

  async #inRow(id: string, number: number, index: number): Promise<OpenPicture | null> {
    const { db, blobs } = this.#parts;
    const [place] = await findRowPlaces(db, SYSTEM, id, [number]);
    if (!place || place.length > MAX_PICTURE_ROW_BYTES) return null;
    const json = (await blobs.getPart(place.sha256, place.offset, place.length)).toString();
    const value = Object.values(JSON.parse(json))[index];
    const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : null;
    const facts = bytes && factsOfImage(bytes);
    return facts ? inMemory(bytes, facts.mediaType, `${id}.${number}.${index}`) : null;
  }

  #find(address: Pick<DatasetImageTable, 'dataset_id' | 'image' | 'max_size'>): Promise<DatasetImageTable | undefined> {
    return findImage(this.#parts.db, SYSTEM, address);
  }

  async #thumbnailOf(image: DatasetImageTable, maxSize: number, reader: Reader): Promise<DatasetImageTable | null> {
    const address = { dataset_id: image.dataset_id, image: image.image, max_size: maxSize };
    return (
      (await this.#find(address)) ??
      this.#parts.thumbnails.make(
        {
          address: `${image.dataset_id}/${image.image}/${maxSize}`,
          account: reader,
          find: () => this.#find(address),
          read: () => readAll(this.#ofBlob(image)),
          store: (made) => this.#store(address, made),
        },
        maxSize,
      )
    );
  }

  async #store(
    address: Pick<DatasetImageTable, 'dataset_id' | 'image' | 'max_size'>,
    { bytes, width, height, mediaType: media_type }: Thumbnail,
  ): Promise<DatasetImageTable | null> {
    const { db, blobs } = this.#parts;
    const digest = await blobs.put(bytes);
    const row = { ...address, sha256: digest, size_bytes: bytes.length, media_type, width, height };
    // Without a row, it is an orphan, which another dataset may be about to use.
    return (await insertImageThumbnail(db, row)) ? row : null;
  }

  #ofBlob({ sha256, size_bytes: sizeBytes, media_type: mediaType }: DatasetImageTable): OpenPicture {
    const { blobs } = this.#parts;
    const read = async function* (from: number, to: number) {
      for (let at = from; at < to; at += CHUNK_BYTES)
        yield await blobs.getPart(sha256, at, Math.min(CHUNK_BYTES, to - at));
    };
    return { mediaType, sizeBytes, tag: sha256.slice(0, 32), read };
  }
}
