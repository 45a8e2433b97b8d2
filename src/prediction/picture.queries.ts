/** SQL of the images of predictions. */
import { type Selectable, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { readableOwner } from '../access/visibility.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { PictureTable } from '../storage/migrations/prediction.table.js';
import { idsIn, idsOf } from '../storage/sql.js';
import type { StoredColumns } from './sealed-contents.js';

export type StoredPicture = Selectable<PictureTable>;

/** The images that were sent, of those predictions that have one. */
export async function findInputPictures(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<StoredPicture[]> {
  return db
    .selectFrom('picture')
    .innerJoin('prediction', 'prediction.id', 'picture.prediction_id')
    .selectAll('picture')
    .where('prediction_id', 'in', ids)
    .where('name', '=', 'input')
    .where('max_size', '=', 0)
    .where('principal_id', '=', readableOwner(principal))
    .execute();
}

/** With the account that has signed the URL, and the key that the image is sealed with. */
export type PictureOfUrl = StoredPicture & { readonly principal_id: string; readonly data_key: number | null };

export async function findPictureOfUrl(
  db: PredictionDatabase,
  { prediction_id, name, max_size }: Pick<StoredPicture, 'prediction_id' | 'name' | 'max_size'>,
): Promise<PictureOfUrl | undefined> {
  return db
    .selectFrom('picture')
    .innerJoin('prediction', 'prediction.id', 'picture.prediction_id')
    .selectAll('picture')
    .select(['principal_id', 'data_key'])
    .where('prediction_id', '=', prediction_id)
    .where('name', '=', name)
    .where('max_size', '=', max_size)
    .executeTakeFirst();
}

/** What an image that is in the row of its prediction is stored in. */
export async function findRowOfPicture(
  db: PredictionDatabase,
  predictionId: string,
): Promise<
  | { id: string; principal_id: string; data_key: number | null; input: string | null; sealed: Uint8Array | null }
  | undefined
> {
  return db
    .selectFrom('prediction')
    .select(['id', 'principal_id', 'data_key', 'input', 'sealed'])
    .where('id', '=', predictionId)
    .executeTakeFirst();
}

export async function isRecorded(db: PredictionDatabase, predictionId: string): Promise<boolean> {
  const row = await db.selectFrom('prediction').select('id').where('id', '=', predictionId).executeTakeFirst();
  return row !== undefined;
}

/** What the answer that has a mask is stored in. */
export async function findAnswerOfUrl(
  db: PredictionDatabase,
  predictionId: string,
): Promise<StoredColumns | undefined> {
  return db
    .selectFrom('prediction')
    .select(['id', 'principal_id', 'data_key', 'answer', 'sealed_answer'])
    .select(sql<Uint8Array | null>`iif(sealed_answer is null, sealed, null)`.as('sealed'))
    .where('id', '=', predictionId)
    .executeTakeFirst();
}

/** Stores a thumbnail unless its prediction is gone. Returns whether it was stored. */
export async function insertThumbnail(db: PredictionDatabase, row: PictureTable): Promise<boolean> {
  const { prediction_id, name, max_size, width, height, media_type, size_bytes, sha256 } = row;
  const columns = [
    'prediction_id',
    'name',
    'max_size',
    'width',
    'height',
    'media_type',
    'size_bytes',
    'sha256',
  ] as const;
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('picture')
    .columns(columns)
    .expression((eb) =>
      eb
        .selectFrom('prediction')
        .select((of) => [
          'id',
          of.val(name).as('name'),
          of.val(max_size).as('max_size'),
          of.val(width).as('width'),
          of.val(height).as('height'),
          of.val(media_type).as('media_type'),
          of.val(size_bytes).as('size_bytes'),
          of.val(sha256).as('sha256'),
        ])
        .where('id', '=', prediction_id),
    )
    .executeTakeFirstOrThrow();
  return Number(numInsertedOrUpdatedRows) === 1;
}

/** The blobs of the images of these predictions. */
export async function findBlobsOfPictures(db: PredictionDatabase, ids: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom('picture')
    .select('sha256')
    .where('prediction_id', 'in', idsIn(idsOf(ids)))
    .where('sha256', 'is not', null)
    .execute();
  return rows.flatMap(({ sha256 }) => sha256 ?? []);
}
