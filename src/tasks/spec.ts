/**
 * The spec of a version: everything the service must know to check an input, run the graph and read its answer.
 *
 * Plain data, read once at import from the manifest, the Hugging Face files and the graph, stored as JSON, shared by
 * catalog, server and worker.
 */

/** The tasks this server can run, in the Hugging Face vocabulary. */
export const TASKS = [
  'TABULAR_CLASSIFICATION',
  'TABULAR_REGRESSION',
  'TEXT_CLASSIFICATION',
  'TOKEN_CLASSIFICATION',
  'FEATURE_EXTRACTION',
  'SENTENCE_SIMILARITY',
  'ZERO_SHOT_CLASSIFICATION',
  'FILL_MASK',
  'QUESTION_ANSWERING',
  'IMAGE_CLASSIFICATION',
  'OBJECT_DETECTION',
  'IMAGE_FEATURE_EXTRACTION',
  'TENSOR',
] as const;
export type TaskName = (typeof TASKS)[number];

export const INPUT_KINDS = ['ROW', 'TEXT', 'IMAGE', 'TENSORS', 'QUESTION', 'SIMILARITY', 'ZERO_SHOT'] as const;
export type InputKind = (typeof INPUT_KINDS)[number];
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

/** How the outputs of the graph become an answer. */
export type Head =
  /** [N, labels]: one score for each label. */
  | { readonly kind: 'scores'; readonly output: string; readonly activation: Activation }
  /** [N]: the label itself, a word or a whole number. */
  | { readonly kind: 'label'; readonly output: string }
  /** [N] or [N, 1]: one number. */
  | { readonly kind: 'value'; readonly output: string; readonly unit: string | null }
  /** [N, tokens, labels]: logits. */
  | { readonly kind: 'tokens'; readonly output: string }
  /** [N, size], or [N, tokens, size] to be pooled. */
  | { readonly kind: 'vector'; readonly output: string; readonly pooling: Pooling; readonly normalize: boolean }
  /** [N, tokens, vocabulary]: logits. */
  | { readonly kind: 'mask'; readonly output: string }
  /** Two times [N, tokens]: logits of where an answer begins and ends. */
  | { readonly kind: 'span'; readonly start: string; readonly end: string }
  /** [N, labels]: logits of an inference model; the indices of two of its labels. */
  | {
      readonly kind: 'entailment';
      readonly output: string;
      readonly entailment: number;
      readonly contradiction: number | null;
      /** `{}` stands for the label. */
      readonly template: string;
    }
  /** [N, boxes, 4] in centre form, relative to the tensor's picture, and [N, boxes, labels (+ 1)]. */
  | {
      readonly kind: 'boxes';
      readonly boxes: string;
      readonly scores: string;
      readonly activation: Activation;
      /** Is the last score that of "no object"? */
      readonly hasNoObject: boolean;
      /** Boxes below are left out, unless a caller asks for them. */
      readonly threshold: number;
      /** Of two boxes of a label that overlap more, the better stays; null where the model sees to that. */
      readonly iou: number | null;
    }
  | { readonly kind: 'tensors' };

export interface VersionSpec {
  readonly task: TaskName;
  readonly inputKind: InputKind;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly columns: readonly ColumnSpec[];
  readonly labels: readonly string[];
  readonly image: ImageSpec | null;
  readonly text: TextSpec | null;
  readonly head: Head;
  /** A `ModelInput` that works as it stands. */
  readonly example: Readonly<Record<string, unknown>>;
  /** Most rows that may share one run; 1 when mates could change each other's answers. */
  readonly maxBatch: number;
  readonly maxBatchReason: string;
  /** The longest a run may take before the watchdog ends it. */
  readonly maxRunMs: number;
}

/** Another form of a version's graph, with the spec that it has itself. */
export interface VariantSpec {
  readonly name: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Null when it cannot be used; then `reason` says why. */
  readonly spec: VersionSpec | null;
  readonly reason: string | null;
}

/** What earlier releases wrote: fewer words, one image rule, and `scores` or `value` where a head is now. */
interface StoredSpec extends Omit<VersionSpec, 'columns' | 'image' | 'head' | 'text'> {
  readonly columns: readonly (Omit<ColumnSpec, 'input' | 'missing'> & Partial<ColumnSpec>)[];
  readonly image: ImageSpec | OldImageSpec | null;
  readonly text?: TextSpec | null;
  readonly head?: Head;
  readonly scores?: { readonly output: string; readonly activation: Activation } | null;
  readonly value?: { readonly output: string; readonly unit: string | null } | null;
}

type OldImageSpec = { readonly width: number; readonly height: number } & Pick<
  ImageSpec,
  'color' | 'rescaleFactor' | 'mean' | 'std'
>;

/** A spec as the catalog keeps it, those of earlier releases included. */
export function readSpec(json: string): VersionSpec {
  return upgradedSpec(JSON.parse(json));
}

/** Variants as the catalog keeps them, each with its spec. */
export function readVariants(json: string): VariantSpec[] {
  const variants = JSON.parse(json) as (Omit<VariantSpec, 'spec'> & { readonly spec: StoredSpec | null })[];
  return variants.map((variant) => ({ ...variant, spec: variant.spec && upgradedSpec(variant.spec) }));
}

function upgradedSpec({ scores, value, ...spec }: StoredSpec): VersionSpec {
  const input = spec.inputs[0]?.name ?? '';
  return {
    ...spec,
    columns: spec.columns.map((column) => ({ input, missing: '', ...column })),
    image: spec.image && ('resample' in spec.image ? spec.image : imageOfOld(spec.image)),
    text: spec.text ?? null,
    head: spec.head ?? headOfOld(spec, scores ?? null, value ?? null),
  };
}

function imageOfOld({ width, height, ...rest }: OldImageSpec): ImageSpec {
  const resize = { kind: 'exact', width, height } as const;
  return { ...rest, resize, resample: 'bilinear', crop: null, pad: null, layout: 'NCHW' };
}

function headOfOld(
  { task, outputs }: Pick<VersionSpec, 'task' | 'outputs'>,
  scores: NonNullable<StoredSpec['scores']> | null,
  value: NonNullable<StoredSpec['value']> | null,
): Head {
  if (task === 'TENSOR') return { kind: 'tensors' };
  if (scores) return { kind: 'scores', ...scores };
  return value ? { kind: 'value', ...value } : { kind: 'label', output: outputs[0]?.name ?? '' };
}
