/**
 * Requests with the same idempotency key share one prediction.
 *
 * A key is taken from the arrival of its first request until it is known whether the prediction is on disk, even if
 * nobody waits for it anymore: a retry in the meantime joins it, and cannot record a second one.
 */
import type { CallerConnection, ComputeMeter } from '../engine/queue.js';
import { OverloadedError } from '../errors.js';
import { fitsShare, Shares } from '../fair-share.js';
import { sha256 } from '../storage/blobs.js';
import { inTime } from './in-time.js';
import type { Prediction } from './prediction.type.js';

/** Requests with keys that wait at the same time, in all. */
const MAX_WAITING = 10_000;
const MIN_RETRY_MS = 1_000;

/** What makes two requests with a key the same. */
interface KeyedRequest {
  readonly model: string;
  readonly variant?: string | null;
  readonly input: unknown;
  readonly subject?: string | null;
}

/** Identifies a request by its reference as it was sent, so that a moved alias or another order of keys changes nothing. */
export function requestDigest({ model, variant, input, subject }: KeyedRequest): string {
  const parts = [model, variant ?? null, input];
  return sha256(sortedJson(subject == null ? parts : [...parts, subject]));
}

/** The digest that versions up to 0.1.0 stored: of the version that the reference named then, and the input as it was sent. */
export function earlierDigest(versionKey: string, input: unknown): string {
  return sha256(`${versionKey}\n${JSON.stringify(input)}`);
}

/** JSON with the keys of each object in order. Recurses only as deeply as a body may be nested. */
function sortedJson(value: unknown, jsonOf: (key: string, value: unknown) => string = jsonOnce): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) {
    const isFlat = value.every((element) => typeof element !== 'object' || element === null);
    return isFlat ? JSON.stringify(value) : `[${value.map((element) => sortedJson(element, jsonOf)).join()}]`;
  }
  const object = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(object).filter((key) => object[key] !== undefined);
  keys.sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${jsonOf(key, object[key])}`).join()}}`;
}

/** The fields of an input that take any JSON. One value can be in the inputs of many fields of a request. */
const JSON_FIELDS: ReadonlySet<string> = new Set(['row', 'data']);
const known = new WeakMap<object, string>();

/** Writes the value of a JSON field once. */
function jsonOnce(key: string, value: unknown): string {
  if (!JSON_FIELDS.has(key) || typeof value !== 'object' || value === null) return sortedJson(value);
  const inside = (_: string, part: unknown): string => sortedJson(part, inside);
  const json = known.get(value) ?? sortedJson(value, inside);
  known.set(value, json);
  return json;
}

/** What the first request with a key has begun. */
export interface Begun {
  readonly prediction: Prediction;
  readonly replayed: boolean;
  /** Resolves when the prediction is on disk. */
  readonly recorded: Promise<void>;
}

/** A request that waits for a prediction, and how long. */
export interface WaitingRequest {
  readonly connection: CallerConnection;
  readonly startedAt: number;
  readonly deadlineMs: number;
}

interface Shared {
  readonly digest: string;
  readonly begun: Promise<Begun>;
  /** Null if it failed, so that there is nothing to replay. */
  readonly settled: Promise<Prediction | null>;
  readonly waiting: Set<WaitingRequest>;
  readonly connection: SharedConnection;
}

export class SharedPredictions {
  /** An object, because a `Map` would keep what was in it: see `LinkedList`. */
  readonly #byKey: Record<string, Shared> = Object.create(null);
  /** Requests that wait, by caller. */
  readonly #places = new Shares();

  /** The prediction in progress for this key. */
  get(key: string): { readonly digest: string } | undefined {
    return this.#byKey[key];
  }

  /**
   * Begins a prediction under a free key, and returns it once it is on disk.
   *
   * @param begin is given a connection that is open while any request waits
   * @throws DeadlineExceededError if recording takes too long; then it goes on, and the key stays taken meanwhile
   */
  async begin(
    key: string,
    digest: string,
    mine: WaitingRequest,
    begin: (connection: CallerConnection) => Promise<Begun>,
  ): Promise<Begun> {
    const waiting = new Set<WaitingRequest>();
    const connection = new SharedConnection(mine.connection, waiting);
    const begun = begin(connection);
    const settled = begun
      .then(({ prediction, recorded }) => recorded.then(() => prediction))
      .catch(() => null)
      .finally(() => {
        delete this.#byKey[key];
      });
    const shared: Shared = { digest, begun, settled, waiting, connection };
    this.#byKey[key] = shared;
    return this.#wait(shared, mine, async () => {
      const answered = await begun;
      await inTime(answered.recorded, mine, 'record');
      return answered;
    });
  }

  /**
   * Waits for the prediction in progress; null if it failed.
   *
   * @throws DeadlineExceededError at the deadline of this request, whatever that of the first is
   */
  async join(key: string, mine: WaitingRequest): Promise<Prediction | null> {
    const shared = this.#byKey[key];
    return shared ? this.#wait(shared, mine, () => inTime(shared.settled, mine, 'run')) : null;
  }

  async #wait<T>({ waiting, connection }: Shared, mine: WaitingRequest, wait: () => Promise<T>): Promise<T> {
    waiting.add(mine);
    mine.connection.onClose?.(() => connection.checkClosed());
    this.#places.add(mine.connection.caller, 1);
    try {
      return await wait();
    } finally {
      waiting.delete(mine);
      this.#places.giveBack(mine.connection.caller, 1);
      // Those that are left may have disconnected while this one waited.
      connection.checkClosed();
    }
  }

  /** @throws OverloadedError if as many requests wait as are allowed, in all or of this caller */
  checkRoom(ref: string, key: string, caller: string): void {
    const [ofAll, ofCaller] = [this.#places.total, this.#places.of(caller)];
    if (fitsShare(1, ofAll, ofCaller, MAX_WAITING)) return;
    const reason = `${ofAll} requests with idempotency keys are waiting, ${ofCaller} of them yours`;
    throw new OverloadedError(ref, ofAll, this.#retryAfterMs(key), reason);
  }

  /** When the prediction that the request would join is known at the latest. */
  #retryAfterMs(key: string): number {
    const [first] = this.#byKey[key]?.waiting ?? [];
    return Math.max(MIN_RETRY_MS, first ? Math.ceil(remainingMs(first)) : 0);
  }
}

/** Closed only when no request waits that could still be answered. */
class SharedConnection implements CallerConnection {
  readonly #waiting: ReadonlySet<WaitingRequest>;
  readonly #listeners = new Set<() => void>();
  readonly caller: string;
  readonly meter: ComputeMeter | null;

  /** `first`: the connection of the request that began, which pays. */
  constructor(first: CallerConnection, waiting: ReadonlySet<WaitingRequest>) {
    this.caller = first.caller;
    this.meter = first.meter ?? null;
    this.#waiting = waiting;
  }

  get isClosed(): boolean {
    for (const { connection } of this.#waiting) if (!connection.isClosed) return false;
    return true;
  }

  onClose(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** To be called when one of the connections has closed, or a request waits no more. */
  checkClosed(): void {
    if (!this.isClosed) return;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

/** How much of the deadline is left, in milliseconds. */
export function remainingMs({ startedAt, deadlineMs }: Pick<WaitingRequest, 'startedAt' | 'deadlineMs'>): number {
  return Math.max(0, deadlineMs - (performance.now() - startedAt));
}
