/** SQL of the rows of datasets, and of datasets that accounts register. The rows are in blobs: see `row-pieces.ts`. */
import { type SqlBool, sql, type Transaction } from 'kysely';
import type { Principal } from '../access/principal.js';
import { maySeeDataset } from '../catalog/visibility.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { DatasetPieceTable, DatasetTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pagesByParent } from '../storage/pages.js';
import { idsOf, rowCount, rowsOf } from '../storage/sql.js';
import type { WrittenPiece } from './reading-thread.js';

type Trx = Transaction<CatalogTables>;

/** Where a row is: these bytes of a blob. */
export interface RowPlace {
  readonly number: number;
  readonly sha256: string;
  readonly offset: number;
  readonly length: number;
}

/** Pages of rows of these datasets. @throws BadArgumentError */
export async function findRowPages(
  db: CatalogDatabase,
  principal: Principal,
  datasetIds: readonly string[],
  { first, after }: PageArgs,
): Promise<Map<string, Page<RowPlace>>> {
  const from = 1 + (after == null ? 0 : lastRow(datasetIds[0] as string, after));
  const to = from + checkFirst(first);
  const pieces = await db
    .selectFrom(rowsOf(idsOf(datasetIds)).as('parent'))
    .innerJoin('dataset_piece', 'dataset_piece.dataset_id', 'parent.id')
    .innerJoin('dataset', 'dataset.id', 'parent.id')
    .where(maySeeDataset(principal))
    .where('dataset_piece.first_row', '<=', to)
    .where(
      'dataset_piece.first_row',
      '>=',
      sql<number>`(select max(before.first_row) from dataset_piece as before
      where before.dataset_id = parent.id and before.first_row <= ${from})`,
    )
    .select(['parent.id as parent_id', 'dataset_piece.first_row', 'dataset_piece.sha256', 'dataset_piece.ends'])
    .orderBy('dataset_piece.first_row')
    .execute();
  const rows = pieces.flatMap((piece) => placesIn(piece, from, to));
  return pagesByParent(
    datasetIds,
    rows,
    { first, after },
    {
      toNode: ({ parent_id: _, ...place }) => place,
      listOf: listOfRows,
      keyOf: ({ number }) => [number],
      countTotals: () => countRows(db, principal, datasetIds),
    },
  );
}

const listOfRows = (datasetId: string) => listId('rows', datasetId);

/** The row that a cursor marks. @throws BadArgumentError if the cursor belongs to another dataset */
export function lastRow(datasetId: string, after: string): number {
  return decodeCursor(listOfRows(datasetId), after, ['number'])[0] as number;
}

type FoundPiece = Pick<DatasetPieceTable, 'first_row' | 'sha256' | 'ends'> & { readonly parent_id: string };

/** The rows of a piece from `from` to `to`. */
function placesIn({ parent_id, first_row, sha256, ends: json }: FoundPiece, from: number, to: number) {
  const ends: number[] = JSON.parse(json);
  const places: (RowPlace & { parent_id: string })[] = [];
  for (let i = Math.max(0, from - first_row); i < ends.length && first_row + i <= to; i++) {
    const offset = i === 0 ? 0 : (ends[i - 1] as number);
    // Without the line break.
    places.push({ parent_id, number: first_row + i, sha256, offset, length: (ends[i] as number) - 1 - offset });
  }
  return places;
}

/** Where these rows of a dataset are, in order; without those that it does not have. */
export async function findRowPlaces(
  db: CatalogDatabase,
  principal: Principal,
  datasetId: string,
  numbers: readonly number[],
): Promise<RowPlace[]> {
  const wanted = JSON.stringify(numbers);
  const pieces = await db
    .selectFrom('dataset_piece')
    .innerJoin('dataset', 'dataset.id', 'dataset_piece.dataset_id')
    .where(maySeeDataset(principal))
    .where('dataset_piece.dataset_id', '=', datasetId)
    .where(
      sql<SqlBool>`exists (select 1 from json_each(${wanted}) where value >= dataset_piece.first_row
      and value < dataset_piece.first_row + dataset_piece.row_count)`,
    )
    .select(['dataset_piece.dataset_id as parent_id', 'first_row', 'dataset_piece.sha256', 'ends'])
    .orderBy('first_row')
    .execute();
  const isWanted = new Set(numbers);
  return pieces
    .flatMap((piece) => placesIn(piece, piece.first_row, Number.MAX_SAFE_INTEGER))
    .filter(({ number }) => isWanted.has(number))
    .map(({ parent_id: _, ...place }) => place);
}

async function countRows(db: CatalogDatabase, principal: Principal, ids: readonly string[]) {
  const query = db.selectFrom('dataset').where(maySeeDataset(principal)).where('id', 'in', ids);
  return query.select(['id as parent_id', sql<number>`coalesce(row_count, 0)`.as('count')]).execute();
}

/** The pieces of a dataset, in order, from the row `from` on. */
export async function findPieces(
  db: CatalogDatabase,
  principal: Principal,
  datasetId: string,
  { from = 1, limit }: { readonly from?: number; readonly limit: number },
): Promise<DatasetPieceTable[]> {
  return db
    .selectFrom('dataset_piece')
    .innerJoin('dataset', 'dataset.id', 'dataset_piece.dataset_id')
    .where(maySeeDataset(principal))
    .where('dataset_id', '=', datasetId)
    .where('first_row', '>=', from)
    .selectAll('dataset_piece')
    .orderBy('first_row')
    .limit(limit)
    .execute();
}

/** The dataset with this name whose rows were read the same way. */
export async function findReadDataset(
  db: CatalogDatabase,
  principal: Principal,
  name: string,
  readKey: string,
): Promise<DatasetTable | undefined> {
  const query = db.selectFrom('dataset').where(maySeeDataset(principal)).selectAll();
  return query.where('name', '=', name).where('read_key', '=', readKey).executeTakeFirst();
}

/** Those of the blobs that datasets need. */
export async function findBlobsOfDatasets(
  db: CatalogDatabase,
  principal: Principal,
  digests: readonly string[],
): Promise<string[]> {
  if (digests.length === 0) return [];
  const used = (table: 'dataset_piece' | 'dataset_image') =>
    db
      .selectFrom(table)
      .innerJoin('dataset', 'dataset.id', `${table}.dataset_id`)
      .where(maySeeDataset(principal))
      .where(`${table}.sha256`, 'in', digests)
      .select(`${table}.sha256`);
  const rows = await used('dataset_piece').union(used('dataset_image')).execute();
  return rows.map(({ sha256 }) => sha256);
}

/** Rows that one statement adds. */
const PIECES_A_STATEMENT = 100;

export async function replacePieces(trx: Trx, datasetId: string, pieces: readonly WrittenPiece[]): Promise<void> {
  await trx.deleteFrom('dataset_piece').where('dataset_id', '=', datasetId).execute();
  const rows = pieces.map(({ firstRow, ends, sha256, sizeBytes }) => ({
    dataset_id: datasetId,
    first_row: firstRow,
    row_count: ends.length,
    sha256,
    size_bytes: sizeBytes,
    ends: JSON.stringify(ends),
  }));
  for (let at = 0; at < rows.length; at += PIECES_A_STATEMENT)
    await trx
      .insertInto('dataset_piece')
      .values(rows.slice(at, at + PIECES_A_STATEMENT))
      .execute();
}

// ── datasets of accounts ──

export type RegisteredDataset = Omit<DatasetTable, 'id' | 'origin' | 'created_at' | 'updated_at'>;

/** Whether any dataset has the name, whoever may see it. */
export async function isTaken(trx: Trx, name: string): Promise<boolean> {
  return (await trx.selectFrom('dataset').select('id').where('name', '=', name).executeTakeFirst()) !== undefined;
}

export async function insertDataset(trx: Trx, dataset: RegisteredDataset, now: number): Promise<string> {
  const id = newId('Dataset');
  const rest = { id, origin: 'account' as const, created_at: now, updated_at: now };
  await trx
    .insertInto('dataset')
    .values({ ...dataset, ...rest })
    .execute();
  return id;
}

/** How many datasets an account has, or all have, and the bytes of their rows. */
export async function sumDatasets(trx: Trx, account: string | null): Promise<{ count: number; bytes: number }> {
  const all = trx.selectFrom('dataset').where('origin', '=', 'account');
  const chosen = account === null ? all : all.where('account', '=', account);
  const sum = await chosen
    .select((eb) => [rowCount().as('count'), eb.fn.coalesce(eb.fn.sum<number>('row_bytes'), eb.lit(0)).as('bytes')])
    .executeTakeFirstOrThrow();
  return { count: sum.count, bytes: Number(sum.bytes) };
}

export async function findDataset(trx: Trx, id: string): Promise<DatasetTable | undefined> {
  return trx.selectFrom('dataset').selectAll().where('id', '=', id).executeTakeFirst();
}

/** Deletes a dataset with its pieces and evaluations. */
export async function deleteDataset(trx: Trx, id: string): Promise<void> {
  await trx.deleteFrom('dataset').where('id', '=', id).execute();
}
