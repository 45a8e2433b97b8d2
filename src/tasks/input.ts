/**
 * What a client sends (`ModelInput`), what crosses to a worker (`Item`), and what comes back (`Answer`).
 *
 * A check turns the first into the second, or says precisely why it cannot.
 */
import { type InputProblem, type InputProblemCode, InvalidInputError } from '../errors.js';
import type { TensorData } from './datatypes.js';

export interface TensorInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: unknown;
  readonly base64?: string | null;
}

export interface QuestionInput {
  readonly question: string;
  readonly context: string;
  /** May the answer be that there is none? */
  readonly handleImpossibleAnswer: boolean;
}

export interface SimilarityInput {
  readonly source: string;
  readonly sentences: readonly string[];
}

export interface ZeroShotInput {
  readonly text: string;
  readonly labels: readonly string[];
  readonly multiLabel: boolean;
  /** `{}` stands for the label; null: the model's own. */
  readonly hypothesisTemplate?: string | null | undefined;
}

/** Exactly one key. */
export interface ModelInput {
  readonly row?: Readonly<Record<string, unknown>> | null;
  readonly text?: string | null;
  readonly image?: { readonly base64?: string | null } | null;
  readonly tensors?: readonly TensorInput[] | null;
  readonly question?: QuestionInput | null;
  readonly similarity?: SimilarityInput | null;
  readonly zeroShot?: ZeroShotInput | null;
}

/**
 * A checked input, as it travels to a worker. `rows` is how much of a batch it fills, `work` how much there is to
 * compute: rows again, and tokens (a guess) where texts are cut into tokens.
 */
export type Item = { readonly rows: number; readonly work: number } & (
  | { readonly kind: 'row'; readonly values: readonly (number | string)[] }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'image'; readonly bytes: Uint8Array }
  | { readonly kind: 'tensors'; readonly tensors: readonly TensorData[] }
  | ({ readonly kind: 'question' } & QuestionInput)
  | ({ readonly kind: 'similarity' } & SimilarityInput)
  | ({ readonly kind: 'zeroShot' } & ZeroShotInput)
);
export type ItemOf<K extends Item['kind']> = Extract<Item, { kind: K }>;

/** Pixels of the picture that was sent, turned as its EXIF says, from its top left corner. */
export interface Box {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

export interface DetectedObject {
  readonly label: string;
  readonly score: number;
  readonly box: Box;
}

/** Part of a text with its label; `word` is `text.slice(start, end)`, in UTF-16 units. */
export interface LabelledSpan {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** How labels of tokens become labels of words and of what several words name; as in Hugging Face's pipelines. */
export const AGGREGATIONS = ['NONE', 'SIMPLE', 'FIRST', 'AVERAGE', 'MAX'] as const;
export type AggregationName = (typeof AGGREGATIONS)[number];

/** Spans as columns: a long text may have tens of thousands. `labels` are indices into those of the answer. */
export interface SpanColumns {
  readonly labels: Uint16Array;
  readonly scores: Float32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export interface Filling {
  readonly token: number;
  readonly text: string;
  readonly score: number;
  readonly sequence: string;
}

/** `isTruncated`: the input was longer than the model reads, and its end was left out. */
export type Answer = { readonly isTruncated?: true } & (
  | {
      readonly kind: 'classification';
      readonly label: string;
      readonly scores: readonly number[] | null;
      /** Those that the caller sent; otherwise they are the version's. */
      readonly labels?: readonly string[];
    }
  | { readonly kind: 'regression'; readonly value: number; readonly unit: string | null }
  | { readonly kind: 'embedding'; readonly vector: Float32Array }
  | { readonly kind: 'similarities'; readonly scores: readonly number[] }
  | { readonly kind: 'detections'; readonly items: readonly DetectedObject[]; readonly threshold: number }
  | {
      readonly kind: 'tokens';
      /** What was read; the words are parts of it. */
      readonly text: string;
      readonly labels: readonly string[];
      readonly spans: Readonly<Record<AggregationName, SpanColumns>>;
    }
  | {
      readonly kind: 'answer';
      /** Null when the context holds no answer. */
      readonly text: string | null;
      readonly score: number;
      readonly start: number | null;
      readonly end: number | null;
    }
  | { readonly kind: 'fillings'; readonly items: readonly Filling[] }
  | { readonly kind: 'tensors'; readonly tensors: readonly TensorData[] }
);
export type AnswerOf<K extends Answer['kind']> = Extract<Answer, { kind: K }>;

/** One item on its way through the graph. */
export interface Preprocessed {
  /** Inputs of the graph: one set for each row that it fills, or one set of several rows. */
  readonly rows: readonly (readonly TensorData[])[];
  /**
   * From the outputs of each row, in order, to the answer.
   *
   * @throws UnusableOutput
   */
  readonly postprocess: (outputs: readonly (readonly TensorData[])[]) => Answer;
}

/**
 * A failure of one item inside a worker: `input` is the caller's to mend, at `path`; `inference` is the model's;
 * `memory` says that an allocation failed, which may be the fault of whatever else ran there.
 */
export type ItemFailure =
  | ({ readonly kind: 'input' } & UnreadableItem)
  | { readonly kind: 'inference' | 'memory'; readonly message: string };

export interface UnreadableItem {
  readonly code: InputProblemCode;
  readonly path: readonly string[];
  readonly message: string;
  readonly expected: string;
}

/** A worker found that an item cannot be read: what only decoding or cutting into tokens tells. */
export class UnreadableItemError extends Error {
  constructor(readonly what: UnreadableItem) {
    super(what.message);
  }
}

/** The model answered something that is no answer, such as NaN. */
export class UnusableOutput extends Error {}

const MAX_PROBLEMS = 20;

/** Collects what is wrong with one input; paths start with `prefix`. */
export class Problems {
  readonly #found: InputProblem[] = [];

  constructor(readonly prefix: readonly string[]) {}

  /** Enough is enough: past this many a list of problems helps nobody. */
  get isFull(): boolean {
    return this.#found.length >= MAX_PROBLEMS;
  }

  add(path: readonly string[], code: InputProblemCode, message: string, expected?: string, received?: unknown): void {
    if (this.isFull) return;
    this.#found.push({
      path: [...this.prefix, ...path],
      code,
      message,
      expected: expected ?? null,
      received: received === undefined ? null : describe(received),
    });
  }

  /** @throws InvalidInputError when anything was added. */
  throwIfAny(): void {
    if (this.#found.length > 0) throw new InvalidInputError(this.#found);
  }
}

const MAX_SHOWN = 60;

/** A short text for any value that a client may have sent. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
  return String(value);
}
