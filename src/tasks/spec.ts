/**
 * The parts of a version's spec: everything the service must know to check an input, run the graph and postprocess its
 * outputs. The union by task is `VersionSpec` in `tasks.ts`.
 *
 * Plain data, read once at import from the manifest, the Hugging Face files and the graph, stored as JSON, shared by
 * catalog, server and worker.
 */

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

/**
 * How a picture becomes the graph's input, in this order: turned as its EXIF says, alpha dropped, resized, cropped or
 * padded, split into channels, normalised. The names are those of a Hugging Face `preprocessor_config.json`.
 */
export interface ImageSpec {
  readonly resize:
    | { readonly kind: 'exact'; readonly width: number; readonly height: number }
    /** The ratio is kept: the shorter side gets `edge` pixels, the longer at most `longest`; both down to a multiple. */
    | { readonly kind: 'shortest'; readonly edge: number; readonly longest: number | null; readonly multiple?: number }
    /** The ratio is kept: as large as fits. */
    | { readonly kind: 'inside'; readonly width: number; readonly height: number }
    | null;
  readonly resample: 'nearest' | 'bilinear' | 'bicubic' | 'lanczos';
  /** From the centre; zeros where the picture is smaller. */
  readonly crop: { readonly width: number; readonly height: number } | null;
  /** The picture at the top left, the rest this level, 0..255. */
  readonly pad: { readonly width: number; readonly height: number; readonly level: number } | null;
  readonly color: 'grey' | 'rgb' | 'bgr';
  readonly layout: 'NCHW' | 'NHWC';
  /** What each 0..255 level is multiplied by, before mean and std. */
  readonly rescaleFactor: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** How a text becomes tokens. Absent where the graph itself takes strings. */
export interface TextSpec {
  /** Digest of the blob that holds tokenizer.json and tokenizer_config.json. */
  readonly tokenizerSha256: string;
  /** Longest sequence that the graph reads, special tokens included. */
  readonly maxTokens: number;
  /** Tokens that neighbouring windows of a long text share. */
  readonly stride: number;
  /** What becomes of a text that is longer: cut at the end, or read in windows that overlap. */
  readonly longInputs: 'truncate' | 'windows';
  /** May shorter texts be filled up to the length of their mates? Only if their answers stay the same. */
  readonly pads: boolean;
  /** The token that stands for what is to be guessed. */
  readonly maskToken: string | null;
}

export type Activation = 'none' | 'softmax' | 'sigmoid';
export type Pooling = 'none' | 'mean' | 'cls' | 'max' | 'last';

/** What every spec has. */
export interface SpecBase {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The words of a classification, in the order of the scores; empty for other tasks. */
  readonly labels: readonly string[];
  /** The columns of a row, in the order of the graph; empty for other kinds of input. */
  readonly columns: readonly ColumnSpec[];
  /** A `ModelInput` that the version answers. */
  readonly example: Readonly<Record<string, unknown>>;
  /** Most rows that may share one run; 1 when the other rows of a batch could change an answer. */
  readonly maxBatch: number;
  readonly maxBatchReason: string;
  /** The longest that a run may take before the watchdog ends it, in milliseconds. */
  readonly maxRunMs: number;
}

/** What a spec says of preprocessing, by where the inputs of the graph come from. */
export interface SpecParts {
  readonly row: { readonly image: null; readonly text: null };
  /** `text` is null where the graph itself takes strings. */
  readonly text: { readonly image: null; readonly text: TextSpec | null };
  readonly tokens: { readonly image: null; readonly text: TextSpec };
  readonly image: { readonly image: ImageSpec; readonly text: null };
  readonly tensors: { readonly image: null; readonly text: null };
}
export type SpecPart = keyof SpecParts;

/** A spec of whichever task, as far as checks and preprocessing of a kind of input read it. */
export type AnySpec = SpecBase &
  SpecParts[SpecPart] & { readonly task: string; readonly head: { readonly kind: string } };

/** An input that works, as a client would send it. */
export type Example = Readonly<Record<string, unknown>>;
/** Inputs that a model card shows (`widget` in its front matter). */
export type Widget = readonly Readonly<Record<string, unknown>>[];
