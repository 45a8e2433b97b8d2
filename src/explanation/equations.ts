/**
 * The normal equations of weighted least squares for attributions φ with a given sum: v(S) ≈ Σ φᵢ over the members of S.
 *
 * The last attribution is replaced by what the others leave of the sum, so that it holds exactly.
 */
export class Equations {
  readonly #sum: number;
  /** One less than features. */
  readonly #size: number;
  /** The lower triangle of the matrix is in use. */
  readonly #matrix: Float64Array;
  readonly #vector: Float64Array;

  constructor(features: number, sum: number) {
    this.#sum = sum;
    this.#size = features - 1;
    this.#matrix = new Float64Array(this.#size ** 2);
    this.#vector = new Float64Array(this.#size);
  }

  /** `coalition`: 1 for members, 0 for others. `value`: above that of no feature. */
  add(coalition: Uint8Array, weight: number, value: number): void {
    const size = this.#size;
    const last = coalition[size] as number;
    // Coefficients are zᵢ − z of the last: all of one sign, or 0.
    const target = last ? weight * (this.#sum - value) : weight * value;
    const matrix = this.#matrix;
    const used: number[] = [];
    for (let i = 0; i < size; i++) {
      if (coalition[i] === last) continue;
      used.push(i);
      (this.#vector[i] as number) += target;
      for (let k = 0; k < used.length; k++) (matrix[i * size + (used[k] as number)] as number) += weight;
    }
  }

  /** These equations, and the others times a factor. */
  plus(others: readonly Equations[], factor: number): Equations {
    const all = new Equations(this.#size + 1, this.#sum);
    addTimes(all.#matrix, this.#matrix, 1);
    addTimes(all.#vector, this.#vector, 1);
    for (const other of others) {
      addTimes(all.#matrix, other.#matrix, factor);
      addTimes(all.#vector, other.#vector, factor);
    }
    return all;
  }

  /** By Cholesky's decomposition. Each feature must have been alone in a coalition, and alone outside of one. */
  solve(): Float64Array {
    const size = this.#size;
    const lower = this.#decomposed();
    const solution = new Float64Array(size + 1);
    for (let i = 0; i < size; i++) {
      let rest = this.#vector[i] as number;
      for (let k = 0; k < i; k++) rest -= (lower[i * size + k] as number) * (solution[k] as number);
      solution[i] = rest / (lower[i * size + i] as number);
    }
    let left = this.#sum;
    for (let i = size - 1; i >= 0; i--) {
      let rest = solution[i] as number;
      for (let k = i + 1; k < size; k++) rest -= (lower[k * size + i] as number) * (solution[k] as number);
      solution[i] = rest / (lower[i * size + i] as number);
      left -= solution[i] as number;
    }
    solution[size] = left;
    return solution;
  }

  #decomposed(): Float64Array {
    const size = this.#size;
    const lower = this.#matrix.slice();
    for (let i = 0; i < size; i++)
      for (let j = 0; j <= i; j++) {
        let rest = lower[i * size + j] as number;
        for (let k = 0; k < j; k++) rest -= (lower[i * size + k] as number) * (lower[j * size + k] as number);
        lower[i * size + j] = i === j ? Math.sqrt(rest) : rest / (lower[j * size + j] as number);
      }
    return lower;
  }
}

function addTimes(target: Float64Array, values: Float64Array, factor: number): void {
  for (let i = 0; i < values.length; i++) (target[i] as number) += factor * (values[i] as number);
}
