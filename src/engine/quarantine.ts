/**
 * Inputs that run alone, in a worker of their own: those of a batch that ended its process, and all of a confined
 * caller. What ends the process there as well is convicted: it failed, and nothing else did.
 */
import { DeadlineExceededError, InferenceFailedError, NotReadyError, OverloadedError } from '../errors.js';
import type { Item } from '../tasks/tasks.js';
import { check } from '../tasks/tasks.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { createEntry } from './entry.js';
import type { EngineVersion } from './messages.js';
import { itemDigest, PoisonInputs } from './poison-inputs.js';
import { type Connection, type Entry, isObsolete } from './queue.js';

export interface QuarantineEntry {
  readonly version: EngineVersion;
  readonly entry: Entry;
}

/** The engine itself waits for its own trials; it is no caller. */
const TRIAL_CONNECTION: Connection = { isClosed: false, caller: '' };
const TRIAL_DEADLINE_MS = 60_000;
const MAX_CONFINED = 200;

export class Quarantine {
  readonly #suspects: QuarantineEntry[] = [];
  readonly #confined: QuarantineEntry[] = [];
  readonly #poisonInputs = new PoisonInputs();
  readonly #breakers = new Map<string, CircuitBreaker>();
  readonly #onBreakerOpened: (version: EngineVersion, error: Error) => void;

  /** `onOpened` hears of a version that does not even answer its own example. */
  constructor(onOpened: (version: EngineVersion, error: Error) => void) {
    this.#onBreakerOpened = onOpened;
  }

  get length(): number {
    return this.#suspects.length + this.#confined.length;
  }

  /** Why this input is not even queued, if it is not. */
  refusal(version: EngineVersion, item: Item, caller: string, now: number): Error | null {
    const circuit = this.#breakers.get(version.key);
    if (circuit?.isTrialDue(now)) this.#runTrial(version, circuit);
    const open = circuit?.refusal(now);
    if (open) return breakerOpenError(version, open);
    if (this.#poisonInputs.hasAny) {
      const reason = this.#poisonInputs.reasonToRefuse(itemDigest(item), version.key, now);
      if (reason) return new InferenceFailedError(`${reason} (this very input, a moment ago; it was not run again)`);
    }
    if (this.#confined.length < MAX_CONFINED || !this.isConfined(version, caller, now)) return null;
    return new OverloadedError(version.ref, this.#confined.length, 1_000);
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

  /** It was on its way when its worker was killed from outside. */
  requeue(suspect: QuarantineEntry): void {
    this.#suspects.unshift(suspect);
  }

  /** Suspects before the confined: most of them are innocent, and have waited already. */
  next(now: number): QuarantineEntry | null {
    for (const lane of [this.#suspects, this.#confined]) {
      while (lane[0] && isObsolete(lane[0].entry, now)) lane.shift();
      const next = lane.shift();
      if (next) return next;
    }
    return null;
  }

  /** Alone, and its process ended: this input is the culprit. */
  failPoisonInput({ version, entry }: QuarantineEntry, reason: string): void {
    entry.fail(new InferenceFailedError(reason));
    const { caller } = entry.connection;
    if (caller === TRIAL_CONNECTION.caller) return;
    const now = performance.now();
    this.#poisonInputs.recordStrike(caller, version.key, itemDigest(entry.item), reason, now);
    const circuit = this.#breakers.get(version.key) ?? new CircuitBreaker();
    this.#breakers.set(version.key, circuit);
    if (circuit.recordStrike(now)) this.#runTrial(version, circuit);
  }

  failAll(error: Error): void {
    for (const { entry } of [...this.#suspects.splice(0), ...this.#confined.splice(0)]) entry.fail(error);
  }

  /** Runs the version's own example: it decides whether the version is at fault. */
  #runTrial(version: EngineVersion, circuit: CircuitBreaker): void {
    const item = check(version.spec, version.spec.example, []);
    const options = { deadlineMs: TRIAL_DEADLINE_MS, priority: 'HIGH', connection: TRIAL_CONNECTION } as const;
    const { entry, answered } = createEntry(item, options, () => {});
    this.#suspects.unshift({ version, entry });
    answered.then(
      () => circuit.recordTrialPassed(),
      (error) => {
        if (!(error instanceof InferenceFailedError || error instanceof DeadlineExceededError))
          return circuit.recordTrialPassed();
        const now = performance.now();
        circuit.recordTrialFailed(error instanceof InferenceFailedError ? error.reason : error.message, now);
        this.#failVersion(version, breakerOpenError(version, circuit.refusal(now)));
      },
    );
  }

  #failVersion(version: EngineVersion, error: Error): void {
    for (const { version: theirs, entry } of [...this.#suspects, ...this.#confined]) {
      if (theirs.key === version.key) entry.fail(error);
    }
    this.#onBreakerOpened(version, error);
  }
}

function breakerOpenError(version: EngineVersion, open: { reason: string; retryAfterMs: number } | null): Error {
  const reason = `it does not answer its own example: ${open?.reason}`;
  return new NotReadyError(version.ref, 'FAILED', reason, open?.retryAfterMs ?? null);
}
