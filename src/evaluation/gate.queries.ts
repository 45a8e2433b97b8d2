/** SQL of the gates of aliases. */
import { type Selectable, sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import { maySeeModel } from '../catalog/visibility.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { GateTable } from '../storage/migrations/catalog.table.js';
import { rowCount } from '../storage/sql.js';
import type { GateCondition } from './gate-verdict.js';

type Trx = Transaction<CatalogTables>;

export interface StoredGate {
  readonly modelId: string;
  readonly alias: string;
  readonly datasetId: string;
  readonly datasetName: string;
  readonly rowsSha256: string;
  readonly conditions: readonly GateCondition[];
  readonly updatedAt: Date;
  /** How often versions were judged on these rows. */
  readonly attempts: number;
}

/** The gates of these models, in order of the aliases. */
export async function findGates(
  db: CatalogDatabase,
  principal: Principal,
  modelIds: readonly string[],
): Promise<StoredGate[]> {
  const rows = await db
    .selectFrom('gate')
    .innerJoin('model', 'model.id', 'gate.model_id')
    .leftJoin('gate_attempt', (join) =>
      join
        .onRef('gate_attempt.model_id', '=', 'gate.model_id')
        .onRef('gate_attempt.alias', '=', 'gate.alias')
        .onRef('gate_attempt.rows_sha256', '=', 'gate.rows_sha256'),
    )
    .where('gate.model_id', 'in', modelIds)
    .where(maySeeModel(principal))
    .selectAll('gate')
    .select(sql<number>`coalesce(gate_attempt.attempts, 0)`.as('attempts'))
    .orderBy('gate.model_id')
    .orderBy('gate.alias')
    .execute();
  return rows.map(toGate);
}

function toGate(row: Selectable<GateTable> & { readonly attempts: number }): StoredGate {
  return {
    modelId: row.model_id,
    alias: row.alias,
    datasetId: row.dataset_id,
    datasetName: row.dataset_name,
    rowsSha256: row.rows_sha256,
    conditions: JSON.parse(row.conditions),
    updatedAt: new Date(row.updated_at),
    attempts: row.attempts,
  };
}

/** Who owns the model; undefined if it was deleted. */
export async function findModelAccount(trx: Trx, modelId: string): Promise<{ account: string | null } | undefined> {
  return trx.selectFrom('model').select('account').where('id', '=', modelId).executeTakeFirst();
}

export async function countGates(trx: Trx, modelId: string): Promise<number> {
  const rows = trx.selectFrom('gate').select(rowCount().as('count')).where('model_id', '=', modelId);
  return (await rows.executeTakeFirstOrThrow()).count;
}

/** Replaces the gate of the alias. */
export async function saveGate(trx: Trx, { model_id, alias, ...values }: GateTable): Promise<void> {
  await trx
    .insertInto('gate')
    .values({ model_id, alias, ...values })
    .onConflict((conflict) => conflict.columns(['model_id', 'alias']).doUpdateSet(values))
    .execute();
}

/** The attempts stay, for a later gate on the same rows. */
export async function deleteGate(trx: Trx, modelId: string, alias: string): Promise<void> {
  await trx.deleteFrom('gate').where('model_id', '=', modelId).where('alias', '=', alias).execute();
}
