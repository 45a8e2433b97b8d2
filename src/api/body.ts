/**
 * Reads the bodies of requests: bounded in size, values, depth and time, and all of them together in bytes.
 *
 * A body that will be refused anyway is not read. Every other body is scanned as it arrives, unless it is small and arrives
 * in one piece; a body that exceeds a limit is refused with the chunk that exceeds it, and the rest is neither kept nor
 * parsed. An accepted body is parsed on the event loop: to hand the result over from a thread takes several times as long as
 * to parse it.
 */
import type { IncomingMessage } from 'node:http';
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

/** A body from the first header to the answer of its request. */
export interface Body {
  readonly caller: string;
  /** By its Content-Length; null if the body comes in chunks of unknown number. */
  readonly declaredBytes: number | null;
  /** Counted as in flight. */
  heldBytes: number;
}

type Done = (error: Error | null, value?: unknown) => void;

/** How often the server looks for bodies that arrive too slowly, relative to the shorter of the two limits. */
const CHECKS_PER_LIMIT = 30;

export class BodyReader {
  readonly #limits: BodyLimits;
  readonly #inFlight: BytesInFlight;
  readonly #refused: RefusedBytes;
  readonly #arriving = new Set<Arrival>();
  /** One timer for all bodies: nearly all arrive at once, and a timer for each would cost more than to read them. */
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
    this.#inFlight = new BytesInFlight(limits.inFlight);
    this.#refused = new RefusedBytes(limits.refused);
  }

  /** Why this body is not read at all; null if it is read, or there is none. Its bytes are in flight until the response closes. */
  admit(request: FastifyRequest): RefusedRequest | null {
    const { headers, connection } = request;
    const length = headers['content-length'];
    if (length === undefined && headers['transfer-encoding'] === undefined) return null;
    const declaredBytes = length === undefined ? null : Number(length);
    if (declaredBytes !== null && declaredBytes > LIMITS.maxBodyBytes) return tooLarge(declaredBytes);
    const { caller } = connection;
    const isLarge = declaredBytes === null || declaredBytes > this.#limits.inFlight.largeBytes;
    const waitMs = isLarge ? this.#refused.waitMs(caller, performance.now()) : 0;
    if (waitMs > 0) return tooManyRefused(waitMs);
    const body: Body = { caller, declaredBytes, heldBytes: 0 };
    if (!this.#hold(body, declaredBytes ?? 0)) return tooMuchInFlight();
    request.incoming = body;
    connection.onClose(() => this.#inFlight.giveBack(caller, body.heldBytes));
    return null;
  }

  /** Calls `done` once, with the parsed body or with the reason for which it is refused. */
  read({ incoming: body }: FastifyRequest, payload: IncomingMessage, done: Done): void {
    if (!body || body.declaredBytes === 0) {
      done(notJson('The body is empty.'));
      return;
    }
    this.#arriving.add(new Arrival(body, payload, done, this.#calls));
    this.#watch();
  }

  /** Refuses the bodies that are still arriving, because the server stops. */
  close(): void {
    for (const arrival of this.#arriving) arrival.refuse(shuttingDown());
  }

  /** What bodies call as they arrive. */
  readonly #calls: ArrivalCalls = {
    hold: (body, received) => received <= body.heldBytes || this.#hold(body, received - body.heldBytes),
    settled: (arrival, { caller }, refusedBytes) => {
      this.#arriving.delete(arrival);
      if (refusedBytes > 0) this.#refused.add(caller, refusedBytes, performance.now());
    },
  };

  #hold(body: Body, more: number): boolean {
    if (!this.#inFlight.take(body.caller, more, body.heldBytes)) return false;
    body.heldBytes += more;
    return true;
  }

  #watch(): void {
    const { arrival: limits } = this.#limits;
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const now = performance.now();
      for (const arrival of this.#arriving) if (now >= givenUpAt(arrival, limits)) arrival.refuse(tooSlow());
      if (this.#arriving.size > 0) this.#watch();
    }, Math.min(limits.idleMs, limits.totalMs) / CHECKS_PER_LIMIT).unref();
  }
}

interface ArrivalCalls {
  /** Whether this many bytes may be held for a body. */
  readonly hold: (body: Body, receivedBytes: number) => boolean;
  /** Called once, when all bytes have arrived or the body is refused. `refusedBytes`: 0 if it is accepted. */
  readonly settled: (arrival: Arrival, body: Body, refusedBytes: number) => void;
}

/** A body that comes in one piece and is no larger cannot have too many values, so it is parsed without a scan. */
const UNSCANNED_BYTES = 64 * KIB;

/** One body on its way in. */
class Arrival {
  readonly #body: Body;
  readonly #done: Done;
  readonly #calls: ArrivalCalls;
  readonly startedAt = performance.now();
  lastByteAt = this.startedAt;
  #scan: JsonScan | null = null;
  #chunks: Buffer[] = [];
  #received = 0;
  #isSettled = false;

  constructor(body: Body, payload: IncomingMessage, done: Done, calls: ArrivalCalls) {
    this.#body = body;
    this.#done = done;
    this.#calls = calls;
    // The rest of a refused body is discarded here, so that its client gets the answer.
    payload.on('data', (chunk: Buffer) => this.#take(chunk));
    payload.on('end', () => this.#finish());
    payload.on('close', () => this.#isSettled || this.refuse(cutOff()));
  }

  refuse(reason: RefusedRequest): void {
    if (!this.#isSettled) this.#settle(reason);
  }

  #take(chunk: Buffer): void {
    if (this.#isSettled) return;
    this.#received += chunk.length;
    this.lastByteAt = performance.now();
    const refused = this.#check(chunk);
    if (refused) this.refuse(refused);
    else this.#chunks.push(chunk);
  }

  #check(chunk: Buffer): RefusedRequest | null {
    if (this.#received > LIMITS.maxBodyBytes) return tooLarge(this.#received);
    if (!this.#calls.hold(this.#body, this.#received)) return tooMuchInFlight();
    if (chunk.length === this.#body.declaredBytes && chunk.length <= UNSCANNED_BYTES) return null;
    this.#scan ??= new JsonScan(LIMITS);
    const fault = this.#scan.scan(chunk);
    return fault ? faulty(fault) : null;
  }

  #finish(): void {
    if (this.#isSettled) return;
    if (this.#received === 0) this.refuse(notJson('The body is empty.'));
    else if (this.#scan?.isComplete === false) this.refuse(faulty('syntax'));
    else this.#parse();
  }

  #parse(): void {
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    const text = bytes.toString();
    const fault = this.#scan || isShallow(text) ? null : new JsonScan(LIMITS).scan(bytes);
    if (fault) {
      this.refuse(faulty(fault));
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
    } catch {
      this.refuse(faulty('syntax'));
      return;
    }
    this.#settle(null, value);
  }

  #settle(refused: RefusedRequest | null, value?: unknown): void {
    this.#isSettled = true;
    this.#chunks = [];
    this.#calls.settled(this, this.#body, refused ? this.#received : 0);
    this.#done(refused, value);
  }
}

/** Whether a text has too few brackets to be nested too deeply; those in strings count as well. */
function isShallow(text: string): boolean {
  let brackets = 0;
  for (const bracket of '{[') {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++brackets > LIMITS.maxBodyDepth) return false;
    }
  }
  return true;
}
