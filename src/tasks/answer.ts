/**
 * The kinds of answer a model can give. Each kind has a GraphQL type in `prediction/output.type.ts` and a comparison in
 * `importing/golden.ts`. When you add a kind here, the compiler asks for both.
 */
import type { TensorData } from './datatypes.js';

/** Edges of a bounding box in pixels of the image sent, after EXIF orientation, measured from the top left corner. */
export interface Box {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

export interface DetectedObject {
  readonly label: string;
  /** Probability, 0 to 1. */
  readonly score: number;
  readonly box: Box;
}

/** A labeled part of a text. `word` is `text.slice(start, end)`; offsets are in UTF-16 code units, `end` is exclusive. */
export interface LabelledSpan {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** How token labels are merged into words and entities: `aggregation_strategy` of Hugging Face's pipelines. */
export const AGGREGATIONS = ['NONE', 'SIMPLE', 'FIRST', 'AVERAGE', 'MAX'] as const;
export type AggregationName = (typeof AGGREGATIONS)[number];

/** Spans in columnar form, because a long text can have tens of thousands. `labels` are indices into the answer's labels. */
export interface SpanColumns {
  readonly labels: Uint16Array;
  readonly scores: Float32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** A candidate for the masked word. */
export interface Filling {
  /** Token id. */
  readonly token: number;
  /** The token as text. */
  readonly text: string;
  /** Probability over the vocabulary, 0 to 1. */
  readonly score: number;
  /** The whole text with the mask replaced. */
  readonly sequence: string;
}

/** The pixels of one class. */
export interface Mask {
  readonly label: string;
  /** Numbers of pixels outside and inside the class, in turn, row by row; the last run inside ends the list. */
  readonly runLengths: Uint32Array;
}

/** One of several predicted numbers. */
export interface NamedValue {
  readonly name: string;
  readonly value: number;
  readonly unit: string | null;
}

/** The class of one of several targets. */
export interface ClassifiedTarget {
  readonly name: string;
  readonly label: string;
  /** One score per label; null if the graph returns no probabilities. */
  readonly scores: readonly number[] | null;
  readonly labels: readonly string[];
}

/** `isTruncated`: the input was longer than the model accepts, and its end was cut off. */
export type Answer = { readonly isTruncated?: true } & (
  | {
      readonly kind: 'classification';
      readonly label: string;
      /** One score per label, in the order of the labels; null if the graph outputs only a label. */
      readonly scores: readonly number[] | null;
      /** The labels sent by the caller; absent if the version's own labels apply. */
      readonly labels?: readonly string[];
    }
  | { readonly kind: 'regression'; readonly value: number; readonly unit: string | null }
  /** One class for each of the version's targets, in their order. */
  | { readonly kind: 'multiClassification'; readonly targets: readonly ClassifiedTarget[] }
  /** Several numbers, in the order of the version's targets. */
  | { readonly kind: 'values'; readonly values: readonly NamedValue[] }
  | { readonly kind: 'embedding'; readonly vector: Float32Array }
  /** Similarities in the order of the sentences: cosines (−1 to 1), dot products or negative distances. */
  | { readonly kind: 'similarities'; readonly scores: readonly number[] }
  /** Scores in the order of the documents: 0 to 1, or any number if the model applies no sigmoid. */
  | { readonly kind: 'ranking'; readonly documents: readonly string[]; readonly scores: readonly number[] }
  | { readonly kind: 'detections'; readonly items: readonly DetectedObject[]; readonly threshold: number }
  | {
      readonly kind: 'tokens';
      /** The labeled text, which the offsets of the spans refer to. */
      readonly text: string;
      readonly labels: readonly string[];
      readonly spans: Readonly<Record<AggregationName, SpanColumns>>;
    }
  | {
      readonly kind: 'answer';
      /** Null if the context contains no answer; `score` is then the score of "no answer". */
      readonly text: string | null;
      readonly score: number;
      readonly start: number | null;
      readonly end: number | null;
    }
  | { readonly kind: 'fillings'; readonly items: readonly Filling[] }
  /** Classes of pixels that occur in the image, in the order of the labels. The size of the masks is in pixels. */
  | { readonly kind: 'masks'; readonly width: number; readonly height: number; readonly items: readonly Mask[] }
  | {
      /** Text recognized in an image. */
      readonly kind: 'text';
      readonly text: string;
      /** Mean probability of the characters, 0 to 1; null if the text is empty. */
      readonly score: number | null;
    }
  | { readonly kind: 'tensors'; readonly tensors: readonly TensorData[] }
);
/** The GraphQL type of each kind, in the union `Output`. */
export const OUTPUT_TYPES: Readonly<Record<Answer['kind'], string>> = {
  classification: 'Classification',
  multiClassification: 'MultiClassification',
  regression: 'Regression',
  values: 'Values',
  embedding: 'Embedding',
  similarities: 'Similarities',
  ranking: 'Ranking',
  detections: 'Detections',
  masks: 'Masks',
  tokens: 'Tokens',
  answer: 'Answer',
  fillings: 'Fillings',
  text: 'Text',
  tensors: 'Tensors',
};

export type AnswerOf<K extends Answer['kind']> = Extract<Answer, { kind: K }>;
