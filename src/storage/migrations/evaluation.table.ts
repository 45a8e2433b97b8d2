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
