/** Images that rows of datasets name by digest, with their thumbnails. */
import type { Kysely } from 'kysely';

export async function createDatasetImages(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('dataset_image')
    .addColumn('dataset_id', 'text', (c) => c.notNull().references('dataset.id').onDelete('cascade'))
    .addColumn('image', 'text', (c) => c.notNull())
    .addColumn('max_size', 'integer', (c) => c.notNull())
    .addColumn('sha256', 'text', (c) => c.notNull())
    .addColumn('size_bytes', 'bigint', (c) => c.notNull())
    .addColumn('media_type', 'text', (c) => c.notNull())
    .addColumn('width', 'integer', (c) => c.notNull())
    .addColumn('height', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('dataset_image_pk', ['dataset_id', 'image', 'max_size'])
    .execute();
  await db.schema.createIndex('dataset_image_sha256').on('dataset_image').column('sha256').execute();
}
