/**
 * The bytes that requests hold until they are answered, and those of answers until they are sent, so that those of all
 * requests fit in memory together.
 */
import { fitsShare, Shares } from '../fair-share.js';

export interface InFlightLimits {
  /** Of all callers together. */
  readonly maxBytes: number;
  /** Whatever is larger than this leaves `reservedBytes` to what is smaller. */
  readonly largeBytes: number;
  readonly reservedBytes: number;
}

export class BytesInFlight {
  readonly #limits: InFlightLimits;
  readonly #shares = new Shares();

  constructor(limits: InFlightLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#shares.total;
  }

  /** The caller who holds most; null if nobody holds anything. Looks at every caller. */
  get greatest(): string | null {
    return this.#shares.greatest;
  }

  /**
   * Whether something of `held` bytes may grow by `more` bytes: at most to the caller's share, that is, as much as is left
   * for all others, or to the whole if there is nothing else.
   */
  fits(caller: string, more: number, held = 0): boolean {
    const { maxBytes, largeBytes, reservedBytes } = this.#limits;
    const { total } = this.#shares;
    if (total === held) return held + more <= maxBytes;
    const limit = maxBytes - (held + more > largeBytes ? reservedBytes : 0);
    return fitsShare(more, total, this.#shares.of(caller), limit);
  }

  /** Adds `more` bytes to something of `held` bytes, if they fit. */
  take(caller: string, more: number, held = 0): boolean {
    if (!this.fits(caller, more, held)) return false;
    this.#shares.add(caller, more);
    return true;
  }

  giveBack(caller: string, bytes: number): void {
    this.#shares.giveBack(caller, bytes);
  }
}
