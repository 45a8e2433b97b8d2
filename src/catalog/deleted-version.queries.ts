/** SQL of versions that were deleted with their models, kept until their predictions are deleted too. It acts for the server itself. */
import type { Selectable } from 'kysely';
import type { CatalogDatabase } from '../storage/database.js';
import type { DeletedVersionTable } from '../storage/migrations/catalog.table.js';

/** Those after the id `after`, in the order of their ids. */
export async function findDeletedVersions(
  db: CatalogDatabase,
  after: string,
  limit: number,
): Promise<Selectable<DeletedVersionTable>[]> {
  const deleted = db.selectFrom('deleted_version').selectAll().where('version_id', '>', after);
  return deleted.orderBy('version_id').limit(limit).execute();
}

export async function forgetDeletedVersions(
  db: CatalogDatabase,
  versions: readonly Selectable<DeletedVersionTable>[],
): Promise<void> {
  const ids = versions.map(({ version_id }) => version_id);
  if (ids.length > 0) await db.deleteFrom('deleted_version').where('version_id', 'in', ids).execute();
}
