/**
 * The circuit breaker of one version. It opens only if the version fails on its own example, so callers cannot take a
 * version out of service by sending poison inputs.
 *
 *   CLOSED ──3 strikes within 60 s──▶ TRIAL ──example succeeds──▶ CLOSED
 *                                     │ ▲
 *              example crashes or     │ │ 30 s later
 *              does not finish        ▼ │
 *                                     OPEN: requests are refused immediately
 *
 * A strike is one poison input: an input that ended its process while it ran alone in quarantine. A trial runs the
 * version's example in quarantine. Requests are still served during a trial that follows CLOSED; they are still
 * refused during one that follows OPEN, the state that other circuit breakers call HALF_OPEN.
 *
 * Pure: callers pass the current time in milliseconds.
 */
const STRIKE_WINDOW_MS = 60_000;
const STRIKES_TO_TRIAL = 3;
export const OPEN_MS = 30_000;

export class CircuitBreaker {
  #strikes: number[] = [];
  #openUntil: number | null = null;
  #reason = '';
  #isInTrial = false;

  /** Counts a poison input. Returns true if the caller must start a trial now. */
  recordStrike(now: number): boolean {
    this.#strikes = [...this.#strikes.filter((at) => now - at < STRIKE_WINDOW_MS), now].slice(-STRIKES_TO_TRIAL);
    return this.#beginTrial(this.#strikes.length === STRIKES_TO_TRIAL && this.#openUntil === null);
  }

  /** Whether it is closed, and has no strikes that still count. */
  isIdle(now: number): boolean {
    return this.#openUntil === null && !this.#isInTrial && this.#strikes.every((at) => now - at >= STRIKE_WINDOW_MS);
  }

  /** Call before each input. Returns true if the breaker has been open for 30 s and the caller must start a trial. */
  isTrialDue(now: number): boolean {
    return this.#beginTrial(this.#openUntil !== null && now >= this.#openUntil);
  }

  /** Closes the breaker: the example was answered, or failed in a way that does not question the version. */
  recordTrialPassed(): void {
    this.#isInTrial = false;
    this.#openUntil = null;
    this.#strikes = [];
  }

  /** Opens the breaker for 30 s: the example crashed its process or did not finish. */
  recordTrialFailed(reason: string, now: number): void {
    this.#isInTrial = false;
    this.#openUntil = now + OPEN_MS;
    this.#reason = reason;
  }

  /** Null unless the breaker is open; otherwise the reason, and the delay before a retry makes sense (at least 1 s). */
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
