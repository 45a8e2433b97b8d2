/**
 * Measured latency of one version's batches: exponentially weighted moving averages, in milliseconds, bucketed by the
 * amount of work in powers of two. Work is counted in rows, or in tokens for models that read text: see `Item`.
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

  /** Expected duration of a run; null until a batch of this bucket was measured. */
  inferMs(work: number): number | null {
    return this.#inferMsByWork.get(workBucket(work)) ?? null;
  }

  /** Expected duration of preprocessing and run; null until a batch of this bucket was measured. */
  totalMs(work: number): number | null {
    return this.#totalMsByWork.get(workBucket(work)) ?? null;
  }

  get preprocessMs(): number {
    return this.#preprocessMs;
  }

  /**
   * Milliseconds per unit of work in the most efficient bucket; null until a batch was measured. A long queue is served
   * in batches of that size. Taking the minimum keeps one slow first run from causing refusals.
   */
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
