/**
 * The quarantine: inputs that run one at a time, in a worker of their own.
 *
 * Two kinds of inputs run here: suspects, which are the items of a batch that ended its process or had too little memory,
 * and the inputs of confined callers (see `poison-inputs.ts`), who take turns. An input that ends the quarantine worker ran
 * alone, so it is the cause: it fails as a poison input, and its caller and version each get a strike. Some suspects run
 * although nobody waits for them anymore: otherwise nobody would get a strike for an input that they give up in time.
 *
 * Blocks never run here: their rows are sent again as items.
 */
import {
  DeadlineExceededError,
  InferenceFailedError,
  NotReadyError,
  OverloadedError,
  SplitBlockError,
} from '../errors.js';
import { fitsShare } from '../fair-share.js';
import { isBlock, type QueuedItem } from '../tasks/block.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import { checkInput, type Item } from '../tasks/tasks.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { createEntry } from './entry.js';
import { FairQueue } from './fair-queue.js';
import { MemorySuspects } from './memory-suspects.js';
import type { EngineVersion } from './messages.js';
import { itemDigest, PoisonInputs } from './poison-inputs.js';
import { type CallerConnection, type Entry, isObsolete, NO_LIMITS } from './queue.js';

/** An entry that waits to run alone. */
interface QuarantineEntry {
  readonly version: EngineVersion;
  readonly entry: Entry;
}

/** Trials are started by the engine itself, so they count against no caller. */
const TRIAL_CONNECTION: CallerConnection = { isClosed: false, caller: '' };
const TRIAL_DEADLINE_MS = 60_000;
/** Rows and bytes of confined inputs that may wait. */
const MAX_CONFINED_ROWS = 200;
const MAX_CONFINED_BYTES = 64 * 2 ** 20;
/** Suspects that run although nobody waits for them. */
const MAX_ABANDONED = 8;
const ONE = { ...NO_LIMITS, rows: 1 };
/** Versions whose poison inputs are counted. */
const MAX_BREAKERS = 1_000;

export class Quarantine {
  readonly #suspects: QuarantineEntry[] = [];
  readonly #abandoned: QuarantineEntry[] = [];
  readonly #confined = new FairQueue();
  /** Of confined inputs. */
  readonly #versions = new WeakMap<Entry, EngineVersion>();
  readonly #memorySuspects = new MemorySuspects();
  readonly #poisonInputs = new PoisonInputs();
  readonly #breakers = new Map<string, CircuitBreaker>();
  readonly #onBreakerOpened: (version: EngineVersion, error: Error) => void;

  /** `onBreakerOpened` is called when a version fails its trial: it crashed or timed out on its own example. */
  constructor(onBreakerOpened: (version: EngineVersion, error: Error) => void) {
    this.#onBreakerOpened = onBreakerOpened;
  }

  get isEmpty(): boolean {
    return this.#suspects.length + this.#abandoned.length === 0 && this.#confined.isEmpty;
  }

  /** Rows of confined inputs, and suspects. */
  get length(): number {
    return this.#suspects.length + this.#abandoned.length + this.#confined.totals.rows;
  }

  /** The error with which this input must be refused; null if it may be queued. Starts a trial if one is due. */
  refusal(version: EngineVersion, item: QueuedItem, caller: string, now: number): Error | null {
    const breaker = this.#breakers.get(version.key);
    if (breaker?.isTrialDue(now)) this.#runTrial(version, breaker);
    const open = breaker?.refusal(now);
    if (open) return breakerOpenError(version, open);
    if (isBlock(item)) {
      const isSuspected = this.#poisonInputs.hasFor(version.key, now) || this.isConfined(version, caller, now);
      return isSuspected ? new SplitBlockError() : null;
    }
    if (this.#poisonInputs.hasFor(version.key, now)) {
      const reason = this.#poisonInputs.reasonToRefuse(itemDigest(item), version.key, now);
      if (reason)
        return new InferenceFailedError(
          `${reason}. The same input failed less than 10 minutes ago, so it was not run again`,
        );
    }
    return this.isConfined(version, caller, now) ? this.#refusalIfFull(version, item, caller) : null;
  }

  #refusalIfFull({ ref }: EngineVersion, item: QueuedItem, caller: string): Error | null {
    const [ofAll, ofCaller] = [this.#confined.totals, this.#confined.totalsOf(caller)];
    const fits =
      ofAll.rows === 0 ||
      (fitsShare(item.rows, ofAll.rows, ofCaller.rows, MAX_CONFINED_ROWS) &&
        fitsShare(bytesOfItem(item), ofAll.bytes, ofCaller.bytes, MAX_CONFINED_BYTES));
    if (fits) return null;
    const reason = `inputs of yours ended its process or took too much memory, so each runs alone; ${ofAll.rows} inputs are waiting for that`;
    return new OverloadedError(ref, ofAll.rows, 1_000, reason);
  }

  isConfined(version: EngineVersion, caller: string, now: number): boolean {
    return this.#poisonInputs.isConfined(caller, version.key, now);
  }

  addConfined({ version, entry }: QuarantineEntry): void {
    this.#confined.push(version.key, entry);
    this.#versions.set(entry, version);
  }

  /** Inputs of one batch that ended its process, or for which a worker had too little memory. */
  addSuspects(version: EngineVersion, entries: readonly Entry[]): void {
    this.#memorySuspects.add(entries);
    for (const entry of entries) {
      if (isBlock(entry.item)) entry.fail(new SplitBlockError());
      else if (!entry.isSettled) this.#suspects.push({ version, entry });
      else if (this.#abandoned.length < MAX_ABANDONED) this.#abandoned.push({ version, entry });
    }
  }

  /** An input whose version ended its process when it was loaded. */
  addWaiting(waiting: QuarantineEntry): void {
    if (isBlock(waiting.entry.item)) waiting.entry.fail(new SplitBlockError());
    else this.#suspects.push(waiting);
  }

  /** To be called when an input has settled. */
  remove(entry: Entry): void {
    this.#confined.remove(entry);
  }

  /** Puts an entry back to the front after its worker was killed from outside. */
  requeue(suspect: QuarantineEntry): void {
    this.#suspects.unshift(suspect);
  }

  /** Takes the next entry. Suspects come first: most of them are harmless, and they have already waited for a run. */
  next(now: number): QuarantineEntry | null {
    while (this.#suspects[0] && isObsolete(this.#suspects[0].entry, now)) this.#suspects.shift();
    return this.#suspects.shift() ?? this.#abandoned.shift() ?? this.#nextConfined(now);
  }

  #nextConfined(now: number): QuarantineEntry | null {
    const key = this.#confined.next(now)?.key;
    if (key === undefined) return null;
    const [entry] = this.#confined.take(key, ONE, now);
    return entry ? { version: this.#versions.get(entry) as EngineVersion, entry } : null;
  }

  /** Whether the worker has to load the version of the next input anew. `roomBytes`: see `MemorySuspects`. */
  needsFreshWorker(entry: Entry, roomBytes: number): boolean {
    return this.#memorySuspects.needsFreshWorker(entry, roomBytes);
  }

  /** To be called when the worker loads a version. */
  onLoad(): void {
    this.#memorySuspects.onLoad();
  }

  /** To be called when an input was answered here: records a strike if it is too large to run beside other versions. */
  afterAnswer(version: EngineVersion, entry: Entry, grownBytes: number | null, roomBytes: number): void {
    if (this.#memorySuspects.isProven(entry, grownBytes, roomBytes))
      this.#poisonInputs.recordStrike(entry.connection.caller, version.key, performance.now());
  }

  /** Fails an input that ended its process while running alone, and records the strike. */
  failPoisonInput({ version, entry }: QuarantineEntry, reason: string): void {
    entry.fail(new InferenceFailedError(reason));
    const { caller } = entry.connection;
    if (caller === TRIAL_CONNECTION.caller) return;
    const now = performance.now();
    this.#poisonInputs.recordPoisonInput(caller, version.key, itemDigest(entry.item as Item), reason, now);
    const breaker = this.#breakers.get(version.key) ?? this.#newBreaker(version.key, now);
    if (breaker.recordStrike(now)) this.#runTrial(version, breaker);
  }

  #newBreaker(key: string, now: number): CircuitBreaker {
    const breaker = new CircuitBreaker();
    if (this.#breakers.size >= MAX_BREAKERS)
      for (const [key, known] of this.#breakers) if (known.isIdle(now)) this.#breakers.delete(key);
    // If all have strikes of the last minute, the oldest goes.
    if (this.#breakers.size >= MAX_BREAKERS) this.#breakers.delete(this.#breakers.keys().next().value as string);
    this.#breakers.set(key, breaker);
    return breaker;
  }

  failAll(error: Error): void {
    this.#abandoned.length = 0;
    for (const { entry } of this.#suspects.splice(0)) entry.fail(error);
    for (const key of [...this.#confined.versions]) this.#failConfined(key, error);
  }

  /** Runs the version's example to find out whether the version itself is broken. */
  #runTrial(version: EngineVersion, breaker: CircuitBreaker): void {
    const item = checkInput(version.spec, version.spec.example, []);
    const options = { deadlineMs: TRIAL_DEADLINE_MS, priority: 'HIGH', connection: TRIAL_CONNECTION } as const;
    const { entry, answered } = createEntry(
      { item, bytes: bytesOfItem(item), costMs: 0, meteredMs: 0 },
      options,
      () => {},
    );
    this.#suspects.unshift({ version, entry });
    answered.then(
      () => breaker.recordTrialPassed(),
      (error) => {
        if (!(error instanceof InferenceFailedError || error instanceof DeadlineExceededError))
          return breaker.recordTrialPassed();
        const now = performance.now();
        breaker.recordTrialFailed(error instanceof InferenceFailedError ? error.reason : error.message, now);
        this.#failVersion(version, breakerOpenError(version, breaker.refusal(now)));
      },
    );
  }

  #failVersion(version: EngineVersion, error: Error): void {
    for (const waiting of this.#suspects) if (waiting.version.key === version.key) waiting.entry.fail(error);
    this.#failConfined(version.key, error);
    this.#onBreakerOpened(version, error);
  }

  #failConfined(key: string, error: Error): void {
    for (const entry of this.#confined.take(key, NO_LIMITS, performance.now())) entry.fail(error);
  }
}

function breakerOpenError(version: EngineVersion, open: { reason: string; retryAfterMs: number } | null): Error {
  const reason = `it fails on its own example: ${open?.reason}`;
  return new NotReadyError(version.ref, 'FAILED', reason, open?.retryAfterMs ?? null);
}
