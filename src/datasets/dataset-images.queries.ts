/** SQL of the images that rows of datasets name by digest, and of their thumbnails. The files are blobs. */
import { sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import { maySeeDataset } from '../catalog/visibility.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { DatasetImageTable } from '../storage/migrations/catalog.table.js';
import type { StoredImage } from './row-images.js';

type Trx = Transaction<CatalogTables>;

const COLUMNS = [
  'dataset_image.dataset_id',
  'image',
  'max_size',
  'dataset_image.sha256',
  'size_bytes',
  'media_type',
  'width',
  'height',
] as const;

/** Images with these digests, of datasets that the principal may see. */
export async function findImages(
  db: CatalogDatabase,
  principal: Principal,
  datasetId: string,
  digests: readonly string[],
): Promise<DatasetImageTable[]> {
  return visibleImages(db, principal)
    .where('dataset_id', '=', datasetId)
    .where('image', 'in', digests)
    .where('max_size', '=', 0)
    .execute();
}

function visibleImages(db: CatalogDatabase, principal: Principal) {
  return db
    .selectFrom('dataset_image')
    .innerJoin('dataset', 'dataset.id', 'dataset_image.dataset_id')
    .where(maySeeDataset(principal))
    .select(COLUMNS);
}

/** `max_size`: 0 for the image itself. */
export async function findImage(
  db: CatalogDatabase,
  principal: Principal,
  { dataset_id, image, max_size }: Pick<DatasetImageTable, 'dataset_id' | 'image' | 'max_size'>,
): Promise<DatasetImageTable | undefined> {
  const images = visibleImages(db, principal).where('dataset_id', '=', dataset_id).where('image', '=', image);
  return images.where('max_size', '=', max_size).executeTakeFirst();
}

/** Names of the columns of images of these datasets. */
export async function findImageColumns(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Map<string, string[]>> {
  const rows = await db
    .selectFrom('dataset')
    .where(maySeeDataset(principal))
    .where('id', 'in', ids)
    .select([
      'id',
      sql<string>`(select json_group_array(value ->> 'name') from json_each(columns)
      where value ->> 'type' = 'IMAGE')`.as('names'),
    ])
    .execute();
  return new Map(rows.map(({ id, names }) => [id, JSON.parse(names)]));
}

/** A page of the images of a dataset, without thumbnails, in the order of digests. */
export async function findImagesAfter(
  db: CatalogDatabase,
  principal: Principal,
  datasetId: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<DatasetImageTable[]> {
  return visibleImages(db, principal)
    .where('dataset_id', '=', datasetId)
    .where('image', '>', after)
    .where('max_size', '=', 0)
    .orderBy('image')
    .limit(limit)
    .execute();
}

/** Rows that one statement adds. */
const IMAGES_A_STATEMENT = 500;

export async function replaceImages(trx: Trx, datasetId: string, images: readonly StoredImage[]): Promise<void> {
  await trx.deleteFrom('dataset_image').where('dataset_id', '=', datasetId).execute();
  const rows = images.map(({ sha256, sizeBytes, mediaType, width, height }) => ({
    dataset_id: datasetId,
    image: sha256,
    max_size: 0,
    sha256,
    size_bytes: sizeBytes,
    media_type: mediaType,
    width,
    height,
  }));
  for (let at = 0; at < rows.length; at += IMAGES_A_STATEMENT)
    await trx
      .insertInto('dataset_image')
      .values(rows.slice(at, at + IMAGES_A_STATEMENT))
      .execute();
}

/** Stores a thumbnail unless its image is gone. Returns whether it was stored. */
export async function insertImageThumbnail(db: CatalogDatabase, row: DatasetImageTable): Promise<boolean> {
  const { dataset_id, image, max_size, sha256, size_bytes, media_type, width, height } = row;
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('dataset_image')
    .columns(['dataset_id', 'image', 'max_size', 'sha256', 'size_bytes', 'media_type', 'width', 'height'])
    .expression((eb) =>
      eb
        .selectFrom('dataset_image')
        .select((of) => [
          'dataset_id',
          'image',
          of.val(max_size).as('max_size'),
          of.val(sha256).as('sha256'),
          of.val(size_bytes).as('size_bytes'),
          of.val(media_type).as('media_type'),
          of.val(width).as('width'),
          of.val(height).as('height'),
        ])
        .where('dataset_id', '=', dataset_id)
        .where('image', '=', image)
        .where('max_size', '=', 0),
    )
    .executeTakeFirstOrThrow();
  return Number(numInsertedOrUpdatedRows) === 1;
}
