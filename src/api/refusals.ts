/**
 * Requests that are refused before GraphQL sees them. Every refusal has the shape of a GraphQL error, so that clients
 * handle a single format.
 */
import { STATUS_CODES } from 'node:http';
import { isIP, type Socket } from 'node:net';
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { GraphQLFormattedError } from 'graphql';
import { refusals } from '../counting/refusals.js';
import { isLoopback } from '../loopback.js';
import { browserHeaders } from './browser-headers.js';
import { mediaTypeOfRefusal } from './media-type.js';
import { RETRY_AFTER_MS } from './response-budget.js';

/** Thrown while a request is read; the error handler answers it. */
export class RefusedRequest extends Error {
  readonly refusal: GraphQLFormattedError;

  constructor(
    readonly statusCode: number,
    { message, extensions }: GraphQLFormattedError,
    /** For the header Retry-After and `extensions.retryAfterMs`; null to leave them out. */
    readonly retryAfterSeconds: number | null = null,
    readonly closesConnection = false,
  ) {
    super(message);
    const retry = retryAfterSeconds === null ? {} : { retryAfterMs: retryAfterSeconds * 1_000 };
    this.refusal = { message, extensions: { ...extensions, ...retry } };
  }
}

export function sendRefusedRequest(reply: FastifyReply, refused: RefusedRequest): void {
  const { statusCode, refusal, retryAfterSeconds, closesConnection } = refused;
  if (retryAfterSeconds !== null) reply.header('retry-after', retryAfterSeconds);
  // Fastify would close the connection at once, and a client that is still sending would lose the answer.
  if (closesConnection) reply.header('connection', 'close');
  else reply.removeHeader('connection');
  sendRefusal(reply, statusCode, refusal);
}

export function sendRefusal(reply: FastifyReply, status: number, ...errors: GraphQLFormattedError[]): void {
  for (const error of errors) countRefusal(error);
  sendErrors(reply, status, errors);
}

export function countRefusal({ extensions }: GraphQLFormattedError): void {
  refusals.add(String(extensions?.['code']));
}

/** For errors that have been counted. */
export function sendErrors(reply: FastifyReply, status: number, errors: readonly GraphQLFormattedError[]): void {
  reply.code(status).type(mediaTypeOfRefusal(reply.request.headers.accept)).send(JSON.stringify({ errors }));
}

export function refusal(code: string, message: string, more: Record<string, unknown> = {}): GraphQLFormattedError {
  return { message, extensions: { code, ...more } };
}

export function tooManyWaiting(): RefusedRequest {
  const message = 'Too many requests of yours wait to be read. Send fewer at the same time, and try again in 1 s.';
  return new RefusedRequest(503, refusal('TOO_MANY_REQUESTS', message), 1, true);
}

/** In place of an answer that does not fit beside the others that have not been sent. A mutation was performed. */
export function answerNotSent(): GraphQLFormattedError {
  const message =
    'The answers that are being sent hold as many bytes as you may use. Receive yours, and try again in 1 s.';
  return refusal('OVERLOADED', message, { retryable: true, retryAfterMs: RETRY_AFTER_MS });
}

/** A host name or IPv4 address, or an IPv6 address in brackets, and a port. */
const HOST = /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i;
const CHARSETS = /;\s*charset\s*=\s*"?([^\s;"]*)/gi;

/** Refuses requests for another host, and bodies in an encoding that the server would misread. */
export function checkHeaders({ isLocal, allowedHosts }: { isLocal: boolean; allowedHosts: readonly string[] }) {
  const names = new Set(allowedHosts);
  /** Nearly all requests have the same Host, so the last one that was accepted is not checked again. */
  let accepted: string | null = null;
  const isAccepted = (host: string) => {
    if (host === accepted) return true;
    if (!isHostAccepted(host, isLocal, names)) return false;
    accepted = host;
    return true;
  };
  return ({ id, headers }: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    reply.header('x-request-id', id);
    const { host = '', 'content-encoding': encoding = 'identity', 'content-type': type = '' } = headers;
    const charset = type === 'application/json' ? undefined : otherCharset(type);
    if (!isAccepted(host)) {
      // Against DNS rebinding: a page whose foreign host name resolves to this machine.
      const message = `The Host "${host}" is not this server. Use localhost or an IP address, or add the name to ALLOWED_HOSTS of the server.`;
      sendRefusal(reply, 403, refusal('HOST_NOT_ALLOWED', message));
    } else if (encoding.toLowerCase() !== 'identity') {
      const message = `Content-Encoding "${encoding}" is not supported. Send the body uncompressed.`;
      sendRefusal(reply, 415, refusal('UNSUPPORTED_CONTENT_ENCODING', message));
    } else if (charset !== undefined) {
      sendRefusal(
        reply,
        415,
        refusal('UNSUPPORTED_CHARSET', `Charset "${charset}" is not supported. Send the body as UTF-8.`),
      );
    } else done();
  };
}

/** The first charset of a content type that is not UTF-8. */
function otherCharset(type: string): string | undefined {
  return Array.from(type.matchAll(CHARSETS), ([, name = '']) => name).find((name) => !/^utf-?8$/i.test(name));
}

/**
 * A page can make a browser send any name that its owner controls, but not an address as a name. So addresses are accepted
 * wherever the server listens: on loopback, those of loopback.
 */
function isHostAccepted(header: string, isLocal: boolean, names: ReadonlySet<string>): boolean {
  const [, bracketed, bare = ''] = HOST.exec(header) ?? [];
  const host = bracketed ?? bare;
  if (isLoopback(host) || names.has(host.toLowerCase())) return true;
  return !isLocal && isIP(host) !== 0;
}

export const SEND_JSON = 'Send {"query": "…", "variables": {…}} with content-type: application/json.';
const REFUSALS: Readonly<Record<string, GraphQLFormattedError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: refusal('UNSUPPORTED_MEDIA_TYPE', `This content type is not supported. ${SEND_JSON}`),
};

export function refusalOf({ code, message }: FastifyError): GraphQLFormattedError {
  return REFUSALS[code] ?? refusal('BAD_REQUEST', message);
}

export function statusOf({ statusCode = 500 }: FastifyError): number {
  return statusCode >= 400 ? statusCode : 500;
}

/** For a request whose headers or body took too long. */
export const NOT_RECEIVED = 'The server did not receive the complete request in time. Send it again.';

const UNREADABLE: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [
    431,
    'HEADERS_TOO_LARGE',
    'The URL and headers are too large. Send the document in the body of a POST request.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', NOT_RECEIVED],
};

/** Errors in what the client sent, and not of the connection, such as a TLS handshake that fails. */
const OF_HTTP = /^(HPE_|ERR_HTTP_)/;

/** Writes to the socket directly: Node could not parse the request, so Fastify has no request or reply object. */
export function refuseConnection(error: ConnectionError, socket: Socket): void {
  if (socket.destroyed) return;
  if (!OF_HTTP.test(error.code)) {
    socket.destroy();
    return;
  }
  const [status, code, message] = UNREADABLE[error.code] ?? [400, 'BAD_REQUEST', 'The request is not valid HTTP.'];
  const refused = refusal(code, message);
  countRefusal(refused);
  const body = JSON.stringify({ errors: [refused] });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8`;
  const protection = Object.entries(browserHeaders('encrypted' in socket)).map(
    ([name, value]) => `\r\n${name}: ${value}`,
  );
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
  if (socket.writable) socket.write(`${head}${protection.join('')}\r\n${length}\r\n\r\n${body}`);
  socket.destroy(error);
}
