/**
 * Requests that are refused before GraphQL sees them. Every refusal looks like a GraphQL error: one shape for every
 * client.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { GraphQLFormattedError } from 'graphql';
import { LIMITS } from './limits.js';

/** What has no answer of a resolver looks like a GraphQL error all the same: one shape for every client. */
export function sendRefusal(reply: FastifyReply, status: number, ...errors: GraphQLFormattedError[]): void {
  const { accept = '' } = reply.request.headers;
  const isNamed = accept.includes('application/graphql-response+json') && !accept.includes('application/json');
  const type = isNamed ? 'application/graphql-response+json' : 'application/json';
  reply.code(status).type(`${type}; charset=utf-8`).send(JSON.stringify({ errors }));
}

export function refusal(code: string, message: string): GraphQLFormattedError {
  return { message, extensions: { code } };
}

const LOCAL_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const CHARSETS = /;\s*charset\s*=\s*"?([^\s;"]*)/gi;

/** Refuses what only looks like a request to us, and bodies that would be read as something else than was sent. */
export function checkHeaders({ isLocal }: { isLocal: boolean }) {
  return ({ id, headers }: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    reply.header('x-request-id', id);
    const { host = '', 'content-encoding': encoding = 'identity', 'content-type': type = '' } = headers;
    const charset = Array.from(type.matchAll(CHARSETS), ([, name = '']) => name).find(
      (name) => !/^utf-?8$/i.test(name),
    );
    if (isLocal ? !LOCAL_HOST.test(host) : !URL.canParse(`http://${host}`)) {
      // The page of a foreign name that resolves to this machine would otherwise be served as one of our own.
      const message = `The Host "${host}" is not this server: ask for localhost or 127.0.0.1, or start it with UNSAFE_OPEN=true.`;
      sendRefusal(reply, 403, refusal('HOST_NOT_ALLOWED', message));
    } else if (encoding.toLowerCase() !== 'identity') {
      const message = `Bodies with Content-Encoding "${encoding}" are not read; send it plain.`;
      sendRefusal(reply, 415, refusal('UNSUPPORTED_CONTENT_ENCODING', message));
    } else if (charset !== undefined) {
      sendRefusal(
        reply,
        415,
        refusal('UNSUPPORTED_CHARSET', `Bodies are read as UTF-8, not as "${charset}"; send UTF-8.`),
      );
    } else done();
  };
}

const SEND_JSON = 'Send {"query": "…", "variables": {…}} as content-type: application/json.';
const REFUSALS: Readonly<Record<string, GraphQLFormattedError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: refusal(
    'BODY_TOO_LARGE',
    `The body is larger than ${LIMITS.maxBodyBytes} bytes; send fewer inputs in one request, or smaller ones.`,
  ),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: refusal('UNSUPPORTED_MEDIA_TYPE', `A body of this type is not read. ${SEND_JSON}`),
  FST_ERR_CTP_INVALID_JSON_BODY: refusal('BODY_NOT_JSON', `The body is not JSON. ${SEND_JSON}`),
  FST_ERR_CTP_EMPTY_JSON_BODY: refusal('BODY_NOT_JSON', `The body is empty. ${SEND_JSON}`),
};

export function refusalOf({ code, message }: FastifyError): GraphQLFormattedError {
  return REFUSALS[code] ?? refusal('BAD_REQUEST', message);
}

export function statusOf({ statusCode = 500 }: FastifyError): number {
  return statusCode >= 400 ? statusCode : 500;
}

const UNREADABLE: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'HEADERS_TOO_LARGE', 'Address and headers are too large; send the document by POST.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'REQUEST_TIMEOUT', 'The request did not arrive in time; send it again.'],
};

/** Node could not read it as HTTP: there is no request and no reply yet. */
export function refuseConnection(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, code, message] = UNREADABLE[error.code] ?? [400, 'BAD_REQUEST', 'This is not HTTP.'];
  const body = JSON.stringify({ errors: [refusal(code, message)] });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8`;
  const length = `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close`;
  if (socket.writable) socket.write(`${head}\r\n${length}\r\n\r\n${body}`);
  socket.destroy(error);
}
