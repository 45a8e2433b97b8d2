/** The connections of the HTTP server: how many there may be, and when they close. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { CallerConnection, ComputeMeter } from '../engine/queue.js';
import { fitsShare, Shares } from '../fair-share.js';
import { type Link, LinkedList } from '../linked-list.js';

/** An idle connection takes about 20 kB. */
const MAX_CONNECTIONS = 10_000;
/** Where the limit of open files is unknown. */
const DEFAULT_MAX_FILES = 2_048;

/** Half of the files that the process may have open: the rest is for databases, blobs and pipes to workers. */
export async function maxConnections(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const maxFiles = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? DEFAULT_MAX_FILES);
  return Math.min(MAX_CONNECTIONS, Math.floor(maxFiles / 2));
}

interface Connection {
  /** Of the transport, also where requests come from a socket of TLS on top of it. */
  readonly socket: Socket;
  readonly caller: string;
  /** Requests that have not been answered. */
  unanswered: number;
  /** Among those of its caller without a request to answer. */
  idle: Link<Socket> | null;
}

/**
 * A caller may open as many connections as are left for all others. Beyond that, its connection that has been idle longest
 * is closed for each new one; if all connections are taken, that of the caller who has most. Without an idle one, the new
 * one is closed.
 */
export class Connections {
  readonly #max: number;
  readonly #isTls: boolean;
  readonly #callerOf: (socket: Socket) => string;
  readonly #open = new Map<Socket, Connection>();
  readonly #shares = new Shares();
  /** Connections without a request to answer, by caller, idle longest first. */
  readonly #idle = new Map<string, LinkedList<Socket>>();
  readonly #unanswered = new LinkedList<ServerResponse>();
  /** With TLS: connections by the address and port of their client, and those that are secure by their socket of TLS. */
  readonly #byPeer = new Map<string, Connection>();
  readonly #secure = new Map<Socket, Connection>();
  #isClosing = false;

  constructor(server: Server, max: number, callerOf: (socket: Socket) => string) {
    this.#max = max;
    this.#isTls = server instanceof TlsServer;
    this.#callerOf = callerOf;
    server.on('connection', (socket: Socket) => this.#add(socket));
    server.on('secureConnection', (socket: Socket) => this.#secured(socket));
    server.on('request', (_: IncomingMessage, response: ServerResponse) => this.#begin(response));
  }

  /** Closes every connection without a request to answer now, and the others with their last answer. */
  close(): void {
    this.#isClosing = true;
    const last = new Map<Connection | undefined, ServerResponse>();
    for (const response of this.#unanswered) last.set(this.#of(response.req.socket), response);
    for (const response of last.values()) if (!response.headersSent) response.setHeader('connection', 'close');
    // Node closes only those that have sent a request before and none since.
    for (const connection of this.#open.values()) if (!last.has(connection)) connection.socket.destroy();
  }

  #of(socket: Socket): Connection | undefined {
    return this.#open.get(socket) ?? this.#secure.get(socket);
  }

  #add(socket: Socket): void {
    const caller = this.#callerOf(socket);
    if (this.#isClosing || !this.#makeRoom(caller)) {
      socket.destroy();
      return;
    }
    this.#shares.add(caller, 1);
    const connection = { socket, caller, unanswered: 0, idle: null };
    this.#open.set(socket, connection);
    this.#addIdle(connection);
    socket.once('close', () => this.#remove(socket));
    if (!this.#isTls) return;
    const peer = this.#peerOf(socket);
    this.#byPeer.set(peer, connection);
    socket.once('close', () => this.#byPeer.delete(peer));
  }

  /** Two connections cannot have the same one. */
  #peerOf(socket: Socket): string {
    return `${this.#callerOf(socket)} ${socket.remotePort}`;
  }

  /** A connection whose handshake is done. Node does not say on which one of the transport. */
  #secured(socket: Socket): void {
    const connection = this.#byPeer.get(this.#peerOf(socket));
    if (!connection) return;
    this.#secure.set(socket, connection);
    socket.once('close', () => this.#secure.delete(socket));
  }

  #makeRoom(caller: string): boolean {
    const { total } = this.#shares;
    if (fitsShare(1, total, this.#shares.of(caller), this.#max)) return true;
    const longestIdle = this.#idle.get(total < this.#max ? caller : (this.#shares.greatest ?? caller))?.first;
    if (!longestIdle) return false;
    longestIdle.destroy();
    this.#remove(longestIdle);
    return true;
  }

  #remove(socket: Socket): void {
    const connection = this.#open.get(socket);
    if (!connection) return;
    this.#open.delete(socket);
    this.#shares.giveBack(connection.caller, 1);
    this.#removeIdle(connection);
    if (this.#shares.of(connection.caller) === 0) this.#idle.delete(connection.caller);
  }

  #begin(response: ServerResponse): void {
    const { socket } = response.req;
    const connection = this.#of(socket);
    const link = this.#unanswered.push(response);
    if (connection && connection.unanswered++ === 0) this.#removeIdle(connection);
    response.on('close', () => {
      this.#unanswered.remove(link);
      if (connection && --connection.unanswered === 0 && this.#open.has(connection.socket)) this.#addIdle(connection);
    });
  }

  #addIdle(connection: Connection): void {
    let idle = this.#idle.get(connection.caller);
    if (!idle) {
      idle = new LinkedList();
      this.#idle.set(connection.caller, idle);
    }
    connection.idle = idle.push(connection.socket);
  }

  #removeIdle(connection: Connection): void {
    if (connection.idle) this.#idle.get(connection.caller)?.remove(connection.idle);
    connection.idle = null;
  }
}

/** The connection that waits for one response. A request may have many inputs: they share one listener of Node. */
export class ResponseConnection implements CallerConnection {
  readonly caller: string;
  /** Set before the fields of an operation run, if the computing of the caller is limited. */
  meter: ComputeMeter | null = null;
  readonly #response: ServerResponse;
  readonly #listeners = new LinkedList<() => void>();
  #isWatched = false;

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

  /** Called when the response has been sent, or the client has disconnected before. Returns a function that removes it. */
  onClose(listener: () => void): () => void {
    const link = this.#listeners.push(listener);
    if (!this.#isWatched) {
      this.#response.on('close', () => {
        for (const one of this.#listeners) one();
      });
    }
    this.#isWatched = true;
    return () => this.#listeners.remove(link);
  }
}
