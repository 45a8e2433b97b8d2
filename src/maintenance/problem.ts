/** What `npm run fsck` finds, and what it can do about it. */
import type { Transaction } from 'kysely';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogTables, Databases } from '../storage/database.js';

export type ProblemCode =
  | 'FILE_DAMAGED'
  | 'SCHEMA_DIFFERS'
  | 'REFERENCE_BROKEN'
  | 'ROW_INVALID'
  | 'DEFAULT_VERSION_WRONG'
  | 'KEPT_TABLE_WRONG'
  | 'SEARCH_INDEX_WRONG'
  | 'AUDIT_LOG_BROKEN'
  | 'KEYS_UNREADABLE'
  | 'ERASED_LEFT'
  | 'BLOB_MISSING'
  | 'BLOB_DAMAGED'
  | 'BLOB_UNUSED'
  | 'FILE_LEFT_OVER';

export interface Problem {
  readonly code: ProblemCode;
  /** The row or the file, such as "version spam-filter:1". */
  readonly where: string;
  readonly message: string;
  /** Null if there is nothing from which it could be repaired. */
  readonly repair: Repair | null;
}

/** What repairs need beside the catalog. */
export interface RepairParts {
  readonly databases: Databases;
  readonly blobs: BlobFolder;
  /** The model store. */
  readonly store: string;
}

/** A change of the catalog is made together with its entry in the audit log. */
export type Repair = { readonly does: string } & (
  | { readonly inCatalog: (trx: Transaction<CatalogTables>) => Promise<unknown> }
  | { readonly beside: (parts: RepairParts) => Promise<unknown> }
);

/** Tells how far a long check is. */
export type Progress = (what: string, done: number) => void;
