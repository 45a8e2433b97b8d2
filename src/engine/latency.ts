/**
 * What was measured of a version's runs: exponentially weighted means, one for each amount of work (by powers of two).
 * Work is counted in rows, and in tokens where texts are cut into them: see `Item`.
 */
const SMOOTHING_FACTOR = 0.2;

export class LatencyEstimates {
  readonly #inferMsByWork = new Map<number, number>();
  readonly #totalMsByWork = new Map<number, number>();
  #preprocessMs = 0;
  readonly #msPerWorkUnitByWork = new Map<number, number>();

  record(work: number, { preprocessMs, inferMs }: { readonly preprocessMs: number; readonly inferMs: number }): void {
    const size = workBucket(work);
    this.#inferMsByWork.set(size, updateMean(this.#inferMsByWork.get(size) ?? null, inferMs));
    this.#totalMsByWork.set(size, updateMean(this.#totalMsByWork.get(size) ?? null, preprocessMs + inferMs));
    this.#preprocessMs = updateMean(this.#preprocessMs, preprocessMs);
    this.#msPerWorkUnitByWork.set(
      size,
      updateMean(this.#msPerWorkUnitByWork.get(size) ?? null, (preprocessMs + inferMs) / work),
    );
  }

  /** Expected time of a run; null while no run of about this size was seen. */
  inferMs(work: number): number | null {
    return this.#inferMsByWork.get(workBucket(work)) ?? null;
  }

  /** Expected time of a run with its preparation; null while none of about this size was seen. */
  totalMs(work: number): number | null {
    return this.#totalMsByWork.get(workBucket(work)) ?? null;
  }

  get preprocessMs(): number {
    return this.#preprocessMs;
  }

  /** For the amount that does best: what waits long enough is batched so. One slow first run refuses nobody. */
  get msPerWorkUnit(): number | null {
    return this.#msPerWorkUnitByWork.size === 0 ? null : Math.min(...this.#msPerWorkUnitByWork.values());
  }
}

function workBucket(work: number): number {
  return Math.ceil(Math.log2(Math.max(1, work)));
}

function updateMean(mean: number | null, sample: number): number {
  return mean === null ? sample : mean + SMOOTHING_FACTOR * (sample - mean);
}
