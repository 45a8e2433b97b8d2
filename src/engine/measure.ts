/**
 * What was measured of a version's runs: exponentially weighted means, one for each batch size (by powers of two).
 */
const WEIGHT = 0.2;

export class RunTimes {
  readonly #inferMsBySize = new Map<number, number>();
  readonly #busyMsBySize = new Map<number, number>();
  #prepareMs = 0;
  readonly #msPerRowBySize = new Map<number, number>();

  record(rows: number, prepareMs: number, inferMs: number): void {
    const size = bucketOf(rows);
    this.#inferMsBySize.set(size, blend(this.#inferMsBySize.get(size) ?? null, inferMs));
    this.#busyMsBySize.set(size, blend(this.#busyMsBySize.get(size) ?? null, prepareMs + inferMs));
    this.#prepareMs = blend(this.#prepareMs, prepareMs);
    this.#msPerRowBySize.set(size, blend(this.#msPerRowBySize.get(size) ?? null, (prepareMs + inferMs) / rows));
  }

  /** Expected time of a run; null while no run of about this size was seen. */
  inferMs(rows: number): number | null {
    return this.#inferMsBySize.get(bucketOf(rows)) ?? null;
  }

  /** Expected time of a run with its preparation; null while none of about this size was seen. */
  busyMs(rows: number): number | null {
    return this.#busyMsBySize.get(bucketOf(rows)) ?? null;
  }

  get prepareMs(): number {
    return this.#prepareMs;
  }

  /** At the batch size that does best: what waits long enough is batched so. One slow first run refuses nobody. */
  get msPerRow(): number | null {
    return this.#msPerRowBySize.size === 0 ? null : Math.min(...this.#msPerRowBySize.values());
  }
}

function bucketOf(rows: number): number {
  return Math.ceil(Math.log2(Math.max(1, rows)));
}

function blend(mean: number | null, sample: number): number {
  return mean === null ? sample : mean + WEIGHT * (sample - mean);
}
