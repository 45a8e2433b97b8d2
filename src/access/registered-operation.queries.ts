/** The registered operations. For administrators and for the server, which looks up documents by their ids. */
import type { Transaction } from 'kysely';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { RegisteredOperationTable } from '../storage/migrations/access.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap, idsIn, idsOf } from '../storage/sql.js';

/** An operation that clients may run by its id. */
export interface RegisteredOperation {
  /** `sha256:` and the digest of the document, or its SHA-1, in lower-case hexadecimal. */
  readonly id: string;
  readonly name: string;
  readonly type: 'query' | 'mutation';
  readonly document: string;
  readonly publishedAt: Date;
}

/** So that neither the parameters of a statement nor the time to make it are many. */
const ROWS_PER_STATEMENT = 100;

export async function findRegisteredOperations(db: CatalogDatabase): Promise<RegisteredOperation[]> {
  const rows = await db.selectFrom('registered_operation').selectAll().orderBy('sequence').execute();
  return rows.map(toOperation);
}

/** Differs from before if an operation was added or removed: nothing else changes. */
export async function findRegisteredFingerprint(db: CatalogDatabase): Promise<string> {
  const { count, max } = db.fn;
  const found = await db
    .selectFrom('registered_operation')
    .select([count<number>('id').as('operations'), max('sequence').as('newest')])
    .executeTakeFirstOrThrow();
  return JSON.stringify(found);
}

export async function findRegisteredSize(
  trx: Transaction<CatalogTables>,
): Promise<{ readonly operations: number; readonly bytes: number }> {
  const { count, sum } = trx.fn;
  const { operations, bytes } = await trx
    .selectFrom('registered_operation')
    .select([count<number>('id').as('operations'), sum<number | null>('bytes').as('bytes')])
    .executeTakeFirstOrThrow();
  return { operations, bytes: bytes ?? 0 };
}

/** Those of the ids that are registered. */
export async function findRegisteredByIds(
  trx: Transaction<CatalogTables>,
  ids: readonly string[],
): Promise<RegisteredOperation[]> {
  const rows = await trx
    .selectFrom('registered_operation')
    .selectAll()
    .where('id', 'in', idsIn(idsOf(ids)))
    .execute();
  return rows.map(toOperation);
}

export async function insertRegisteredOperations(
  trx: Transaction<CatalogTables>,
  operations: readonly RegisteredOperation[],
): Promise<void> {
  for (let at = 0; at < operations.length; at += ROWS_PER_STATEMENT) {
    const rows = operations.slice(at, at + ROWS_PER_STATEMENT).map(({ publishedAt, ...operation }) => ({
      ...operation,
      bytes: Buffer.byteLength(operation.document),
      published_at: publishedAt.getTime(),
    }));
    await trx.insertInto('registered_operation').values(rows).execute();
  }
}

export async function deleteRegisteredOperations(
  trx: Transaction<CatalogTables>,
  ids: readonly string[],
): Promise<void> {
  await trx
    .deleteFrom('registered_operation')
    .where('id', 'in', idsIn(idsOf(ids)))
    .execute();
}

/** Operations newest first. @throws BadArgumentError */
export async function findRegisteredPage<T>(
  db: CatalogDatabase,
  { first, after }: PageArgs,
  toNode: (operation: RegisteredOperation) => T,
): Promise<Page<T>> {
  const list = listId('operations', null);
  let query = db.selectFrom('registered_operation').selectAll().orderBy('sequence', 'desc');
  const start = after == null ? null : (decodeCursor(list, after, ['number'])[0] as number);
  if (start !== null) query = query.where('sequence', '<', start);
  return pageOf(
    await query.limit(checkFirst(first) + 1).execute(),
    { first, after },
    {
      toNode: (row) => toNode(toOperation(row)),
      list,
      keyOf: ({ sequence }) => [sequence],
      countTotal: async () => {
        const counted = db.selectNoFrom(countUpToCap(db.selectFrom('registered_operation')).as('count'));
        return totalOf((await counted.executeTakeFirstOrThrow()).count);
      },
    },
  );
}

function toOperation({
  id,
  name,
  type,
  document,
  published_at,
}: Omit<RegisteredOperationTable, 'sequence'>): RegisteredOperation {
  return { id, name, type, document, publishedAt: new Date(published_at) };
}
