/** Rows of the catalog's tables. Times are milliseconds since the epoch; JSON is text. */
import type { Generated } from 'kysely';

export interface ModelTable {
  id: string;
  name: string;
  title: string;
  summary: string | null;
  task: string;
  /** Free text, for readers. */
  owner: string | null;
  /** The account that owns it; null if it is the operator's. */
  account: string | null;
  license: string | null;
  visibility: 'public' | 'private';
  /** Whether it is a folder of the model store, or was registered by an account. */
  origin: 'store' | 'account';
  /** JSON of ModelCard. */
  card: string;
  /** `champion` if set, else the newest READY version; kept in the transaction that changes either. */
  default_version_id: string | null;
  /** `framework_name` and `artifact_bytes` of the default version, kept with `default_version_id`, for filters and facets. */
  default_framework: string | null;
  default_bytes: number | null;
  /** Row id in the full-text index; null until the model is indexed. */
  search_id: number | null;
  retention_days: number | null;
  created_at: number;
  updated_at: number;
}

/** Kept by triggers, and not written otherwise: see `kept-tables.ts`. */
export interface ModelMetricTable {
  /** Of the model. */
  search_id: number;
  name: string;
  value: number;
  dataset_id: string;
}

/** Kept by triggers, and not written otherwise: see `kept-tables.ts`. */
export interface ModelScoreTable {
  /** Of the model. */
  search_id: number;
  name: string;
  dataset_id: string;
  value: number;
  model_id: string;
}

/** The last day on which an account had predictions of a model: one of the last `RECENT_DAYS`. */
export interface ModelUseTable {
  account: string;
  model_id: string;
  /** Days from 1970 to that day, in UTC. */
  used_on: number;
}

/** Kept by triggers, and not written otherwise: see `kept-tables.ts`. */
export interface FacetCountTable {
  field: 'TASK' | 'TAG' | 'LICENSE' | 'FRAMEWORK' | 'OWNER';
  value: string;
  visibility: 'public' | 'private';
  /** Empty for public models, and for private ones of the operator. */
  account: string;
  count: number;
}

export interface ModelTagTable {
  model_id: string;
  tag: string;
}

export interface VersionTable {
  id: string;
  model_id: string;
  number: number;
  state: 'READY' | 'FAILED' | 'ARCHIVED';
  state_reason: string | null;
  /** JSON of VersionSpec; null for a version that failed before it could be read. */
  spec: string | null;
  /** Digest of all files that the version was imported from; the same digest is never imported twice. */
  source_sha256: string;
  artifact_sha256: string | null;
  artifact_bytes: number | null;
  parameter_count: number | null;
  opset: number | null;
  producer: string | null;
  /** Such as "tensorflow 2.21.0"; `framework_name` is its first word. */
  framework: string | null;
  framework_name: string | null;
  /** JSON of VariantSpec[]: other forms of the same graph, such as quantized ones. */
  variants: string;
  preload: number;
  test_dataset: string | null;
  /** JSON of Verification; null if the version failed, or was imported by a release that did not record it. */
  verification: string | null;
  /** Fingerprint of the key whose signature was verified; null if none was. */
  signed_by: string | null;
  created_at: number;
  updated_at: number;
}

/** How long a version takes by batch size, in one environment. */
export interface LatencyTable {
  version_id: string;
  /** '' for the version itself. */
  variant: string;
  /** CPU model and number of cores. */
  machine: string;
  /** Execution provider. */
  provider: string;
  /** Version of ONNX Runtime. */
  runtime: string;
  /** JSON of LatencyPoint[]. */
  points: string;
  /** Memory of a loaded copy; null if the platform cannot tell. */
  resident_bytes: number | null;
  measured_at: number;
}

export interface AliasTable {
  model_id: string;
  name: string;
  version_id: string;
  updated_at: number;
}

export interface AliasChangeTable {
  /** Grows with each row. */
  sequence: Generated<number>;
  model_id: string;
  alias: string;
  version_id: string;
  /** Null if this created the alias. */
  previous_version_id: string | null;
  /** The change whose version a rollback restored; null if this was none. */
  restores: number | null;
  changed_at: number;
  /** Who made it; null for changes before there was a history. */
  account: string | null;
  reason: string | null;
  /** Whether the version passed the gate of the alias; null if there was none, and for rollbacks. */
  gate: 'PASSED' | 'OVERRIDDEN' | null;
}

/** What a version must have shown before an alias is pointed to it. */
export interface GateTable {
  model_id: string;
  alias: string;
  dataset_id: string;
  /** When the gate was set. */
  dataset_name: string;
  /** Of the rows that evaluations must be of. */
  rows_sha256: string;
  /** JSON of GateCondition[]. */
  conditions: string;
  updated_at: number;
}

/** How often versions were judged on the same rows, whatever the conditions were. */
export interface GateAttemptTable {
  model_id: string;
  alias: string;
  rows_sha256: string;
  attempts: number;
}

export interface DatasetTable {
  id: string;
  name: string;
  title: string;
  family: string | null;
  split: string | null;
  task: string;
  row_count: number | null;
  sha256: string | null;
  license: string | null;
  source: string | null;
  description: string | null;
  target: string | null;
  visibility: 'public' | 'private';
  /** JSON of ColumnSpec[]. */
  columns: string;
  /** JSON array of the first rows. */
  preview: string;
  /** Who owns it; null if it is the operator's. */
  account: string | null;
  /** Whether it comes from the model store, or an account has registered it. */
  origin: 'store' | 'account';
  /** Digest of all rows as they are stored; null if none are. */
  rows_sha256: string | null;
  row_bytes: number | null;
  /** Digest of what the rows were read from, and how; null if none are stored. */
  read_key: string | null;
  created_at: number;
  updated_at: number;
}

/** Consecutive rows of a dataset, in a blob of JSON lines. */
export interface DatasetPieceTable {
  dataset_id: string;
  /** 1 for the first row of the dataset. */
  first_row: number;
  row_count: number;
  sha256: string;
  size_bytes: number;
  /** JSON array: where the line of each row ends, in bytes. */
  ends: string;
}

/** An image that rows of a dataset name by digest, or a thumbnail of it, in a blob. */
export interface DatasetImageTable {
  dataset_id: string;
  /** Digest of the image. */
  image: string;
  /** Longest edge of the thumbnail, in pixels; 0 for the image itself. */
  max_size: number;
  sha256: string;
  size_bytes: number;
  media_type: string;
  width: number;
  height: number;
}

export interface VersionDatasetTable {
  version_id: string;
  dataset_id: string;
}

/** A version whose model was deleted, until its predictions are deleted too. */
export interface DeletedVersionTable {
  version_id: string;
  deleted_at: number;
}

/** What is to be erased: kept until all of it is, and as a record. */
export interface ErasureTable {
  id: string;
  account: string;
  /** Digest of the subject; null for all. */
  subject: string | null;
  /** Id of an API key; null for all. */
  key_id: string | null;
  /** When the predictions were made, from the first time on and before the second one. */
  made_from: number;
  made_before: number;
  /** JSON list of ids of predictions; null for all. */
  predictions: string | null;
  /** Keys of data that were made later are kept. */
  last_data_key: number;
  deleted: number;
  /** Of these, those whose keys were not destroyed. */
  left_in_backups: number;
  requested_at: number;
  /** Null until all is erased. */
  finished_at: number | null;
}
