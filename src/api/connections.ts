/** The connections of the HTTP server: what keeps one open although there is nothing to answer. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long the rest of a body is read and discarded after its request was answered. */
const DISCARD_MS = 10_000;

export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #unanswered = new Map<ServerResponse, Socket>();
  #isClosing = false;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      if (this.#isClosing) socket.destroy();
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#unanswered.set(response, request.socket);
      response.once('close', () => {
        this.#unanswered.delete(response);
        if (!request.complete) discardRest(request);
      });
    });
  }

  /** Closes every connection without a request to answer now, and the others with their last answer. */
  close(): void {
    this.#isClosing = true;
    for (const response of this.#unanswered.keys()) {
      if (!response.headersSent) response.setHeader('connection', 'close');
    }
    const busy = new Set(this.#unanswered.values());
    // Node closes only those that have sent a request before and none since.
    for (const socket of this.#sockets) if (!busy.has(socket)) socket.destroy();
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
