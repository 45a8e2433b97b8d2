/**
 * What was measured of a version's runs: exponentially weighted means, one for each amount of work (by powers of two).
 * Work is counted in rows, and in tokens where texts are cut into them: see `Item`.
 */
const WEIGHT = 0.2;

export class LatencyEstimates {
  readonly #inferMsByWork = new Map<number, number>();
  readonly #busyMsByWork = new Map<number, number>();
  #preprocessMs = 0;
  readonly #msPerUnitByWork = new Map<number, number>();

  record(work: number, { preprocessMs, inferMs }: { readonly preprocessMs: number; readonly inferMs: number }): void {
    const size = workBucket(work);
    this.#inferMsByWork.set(size, blend(this.#inferMsByWork.get(size) ?? null, inferMs));
    this.#busyMsByWork.set(size, blend(this.#busyMsByWork.get(size) ?? null, preprocessMs + inferMs));
    this.#preprocessMs = blend(this.#preprocessMs, preprocessMs);
    this.#msPerUnitByWork.set(size, blend(this.#msPerUnitByWork.get(size) ?? null, (preprocessMs + inferMs) / work));
  }

  /** Expected time of a run; null while no run of about this size was seen. */
  inferMs(work: number): number | null {
    return this.#inferMsByWork.get(workBucket(work)) ?? null;
  }

  /** Expected time of a run with its preparation; null while none of about this size was seen. */
  busyMs(work: number): number | null {
    return this.#busyMsByWork.get(workBucket(work)) ?? null;
  }

  get preprocessMs(): number {
    return this.#preprocessMs;
  }

  /** For the amount that does best: what waits long enough is batched so. One slow first run refuses nobody. */
  get msPerUnit(): number | null {
    return this.#msPerUnitByWork.size === 0 ? null : Math.min(...this.#msPerUnitByWork.values());
  }
}

function workBucket(work: number): number {
  return Math.ceil(Math.log2(Math.max(1, work)));
}

function blend(mean: number | null, sample: number): number {
  return mean === null ? sample : mean + WEIGHT * (sample - mean);
}
