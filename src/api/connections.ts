/** The connections of the HTTP server: when they close, and what keeps one open although there is nothing to answer. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CallerConnection } from '../engine/queue.js';

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

  /** Also ends the other requests on this connection. */
  disconnect(): void {
    this.#response.req.socket.destroy();
  }

  /** Called when the response has been sent, or the client has disconnected before. */
  onClose(listener: () => void): void {
    if (this.#listeners.push(listener) > 1) return;
    this.#response.on('close', () => {
      for (const one of this.#listeners) one();
    });
  }
}
