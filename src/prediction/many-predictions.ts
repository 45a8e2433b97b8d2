/**
 * The results of one `predictMany`, as they become ready: as objects, as columns, or both. Nothing is kept of an answer that
 * was not asked for.
 */
import { AppError } from '../errors.js';
import { problemOf } from '../graphql/problem.type.js';
import type { Answer } from '../tasks/answer.js';
import { AnswerColumns, type AnswersToCollect, type WideColumns } from './answer-columns.js';
import { PredictionColumns } from './columns.type.js';
import type { NewPrediction, PredictPayload } from './prediction.type.js';

/** What the request selects. */
export interface SelectedFields {
  readonly results: boolean;
  /** Null if no columns are selected. */
  readonly columns: WideColumns | null;
}

/** The outcome of one input. The prediction is null if neither objects nor a record are wanted. */
export type ResultOfInput =
  | { readonly answer: Answer; readonly prediction: NewPrediction | null }
  | { readonly error: unknown };

export class ManyPredictions {
  /** Null for those that are settled: only who waits for them keeps them. */
  readonly #results: (PromiseWithResolvers<PredictPayload> | null)[] | null;
  #promises: Promise<PredictPayload>[] | null;
  readonly #columns: AnswerColumns | null;
  readonly #all = Promise.withResolvers<void>();
  #open: number;

  constructor(count: number, wanted: SelectedFields, answers: AnswersToCollect) {
    this.#open = count;
    // Nobody may wait for it.
    this.#all.promise.catch(() => {});
    const results = Array.from({ length: wanted.results ? count : 0 }, () => Promise.withResolvers<PredictPayload>());
    this.#results = wanted.results ? results : null;
    this.#promises = wanted.results ? results.map(({ promise }) => promise) : null;
    this.#columns = wanted.columns ? new AnswerColumns(count, wanted.columns, answers) : null;
  }

  /** To be called once for each input. An error that is no problem of the input rejects what waits for it. */
  settle(input: number, result: ResultOfInput): void {
    if ('error' in result) this.#refuse(input, result.error);
    else {
      this.#columns?.add(input, result.answer, result.prediction?.id ?? null);
      this.#take(input)?.resolve({ prediction: result.prediction, problem: null, replayed: false });
    }
    this.#open--;
    if (this.#open === 0) this.#all.resolve();
  }

  #refuse(input: number, error: unknown): void {
    if (!(error instanceof AppError)) {
      this.#take(input)?.reject(error);
      this.#all.reject(error);
      return;
    }
    const problem = problemOf(error);
    this.#columns?.refuse(input, problem);
    this.#take(input)?.resolve({ prediction: null, problem, replayed: false });
  }

  #take(input: number): PromiseWithResolvers<PredictPayload> | null {
    const result = this.#results?.[input] ?? null;
    if (this.#results) this.#results[input] = null;
    return result;
  }

  /** Resolves when every input has a result. */
  get done(): Promise<void> {
    return this.#all.promise;
  }

  /** One for each input, each as soon as it is ready; null if they are not wanted. To be called once. */
  takeResults(): Promise<PredictPayload>[] | null {
    const promises = this.#promises;
    this.#promises = null;
    return promises;
  }

  /** Null if they are not wanted. */
  get columns(): Promise<PredictionColumns> | null {
    const columns = this.#columns;
    return columns && this.#all.promise.then(() => new PredictionColumns(columns));
  }
}
