/** Reads and discards the rest of bodies that are refused, or were not read at all. */
import type { IncomingMessage } from 'node:http';
import type { RefusedBytes } from './body-budgets.js';

/** How long the rest of one body is discarded. */
const DISCARD_MS = 10_000;

/**
 * A client that is still sending would lose the answer if its connection were closed at once. So its bytes are read, until
 * its caller's budget of refused bytes is used up.
 */
export class Discarding {
  readonly #refused: RefusedBytes;
  readonly #requests = new WeakSet<IncomingMessage>();

  constructor(refused: RefusedBytes) {
    this.#refused = refused;
  }

  /** Discards what the client of this request still sends, or closes its connection. */
  rest(request: IncomingMessage, caller: string): void {
    if (request.complete || request.destroyed || this.#requests.has(request)) return;
    this.#requests.add(request);
    // Destroying an incomplete request closes its connection.
    const timer = setTimeout(() => request.destroy(), DISCARD_MS).unref();
    request.once('close', () => clearTimeout(timer));
    request.on('data', (chunk: Buffer) => {
      const now = performance.now();
      this.#refused.add(caller, chunk.length, now);
      if (this.#refused.waitMs(caller, now) > 0) request.destroy();
    });
    request.resume();
  }
}
