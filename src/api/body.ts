/**
 * Reads the bodies of requests: bounded in size, values, depth and time, and all of them together in bytes.
 *
 * What is known to be refused is not read. What is read is scanned as it arrives; a body that exceeds a limit is refused
 * with the chunk that exceeds it, and the rest is neither kept nor parsed. An accepted body is parsed on the event loop:
 * to hand the result over from a thread takes several times as long as to parse it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getHeapStatistics } from 'node:v8';
import type { FastifyRequest } from 'fastify';
import {
  type ArrivalLimits,
  BytesInFlight,
  givenUpAt,
  type InFlightLimits,
  type RefusalLimits,
  RefusedBytes,
} from './body-budgets.js';
import {
  cutOff,
  faulty,
  notJson,
  shuttingDown,
  tooLarge,
  tooManyRefused,
  tooMuchInFlight,
  tooSlow,
} from './body-refusals.js';
import { JsonScan } from './body-scan.js';
import { LIMITS } from './limits.js';
import type { RefusedRequest } from './refusals.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const BYTE_ORDER_MARK = 0xfeff;
/** In memory, a body takes a few times its size while it is parsed. */
const MAX_BYTES_IN_FLIGHT = Math.min(
  256 * MIB,
  Math.max(64 * MIB, Math.floor(getHeapStatistics().heap_size_limit / 8)),
);

export interface BodyLimits {
  readonly arrival: ArrivalLimits;
  readonly inFlight: InFlightLimits;
  readonly refused: RefusalLimits;
}

export const BODY_LIMITS: BodyLimits = {
  // A photo of 5 MB, as base64, takes less at 25 kB/s.
  arrival: { idleMs: 30_000, totalMs: 300_000 },
  inFlight: {
    maxBytes: MAX_BYTES_IN_FLIGHT,
    maxBytesPerCaller: MAX_BYTES_IN_FLIGHT / 2,
    largeBytes: 64 * KIB,
    reservedBytes: 16 * MIB,
  },
  refused: { maxBytes: 64 * MIB, bytesPerMs: 8 * KIB, maxCallers: 10_000 },
};

/** A body whose request has not been answered. */
interface Body {
  readonly caller: string;
  /** By its Content-Length; null if the body comes in chunks of unknown number. */
  readonly declaredBytes: number | null;
  /** Counted as in flight. */
  heldBytes: number;
}

type Done = (error: Error | null, value?: unknown) => void;

export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #inFlight: BytesInFlight;
  readonly #refused: RefusedBytes;
  readonly #bodies = new WeakMap<IncomingMessage, Body>();
  readonly #arriving = new Set<Arrival>();

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#inFlight = new BytesInFlight(limits.inFlight);
    this.#refused = new RefusedBytes(limits.refused);
  }

  /** Of all bodies whose requests have not been answered. */
  get bytesInFlight(): number {
    return this.#inFlight.bytes;
  }

  /** Why this body is not read at all; null if it is read. Its bytes are in flight until the response closes. */
  admit({ raw, principal, headers }: FastifyRequest, response: ServerResponse): RefusedRequest | null {
    const length = headers['content-length'];
    if (length === undefined && headers['transfer-encoding'] === undefined) return null;
    const declaredBytes = length === undefined ? null : Number(length);
    if (declaredBytes !== null && declaredBytes > LIMITS.maxBodyBytes) return tooLarge(declaredBytes);
    const caller = principal.callerId;
    const isLarge = declaredBytes === null || declaredBytes > this.#limits.inFlight.largeBytes;
    const waitMs = isLarge ? this.#refused.waitMs(caller, performance.now()) : 0;
    if (waitMs > 0) return tooManyRefused(waitMs);
    const body: Body = { caller, declaredBytes, heldBytes: 0 };
    if (!this.#hold(body, declaredBytes ?? 0)) return tooMuchInFlight();
    this.#bodies.set(raw, body);
    response.once('close', () => this.#inFlight.giveBack(caller, body.heldBytes));
    return null;
  }

  /** Calls `done` once, with the parsed body or with the reason for which it is refused. */
  read({ raw }: FastifyRequest, payload: IncomingMessage, done: Done): void {
    const body = this.#bodies.get(raw);
    if (!body || body.declaredBytes === 0) {
      done(notJson('The body is empty.'));
      return;
    }
    const arrival = new Arrival(payload, this.#limits.arrival, {
      hold: (received) => received <= body.heldBytes || this.#hold(body, received - body.heldBytes),
      settle: (refused) => {
        this.#arriving.delete(arrival);
        if (refused) this.#refused.add(body.caller, arrival.receivedBytes, performance.now());
        done(refused, refused ? undefined : arrival.parse());
      },
    });
    this.#arriving.add(arrival);
  }

  /** Refuses the bodies that are still arriving, because the server stops. */
  close(): void {
    for (const arrival of this.#arriving) arrival.refuse(shuttingDown());
  }

  #hold(body: Body, more: number): boolean {
    if (!this.#inFlight.take(body.caller, more, body.heldBytes)) return false;
    body.heldBytes += more;
    return true;
  }
}

interface ArrivalCalls {
  /** Whether this many bytes may be held. */
  readonly hold: (receivedBytes: number) => boolean;
  /** Called once: with null when all bytes have arrived, or with the reason for which the body is refused. */
  readonly settle: (refused: RefusedRequest | null) => void;
}

/** One body on its way in. */
class Arrival {
  readonly #payload: IncomingMessage;
  readonly #limits: ArrivalLimits;
  readonly #calls: ArrivalCalls;
  readonly #scan = new JsonScan(LIMITS);
  readonly #startedAt = performance.now();
  #lastByteAt = this.#startedAt;
  #chunks: Buffer[] = [];
  #received = 0;
  #timer: NodeJS.Timeout | null = null;
  #isSettled = false;

  constructor(payload: IncomingMessage, limits: ArrivalLimits, calls: ArrivalCalls) {
    this.#payload = payload;
    this.#limits = limits;
    this.#calls = calls;
    payload.on('data', this.#onData).once('end', this.#onEnd).once('error', this.#onLost).once('close', this.#onLost);
    this.#giveUpLater();
  }

  get receivedBytes(): number {
    return this.#received;
  }

  parse(): unknown {
    const text = (this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)).toString();
    return JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
  }

  refuse(reason: RefusedRequest): void {
    this.#chunks = [];
    this.#settle(reason);
    this.#payload.resume();
  }

  #settle(refused: RefusedRequest | null): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#payload.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onLost);
    this.#calls.settle(refused);
  }

  #check(chunk: Buffer): RefusedRequest | null {
    if (this.#received > LIMITS.maxBodyBytes) return tooLarge(this.#received);
    if (!this.#calls.hold(this.#received)) return tooMuchInFlight();
    const fault = this.#scan.scan(chunk);
    return fault ? faulty(fault) : null;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length;
    this.#lastByteAt = performance.now();
    const refused = this.#check(chunk);
    if (refused) this.refuse(refused);
    else this.#chunks.push(chunk);
  };

  readonly #onEnd = (): void => {
    if (this.#received === 0) this.refuse(notJson('The body is empty.'));
    else if (this.#scan.isComplete) this.#settle(null);
    else this.refuse(faulty('syntax'));
  };

  readonly #onLost = (): void => this.refuse(cutOff());

  readonly #giveUpLater = (): void => {
    const at = givenUpAt({ startedAt: this.#startedAt, lastByteAt: this.#lastByteAt }, this.#limits);
    const remainingMs = at - performance.now();
    if (remainingMs <= 0) this.refuse(tooSlow());
    else this.#timer = setTimeout(this.#giveUpLater, Math.ceil(remainingMs));
  };
}
