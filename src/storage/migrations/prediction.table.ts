/** Rows of the prediction database. Ids are UUIDv7, so their order is the order of creation. */

export interface PredictionTable {
  id: string;
  version_id: string;
  principal_id: string;
  created_at: number;
  /** Rows of earlier releases: the ModelInput as JSON, when it is small; otherwise `input_sha256` names a blob that holds it. */
  input: string | null;
  /** The blob that holds the input, sealed. */
  input_sha256: string | null;
  /** Rows of earlier releases: JSON of Answer. Otherwise empty, as `timing` and `runtime`. */
  answer: string;
  /** Digest of the label of a classification, for the filter; the label itself in rows of earlier releases. */
  label: string | null;
  /** Rows of earlier releases: JSON of Timing and Runtime. */
  timing: string;
  runtime: string;
  /** Whether part of the input was left out; null in rows of earlier releases. */
  truncated: number | null;
  /** The key that the row and its blob are sealed with; null in rows of earlier releases, which are sealed in the background. */
  data_key: number | null;
  /** Timing, Runtime, input and, if it is small, the answer: see `sealed-contents.ts`. */
  sealed: Uint8Array | null;
  /** A large answer. */
  sealed_answer: Uint8Array | null;
}

/** One of the labels of an answer that may have several: of objects, spans, masks or targets. */
export interface AnswerLabelTable {
  version_id: string;
  /** As that of a classification: its digest. */
  label: string;
  prediction_id: string;
}

/** What turned out to be true of a prediction. */
export interface OutcomeTable {
  prediction_id: string;
  /** As of the prediction. */
  version_id: string;
  principal_id: string;
  /** The key that `sealed` is sealed with a key derived from: that of the prediction. */
  data_key: number;
  /** Later ones have replaced the first outcome, but not its time. */
  first_recorded_at: number;
  recorded_at: number;
  /** See `prediction/sealed-outcome.ts`. */
  sealed: Uint8Array;
}

/** An image of a prediction. */
export interface PictureTable {
  prediction_id: string;
  /** Which of the prediction's images: "input". */
  name: string;
  /** Of a thumbnail, the longest edge that was asked for, in pixels; 0 for the image itself. */
  max_size: number;
  /** In pixels, as the image is shown. */
  width: number;
  height: number;
  media_type: string;
  size_bytes: number;
  /** The blob that holds it, sealed in chunks: see `vault/file-key.ts`. Null if it is in the row of the prediction. */
  sha256: string | null;
}

export interface IdempotencyTable {
  principal_id: string;
  /** Digest of the key, as `request_sha256` is one of the request: plain ones if the prediction is not sealed. */
  key: string;
  prediction_id: string;
  /** Digest of reference, variant and input. The same key with another digest is a conflict. */
  request_sha256: string;
  created_at: number;
}

/** What a caller with quotas has used on the last day on which anything was used. */
export interface QuotaUseTable {
  /** `callerId` of the principal. */
  caller: string;
  /** Days from 1970 to that day, in UTC. */
  day: number;
  operations: number;
  compute_ms: number;
  bytes: number;
}
