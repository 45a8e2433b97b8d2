/** How many bytes of refused bodies the server reads, and how long it waits for a body. */

export interface RefusalLimits {
  /** Bytes of refused bodies that one caller may send before the server stops reading them. */
  readonly maxBytes: number;
  /** Bytes that are subtracted per millisecond. */
  readonly bytesPerMs: number;
  /** The caller whose last refusal is the longest ago is forgotten beyond this many. */
  readonly maxCallers: number;
}

/** Bytes of refused bodies by caller: a leaky bucket for each. */
export class RefusedBytes {
  readonly #limits: RefusalLimits;
  /** The last refused is last. */
  readonly #byCaller = new Map<string, { readonly bytes: number; readonly at: number }>();

  constructor(limits: RefusalLimits) {
    this.#limits = limits;
  }

  /** In how many milliseconds the caller's bodies are read again; 0 if they are read now. */
  waitMs(caller: string, now: number): number {
    return Math.max(0, this.#level(caller, now) - this.#limits.maxBytes) / this.#limits.bytesPerMs;
  }

  add(caller: string, bytes: number, now: number): void {
    const level = this.#level(caller, now) + bytes;
    this.#byCaller.delete(caller);
    this.#byCaller.set(caller, { bytes: level, at: now });
    if (this.#byCaller.size <= this.#limits.maxCallers) return;
    for (const [oldest] of this.#byCaller.entries().take(1)) this.#byCaller.delete(oldest);
  }

  #level(caller: string, now: number): number {
    const { bytes, at } = this.#byCaller.get(caller) ?? { bytes: 0, at: now };
    return Math.max(0, bytes - (now - at) * this.#limits.bytesPerMs);
  }
}

export interface ArrivalLimits {
  /** Longest time without a byte. */
  readonly idleMs: number;
  /** Longest time until the last byte. */
  readonly totalMs: number;
}

/** When the server stops waiting for a body that is still arriving. All times are in milliseconds, from any one origin. */
export function givenUpAt(
  { startedAt, lastByteAt }: { startedAt: number; lastByteAt: number },
  { idleMs, totalMs }: ArrivalLimits,
): number {
  return Math.min(lastByteAt + idleMs, startedAt + totalMs);
}
