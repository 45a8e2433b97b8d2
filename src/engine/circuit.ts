/**
 * Whether a version still works, judged by its own example and by nothing that callers send. Pure: the time is handed in.
 *
 *   CLOSED ──3 convictions in a minute──▶ JUDGED ──example answers──▶ CLOSED
 *                                           │ ▲
 *                              example ends │ │ half a minute later
 *                              its process  ▼ │
 *                                           OPEN: refused at once
 */
const WINDOW_MS = 60_000;
const CONVICTIONS_TO_JUDGE = 3;
export const OPEN_MS = 30_000;

export class Circuit {
  #convictions: number[] = [];
  #openUntil: number | null = null;
  #reason = '';
  #isJudged = false;

  /** An input of the version ended its process. Answers whether the example must be run now. */
  convict(now: number): boolean {
    this.#convictions = [...this.#convictions.filter((at) => now - at < WINDOW_MS), now].slice(-CONVICTIONS_TO_JUDGE);
    return this.#begin(this.#convictions.length === CONVICTIONS_TO_JUDGE && this.#openUntil === null);
  }

  /** Asked before each input. Answers whether the example must be run again now. */
  isDue(now: number): boolean {
    return this.#begin(this.#openUntil !== null && now >= this.#openUntil);
  }

  /** The example answered, or failed as an input may fail: the version works. */
  passed(): void {
    this.#isJudged = false;
    this.#openUntil = null;
    this.#convictions = [];
  }

  /** The example ended its process. */
  failed(reason: string, now: number): void {
    this.#isJudged = false;
    this.#openUntil = now + OPEN_MS;
    this.#reason = reason;
  }

  /** Null while it is closed; else why, and when to come back. */
  refusal(now: number): { readonly reason: string; readonly retryAfterMs: number } | null {
    if (this.#openUntil === null) return null;
    return { reason: this.#reason, retryAfterMs: Math.ceil(Math.max(1_000, this.#openUntil - now)) };
  }

  #begin(isNeeded: boolean): boolean {
    if (!isNeeded || this.#isJudged) return false;
    this.#isJudged = true;
    return true;
  }
}
