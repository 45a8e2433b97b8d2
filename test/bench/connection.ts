/**
 * A keep-alive HTTP/1.1 connection that costs the client little CPU time, because clients and servers of the benchmark
 * share cores. It sends prepared requests, one at a time, and reads answers that have a `content-length`.
 */
import net from 'node:net';

export interface Endpoint {
  readonly url: string;
  /** The address from which the requests come, such as 127.0.0.2. All of 127.0.0.0/8 is loopback on Linux. */
  readonly localAddress: string;
  /** Of the bodies of answers: `latin1` keeps every byte of a binary one. */
  readonly encoding?: 'utf8' | 'latin1';
}

export interface Reply {
  /** 0 if the connection failed; then `body` says how. */
  readonly status: number;
  readonly body: string;
}

const HEAD_END = '\r\n\r\n';

/** The bytes of a POST request; the body is JSON unless `headers` say otherwise. */
export function requestBytes(
  url: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Buffer {
  const { host, pathname } = new URL(url);
  const fields = Object.entries({ host, ...headers, 'content-length': Buffer.byteLength(body) });
  const head = [`POST ${pathname} HTTP/1.1`, ...fields.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
  return Buffer.concat([Buffer.from(`${head}${HEAD_END}`), Buffer.from(body)]);
}

export class Connection {
  readonly #socket: net.Socket;
  readonly #encoding: 'utf8' | 'latin1';
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Bytes of the answer that is being read, with its head; null until the head has arrived. */
  #expected: { readonly bytes: number; readonly headBytes: number; readonly head: string } | null = null;
  #waiting: ((reply: Reply) => void) | null = null;
  isOpen = true;

  constructor({ url, localAddress, encoding = 'utf8' }: Endpoint) {
    const { hostname, port } = new URL(url);
    this.#encoding = encoding;
    this.#socket = net.connect({ host: hostname, port: Number(port), localAddress, noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#end(error.code ?? error.message));
    this.#socket.on('close', () => this.#end('closed by the server'));
  }

  /** Calls `done` once. The previous request must have been answered. */
  send(request: Buffer, done: (reply: Reply) => void): void {
    if (this.#waiting) throw new Error('A request is in flight.');
    this.#waiting = done;
    if (this.isOpen) this.#socket.write(request);
    else this.#end('closed by the server');
  }

  /** Gives up the request in flight, if there is one. */
  close(reason: string): void {
    this.#end(reason);
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    this.#expected ??= this.#readHead();
    if (!this.#expected || this.#receivedBytes < this.#expected.bytes) return;
    const { headBytes, bytes, head } = this.#expected;
    const body = Buffer.concat(this.#received).toString(this.#encoding, headBytes, bytes);
    this.#received = [];
    this.#receivedBytes = 0;
    this.#expected = null;
    if (/\r\nconnection: close/i.test(head)) this.isOpen = false;
    this.#answer({ status: Number(head.slice(9, 12)), body });
  }

  #readHead() {
    const all = this.#received.length === 1 ? (this.#received[0] as Buffer) : Buffer.concat(this.#received);
    const end = all.indexOf(HEAD_END);
    if (end < 0) return null;
    const head = all.toString('latin1', 0, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) throw new Error(`Expected an answer with a content-length, received ${head}`);
    const headBytes = end + HEAD_END.length;
    return { head, headBytes, bytes: headBytes + Number(length) };
  }

  #end(reason: string): void {
    this.isOpen = false;
    this.#answer({ status: 0, body: reason });
  }

  #answer(reply: Reply): void {
    const done = this.#waiting;
    this.#waiting = null;
    done?.(reply);
  }
}
