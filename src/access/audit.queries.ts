/** SQL of the audit log. Entries are only added: triggers refuse any other change. */
import type { Transaction } from 'kysely';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { AuditLogTable } from '../storage/migrations/access.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap } from '../storage/sql.js';
import type { ApiKey } from './api-key.js';
import { type AuditEntry, type AuditHead, type AuditVerifier, digestOf, EMPTY_LOG } from './audit.js';
import type { Principal, Token } from './principal.js';

/** A change, and the states before and after it as plain values. They must not contain secrets. */
export interface AuditedChange extends Pick<AuditEntry, 'action' | 'target'> {
  readonly reason: string | null;
  readonly before: object | null;
  readonly after: object | null;
}

/** Who makes a change: a principal, or what is known of one later. */
export interface Author extends Pick<Principal, 'id'> {
  readonly key: Pick<ApiKey, 'id'> | null;
  readonly token: Pick<Token, 'issuer' | 'subject'> | null;
}

/** Rows that one statement adds, so that neither its parameters nor the time to make it are many. */
const ROWS_PER_STATEMENT = 100;

/** To be called in the transaction of the change, so that there is no change without its entry. */
export function appendAudit(trx: Transaction<CatalogTables>, author: Author, change: AuditedChange): Promise<void> {
  return appendAuditEntries(trx, author, [change]);
}

/** As `appendAudit`, for many changes in order. */
export async function appendAuditEntries(
  trx: Transaction<CatalogTables>,
  author: Author,
  changes: readonly AuditedChange[],
): Promise<void> {
  if (changes.length === 0) return;
  let head = await findAuditHead(trx);
  for (let start = 0; start < changes.length; start += ROWS_PER_STATEMENT) {
    const rows: AuditLogTable[] = [];
    for (const change of changes.slice(start, start + ROWS_PER_STATEMENT)) {
      const row = rowAfter(head, author, change);
      rows.push(row);
      head = row;
    }
    await trx.insertInto('audit_log').values(rows).execute();
  }
  const { sequence, sha256 } = head;
  await trx
    .insertInto('audit_head')
    .values({ id: 1, sequence, sha256 })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ sequence, sha256 }))
    .execute();
}

function rowAfter(
  head: AuditHead,
  { id, key, token }: Author,
  { action, target, reason, before, after }: AuditedChange,
): AuditLogTable {
  const fields = {
    sequence: head.sequence + 1,
    at: new Date(),
    account: id,
    keyId: key?.id ?? null,
    issuer: token?.issuer ?? null,
    subject: token?.subject ?? null,
    action,
    // The database stores well-formed text only, and the digest must be of what it stores.
    target: target.toWellFormed(),
    reason: reason?.toWellFormed() ?? null,
    before: before && JSON.stringify(before),
    after: after && JSON.stringify(after),
  };
  const { at, keyId, ...rest } = fields;
  return { ...rest, at: at.getTime(), key_id: keyId, sha256: digestOf(head.sha256, fields) };
}

export async function findAuditHead(db: CatalogDatabase): Promise<AuditHead> {
  const head = await db.selectFrom('audit_head').select(['sequence', 'sha256']).executeTakeFirst();
  return head ?? EMPTY_LOG;
}

/** Up to `limit` entries after one, oldest first. */
export async function findAuditEntriesAfter(
  db: CatalogDatabase,
  sequence: number,
  limit: number,
): Promise<AuditEntry[]> {
  const rows = await db
    .selectFrom('audit_log')
    .selectAll()
    .where('sequence', '>', sequence)
    .orderBy('sequence')
    .limit(limit)
    .execute();
  return rows.map(toEntry);
}

const ENTRIES_AT_A_TIME = 1_000;

/** Returns what is wrong with the log, up to `max` problems. A server may add entries meanwhile. */
export async function findAuditProblems(db: CatalogDatabase, verifier: AuditVerifier, max: number): Promise<string[]> {
  const problems: string[] = [];
  for (let head: AuditHead | null = null; problems.length < max; ) {
    const entries = await findAuditEntriesAfter(db, verifier.last.sequence, ENTRIES_AT_A_TIME);
    for (const entry of entries) problems.push(...orNone(verifier.next(entry)));
    if (entries.length > 0) continue;
    // The entries of an earlier head must have been found; those of a later one may have been added since.
    if (head && head.sequence > verifier.last.sequence) return [...problems, ...orNone(verifier.end(head))];
    head = await findAuditHead(db);
    if (head.sequence <= verifier.last.sequence) return [...problems, ...orNone(verifier.end(head))];
  }
  return problems.slice(0, max);
}

function orNone(problem: string | null): string[] {
  return problem === null ? [] : [problem];
}

/** Entries newest first; `target`: only those about it. @throws BadArgumentError */
export async function findAuditPage<T>(
  db: CatalogDatabase,
  { first, after }: PageArgs,
  target: string | null,
  toNode: (entry: AuditEntry) => T,
): Promise<Page<T>> {
  const list = listId('auditLog', target);
  let query = db.selectFrom('audit_log').selectAll().orderBy('sequence', 'desc');
  if (target !== null) query = query.where('target', '=', target);
  const start = after == null ? null : (decodeCursor(list, after, ['number'])[0] as number);
  if (start !== null) query = query.where('sequence', '<', start);
  return pageOf(
    await query.limit(checkFirst(first) + 1).execute(),
    { first, after },
    {
      toNode: (row) => toNode(toEntry(row)),
      list,
      keyOf: ({ sequence }) => [sequence],
      countTotal: async () => totalOf(await countAuditEntries(db, target)),
    },
  );
}

/** Counted up to `MAX_COUNT + 1`. */
async function countAuditEntries(db: CatalogDatabase, target: string | null): Promise<number> {
  let query = db.selectFrom('audit_log');
  if (target !== null) query = query.where('target', '=', target);
  return (await db.selectNoFrom(countUpToCap(query).as('count')).executeTakeFirstOrThrow()).count;
}

function toEntry({ key_id, at, ...row }: AuditLogTable): AuditEntry {
  return { ...row, keyId: key_id, at: new Date(at) };
}
