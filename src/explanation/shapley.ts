/**
 * Shapley values: how much each feature of a row moves the score of a model away from its mean over background rows.
 *
 * A coalition of features has as value the mean score of rows that take these features from the row and the others from a
 * background row, for each of them ("interventional"; Lundberg and Lee, "A unified approach to interpreting model
 * predictions", 2017). Attributions add up to `score` − `base`. Exact for few features, estimated by `kernel-shap.ts` for
 * more. The error of having few background rows is not part of `standardErrors`.
 */
import { InvalidInputError } from '../errors.js';
import { Coalitions, type Scores } from './coalitions.js';
import { estimateShapleyValues, leastCoalitions } from './kernel-shap.js';

/** With more, 2ᴹ coalitions are too many. */
const MAX_EXACT_FEATURES = 10;
/** Bounds what solving the equations of the estimate takes: about 10 ms. */
export const MAX_FEATURES = 100;

export interface ShapleyOptions<Value> {
  readonly row: readonly Value[];
  /** Typical rows, at least one. */
  readonly background: readonly (readonly Value[])[];
  readonly scores: Scores<Value>;
  /** How many rows may be scored. See `leastRows`. */
  readonly maxRows: number;
  /** The same seed gives the same coalitions. */
  readonly seed: string;
  readonly signal: AbortSignal;
}

export interface ShapleyValues {
  readonly method: 'EXACT' | 'KERNEL_SHAP';
  /** Mean score of the background rows. */
  readonly base: number;
  readonly score: number;
  /** One for each feature, in the unit of the score. */
  readonly attributions: Float64Array;
  /** Of each attribution, from the spread between parts of the sampled coalitions; 0 if all coalitions were scored. */
  readonly standardErrors: Float64Array;
  /** How many rows were scored. */
  readonly rows: number;
}

/**
 * @throws InvalidInputError if there are too many features or too few rows, InferenceFailedError for a score that is not
 *   finite, and the reason of `signal` when it aborts
 */
export async function shapleyValues<Value>(options: ShapleyOptions<Value>): Promise<ShapleyValues> {
  const { row, background, maxRows, seed } = options;
  refuseWrongSizes(row.length, background.length, maxRows);
  const coalitions = new Coalitions(options);
  await coalitions.open();
  const isExact = row.length <= MAX_EXACT_FEATURES && rowsOf(2 ** row.length - 2, background.length) <= maxRows;
  const { attributions, standardErrors } = isExact
    ? await exactShapleyValues(coalitions)
    : await estimateShapleyValues(coalitions, {
        maxCoalitions: Math.floor((maxRows - 1) / background.length) - 1,
        seed,
      });
  const { base, score, rows } = coalitions;
  return { method: isExact ? 'EXACT' : 'KERNEL_SHAP', base, score, attributions, standardErrors, rows };
}

/** The least `maxRows` for this many features and background rows. */
export function leastRows(features: number, background: number): number {
  return rowsOf(leastCoalitions(features), background);
}

/** The background rows and the row itself are scored too. */
function rowsOf(coalitions: number, background: number): number {
  return (coalitions + 1) * background + 1;
}

function refuseWrongSizes(features: number, background: number, maxRows: number): void {
  if (features === 0 || background === 0)
    throw new Error(`There are ${features} features and ${background} background rows. This is a bug.`);
  if (features > MAX_FEATURES)
    throw new InvalidInputError([
      {
        path: ['input'],
        code: 'TOO_LARGE',
        message: 'the row has too many features to explain',
        expected: `at most ${MAX_FEATURES} features`,
        received: `${features}`,
      },
    ]);
  const least = leastRows(features, background);
  if (maxRows < least)
    throw new InvalidInputError([
      {
        path: ['maxModelCalls'],
        code: 'OUT_OF_RANGE',
        message: `explaining ${features} features with ${background} background rows takes more model calls`,
        expected: `at least ${least}`,
        received: `${maxRows}`,
      },
    ]);
}

/** φᵢ = Σ over coalitions S without i of |S|! (M − |S| − 1)! / M! · (v(S ∪ i) − v(S)). */
async function exactShapleyValues<Value>(coalitions: Coalitions<Value>) {
  const { features } = coalitions;
  const count = 2 ** features;
  const inner = Array.from({ length: count - 2 }, (_, i) =>
    Uint8Array.from({ length: features }, (_, feature) => ((i + 1) >> feature) & 1),
  );
  const values = Float64Array.of(coalitions.base, ...(await coalitions.valuesOf(inner)), coalitions.score);
  const weights = weightsBySize(features);
  const attributions = new Float64Array(features);
  for (let without = 0; without < count; without++) {
    const weight = weights[sizeOf(without)] as number;
    for (let feature = 0; feature < features; feature++) {
      const joined = without | (1 << feature);
      if (joined !== without)
        (attributions[feature] as number) += weight * ((values[joined] as number) - (values[without] as number));
    }
  }
  return { attributions, standardErrors: new Float64Array(features) };
}

/** s! (M − s − 1)! / M! for s from 0 to M − 1, and 0 for M. */
function weightsBySize(features: number): number[] {
  const weights = [1 / features];
  for (let size = 1; size < features; size++) weights.push(((weights[size - 1] as number) * size) / (features - size));
  return [...weights, 0];
}

function sizeOf(coalition: number): number {
  let size = 0;
  for (let rest = coalition; rest > 0; rest &= rest - 1) size++;
  return size;
}
