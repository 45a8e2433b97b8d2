/**
 * Budgets of bytes: one for each answer, and one for all answers that are being made or sent, which callers share.
 *
 * Bytes are reserved before anything is read, built or serialized. Once an answer is serialized, its length counts until
 * it has been sent or its connection has closed, however small it is.
 */
import { LinkedList } from '../linked-list.js';
import { BytesInFlight } from './bytes-in-flight.js';
import { WorkTurns } from './turns.js';

/** While an answer is being made, up to this size is not counted in flight: nearly all are smaller, and counting takes time. */
export const UNCOUNTED_BYTES = 64 * 1024;
/** When to retry an answer that did not fit beside the others. */
export const RETRY_AFTER_MS = 1_000;

/** Values up to this size are decoded and completed at once. */
const TINY_BYTES = 4 * 1024;
/** How much is decoded and completed in one turn of the event loop, in bytes as they are reserved. */
const MAX_BYTES_PER_TURN = 256 * 1024;

interface SendingLimits {
  /** How long a client may take to receive an answer. */
  readonly maxMs: number;
  /** The same for the caller with the most bytes in flight, when another one is refused. */
  readonly maxMsIfOthersWait: number;
}

const SENDING_LIMITS: SendingLimits = { maxMs: 60_000, maxMsIfOthersWait: 10_000 };
/** How often the server looks for answers that take too long, relative to the limit. */
const CHECKS_PER_LIMIT = 30;
/** The part of all bytes that answers above `UNCOUNTED_BYTES` leave to smaller ones. */
const RESERVED_PART = 1 / 8;

/** The bytes of all answers in flight, and the turns in which they are made. */
export class AnswersInFlight {
  readonly turns = new WorkTurns(MAX_BYTES_PER_TURN);
  readonly #bytes: BytesInFlight;
  readonly #limits: SendingLimits;
  /** Serialized answers that have not been sent, by their caller, with the time since when, oldest first. */
  readonly #sending = new LinkedList<{ readonly connection: AnswerConnection; readonly since: number }>();
  #timer: NodeJS.Timeout | null = null;

  constructor(maxBytes: number, limits: SendingLimits = SENDING_LIMITS) {
    this.#bytes = new BytesInFlight({
      maxBytes,
      largeBytes: UNCOUNTED_BYTES,
      reservedBytes: Math.floor(maxBytes * RESERVED_PART),
    });
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes.bytes;
  }

  take(caller: string, more: number, held: number): boolean {
    if (this.#bytes.take(caller, more, held)) return true;
    const { greatest } = this.#bytes;
    if (greatest !== null && greatest !== caller) this.#closeSlow(this.#limits.maxMsIfOthersWait, greatest);
    return false;
  }

  giveBack(caller: string, bytes: number): void {
    this.#bytes.giveBack(caller, bytes);
  }

  /** Ends the connection if the answer has not been sent in time. */
  send(connection: AnswerConnection): void {
    const link = this.#sending.push({ connection, since: performance.now() });
    connection.onClose(() => this.#sending.remove(link));
    this.#watch();
  }

  #watch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#closeSlow(this.#limits.maxMs, null);
      if (this.#sending.size > 0) this.#watch();
    }, this.#limits.maxMs / CHECKS_PER_LIMIT).unref();
  }

  /** Closes the connections of this caller, or of all, whose answers have been ready for this long. */
  #closeSlow(maxMs: number, caller: string | null): void {
    const now = performance.now();
    for (const { connection, since } of this.#sending) {
      if (now - since < maxMs) return;
      if (caller === null || connection.caller === caller) connection.disconnect();
    }
  }
}

/** The connection that waits for the answer. */
export interface AnswerConnection {
  readonly caller: string;
  readonly isClosed: boolean;
  onClose(listener: () => void): void;
  disconnect(): void;
}

/** `answer`: the answer would be too large. `inFlight`: it does not fit beside the other answers at the moment. */
export type BudgetRefusal = 'answer' | 'inFlight';

/** The budget of one answer. What is read from storage is counted separately from the answer, with the same limit. */
export class AnswerBudget {
  #answerBytes = 0;
  #readBytes = 0;
  #countedBytes = 0;
  #isWatched = false;
  #isSending = false;
  /** Whether a part of the answer has taken a turn. */
  #hasBegun = false;
  /** Whether the answer has contents of a recorded prediction. */
  hasRecordedContents = false;

  constructor(
    readonly maxBytes: number,
    private readonly inFlight: AnswersInFlight,
    private readonly connection: AnswerConnection,
  ) {}

  /** Reserves both numbers of bytes, or neither and says why. */
  reserve(answerBytes: number, readBytes: number): BudgetRefusal | null {
    const answer = this.#answerBytes + answerBytes;
    const read = this.#readBytes + readBytes;
    if (answer > this.maxBytes || read > this.maxBytes) return 'answer';
    if (answer + read > UNCOUNTED_BYTES && !this.#count(answer + read)) return 'inFlight';
    this.#answerBytes = answer;
    this.#readBytes = read;
    return null;
  }

  /** Whether nobody waits for the answer anymore. */
  get isClosed(): boolean {
    return this.connection.isClosed;
  }

  /**
   * Calls `work`, whose bytes have been reserved: at once if they are few, else in a turn of the event loop. Callers take
   * turns, so that many large answers of one caller delay others by one of them. What an answer in progress needs comes
   * before answers of the same caller that have not begun.
   */
  inTurn<T>(bytes: number, work: () => T): T | Promise<Awaited<T>> {
    if (bytes <= TINY_BYTES) return work();
    const { turns } = this.inFlight;
    const turn = new Promise<void>((resolve) => {
      if (this.#hasBegun) turns.takeNext(this.connection.caller, bytes, resolve);
      else turns.take(this.connection.caller, bytes, resolve);
    });
    this.#hasBegun = true;
    return turn.then(work) as Promise<Awaited<T>>;
  }

  /**
   * To be called when the answer is serialized: counts its length instead of what was reserved, and limits the time in which
   * it is sent. False if it does not fit; then a shorter answer may be tried.
   */
  send(bytes: number): boolean {
    if (!this.#count(bytes)) return false;
    if (!this.#isSending) this.inFlight.send(this.connection);
    this.#isSending = true;
    return true;
  }

  #count(bytes: number): boolean {
    const { caller } = this.connection;
    const more = bytes - this.#countedBytes;
    // Nobody waits anymore, and `close` would not be emitted again to give the bytes back.
    if (this.connection.isClosed || (more > 0 && !this.inFlight.take(caller, more, this.#countedBytes))) return false;
    if (more < 0) this.inFlight.giveBack(caller, -more);
    this.#countedBytes = bytes;
    if (!this.#isWatched) this.connection.onClose(() => this.inFlight.giveBack(caller, this.#countedBytes));
    this.#isWatched = true;
    return true;
  }
}
