/** Rows of the database of keys. Times are in milliseconds since 1970. */
import type { Generated } from 'kysely';

export interface DataKeyTable {
  id: Generated<number>;
  /** `data` keys seal values; the `index` key of an account makes digests that must be the same every time. */
  kind: 'data' | 'index';
  account: string;
  /** Of the API key that values were sent with; empty if there was none. */
  api_key: string;
  /** The day that values were made on, such as "2026-11-27", or their month, in UTC; empty for an index key. */
  period: string;
  /** Digest of the subject, made with the index key of the account; empty if there is none. */
  subject: string;
  /** The master key that it is wrapped with. */
  master_id: string;
  /** The key, sealed with the master key. */
  wrapped: Uint8Array;
  /** How often the key may have been used. */
  uses: number;
  created_at: number;
}

/** One row: the master key that new data keys are wrapped with. */
export interface MasterKeyTable {
  id: number;
  master_id: string;
}
