/**
 * The parts of a version's spec: everything that the service needs to check an input, run the graph and postprocess its
 * outputs. `VersionSpec` in `tasks.ts` is the union over all tasks.
 *
 * A spec is plain data. The importer builds it once, from model.yaml, the Hugging Face files and the graph. It is stored
 * as JSON and shared by the catalog, the server and the workers.
 */

export type ColumnType = 'NUMBER' | 'INTEGER' | 'TEXT' | 'CATEGORY' | 'BOOLEAN';
/** Rows of datasets may have images, and values of any form. */
export type DatasetColumnType = ColumnType | 'IMAGE' | 'JSON';

export interface ColumnSpec {
  readonly name: string;
  /** Display name; without one it is made of the name. */
  readonly title?: string | undefined;
  readonly type: ColumnType;
  readonly description: string | null;
  readonly unit: string | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly categories: readonly string[];
  readonly required: boolean;
  readonly example: unknown;
  /** The graph input that the column feeds. Columns that feed the same input are placed next to each other, in order. */
  readonly input: string;
  /** The string that stands for a missing TEXT or CATEGORY value. Missing numbers become NaN. */
  readonly missing: string;
}

/** An input or output of the graph. Datatypes are those of the Open Inference Protocol; null in a shape means any size. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | null)[];
}

/** Filters for resizing: those of Pillow, and those of OpenCV, which are not widened when an image shrinks. */
export const RESAMPLE_NAMES = [
  'nearest',
  'bilinear',
  'bicubic',
  'lanczos',
  'opencv-nearest',
  'opencv-linear',
  'opencv-area',
] as const;
export type ResampleName = (typeof RESAMPLE_NAMES)[number];

/** Padding of the resized image to a size in pixels. */
export interface PadSpec {
  readonly width: number;
  readonly height: number;
  /** What the padding holds: one number, or one each for red, green and blue. A level from 0 to 255. */
  readonly level: number | readonly number[];
  /** Whether `level` is a value of the tensor instead: the image is padded after it is normalized. */
  readonly isNormalized?: true;
  /** Where the image is; absent: at the top left. */
  readonly position?: 'center';
}

/**
 * How an image is preprocessed, in this order: rotate as EXIF says, drop the alpha channel, convert to gray, resize, crop or
 * pad, arrange the channels, normalize. The terms are those of a Hugging Face `preprocessor_config.json`. Sizes are in pixels.
 */
export interface ImageSpec {
  readonly resize:
    | { readonly kind: 'exact'; readonly width: number; readonly height: number }
    /**
     * Keeps the aspect ratio: the shorter side gets `edge` pixels, unless the longer side would exceed `longest`. Both
     * sides are rounded down to a multiple of `multiple`.
     */
    | { readonly kind: 'shortest'; readonly edge: number; readonly longest: number | null; readonly multiple?: number }
    /** Keeps the aspect ratio: as large as fits into `width` and `height`. Sides are truncated, or rounded. */
    | { readonly kind: 'inside'; readonly width: number; readonly height: number; readonly rounds?: true }
    /**
     * Keeps the aspect ratio at a fixed height, as for lines of text. A width below `minWidth` is padded at the right; one
     * above `maxWidth` is squeezed.
     */
    | { readonly kind: 'height'; readonly height: number; readonly minWidth: number; readonly maxWidth: number }
    | null;
  readonly resample: ResampleName;
  /** The version of Pillow whose order of passes applies. Absent in specs of earlier releases: that of Pillow 12. */
  readonly pillow?: 13;
  /** Center crop. Areas outside a smaller image are filled with zeros. */
  readonly crop: { readonly width: number; readonly height: number } | null;
  readonly pad: PadSpec | null;
  readonly color: 'grey' | 'rgb' | 'bgr';
  /** Present if the image is converted to gray before it is resized. Absent in specs of earlier releases: after. */
  readonly isGreyFirst?: true;
  /** CHW and HWC: the graph takes one image, without a dimension for the batch. */
  readonly layout: 'NCHW' | 'NHWC' | 'CHW' | 'HWC';
  /** Factor for the levels 0 to 255, applied before `mean` and `std`: `(level × rescaleFactor − mean) / std`. */
  readonly rescaleFactor: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A file beside the graph that holds the data of tensors, such as `model.onnx.data`. It is stored as a blob. */
export interface DataFile {
  /** Its path as the graph names it, relative to the folder of the graph. */
  readonly location: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** What is read of a file, in bytes: its beginning and its end, each padded if the file is shorter. */
export interface BytesSpec {
  readonly begin: number;
  readonly end: number;
  /** The value for a missing byte: to the right of a short beginning, and to the left of a short end. */
  readonly padding: number;
  /**
   * Number of bytes at the beginning, and at the end, from which whitespace is removed at the outside before they are read;
   * null if none is removed.
   */
  readonly stripWithin: number | null;
}

/** How a text is tokenized. Null in the spec if the graph itself takes strings. */
export interface TextSpec {
  /** SHA-256 of the blob that holds tokenizer.json and tokenizer_config.json. */
  readonly tokenizerSha256: string;
  /** Maximum length of a sequence in tokens, including special tokens. */
  readonly maxTokens: number;
  /** Number of tokens that neighboring windows of a long text share. */
  readonly stride: number;
  /** Longer texts are truncated, or read in overlapping windows. */
  readonly longInputs: 'truncate' | 'windows';
  /** Whether sequences may be padded to share a run with longer ones. Set only if padding does not change answers. */
  readonly pads: boolean;
  /** The text of the mask token; null for tasks other than fill-mask. */
  readonly maskToken: string | null;
  /** Absent in specs of earlier releases. */
  readonly characters?: CharacterRule;
  /** Absent if the model has none. */
  readonly prompts?: Prompts;
  /** Present if the beginnings of long texts are left out, not their ends. */
  readonly truncates?: 'left';
  /** Present if sequences get no special tokens, such as [CLS]. */
  readonly addSpecialTokens?: false;
  /** Present if the token type ids of all tokens are 0, also of the second text of a pair. */
  readonly hasTokenTypes?: false;
  /** Present for static embeddings that leave out unknown tokens. */
  readonly ignoresUnknown?: true;
  /** Present for static embeddings: texts are truncated to this many code points before they are tokenized; null for no limit. */
  readonly maxCharacters?: number | null;
}

export interface Prompt {
  readonly name: string;
  readonly text: string;
}

export interface Prompts {
  readonly list: readonly Prompt[];
  /** Name of the default prompt; null for none. */
  readonly default: string | null;
  /** Whether the tokens of the prompt count in the pooling. */
  readonly isPooled: boolean;
}

/** How many tokens a character can become, for characters that are no tokens themselves. */
export interface CharacterRule {
  /** The form of Unicode to which the tokenizer normalizes texts; null for none. */
  readonly normalization: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | null;
  /** Whether each byte of such a character in UTF-8 becomes a token. */
  readonly bytes: boolean;
}

/**
 * Layouts of the single output of a YOLO detector: [N, boxes, 5 + labels] with objectness (YOLOv5), [N, 4 + labels, boxes]
 * (YOLOv8 to v11), [N, boxes, 6] after suppression (YOLOv10).
 */
export const YOLO_LAYOUTS = ['yolov5', 'yolov8', 'yolov10'] as const;
export type YoloLayout = (typeof YOLO_LAYOUTS)[number];
/** Center and size; left, top, right and bottom edge; top, left, bottom and right edge. */
export const BOX_FORMATS = ['center', 'corners', 'corners-yx'] as const;
export type BoxFormat = (typeof BOX_FORMATS)[number];
/** Of the tensor: its pixels, or fractions of its width and height. */
export const BOX_UNITS = ['pixels', 'fractions'] as const;
export type BoxUnit = (typeof BOX_UNITS)[number];

/** Of the input of a time series: [N, steps, columns], or channels first, [N, columns, steps], as Conv1d of PyTorch reads it. */
export const SERIES_LAYOUTS = ['NTF', 'NFT'] as const;
export type SeriesLayout = (typeof SERIES_LAYOUTS)[number];

/** Where a graph for connectionist temporal classification (CTC) has the score of "no character". */
export const BLANKS = ['first', 'last'] as const;
export type Blank = (typeof BLANKS)[number];

export type Activation = 'none' | 'softmax' | 'sigmoid';
/** How sentence-transformers compares embeddings: distances are negative, so that higher always means more similar. */
export const SIMILARITIES = ['cosine', 'dot', 'euclidean', 'manhattan'] as const;
export type SimilarityName = (typeof SIMILARITIES)[number];
export type Pooling = 'none' | 'mean' | 'cls' | 'max' | 'last';

/** The parts that every spec has. */
export interface SpecBase {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** The labels of a classification, detection or segmentation, in the order of the scores; empty for other tasks. */
  readonly labels: readonly string[];
  /** The columns of a row, or of each step of a time series, in the order of the graph; empty for other kinds of input. */
  readonly columns: readonly ColumnSpec[];
  /** A `ModelInput` that works. */
  readonly example: Readonly<Record<string, unknown>>;
  /** Maximum number of rows in a run; 1 if other rows of a batch change an answer. */
  readonly maxBatch: number;
  /** How `maxBatch` was determined, for operators. */
  readonly maxBatchReason: string;
  /**
   * The memory limit of workers, in bytes, with which batches could not be checked, so that `maxBatch` is 1; absent if they
   * were checked.
   */
  readonly uncheckedBatchesBytes?: number;
  /** Present for tasks that read the bytes of files. */
  readonly bytes?: BytesSpec;
  /** Present if the graph reads time series as [N, columns, steps]. */
  readonly seriesLayout?: 'NFT';
  /** Absent if all data is in the graph. */
  readonly dataFiles?: readonly DataFile[];
  /** Maximum duration of a run in milliseconds. After that, the watchdog ends the process. */
  readonly maxRunMs: number;
  /**
   * Operations of the graph for each value of its inputs, as estimated from the file; see `onnx/graph-operations.ts`.
   * Absent in specs of earlier releases, until they are served.
   */
  readonly operationsPerValue?: number;
}

/** The preprocessing settings of a spec, by where the inputs of the graph come from. */
export interface SpecParts {
  readonly row: { readonly image: null; readonly text: null };
  /** `text` is null if the graph itself takes strings. */
  readonly text: { readonly image: null; readonly text: TextSpec | null };
  readonly tokens: { readonly image: null; readonly text: TextSpec };
  readonly image: { readonly image: ImageSpec; readonly text: null };
  readonly bytes: { readonly image: null; readonly text: null; readonly bytes: BytesSpec };
  readonly tensors: { readonly image: null; readonly text: null };
}
export type SpecPart = keyof SpecParts;

/** The spec of any task, as far as the checks and the preprocessing of inputs read it. */
export type AnySpec = SpecBase &
  SpecParts[SpecPart] & { readonly task: string; readonly head: { readonly kind: string } };

/** An example input, as a client sends it: one key of `ModelInput` with its value. */
export type Example = Readonly<Record<string, unknown>>;
/** The example inputs of a model card: `widget` in its front matter. */
export type Widget = readonly Readonly<Record<string, unknown>>[];
