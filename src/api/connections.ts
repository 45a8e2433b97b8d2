/** The connections of the HTTP server: when they close, and what keeps one open although there is nothing to answer. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CallerConnection } from '../engine/queue.js';

/** How long the rest of a body is read and discarded after its request was answered. */
const DISCARD_MS = 10_000;

export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #unanswered = new Set<ServerResponse>();
  #isClosing = false;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      if (this.#isClosing) socket.destroy();
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    const unanswered = this.#unanswered;
    function onClose(this: ServerResponse): void {
      unanswered.delete(this);
      if (!this.req.complete) discardRest(this.req);
    }
    server.on('request', (_: IncomingMessage, response: ServerResponse) => {
      unanswered.add(response);
      response.on('close', onClose);
    });
  }

  /** Closes every connection without a request to answer now, and the others with their last answer. */
  close(): void {
    this.#isClosing = true;
    const last = new Map<Socket, ServerResponse>();
    for (const response of this.#unanswered) last.set(response.req.socket, response);
    for (const response of last.values()) if (!response.headersSent) response.setHeader('connection', 'close');
    // Node closes only those that have sent a request before and none since.
    for (const socket of this.#sockets) if (!last.has(socket)) socket.destroy();
  }
}

/** The connection that waits for one response. A request may have many inputs: they share one listener of Node. */
export class ResponseConnection implements CallerConnection {
  readonly caller: string;
  readonly #response: ServerResponse;
  readonly #listeners: (() => void)[] = [];

  constructor(caller: string, response: ServerResponse) {
    this.caller = caller;
    this.#response = response;
  }

  get isClosed(): boolean {
    return this.#response.destroyed;
  }

  /** Called when the response has been sent, or the client has disconnected before. */
  onClose(listener: () => void): void {
    if (this.#listeners.push(listener) > 1) return;
    this.#response.on('close', () => {
      for (const one of this.#listeners) one();
    });
  }
}

/**
 * A client that is still sending would lose the answer if its connection were closed at once, and one that never stops
 * sending would keep the connection.
 */
function discardRest(request: IncomingMessage): void {
  const { socket } = request;
  const timer = setTimeout(() => socket.destroy(), DISCARD_MS).unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
