/** Rows of the tables for publishing, in the catalog database. Times are in milliseconds since 1970. */

export interface UploadTable {
  /** Also the name of the file that holds the bytes. */
  id: string;
  account: string;
  /** The key that created it; null if there was none. */
  key_id: string | null;
  /** SHA-256 of the secret in the URL, in hexadecimal. */
  token_sha256: string;
  /** As the client named it. For people: nothing is opened by it. */
  file_name: string;
  size_bytes: number;
  /** Of the bytes, as announced, in hexadecimal. */
  sha256: string;
  /** When the bytes were found to have this digest; null before. */
  completed_at: number | null;
  created_at: number;
  expires_at: number;
}
