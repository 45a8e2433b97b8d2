/**
 * Measurements that take seconds: one at a time, while callers take turns. What was measured is kept for a minute, and whoever asks
 * for it while it is measured gets the same.
 */
import { OverloadedError } from '../errors.js';
import { RoundRobin } from '../storage/round-robin.js';

const KEPT_MS = 60_000;
const MAX_KEPT = 1_000;
const MAX_WAITING = 50;
const RETRY_AFTER_MS = 5_000;

/** Who asks, and about which version. */
interface By {
  readonly account: string;
  readonly ref: string;
}

interface Waiting extends By {
  readonly begin: () => Promise<void>;
  readonly refuse: (error: OverloadedError) => void;
}

interface Kept {
  /** Infinite while it is measured. */
  readonly until: number;
  readonly result: Promise<unknown>;
}

export class Measurements {
  /** By name; oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #waiting = new RoundRobin<Waiting>(MAX_WAITING);
  #isRunning = false;

  /** The result of `work`, or of an earlier one with this name. @throws OverloadedError if too many wait */
  of<T>(name: string, by: By, work: () => Promise<T>): Promise<T> {
    const known = this.#kept.get(name);
    if (known && known.until > Date.now()) return known.result as Promise<T>;
    const result = this.#inTurn(by, work);
    this.#keep(name, result);
    return result;
  }

  #keep(name: string, result: Promise<unknown>): void {
    const running = { until: Number.POSITIVE_INFINITY, result };
    this.#kept.delete(name);
    if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value as string);
    this.#kept.set(name, running);
    const replace = (until: number) => {
      if (this.#kept.get(name) !== running) return;
      this.#kept.delete(name);
      if (until > 0) this.#kept.set(name, { until, result });
    };
    result.then(
      () => replace(Date.now() + KEPT_MS),
      () => replace(0),
    );
  }

  #inTurn<T>(by: By, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const begin = () => work().then(resolve, reject);
    const refused = this.#waiting.add(by.account, { ...by, begin, refuse: reject });
    refused?.refuse(
      new OverloadedError(refused.ref, this.#waiting.size, RETRY_AFTER_MS, 'other versions are being measured'),
    );
    if (!this.#isRunning) void this.#runAll();
    return promise;
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#waiting.next(); next; next = this.#waiting.next()) await next.begin();
    this.#isRunning = false;
  }
}
