/**
 * Requests by the id of a registered operation, and who must send them. An id is `documentId`, as in the appendix of GraphQL
 * over HTTP, or `extensions.persistedQuery.sha256Hash`, as Apollo's clients send it. The document takes the place of the id
 * before anything else looks at the request, so all that follows is the same as for a request with a document.
 */
import type { FastifyRequest } from 'fastify';
import { allows } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import type { RegisteredOperations } from '../access/registered-operations.js';
import type { Config } from '../config.js';
import { shortened } from '../errors.js';
import { isRecord } from './operation-manifest.js';
import { RefusedRequest, refusal } from './refusals.js';

const MAX_SHOWN_CHARACTERS = 100;

export class TrustedDocuments {
  readonly #operations: Pick<RegisteredOperations, 'find'>;
  readonly #mode: Config['trustedDocuments'];

  constructor(operations: Pick<RegisteredOperations, 'find'>, mode: Config['trustedDocuments']) {
    this.#operations = operations;
    this.#mode = mode;
  }

  /** Puts the document of a request by id into its body. Returns why the request is refused; null if it is not. */
  resolve(request: FastifyRequest): RefusedRequest | null {
    const { body, method, principal } = request;
    const id = method === 'POST' && isRecord(body) ? idOf(body) : undefined;
    if (id === undefined) return this.#needsId(principal) ? idRequired() : null;
    if (typeof id !== 'string') return notAnId();
    const { query, extensions, ...rest } = body as Readonly<Record<string, unknown>>;
    if (query != null && query !== '') return idAndDocument();
    const operation = this.#operations.find(id);
    // Apollo's clients send their documents instead, once they are told that the server does not support the extension.
    if (!operation) return rest['documentId'] != null || this.#needsId(principal) ? unknownId(id) : null;
    request.body = { ...rest, query: operation.document, extensions: withoutId(extensions) };
    return null;
  }

  /** Administrators may register any operation, so that they need not. */
  #needsId(principal: Principal): boolean {
    if (this.#mode === 'off') return false;
    return this.#mode === 'publishable' ? principal.key?.kind === 'publishable' : !allows('operate', principal);
  }
}

/** Undefined if there is none: with a document, the extension of Apollo asks to register it, which its server refuses. */
function idOf({ documentId, query, extensions }: Readonly<Record<string, unknown>>): unknown {
  if (documentId != null) return documentId;
  if (!isRecord(extensions) || (query != null && query !== '')) return undefined;
  const { persistedQuery } = extensions;
  return isRecord(persistedQuery) ? persistedQuery['sha256Hash'] : undefined;
}

/** Apollo Server refuses the extension, because it does not know that it was read. */
function withoutId(extensions: unknown): unknown {
  if (!isRecord(extensions)) return extensions ?? null;
  const { persistedQuery: _, ...others } = extensions;
  return others;
}

const SEND_ID = 'Send {"documentId": "sha256:…", "variables": {…}}';

function idRequired(): RefusedRequest {
  const message = `This server runs registered operations only. ${SEND_ID} with POST. Operations are registered with npm run operations:publish.`;
  return new RefusedRequest(400, refusal('PERSISTED_QUERY_ID_REQUIRED', message));
}

function idAndDocument(): RefusedRequest {
  return new RefusedRequest(400, refusal('BAD_REQUEST', 'Send either "documentId" or "query", not both.'));
}

function notAnId(): RefusedRequest {
  return new RefusedRequest(400, refusal('BAD_REQUEST', `The id of an operation is a string. ${SEND_ID}.`));
}

function unknownId(id: string): RefusedRequest {
  const message = `No operation with the id "${shortened(id, MAX_SHOWN_CHARACTERS)}" is registered. Publish the operations of the page: npm run operations:publish -- <manifest>.`;
  return new RefusedRequest(404, refusal('PERSISTED_QUERY_NOT_IN_LIST', message));
}
