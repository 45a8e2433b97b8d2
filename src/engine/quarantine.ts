/**
 * The quarantine: inputs that run one at a time, in a worker of their own.
 *
 * Two kinds of inputs run here: suspects, which are the items of a batch that ended its process, and the inputs of
 * confined callers (see `poison-inputs.ts`). An input that ends the quarantine worker ran alone, so it is the cause: it
 * fails as a poison input, and its caller and version each get a strike.
 */
import { DeadlineExceededError, InferenceFailedError, NotReadyError, OverloadedError } from '../errors.js';
import { bytesOfItem } from '../tasks/item-bytes.js';
import type { Item } from '../tasks/tasks.js';
import { checkInput } from '../tasks/tasks.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { createEntry } from './entry.js';
import type { EngineVersion } from './messages.js';
import { itemDigest, PoisonInputs } from './poison-inputs.js';
import { type CallerConnection, type Entry, isObsolete } from './queue.js';

/** An entry that waits to run alone. */
export interface QuarantineEntry {
  readonly version: EngineVersion;
  readonly entry: Entry;
}

/** Trials are started by the engine itself, so they count against no caller. */
const TRIAL_CONNECTION: CallerConnection = { isClosed: false, caller: '' };
const TRIAL_DEADLINE_MS = 60_000;
const MAX_CONFINED = 200;
/** Versions whose poison inputs are counted. */
const MAX_BREAKERS = 1_000;

export class Quarantine {
  readonly #suspects: QuarantineEntry[] = [];
  readonly #confined: QuarantineEntry[] = [];
  readonly #poisonInputs = new PoisonInputs();
  readonly #breakers = new Map<string, CircuitBreaker>();
  readonly #onBreakerOpened: (version: EngineVersion, error: Error) => void;

  /** `onBreakerOpened` is called when a version fails its trial: it crashed or timed out on its own example. */
  constructor(onBreakerOpened: (version: EngineVersion, error: Error) => void) {
    this.#onBreakerOpened = onBreakerOpened;
  }

  get length(): number {
    return this.#suspects.length + this.#confined.length;
  }

  /** The error with which this input must be refused; null if it may be queued. Starts a trial if one is due. */
  refusal(version: EngineVersion, item: Item, caller: string, now: number): Error | null {
    const breaker = this.#breakers.get(version.key);
    if (breaker?.isTrialDue(now)) this.#runTrial(version, breaker);
    const open = breaker?.refusal(now);
    if (open) return breakerOpenError(version, open);
    if (this.#poisonInputs.hasAny) {
      const reason = this.#poisonInputs.reasonToRefuse(itemDigest(item), version.key, now);
      if (reason)
        return new InferenceFailedError(
          `${reason}. The same input failed less than 10 minutes ago, so it was not run again`,
        );
    }
    if (this.#confined.length < MAX_CONFINED || !this.isConfined(version, caller, now)) return null;
    return new OverloadedError(
      version.ref,
      this.#confined.length,
      1_000,
      `inputs of yours ended its process, so each runs alone; ${this.#confined.length} inputs are waiting for that`,
    );
  }

  isConfined(version: EngineVersion, caller: string, now: number): boolean {
    return this.#poisonInputs.isConfined(caller, version.key, now);
  }

  addConfined(suspect: QuarantineEntry): void {
    this.#confined.push(suspect);
  }

  addSuspect(suspect: QuarantineEntry): void {
    this.#suspects.push(suspect);
  }

  /** Puts an entry back to the front after its worker was killed from outside. */
  requeue(suspect: QuarantineEntry): void {
    this.#suspects.unshift(suspect);
  }

  /** Takes the next entry. Suspects come first: most of them are harmless, and they have already waited for a run. */
  next(now: number): QuarantineEntry | null {
    for (const lane of [this.#suspects, this.#confined]) {
      while (lane[0] && isObsolete(lane[0].entry, now)) lane.shift();
      const next = lane.shift();
      if (next) return next;
    }
    return null;
  }

  /** Fails an input that ended its process while running alone, and records the strike. */
  failPoisonInput({ version, entry }: QuarantineEntry, reason: string): void {
    entry.fail(new InferenceFailedError(reason));
    const { caller } = entry.connection;
    if (caller === TRIAL_CONNECTION.caller) return;
    const now = performance.now();
    this.#poisonInputs.recordStrike(caller, version.key, itemDigest(entry.item), reason, now);
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
    for (const { entry } of [...this.#suspects.splice(0), ...this.#confined.splice(0)]) entry.fail(error);
  }

  /** Runs the version's example to find out whether the version itself is broken. */
  #runTrial(version: EngineVersion, breaker: CircuitBreaker): void {
    const item = checkInput(version.spec, version.spec.example, []);
    const options = { deadlineMs: TRIAL_DEADLINE_MS, priority: 'HIGH', connection: TRIAL_CONNECTION } as const;
    const { entry, answered } = createEntry({ item, bytes: bytesOfItem(item), costMs: 0 }, options, () => {});
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
    for (const waiting of [...this.#suspects, ...this.#confined]) {
      if (waiting.version.key === version.key) waiting.entry.fail(error);
    }
    this.#onBreakerOpened(version, error);
  }
}

function breakerOpenError(version: EngineVersion, open: { reason: string; retryAfterMs: number } | null): Error {
  const reason = `it fails on its own example: ${open?.reason}`;
  return new NotReadyError(version.ref, 'FAILED', reason, open?.retryAfterMs ?? null);
}
