/**
 * The spec of a version: everything the service must know to check an input, run the graph and read its answer.
 *
 * Plain data, read once at import from the manifest and the graph, stored as JSON, shared by catalog, server and worker.
 */

/** The tasks this server can run, in the Hugging Face vocabulary. */
export const TASKS = [
  'TABULAR_CLASSIFICATION',
  'TABULAR_REGRESSION',
  'TEXT_CLASSIFICATION',
  'IMAGE_CLASSIFICATION',
  'TENSOR',
] as const;
export type TaskName = (typeof TASKS)[number];

export type InputKind = 'ROW' | 'TEXT' | 'IMAGE' | 'TENSORS';
export type ColumnType = 'NUMBER' | 'INTEGER' | 'TEXT' | 'CATEGORY' | 'BOOLEAN';

export interface ColumnSpec {
  readonly name: string;
  readonly type: ColumnType;
  readonly description: string | null;
  readonly unit: string | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly categories: readonly string[];
  readonly required: boolean;
  readonly example: unknown;
  /** The graph's input that takes it; several columns of one input stand beside each other, in their order. */
  readonly input: string;
  /** The word that the graph takes for a missing text; missing numbers are NaN. */
  readonly missing: string;
}

/** Datatype in the Open Inference Protocol's words; `null` in the shape where any size fits. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | null)[];
}

/** How a picture becomes the graph's input; the names are those of a Hugging Face `preprocessor_config.json`. */
export interface ImageSpec {
  readonly width: number;
  readonly height: number;
  readonly color: 'grey' | 'rgb';
  /** What each 0..255 level is multiplied by, before mean and std. */
  readonly rescaleFactor: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface VersionSpec {
  readonly task: TaskName;
  readonly inputKind: InputKind;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly columns: readonly ColumnSpec[];
  readonly labels: readonly string[];
  readonly image: ImageSpec | null;
  /** The output that holds one score per label, and what turns it into probabilities. */
  readonly scores: { readonly output: string; readonly activation: 'none' | 'softmax' | 'sigmoid' } | null;
  /** The output that holds one number, and its unit. */
  readonly value: { readonly output: string; readonly unit: string | null } | null;
  /** A `ModelInput` that works as it stands. */
  readonly example: Readonly<Record<string, unknown>>;
  /** Largest batch that may share one run; 1 when mates could change each other's answers. */
  readonly maxBatch: number;
  readonly maxBatchReason: string;
  /** The longest a run may take before the watchdog ends it. */
  readonly maxRunMs: number;
}
