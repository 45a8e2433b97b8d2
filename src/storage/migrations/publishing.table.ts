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

export interface PublicationTable {
  id: string;
  account: string;
  /** Who published: the key, or the issuer and the subject of the token; null if there was none. */
  key_id: string | null;
  issuer: string | null;
  subject: string | null;
  model_id: string;
  /** JSON of PublishedFile[]. */
  files: string;
  /** JSON that is the model.yaml; null if it is among the files, or there is none. */
  manifest: string | null;
  /** JSON of string[]. */
  aliases: string;
  reason: string | null;
  /** As the version gets it: see VersionTable. */
  signed_by: string | null;
  stage: 'RECEIVED' | 'SCANNED' | 'PROBED' | 'PUBLISHED' | 'REFUSED';
  /** Why it was refused; null otherwise. */
  refusal: string | null;
  version_id: string | null;
  /** How often it was begun. */
  attempts: number;
  created_at: number;
  updated_at: number;
}
