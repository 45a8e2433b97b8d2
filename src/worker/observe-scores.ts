/**
 * Looks at the scores of a classifier before any activation by the service, for some inputs and for others made from them:
 * of similar size, and far larger. Scores that are not probabilities then leave the range from 0 to 1.
 */
import { floatOutput, outputNamed, type TensorData } from '../tasks/datatypes.js';
import type { ObservedScores } from '../tasks/score-head.js';
import { addUpToOne, areInRange, type LabelSource, SCORE_TOLERANCE } from '../tasks/scores.js';
import type { GraphRow } from './batch.js';
import type { OpenSession } from './native/session-thread.js';
import { rescaled, reversed } from './perturbations.js';

const MAX_ROWS = 32;
/** How many inputs of similar size are made from the first ones. */
const SIMILAR_ROWS = 12;
const SIMILAR = 3;
const LARGE = 1_000;

/** For inputs that were made up: far from the data of a model, its float32 probabilities are less precise. */
const SIMILAR_TOLERANCE = 0.02;
const LARGE_TOLERANCE = 1;

export async function observeScores(
  session: OpenSession,
  rows: readonly GraphRow[],
  { output, label }: { readonly output: string; readonly label?: LabelSource },
): Promise<ObservedScores> {
  const wanted = label ? [output, label.output] : [output];
  const run = async (row: GraphRow): Promise<readonly TensorData[]> => session.run(row, wanted).catch(() => []);
  const given: (readonly TensorData[])[] = [];
  for (const row of rows.slice(0, MAX_ROWS)) given.push(await run(row));
  const [first] = given;
  const width = first ? floatOutput(first, output).length : 0;
  const seen = new Scores(width);
  for (const outputs of given) seen.add(floatOutput(outputs, output), SCORE_TOLERANCE);
  for (const { row, tolerance } of madeUp(rows)) seen.addMadeUp(floatOutput(await run(row), output), tolerance);
  const labels = first && label ? (outputNamed(first, label.output)?.data.length ?? 0) : 0;
  return { rows: width === 0 ? 0 : given.length, width, labels, ...seen.result };
}

function madeUp(rows: readonly GraphRow[]): { row: GraphRow; tolerance: number }[] {
  const [first] = rows;
  if (!first) return [];
  if (first.some(({ name }) => name === 'input_ids'))
    return rows.slice(0, SIMILAR_ROWS).map((row) => ({ row: reversed(row), tolerance: SCORE_TOLERANCE }));
  const similar = Array.from({ length: SIMILAR_ROWS }, (_, n) => ({
    row: rescaled(rows[n % rows.length] as GraphRow, n, SIMILAR),
    tolerance: SIMILAR_TOLERANCE,
  }));
  const large = [0, 1, 2, 3].map((n) => ({ row: rescaled(first, n, LARGE), tolerance: LARGE_TOLERANCE }));
  return [...similar, ...large];
}

class Scores {
  readonly #width: number;
  readonly #distinct = new Set<string>();
  #isInRange = true;
  #addsUp = true;
  #isNegative = false;
  #madeUp = 0;

  constructor(width: number) {
    this.#width = width;
  }

  add(scores: ArrayLike<number>, tolerance: number): void {
    const values = Array.from(scores);
    // Numbers that a model was not made for may overflow, which says nothing about its scores.
    if (values.length !== this.#width || !values.every(Number.isFinite)) return;
    this.#distinct.add(values.join());
    if (!areInRange(values, tolerance)) this.#isInRange = false;
    if (values.some((value) => value < -tolerance)) this.#isNegative = true;
    if (values.length === 1 || !addUpToOne(values, tolerance)) this.#addsUp = false;
  }

  addMadeUp(scores: ArrayLike<number>, tolerance: number): void {
    if (scores.length === this.#width) this.#madeUp++;
    this.add(scores, tolerance);
  }

  get result(): Pick<ObservedScores, 'isInRange' | 'addsUp' | 'isNegative' | 'isVaried'> {
    const isVaried = this.#distinct.size > 1 && (this.#madeUp > 1 || this.#addsUp);
    return {
      isInRange: this.#isInRange,
      addsUp: this.#addsUp && this.#isInRange,
      isNegative: this.#isNegative,
      isVaried,
    };
  }
}
