/** Rows of the tables for access, in the catalog database. Times are in milliseconds since 1970. */
import type { Generated } from 'kysely';

export interface ApiKeyTable {
  /** The part of the key that is not secret. */
  id: string;
  /** SHA-256 of the secret, in hexadecimal. The secret has 190 random bits, so that it cannot be guessed from it. */
  secret_sha256: string;
  account: string;
  name: string;
  kind: 'secret' | 'publishable';
  /** JSON lists. Null: no restriction. */
  roles: string;
  operations: string | null;
  models: string | null;
  origins: string | null;
  /** JSON of `QuotaLimits`. Null: nothing is limited, or, for a publishable key, the defaults. */
  limits: string | null;
  limits_changed_at: number | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
  /** The id of the key that `rotateApiKey` made of it. */
  replaced_by: string | null;
  /** Up to a minute late; null if it was never used. */
  last_used_at: number | null;
}

export interface AuditLogTable {
  /** 1 for the first entry, without gaps. */
  sequence: number;
  at: number;
  account: string;
  key_id: string | null;
  /** Of the token that the change was made with. */
  issuer: string | null;
  subject: string | null;
  action: string;
  target: string;
  reason: string | null;
  /** JSON. */
  before: string | null;
  after: string | null;
  /** Of this entry and the digest of the one before, in hexadecimal. */
  sha256: string;
}

export interface RegisteredOperationTable {
  /** Grows with each row, and is never used again. */
  sequence: Generated<number>;
  /** `sha256:` and the digest of the document, or its SHA-1, in hexadecimal. */
  id: string;
  name: string;
  type: 'query' | 'mutation';
  document: string;
  /** Of the document, as UTF-8. */
  bytes: number;
  published_at: number;
}

/** One row: the newest entry of the audit log. */
export interface AuditHeadTable {
  id: number;
  sequence: number;
  sha256: string;
}
