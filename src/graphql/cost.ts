/**
 * How a field states its price, where the defaults of `api/field-price.ts` do not fit.
 *
 * A point is about 50 µs of work. Prices are upper bounds that depend only on the document, its variables and the
 * versions that it names.
 */
import { Extensions } from 'type-graphql';
import type { VersionSpec } from '../tasks/tasks.js';

export type Args = Readonly<Record<string, unknown>>;

/**
 * A long string of a variable, as one object for all places of a document: what a price needs to know of it can be
 * remembered, and is found once. Only inputs of models hold such strings.
 */
export class LongText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }

  get length(): number {
    return this.#text.length;
  }
}

/** What a prediction may hold, for the fields below it. Per prediction: of several inputs, the mean. */
export interface PredictionSize {
  /** The input as JSON. */
  readonly inputBytes: number;
  /** Of the texts of the input that an answer repeats. */
  readonly characters: number;
  readonly tokens: number;
  readonly labels: number;
  /** Numbers or classes that are predicted for an input, by name. */
  readonly targets: number;
  readonly sentences: number;
  /** Documents that are ranked. */
  readonly documents: number;
  /** Objects that may be detected. */
  readonly objects: number;
  /** In an embedding, or in all tensors that are returned. */
  readonly outputValues: number;
}

/** What the price of a field may depend on besides its arguments. */
export interface CostScope {
  /** Elements of the nearest page, or results of the nearest `predictMany`. */
  readonly pageSize: number;
  readonly prediction: PredictionSize;
}

export type Measure = number | ((args: Args, scope: CostScope) => number);

export interface VersionName {
  readonly model: string;
  readonly variant: string | null;
}

/** Predictions that a field runs. */
export interface Runs {
  readonly points: number;
  readonly inputs: number;
  /** Points for running the graph on one of the inputs, the one that needs most of them; part of `points`. */
  readonly largestComputation: number;
  readonly prediction: PredictionSize;
}

/** Of a transaction that is synced to disk. */
export const POINTS_PER_CHANGE = 30;

export interface FieldCost {
  /** Points for the field itself, in addition to its elements and bytes. */
  readonly points?: Measure;
  /** Elements of a list. */
  readonly elements?: Measure;
  /** Bytes of a value, or of all values of a list of scalars. */
  readonly bytes?: Measure;
  /** The version that a field runs. */
  readonly version?: (args: Args) => VersionName | null;
  /** `spec`: null if the version does not exist. */
  readonly runs?: (args: Args, spec: VersionSpec | null) => Runs;
}

/** States the price of a field. */
export function Cost(cost: FieldCost) {
  return Extensions({ cost });
}
