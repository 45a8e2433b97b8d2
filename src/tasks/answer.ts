/**
 * The kinds of answer. Each has a GraphQL type in `prediction/output.type.ts` and a comparison in `importing/golden.ts`;
 * the compiler asks for both when a kind is added here.
 */
import type { TensorData } from './datatypes.js';

/** Edges in pixels of the image that was sent, after EXIF orientation, from its top left corner. */
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

/** A part of a text with its label. `word` is `text.slice(start, end)`, in UTF-16 units. */
export interface LabelledSpan {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** How labels of tokens are merged into labels of words and entities, as in Hugging Face's pipelines. */
export const AGGREGATIONS = ['NONE', 'SIMPLE', 'FIRST', 'AVERAGE', 'MAX'] as const;
export type AggregationName = (typeof AGGREGATIONS)[number];

/** Spans as columns, since a long text may have tens of thousands. `labels` are indices into the labels of the answer. */
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
      /** Null for models that answer only a label. */
      readonly scores: readonly number[] | null;
      /** The labels that the caller sent; absent where the labels are those of the version. */
      readonly labels?: readonly string[];
    }
  | { readonly kind: 'regression'; readonly value: number; readonly unit: string | null }
  | { readonly kind: 'embedding'; readonly vector: Float32Array }
  | { readonly kind: 'similarities'; readonly scores: readonly number[] }
  | { readonly kind: 'detections'; readonly items: readonly DetectedObject[]; readonly threshold: number }
  | {
      readonly kind: 'tokens';
      /** The text that was labelled; each span is a part of it. */
      readonly text: string;
      readonly labels: readonly string[];
      readonly spans: Readonly<Record<AggregationName, SpanColumns>>;
    }
  | {
      readonly kind: 'answer';
      /** Null when the context holds no answer; then `score` is that of "no answer". */
      readonly text: string | null;
      readonly score: number;
      readonly start: number | null;
      readonly end: number | null;
    }
  | { readonly kind: 'fillings'; readonly items: readonly Filling[] }
  | { readonly kind: 'tensors'; readonly tensors: readonly TensorData[] }
);
export type AnswerOf<K extends Answer['kind']> = Extract<Answer, { kind: K }>;
