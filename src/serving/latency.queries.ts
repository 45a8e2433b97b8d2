/** SQL of latency curves. A version has one for each variant and each environment in which it was measured. */
import type { Principal } from '../access/principal.js';
import { maySeeModel } from '../catalog/visibility.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { LatencyTable } from '../storage/migrations/catalog.table.js';

type MeasuredKey = Pick<LatencyTable, 'version_id' | 'variant' | 'machine' | 'provider' | 'runtime'>;
type MeasuredRow = Omit<LatencyTable, 'measured_at'>;

/** Newest environments kept per variant, so that a data folder that moves between machines does not grow without limit. */
const MAX_ENVIRONMENTS = 8;

/** The curves of versions without variants, in all environments. */
export function findLatencies(
  db: CatalogDatabase,
  principal: Principal,
  versionIds: readonly string[],
): Promise<MeasuredRow[]> {
  return db
    .selectFrom('latency')
    .innerJoin('version', 'version.id', 'latency.version_id')
    .innerJoin('model', 'model.id', 'version.model_id')
    .where(maySeeModel(principal))
    .where('latency.version_id', 'in', versionIds)
    .where('latency.variant', '=', '')
    .selectAll('latency')
    .execute();
}

/** For the engine, which measures for all callers. */
export async function findLatency(db: CatalogDatabase, key: MeasuredKey): Promise<string | null> {
  const row = await db
    .selectFrom('latency')
    .select('points')
    .where('version_id', '=', key.version_id)
    .where('variant', '=', key.variant)
    .where('machine', '=', key.machine)
    .where('provider', '=', key.provider)
    .where('runtime', '=', key.runtime)
    .executeTakeFirst();
  return row?.points ?? null;
}

export async function saveLatency(db: CatalogDatabase, row: LatencyTable): Promise<void> {
  const { version_id, variant } = row;
  await db.transaction().execute(async (trx) => {
    await trx.replaceInto('latency').values(row).execute();
    const newest = trx
      .selectFrom('latency')
      .select('measured_at')
      .where('version_id', '=', version_id)
      .where('variant', '=', variant)
      .orderBy('measured_at', 'desc')
      .limit(1)
      .offset(MAX_ENVIRONMENTS - 1);
    await trx
      .deleteFrom('latency')
      .where('version_id', '=', version_id)
      .where('variant', '=', variant)
      .where('measured_at', '<', newest)
      .execute();
  });
}
