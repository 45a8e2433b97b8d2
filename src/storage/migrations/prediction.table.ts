/** Rows of the prediction database. Ids are UUIDv7, so their order is the order of creation. */

export interface PredictionTable {
  id: string;
  version_id: string;
  principal_id: string;
  created_at: number;
  /** The ModelInput as JSON, when it is small; otherwise `input_sha256` names a blob that holds it. */
  input: string | null;
  input_sha256: string | null;
  /** JSON of Answer. */
  answer: string;
  /** The label of a classification, for the filter. */
  label: string | null;
  /** JSON of Timing and Runtime. */
  timing: string;
  runtime: string;
  /** Whether part of the input was left out; null in rows of earlier releases. */
  truncated: number | null;
}

export interface IdempotencyTable {
  principal_id: string;
  key: string;
  prediction_id: string;
  /** Digest of version, variant and input. The same key with another digest is a conflict. */
  request_sha256: string;
  created_at: number;
}
