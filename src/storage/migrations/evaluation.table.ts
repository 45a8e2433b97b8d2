/** Rows of the evaluation tables. */

export interface EvaluationTable {
  id: string;
  version_id: string;
  dataset_id: string;
  origin: 'IMPORTED' | 'COMPUTED';
  job_state: 'QUEUED' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';
  evaluated_rows: number | null;
  created_at: number;
  finished_at: number | null;
}

export interface MetricTable {
  evaluation_id: string;
  /** Position in the list of metrics, from 0. */
  ordinal: number;
  name: string;
  average: string | null;
  label: string | null;
  value: number | null;
  undefined_reason: string | null;
  higher_is_better: number;
  interval_low: number | null;
  interval_high: number | null;
  interval_level: number | null;
  interval_method: string | null;
}

/** Of an evaluation that this server computes. */
export interface EvaluationJobTable {
  evaluation_id: string;
  /** Who asked for it. */
  account: string;
  /** What the numbers depend on: the graph, the rows, what was asked for, the execution provider and the version of ONNX Runtime. */
  artifact_sha256: string;
  rows_sha256: string;
  row_count: number;
  /** JSON of Slice[]. */
  slices: string;
  /** JSON of Importance, or of null. */
  importance: string;
  provider: string;
  runtime: string;
  /** Rows so far that the version did not answer. */
  failed_rows: number;
  /** JSON of FailedRow[]: the first of them. */
  row_problems: string;
  /** Why it FAILED. */
  problem: string | null;
  /** How often it was begun since the last piece was stored. */
  attempts: number;
}

/** The answers to one piece of the dataset, in a blob: see `evaluation/answers-file.ts`. */
export interface EvaluationPieceTable {
  evaluation_id: string;
  /** 1 for the first row of the dataset. */
  first_row: number;
  /** Of the piece of the dataset, with those that have no answer. */
  row_count: number;
  sha256: string;
}

/** What an evaluation has besides its metrics. */
export interface EvaluationPartTable {
  evaluation_id: string;
  kind: 'CONFUSION' | 'ROC' | 'PR' | 'CALIBRATION' | 'SLICE' | 'IMPORTANCE';
  /** Position among those of its kind, from 0. */
  ordinal: number;
  /** The class that a curve is about, or the column that has the importance; null for other kinds. */
  label: string | null;
  /** JSON of Confusion, Curve, MeasuredSlice or ColumnImportance. */
  content: string;
}
