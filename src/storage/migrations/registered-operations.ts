import type { Kysely } from 'kysely';

/** Operations that clients run by their ids. The sequence is never used again, so that it tells when one was replaced. */
export async function createRegisteredOperations(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('registered_operation')
    .addColumn('sequence', 'integer', (c) => c.primaryKey().autoIncrement())
    .addColumn('id', 'text', (c) => c.notNull().unique())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('document', 'text', (c) => c.notNull())
    .addColumn('bytes', 'integer', (c) => c.notNull())
    .addColumn('published_at', 'bigint', (c) => c.notNull())
    .execute();
}
