/** The values of coalitions of features: mean scores of a row in which the other features come from background rows. */
import { InferenceFailedError } from '../errors.js';

/** Scores of rows, one each, in their order. */
export type Scores<Value> = (rows: readonly (readonly Value[])[], signal: AbortSignal) => Promise<ArrayLike<number>>;

export interface CoalitionsOptions<Value> {
  readonly row: readonly Value[];
  readonly background: readonly (readonly Value[])[];
  readonly scores: Scores<Value>;
  readonly signal: AbortSignal;
}

/** Rows that are scored at once. */
const BATCH_ROWS = 512;

export class Coalitions<Value> {
  /** The value of no feature. Set by `open`. */
  base = Number.NaN;
  /** The value of all features. Set by `open`. */
  score = Number.NaN;
  /** How many rows were scored. */
  rows = 0;
  readonly features: number;
  readonly #options: CoalitionsOptions<Value>;

  constructor(options: CoalitionsOptions<Value>) {
    this.#options = options;
    this.features = options.row.length;
  }

  async open(): Promise<void> {
    const { row, background } = this.#options;
    const [score, ...scores] = await this.#scoresOf(background.length + 1, (i) =>
      i === 0 ? row : (background[i - 1] as readonly Value[]),
    );
    this.score = score as number;
    this.base = scores.reduce((sum, one) => sum + one, 0) / background.length;
  }

  /** `coalitions`: 1 for each feature that takes part, 0 for the others. */
  async valuesOf(coalitions: readonly Uint8Array[]): Promise<Float64Array> {
    const { row, background } = this.#options;
    const size = background.length;
    const scores = await this.#scoresOf(coalitions.length * size, (i) => {
      const coalition = coalitions[Math.floor(i / size)] as Uint8Array;
      return (background[i % size] as readonly Value[]).map((value, j) => (coalition[j] ? (row[j] as Value) : value));
    });
    const values = new Float64Array(coalitions.length);
    for (const [i, score] of scores.entries()) (values[Math.floor(i / size)] as number) += score / size;
    return values;
  }

  async #scoresOf(count: number, rowAt: (i: number) => readonly Value[]): Promise<Float64Array> {
    const { scores, signal } = this.#options;
    const all = new Float64Array(count);
    for (let begin = 0; begin < count; begin += BATCH_ROWS) {
      signal.throwIfAborted();
      const length = Math.min(BATCH_ROWS, count - begin);
      const batch = await scores(
        Array.from({ length }, (_, i) => rowAt(begin + i)),
        signal,
      );
      if (batch.length !== length) throw new Error(`${length} rows have ${batch.length} scores. This is a bug.`);
      all.set(batch, begin);
      this.rows += length;
    }
    if (!all.every(Number.isFinite))
      throw new InferenceFailedError('the score of a changed row is not a finite number');
    return all;
  }
}
