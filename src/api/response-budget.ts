/**
 * Budgets of bytes: one for each answer, and one for all answers that are being made or written.
 *
 * Bytes are reserved before anything is read, built or serialized. The bytes of a request are given back when its
 * response has been written, or its connection has closed.
 */

/** Answers up to this size are not counted in flight: nearly all are smaller, and counting takes time. */
export const UNCOUNTED_BYTES = 64 * 1024;
/** When to retry an answer that did not fit beside the others. */
export const RETRY_AFTER_MS = 1_000;
/** How long a client may take to receive an answer that is counted. */
export const MAX_SENDING_MS = 60_000;

/** The bytes of all answers in flight. */
export class AnswersInFlight {
  #bytes = 0;

  constructor(readonly maxBytes: number) {}

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.maxBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** The connection that waits for the answer: a `ServerResponse`. */
export interface Waiting {
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
}

/** `answer`: the answer would be too large. `inFlight`: it does not fit beside the other answers at the moment. */
export type Refusal = 'answer' | 'inFlight';

/** The budget of one answer. What is read from storage is counted separately from the answer, with the same limit. */
export class AnswerBudget {
  #answerBytes = 0;
  #readBytes = 0;
  #countedBytes = 0;

  constructor(
    readonly maxBytes: number,
    private readonly inFlight: AnswersInFlight,
    private readonly waiting: Waiting,
  ) {}

  /** Reserves both numbers of bytes, or neither and says why. */
  reserve(answerBytes: number, readBytes: number): Refusal | null {
    const answer = this.#answerBytes + answerBytes;
    const read = this.#readBytes + readBytes;
    if (answer > this.maxBytes || read > this.maxBytes) return 'answer';
    if (answer + read > UNCOUNTED_BYTES && !this.#count(answer + read - this.#countedBytes)) return 'inFlight';
    this.#answerBytes = answer;
    this.#readBytes = read;
    return null;
  }

  /** Called when the answer is complete. Ends the connection if its bytes have not been given back after `ms`. */
  limitSending(ms: number): void {
    if (this.#countedBytes === 0) return;
    const timer = setTimeout(() => this.waiting.destroy(), ms).unref();
    this.waiting.once('close', () => clearTimeout(timer));
  }

  #count(bytes: number): boolean {
    // Nobody waits anymore, and `close` would not be emitted again to give the bytes back.
    if (this.waiting.destroyed || !this.inFlight.take(bytes)) return false;
    if (this.#countedBytes === 0) this.waiting.once('close', () => this.inFlight.giveBack(this.#countedBytes));
    this.#countedBytes += bytes;
    return true;
  }
}
