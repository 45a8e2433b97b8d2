/**
 * Reads the bodies of requests: bounded in size, values, depth and time, and all of them together in bytes.
 *
 * A body that will be refused anyway is not read. Every other body is scanned as it arrives, unless it is small and arrives
 * in one piece; a body that exceeds a limit is refused with the chunk that exceeds it, and the rest is neither kept nor
 * parsed. An accepted body is parsed on the event loop: to hand the result over from a thread takes several times as long as
 * to parse it. What is not tiny is parsed in turns.
 */
import type { IncomingMessage } from 'node:http';
import { getHeapStatistics } from 'node:v8';
import type { FastifyRequest } from 'fastify';
import { JsonScan } from '../json-scan.js';
import { type Link, LinkedList } from '../linked-list.js';
import { type ArrivalLimits, givenUpAt, type RefusalLimits, RefusedBytes } from './body-budgets.js';
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
import { BytesInFlight, type InFlightLimits } from './bytes-in-flight.js';
import { Discarding } from './discarding.js';
import { LIMITS } from './limits.js';
import type { RefusedRequest } from './refusals.js';
import { WorkTurns } from './turns.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const BYTE_ORDER_MARK = 0xfeff;
/** While it is parsed, a body takes more memory than it counts. */
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
    largeBytes: 64 * KIB,
    reservedBytes: 16 * MIB,
  },
  refused: { maxBytes: 64 * MIB, bytesPerMs: 8 * KIB, maxCallers: 10_000 },
};

/** What a value or key counts in addition to its text: about half of what it takes in memory at most. */
const VALUE_BYTES = 32;
/** Bodies up to this size are parsed as soon as they are complete. */
const TINY_BYTES = 4 * KIB;
/** How much is parsed in one turn of the event loop, in bytes as they are counted in flight. */
const MAX_PARSED_PER_TURN = 256 * KIB;

/** A body from the first header to the answer of its request. */
export interface Body {
  readonly caller: string;
  /** By its Content-Length; null if the body comes in chunks of unknown number. */
  readonly declaredBytes: number | null;
  /** What has arrived; null until it is read. */
  receivedBytes: number | null;
  /** Counted as in flight: the memory in which it is collected, and that of its values. */
  heldBytes: number;
  /** What it held when it was parsed; 0 before. */
  parsedBytes: number;
  /** Whether its response has closed. */
  isClosed: boolean;
}

type Done = (error: Error | null, value?: unknown) => void;

/** How often the server looks for bodies that arrive too slowly, relative to the shorter of the two limits. */
const CHECKS_PER_LIMIT = 30;

export class BodyReader {
  readonly limits: BodyLimits;
  readonly #inFlight: BytesInFlight;
  readonly #refused: RefusedBytes;
  readonly discarding: Discarding;
  readonly #parses = new WorkTurns(MAX_PARSED_PER_TURN);
  readonly #arriving = new LinkedList<Arrival>();
  /** One timer for all bodies: nearly all arrive at once, and a timer for each would cost more than to read them. */
  #timer: NodeJS.Timeout | null = null;

  constructor(limits: BodyLimits) {
    this.limits = limits;
    this.#inFlight = new BytesInFlight(limits.inFlight);
    this.#refused = new RefusedBytes(limits.refused);
    this.discarding = new Discarding(this.#refused);
  }

  /** What the bodies of all requests hold. */
  get bytesInFlight(): number {
    return this.#inFlight.bytes;
  }

  /** Why this body is not read at all; null if it is read, or there is none. What arrives is in flight until the response closes. */
  admit(request: FastifyRequest): RefusedRequest | null {
    const { headers, connection } = request;
    const length = headers['content-length'];
    if (length === undefined && headers['transfer-encoding'] === undefined) return null;
    const declaredBytes = length === undefined ? null : Number(length);
    if (declaredBytes !== null && declaredBytes > LIMITS.maxBodyBytes) return tooLarge(declaredBytes);
    const { caller } = connection;
    const waitMs = this.isLarge(declaredBytes) ? this.#refused.waitMs(caller, performance.now()) : 0;
    if (waitMs > 0) return tooManyRefused(waitMs);
    if (!this.#inFlight.fits(caller, declaredBytes ?? 0)) return tooMuchInFlight();
    const body: Body = {
      caller,
      declaredBytes,
      receivedBytes: null,
      heldBytes: 0,
      parsedBytes: 0,
      isClosed: false,
    };
    request.incoming = body;
    connection.onClose(() => {
      body.isClosed = true;
      this.#release(body);
    });
    return null;
  }

  /** To be called when a request was answered with this status. Large bodies that were parsed, then answered with 400 to 499, count as refused. */
  answered({ incoming: body }: FastifyRequest, status: number): void {
    if (!body || status < 400 || status >= 500 || !this.isLarge(body.parsedBytes)) return;
    this.#refused.add(body.caller, body.parsedBytes, performance.now());
  }

  /** Calls `done` once, with the parsed body or with the reason for which it is refused. */
  read({ incoming: body }: FastifyRequest, payload: IncomingMessage, done: Done): void {
    if (!body || body.declaredBytes === 0) {
      done(notJson('The body is empty.'));
      return;
    }
    const arrival = new Arrival(body, payload, done, this.#calls);
    arrival.link = this.#arriving.push(arrival);
    this.#watch();
  }

  /** Refuses the bodies that are still arriving, because the server stops. */
  close(): void {
    for (const arrival of this.#arriving) arrival.refuse(shuttingDown());
  }

  /** What bodies call as they arrive. */
  readonly #calls: ArrivalCalls = {
    hold: (body, bytes) => {
      const more = bytes - body.heldBytes;
      if (more > 0 && !this.#inFlight.take(body.caller, more, body.heldBytes)) return false;
      body.heldBytes = Math.max(bytes, body.heldBytes);
      return true;
    },
    complete: (arrival, body) => {
      this.#left(arrival);
      if (body.heldBytes <= TINY_BYTES) arrival.parse();
      else this.#parses.take(body.caller, body.heldBytes, () => arrival.parse());
    },
    refused: (arrival, body, payload, received) => {
      this.#left(arrival);
      this.#release(body);
      if (received > 0) this.#refused.add(body.caller, received, performance.now());
      this.discarding.rest(payload, body.caller);
    },
  };

  #left(arrival: Arrival): void {
    if (arrival.link) this.#arriving.remove(arrival.link);
  }

  #release(body: Body): void {
    this.#inFlight.giveBack(body.caller, body.heldBytes);
    body.heldBytes = 0;
  }

  /** @param bytes as they are counted in flight; null if unknown */
  isLarge(bytes: number | null): boolean {
    return bytes === null || bytes > this.limits.inFlight.largeBytes;
  }

  #watch(): void {
    const { arrival: limits } = this.limits;
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
  readonly hold: (body: Body, bytes: number) => boolean;
  /** Called when all bytes have arrived; calls `parse` now or later. */
  readonly complete: (arrival: Arrival, body: Body) => void;
  /** Called at most once, with the bytes that were received. */
  readonly refused: (arrival: Arrival, body: Body, payload: IncomingMessage, received: number) => void;
}

/** A body that comes in one piece and is no larger cannot have too many values, so it is parsed without a scan. */
const UNSCANNED_BYTES = 64 * KIB;

/** The smallest buffer in which chunks are collected. */
const MIN_BUFFER_BYTES = KIB;
const NOTHING: Buffer = Buffer.alloc(0);

/** One body on its way in. */
class Arrival {
  readonly #body: Body;
  readonly #payload: IncomingMessage;
  readonly #done: Done;
  readonly #calls: ArrivalCalls;
  readonly startedAt = performance.now();
  lastByteAt = this.startedAt;
  /** Among the bodies that are arriving. */
  link: Link<Arrival> | null = null;
  #scan: JsonScan | null = null;
  /** The chunks are copied, because each takes several hundred bytes in addition to its own. */
  #buffer = NOTHING;
  #received = 0;
  #isComplete = false;
  #isSettled = false;

  constructor(body: Body, payload: IncomingMessage, done: Done, calls: ArrivalCalls) {
    this.#body = body;
    this.#payload = payload;
    this.#done = done;
    this.#calls = calls;
    payload.on('data', (chunk: Buffer) => this.#take(chunk));
    payload.on('end', () => this.#finish());
    payload.on('close', () => this.#isComplete || this.refuse(cutOff()));
  }

  refuse(reason: RefusedRequest): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#buffer = NOTHING;
    this.#calls.refused(this, this.#body, this.#payload, this.#received);
    this.#done(reason);
  }

  #take(chunk: Buffer): void {
    if (this.#isSettled) return;
    const start = this.#received;
    this.#received += chunk.length;
    this.#body.receivedBytes = this.#received;
    this.lastByteAt = performance.now();
    const refused = this.#check(chunk);
    if (refused) this.refuse(refused);
    else if (this.#buffer.length > 0) chunk.copy(this.#buffer, start);
    else this.#buffer = chunk;
  }

  /** Why the body is refused with this chunk; null if there is room for it in the buffer, or it is the whole body. */
  #check(chunk: Buffer): RefusedRequest | null {
    if (this.#received > LIMITS.maxBodyBytes) return tooLarge(this.#received);
    const isWhole = chunk.length === this.#body.declaredBytes;
    if (!isWhole || chunk.length > UNSCANNED_BYTES) {
      this.#scan ??= new JsonScan(LIMITS);
      const fault = this.#scan.scan(chunk);
      if (fault) return faulty(fault);
    }
    const capacity = isWhole ? chunk.length : this.#capacity();
    if (!this.#calls.hold(this.#body, capacity + VALUE_BYTES * (this.#scan?.values ?? 0))) return tooMuchInFlight();
    if (isWhole || capacity === this.#buffer.length) return null;
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(larger);
    this.#buffer = larger;
    return null;
  }

  /** Of the buffer for all bytes so far: it doubles, so that each byte is copied twice on average. */
  #capacity(): number {
    const { length } = this.#buffer;
    if (this.#received <= length) return length;
    const most = this.#body.declaredBytes ?? LIMITS.maxBodyBytes;
    return Math.min(most, Math.max(this.#received, 2 * length, MIN_BUFFER_BYTES));
  }

  #finish(): void {
    this.#isComplete = true;
    if (this.#isSettled) return;
    if (this.#received === 0) this.refuse(notJson('The body is empty.'));
    else if (this.#scan?.isComplete === false) this.refuse(faulty('syntax'));
    else this.#calls.complete(this, this.#body);
  }

  /** To be called once, when the body is complete. */
  parse(): void {
    if (this.#body.isClosed) {
      this.refuse(cutOff());
      return;
    }
    const bytes = this.#buffer.subarray(0, this.#received);
    const text = bytes.toString();
    const scan = this.#scan || isShallow(text) ? null : new JsonScan(LIMITS);
    const fault = scan?.scan(bytes);
    if (fault) {
      this.refuse(faulty(fault));
      return;
    }
    if (scan && !this.#calls.hold(this.#body, this.#received + VALUE_BYTES * scan.values)) {
      this.refuse(tooMuchInFlight());
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
    } catch {
      // The scan knows what is wrong; what is parsed without it is small.
      this.refuse(faulty(new JsonScan(LIMITS).scan(bytes) ?? 'syntax'));
      return;
    }
    this.#isSettled = true;
    this.#buffer = NOTHING;
    this.#body.parsedBytes = this.#body.heldBytes;
    this.#done(null, value);
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
