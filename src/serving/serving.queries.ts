/**
 * SQL of serving: reads a model with all versions, variants and aliases that references can name, in three statements.
 */
import type { Principal } from '../access/principal.js';
import { maySeeModel } from '../catalog/visibility.js';
import type { CatalogDatabase } from '../storage/database.js';
import { toFlag } from '../storage/sql.js';

export interface ServedRow {
  readonly id: string;
  readonly number: number;
  readonly state: 'READY' | 'FAILED' | 'ARCHIVED';
  readonly state_reason: string | null;
  readonly spec: string | null;
  readonly variants: string;
  readonly artifact_sha256: string | null;
  readonly artifact_bytes: number | null;
}

/** Undefined if there is no such model, or the principal may not see it: after the same statement. */
export async function findServedModel(db: CatalogDatabase, principal: Principal, name: string) {
  const model = await db
    .selectFrom('model')
    .selectAll()
    .where('name', '=', name)
    .where(maySeeModel(principal))
    .executeTakeFirst();
  if (!model) return undefined;
  const [versions, aliases] = await Promise.all([
    db
      .selectFrom('version')
      .select(['id', 'number', 'state', 'state_reason', 'spec', 'variants', 'artifact_sha256', 'artifact_bytes'])
      .where('model_id', '=', model.id)
      .execute(),
    db.selectFrom('alias').select(['name', 'version_id']).where('model_id', '=', model.id).execute(),
  ]);
  return { model, versions, aliases };
}

/** References of the versions that are loaded at start. */
export async function findPreloadedRefs(db: CatalogDatabase): Promise<string[]> {
  const rows = await db
    .selectFrom('version')
    .innerJoin('model', 'model.default_version_id', 'version.id')
    .select(['model.name', 'version.number'])
    .where('version.preload', '=', toFlag(true))
    .where('version.state', '=', 'READY')
    .execute();
  return rows.map(({ name, number }) => `${name}:${number}`);
}

/** Default versions that can run, in the order of their models' names, from the first name after `after`. */
export async function findReadyRefs(
  db: CatalogDatabase,
  after: string,
  limit: number,
): Promise<{ readonly name: string; readonly ref: string }[]> {
  const rows = await db
    .selectFrom('version')
    .innerJoin('model', 'model.default_version_id', 'version.id')
    .select(['model.name', 'version.number'])
    .where('version.state', '=', 'READY')
    .where('model.name', '>', after)
    .orderBy('model.name')
    .limit(limit)
    .execute();
  return rows.map(({ name, number }) => ({ name, ref: `${name}:${number}` }));
}
