/**
 * Whether a version still works, judged by its own example and by nothing that callers send. Pure: the time is handed in.
 *
 *   CLOSED ──3 convictions in a minute──▶ JUDGED ──example answers──▶ CLOSED
 *                                           │ ▲
 *                              example ends │ │ half a minute later
 *                              its process  ▼ │
 *                                           OPEN: refused at once
 */
const STRIKE_WINDOW_MS = 60_000;
const STRIKES_TO_TRIAL = 3;
export const OPEN_MS = 30_000;

export class CircuitBreaker {
  #strikes: number[] = [];
  #openUntil: number | null = null;
  #reason = '';
  #isInTrial = false;

  /** An input of the version ended its process. Answers whether the example must be run now. */
  recordStrike(now: number): boolean {
    this.#strikes = [...this.#strikes.filter((at) => now - at < STRIKE_WINDOW_MS), now].slice(-STRIKES_TO_TRIAL);
    return this.#beginTrial(this.#strikes.length === STRIKES_TO_TRIAL && this.#openUntil === null);
  }

  /** Asked before each input. Answers whether the example must be run again now. */
  isTrialDue(now: number): boolean {
    return this.#beginTrial(this.#openUntil !== null && now >= this.#openUntil);
  }

  /** The example answered, or failed as an input may fail: the version works. */
  recordTrialPassed(): void {
    this.#isInTrial = false;
    this.#openUntil = null;
    this.#strikes = [];
  }

  /** The example ended its process. */
  recordTrialFailed(reason: string, now: number): void {
    this.#isInTrial = false;
    this.#openUntil = now + OPEN_MS;
    this.#reason = reason;
  }

  /** Null while it is closed; else why, and when to come back. */
  refusal(now: number): { readonly reason: string; readonly retryAfterMs: number } | null {
    if (this.#openUntil === null) return null;
    return { reason: this.#reason, retryAfterMs: Math.ceil(Math.max(1_000, this.#openUntil - now)) };
  }

  #beginTrial(isNeeded: boolean): boolean {
    if (!isNeeded || this.#isInTrial) return false;
    this.#isInTrial = true;
    return true;
  }
}
