/**
 * What one caller may use, and has used: operations, milliseconds of computing and bytes, per second and per day.
 *
 * Seconds are token buckets: they hold a second's worth, refill all the time, and what costs more than they hold waits
 * until they are full, and leaves them in debt. Days begin at 00:00 UTC. Everything is in memory and synchronous; other
 * processes that share the store are seen when `learn` is told what all of them have used.
 */
import { quotaRefusals } from '../counting/refusals.js';
import { QuotaExceededError, type QuotaName } from '../errors.js';
import type { QuotaUseTable } from '../storage/migrations/prediction.table.js';

/** Null: no limit. */
export interface QuotaLimits {
  readonly operationsPerSecond: number | null;
  readonly operationsPerDay: number | null;
  readonly computeMsPerSecond: number | null;
  readonly computeMsPerDay: number | null;
  readonly bytesPerSecond: number | null;
  readonly bytesPerDay: number | null;
}

export interface Use {
  readonly operations: number;
  readonly computeMs: number;
  readonly bytes: number;
}

/** A monotonic clock for seconds, and the time of day. */
export interface Clock {
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
}

const CLOCK: Clock = { monotonicMs: () => performance.now(), wallMs: () => Date.now() };
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
/** Sums of fractions are off by less. */
const TOLERANCE = 1e-6;
/** Of a caller whose quota is used up, so many requests per second are read and answered by field; others are not read. */
const MAX_READ_PER_SECOND = 10;
/** Of the bodies that are read then. */
const MAX_READ_BYTES = 4 * 1024;
/** Less than anything costs, in milliseconds of computing. */
const ANY_COMPUTING = 0.001;

/** One of operations, milliseconds and bytes. */
class Meter {
  perSecond: number | null = null;
  perDay: number | null = null;
  /** What may be used at once. Below 0 if more was used than was there. */
  level = 0;
  /** Of today and of all processes, as far as it is known. */
  stored = 0;
  /** Of today and of this process, and not part of `stored`. */
  unreported = 0;

  constructor(
    readonly ofSecond: QuotaName,
    readonly ofDay: QuotaName,
  ) {}

  get usedToday(): number {
    return Math.max(0, this.stored + this.unreported);
  }

  limit(perSecond: number | null, perDay: number | null): void {
    // A limit that is raised does not fill its bucket, one that is lowered keeps no more than a second of it.
    this.level = this.perSecond === null ? (perSecond ?? 0) : Math.min(this.level, perSecond ?? 0);
    this.perSecond = perSecond;
    this.perDay = perDay;
  }

  refill(ms: number): void {
    const { perSecond } = this;
    if (perSecond !== null) this.level = Math.min(perSecond, this.level + (perSecond * ms) / SECOND_MS);
  }

  /** Positive for what was used, negative for what is given back. */
  use(amount: number): void {
    this.drain(amount);
    this.unreported += amount;
  }

  drain(amount: number): void {
    this.level = Math.min(this.perSecond ?? Number.POSITIVE_INFINITY, this.level - amount);
  }

  /** Why this may not be used; null if it may. `dayEndsMs`: how long until the day ends. */
  excess(amount: number, dayEndsMs: number): QuotaExceededError | null {
    if (amount === 0) return null;
    const { perSecond, perDay, usedToday } = this;
    if (perDay !== null && (usedToday >= perDay || usedToday + amount > perDay + TOLERANCE))
      return exceeded(this.ofDay, perDay, usedToday, amount > perDay ? null : dayEndsMs);
    if (perSecond === null) return null;
    const missing = Math.min(amount, perSecond) - this.level;
    if (missing <= TOLERANCE) return null;
    const waitMs = Math.max(1, Math.ceil(((missing - TOLERANCE) * SECOND_MS) / perSecond));
    return exceeded(this.ofSecond, perSecond, perSecond - this.level, waitMs);
  }
}

function exceeded(quota: QuotaName, limit: number, used: number, retryAfterMs: number | null): QuotaExceededError {
  return new QuotaExceededError({ quota, limit, used: Math.round(used * 1_000) / 1_000 }, retryAfterMs);
}

function counted(refusal: QuotaExceededError): QuotaExceededError {
  quotaRefusals.add(refusal.quota);
  return refusal;
}

export class Quota {
  readonly caller: string;
  readonly #clock: Clock;
  /** Called when there is something to report, and not again before `report`. */
  readonly #onUse: (quota: Quota) => void;
  readonly #operations = new Meter('OPERATIONS_PER_SECOND', 'OPERATIONS_PER_DAY');
  readonly #computeMs = new Meter('COMPUTE_MS_PER_SECOND', 'COMPUTE_MS_PER_DAY');
  readonly #bytes = new Meter('BYTES_PER_SECOND', 'BYTES_PER_DAY');
  readonly #meters = [this.#operations, this.#computeMs, this.#bytes] as const;
  #limits!: QuotaLimits;
  #refilledAt: number;
  #day: number;
  /** Whether `learn` was called: before, `stored` is unknown and taken for 0. */
  #isKnown = false;
  #isToReport = false;
  #read = { second: 0, requests: 0 };

  constructor(caller: string, limits: QuotaLimits, onUse: (quota: Quota) => void = () => {}, clock: Clock = CLOCK) {
    this.caller = caller;
    this.#onUse = onUse;
    this.#clock = clock;
    this.#refilledAt = clock.monotonicMs();
    this.#day = dayOf(clock.wallMs());
    this.limits = limits;
  }

  get limits(): QuotaLimits {
    return this.#limits;
  }

  set limits(limits: QuotaLimits) {
    this.#limits = limits;
    this.#operations.limit(limits.operationsPerSecond, limits.operationsPerDay);
    this.#computeMs.limit(limits.computeMsPerSecond, limits.computeMsPerDay);
    this.#bytes.limit(limits.bytesPerSecond, limits.bytesPerDay);
  }

  /** Today, as days since 1970: to be passed to `correct`. */
  get day(): number {
    this.#advance();
    return this.#day;
  }

  /** Of today. */
  get used(): Use {
    this.#advance();
    const [operations, computeMs, bytes] = this.#meters.map(({ usedToday }) => usedToday) as [number, number, number];
    return { operations, computeMs, bytes };
  }

  get resetsAt(): Date {
    return new Date((this.day + 1) * DAY_MS);
  }

  /** Takes all of it, or nothing and returns why. Nothing may be taken of what is used up. */
  take({ operations, computeMs, bytes }: Use): QuotaExceededError | null {
    this.#advance();
    const dayEndsMs = this.#dayEndsMs();
    const refusal =
      this.#operations.excess(operations, dayEndsMs) ??
      this.#computeMs.excess(computeMs, dayEndsMs) ??
      this.#bytes.excess(bytes, dayEndsMs);
    if (refusal) return counted(refusal);
    this.#use(operations, computeMs, bytes);
    return null;
  }

  /** Takes an operation that was done already, unless there is none left. */
  takeOperation(): void {
    this.#advance();
    if (this.#operations.excess(1, this.#dayEndsMs()) === null) this.#use(1, 0, 0);
  }

  /**
   * Takes the bytes of a request before its body is read; null if they are unknown. If only operations or computing are used
   * up, a few small requests are read all the same, so that their fields say so.
   */
  takeRequest(bodyBytes: number | null): QuotaExceededError | null {
    this.#advance();
    const dayEndsMs = this.#dayEndsMs();
    const bytes = this.#bytes.excess(Math.max(1, bodyBytes ?? 0), dayEndsMs);
    if (bytes) return counted(bytes);
    const usedUp = this.#operations.excess(1, dayEndsMs) ?? this.#computeMs.excess(ANY_COMPUTING, dayEndsMs);
    if (usedUp && !this.#isRead(bodyBytes)) return counted(usedUp);
    this.#use(0, 0, bodyBytes ?? 0);
    return null;
  }

  /**
   * To be called with what was used in addition to what was taken, negative where it was less. `day`: when it was taken.
   * What was taken yesterday is not given back today.
   */
  correct({ operations, computeMs, bytes }: Use, day: number): void {
    this.#advance();
    const isToday = day === this.#day;
    const used = [operations, computeMs, bytes];
    for (const [i, meter] of this.#meters.entries()) {
      const amount = used[i] as number;
      if (isToday || amount > 0) meter.use(amount);
      else meter.drain(amount);
    }
    this.remainsToReport();
  }

  /** What this process has used of the day since the last report that was learned. */
  report(): QuotaUseTable {
    this.#advance();
    this.#isToReport = false;
    const [operations, computeMs, bytes] = this.#meters.map(({ unreported }) => unreported) as [number, number, number];
    return { caller: this.caller, day: this.#day, operations, compute_ms: computeMs, bytes };
  }

  /** `stored`: what all processes have used, after `reported` was added. What others have used is taken from the buckets. */
  learn(stored: QuotaUseTable, reported: QuotaUseTable | null): void {
    this.#advance();
    if (stored.day > this.#day) this.#begin(stored.day);
    if (stored.day < this.#day) return;
    const own = reported?.day === stored.day ? reported : null;
    this.#learnOf(this.#operations, stored.operations, own?.operations ?? 0);
    this.#learnOf(this.#computeMs, stored.compute_ms, own?.compute_ms ?? 0);
    this.#learnOf(this.#bytes, stored.bytes, own?.bytes ?? 0);
    this.#isKnown = true;
  }

  #learnOf(meter: Meter, stored: number, reported: number): void {
    const ofOthers = stored - meter.stored - reported;
    if (this.#isKnown) meter.drain(ofOthers);
    meter.stored = stored;
    meter.unreported -= reported;
  }

  /** Also to be called if a report was lost. */
  remainsToReport(): void {
    if (!this.#isToReport) this.#onUse(this);
    this.#isToReport = true;
  }

  #use(operations: number, computeMs: number, bytes: number): void {
    this.#operations.use(operations);
    this.#computeMs.use(computeMs);
    this.#bytes.use(bytes);
    this.remainsToReport();
  }

  #isRead(bodyBytes: number | null): boolean {
    if (bodyBytes === null || bodyBytes > MAX_READ_BYTES) return false;
    const second = Math.floor(this.#refilledAt / SECOND_MS);
    if (this.#read.second !== second) this.#read = { second, requests: 0 };
    return ++this.#read.requests <= MAX_READ_PER_SECOND;
  }

  #advance(): void {
    const now = this.#clock.monotonicMs();
    const elapsedMs = Math.max(0, now - this.#refilledAt);
    this.#refilledAt = now;
    for (const meter of this.#meters) meter.refill(elapsedMs);
    const today = laterDay(dayOf(this.#clock.wallMs()), this.#day);
    if (today !== this.#day) this.#begin(today);
  }

  #begin(day: number): void {
    this.#day = day;
    for (const meter of this.#meters) {
      meter.stored = 0;
      meter.unreported = 0;
    }
  }

  #dayEndsMs(): number {
    return Math.max(1, Math.ceil((this.#day + 1) * DAY_MS - this.#clock.wallMs()));
  }
}

/** Days since 1970, in UTC. */
export function dayOf(wallMs: number): number {
  return Math.floor(wallMs / DAY_MS);
}

/**
 * Today by the clock, unless a later day has begun: a clock that is set back a little does not open yesterday's quota. One that
 * is set back by more than a day was wrong before.
 */
function laterDay(byClock: number, begun: number): number {
  return begun === byClock + 1 ? begun : byClock;
}
