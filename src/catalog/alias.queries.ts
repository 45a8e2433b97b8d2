/** SQL of aliases and their history. */
import { type Selectable, sql, type Transaction } from 'kysely';
import type { Author } from '../access/audit.queries.js';
import type { Principal } from '../access/principal.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { AliasChangeTable, AliasTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pagesByParent } from '../storage/pages.js';
import { countUpToCap, idsOf, rowsOf } from '../storage/sql.js';
import { Alias, AliasChange } from './alias.type.js';
import { chooseDefaultVersion, touchModel } from './registration.queries.js';
import { maySeeModel } from './visibility.js';

type Trx = Transaction<CatalogTables>;

/** An alias of a model. */
interface AliasName {
  readonly modelId: string;
  readonly alias: string;
}

/** Where an alias is moved, by whom and why. `restores`: the change whose version a rollback restores. */
interface AliasMove extends AliasName {
  readonly versionId: string;
  readonly author: Author;
  readonly reason: string | null;
  readonly restores: number | null;
  /** By default, that there is none. */
  readonly gate?: AliasChangeTable['gate'];
}

interface AliasState {
  readonly sequence: number;
  readonly versionId: string;
}

/** Points the alias to the version. Returns the number of the version before, or null if this creates the alias. */
export async function moveAlias(trx: Trx, move: AliasMove, now: number): Promise<number | null> {
  const { modelId, alias, versionId, author, reason, restores, gate = null } = move;
  const before = await trx
    .selectFrom('alias')
    .innerJoin('version', 'version.id', 'alias.version_id')
    .select(['version.id', 'version.number'])
    .where('alias.model_id', '=', modelId)
    .where('alias.name', '=', alias)
    .executeTakeFirst();
  await trx
    .insertInto('alias')
    .values({ model_id: modelId, name: alias, version_id: versionId, updated_at: now })
    .onConflict((conflict) =>
      conflict.columns(['model_id', 'name']).doUpdateSet({ version_id: versionId, updated_at: now }),
    )
    .execute();
  if (before?.id !== versionId)
    await trx
      .insertInto('alias_change')
      .values({
        model_id: modelId,
        alias,
        version_id: versionId,
        previous_version_id: before?.id ?? null,
        restores,
        changed_at: now,
        account: author.id,
        reason: reason?.toWellFormed() ?? null,
        gate,
      })
      .execute();
  await chooseDefaultVersion(trx, modelId);
  await touchModel(trx, modelId, now);
  return before?.number ?? null;
}

/** Those of the aliases that have a gate. */
export async function findGatedAliases(trx: Trx, modelId: string, aliases: readonly string[]): Promise<string[]> {
  const rows = await trx
    .selectFrom('gate')
    .select('alias')
    .where('model_id', '=', modelId)
    .where('alias', 'in', aliases)
    .orderBy('alias')
    .execute();
  return rows.map(({ alias }) => alias);
}

/** Returns how many there are, this one included. */
export async function addGateAttempt(
  trx: Trx,
  { modelId, alias, rowsSha256 }: AliasName & { readonly rowsSha256: string },
): Promise<number> {
  const row = await trx
    .insertInto('gate_attempt')
    .values({ model_id: modelId, alias, rows_sha256: rowsSha256, attempts: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['model_id', 'alias', 'rows_sha256'])
        .doUpdateSet(({ eb }) => ({ attempts: eb('gate_attempt.attempts', '+', 1) })),
    )
    .returning('attempts')
    .executeTakeFirstOrThrow();
  return row.attempts;
}

/**
 * The last change of an alias, and what a rollback restores: the state before the one that the alias is in. A state that a
 * rollback restored counts at its first place, so that rollbacks in a row go further and further back. Null: there is none.
 */
export async function findRollback(
  db: CatalogDatabase,
  principal: Principal,
  { modelId, alias }: AliasName,
): Promise<{ last: number | null; target: AliasState | null }> {
  const changes = db
    .selectFrom('alias_change')
    .innerJoin('model', 'model.id', 'alias_change.model_id')
    .select(['sequence', 'version_id', 'restores'])
    .where('model_id', '=', modelId)
    .where('alias', '=', alias)
    .where(maySeeModel(principal))
    .orderBy('sequence', 'desc')
    .limit(1);
  const last = await changes.executeTakeFirst();
  if (!last) return { last: null, target: null };
  const target = await changes.where('sequence', '<', last.restores ?? last.sequence).executeTakeFirst();
  return {
    last: last.sequence,
    target: target ? { sequence: target.restores ?? target.sequence, versionId: target.version_id } : null,
  };
}

export async function findAliases(
  db: CatalogDatabase,
  principal: Principal,
  by: 'alias.model_id' | 'alias.version_id',
  ids: readonly string[],
): Promise<Alias[]> {
  const rows = await db
    .selectFrom('alias')
    .innerJoin('model', 'model.id', 'alias.model_id')
    .selectAll('alias')
    .where(by, 'in', ids)
    .where(maySeeModel(principal))
    .orderBy('alias.name')
    .execute();
  return rows.map(toAlias);
}

/** For each model, the version that its alias pointed to at a time; none for models that had no such alias. */
export async function findAliasesAsOf(
  db: CatalogDatabase,
  principal: Principal,
  { alias, asOfMs }: { readonly alias: string; readonly asOfMs: number },
  modelIds: readonly string[],
): Promise<{ modelId: string; versionId: string }[]> {
  const rows = await db
    .selectFrom(rowsOf(idsOf(modelIds)).as('parent'))
    .innerJoin('model', 'model.id', 'parent.id')
    .innerJoin('alias_change as change', (join) =>
      join.on('change.sequence', '=', (eb) =>
        eb
          .selectFrom('alias_change')
          .select('sequence')
          .whereRef('model_id', '=', 'parent.id')
          .where('alias', '=', alias)
          .where('changed_at', '<=', asOfMs)
          .orderBy('sequence', 'desc')
          .limit(1),
      ),
    )
    .where(maySeeModel(principal))
    .select(['change.model_id', 'change.version_id'])
    .execute();
  return rows.map(({ model_id, version_id }) => ({ modelId: model_id, versionId: version_id }));
}

/** A page of the changes of each model's aliases, or of one alias, newest first. @throws BadArgumentError */
export async function findAliasChangePages(
  db: CatalogDatabase,
  principal: Principal,
  alias: string | null,
  modelIds: readonly string[],
  { first, after }: PageArgs,
): Promise<Map<string, Page<AliasChange>>> {
  const parents = idsOf(modelIds);
  const ofParent = () => {
    const changes = db.selectFrom('alias_change').where(sql.ref('model_id'), '=', sql.ref('parent.id'));
    return alias === null ? changes : changes.where('alias', '=', alias);
  };
  const newest = ofParent()
    .select('sequence')
    .orderBy('sequence', 'desc')
    .limit(checkFirst(first) + 1);
  const isOnPage =
    after == null ? newest : newest.where('sequence', '<', changeBefore(modelIds[0] as string, alias, after));
  const rows = await db
    .selectFrom(rowsOf(parents).as('parent'))
    .innerJoin('model', 'model.id', 'parent.id')
    .innerJoin('alias_change as change', (join) => join.on('change.sequence', 'in', isOnPage))
    .where(maySeeModel(principal))
    .selectAll('change')
    .select('parent.id as parent_id')
    .orderBy('change.sequence', 'desc')
    .execute();
  return pagesByParent(
    modelIds,
    rows,
    { first, after },
    {
      toNode: toAliasChange,
      listOf: (modelId) => listOf(modelId, alias),
      keyOf: ({ sequence }) => [sequence],
      countTotals: () =>
        db
          .selectFrom(rowsOf(parents).as('parent'))
          .select(['parent.id as parent_id', countUpToCap(ofParent()).as('count')])
          .execute(),
    },
  );
}

/** The change that a cursor marks. @throws BadArgumentError if the cursor belongs to another list */
export function changeBefore(modelId: string, alias: string | null, after: string): number {
  return decodeCursor(listOf(modelId, alias), after, ['number'])[0] as number;
}

function listOf(modelId: string, alias: string | null): string {
  return listId('aliasHistory', modelId, alias);
}

function toAlias(row: AliasTable): Alias {
  return create(Alias, {
    name: row.name,
    versionId: row.version_id,
    modelId: row.model_id,
    updatedAt: new Date(row.updated_at),
  });
}

function toAliasChange(row: Selectable<AliasChangeTable>): AliasChange {
  return create(AliasChange, {
    alias: row.alias,
    changedAt: new Date(row.changed_at),
    isRollback: row.restores !== null,
    modelId: row.model_id,
    versionId: row.version_id,
    previousVersionId: row.previous_version_id,
    account: row.account,
    statedReason: row.reason,
    gateOutcome: row.gate,
  });
}
