/**
 * The short way to an answer, for POST requests whose document is known: it checks, prices and executes the operation, and
 * serializes the result. Apollo Server's pipeline would take three times as long to do the same for a light prediction.
 *
 * Every rule exists once: both ways share the known documents, the limits (`OperationLimits`), `execute` and `serialized`.
 * Whatever is not plain is left to Apollo Server: requests that it has to refuse, operations that are not admitted, and
 * results with errors, which are passed on and not executed again. How it answers an Accept header is learned from it.
 */
import type { ApolloServerOptionsWithGateway, BaseContext } from '@apollo/server';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { execute, type GraphQLSchema } from 'graphql';
import { stringify } from '../graphql/sized.js';
import type { RequestContext } from './context.js';
import type { OperationLimits } from './cost.js';
import type { KnownDocuments } from './documents.js';
import type { Variables } from './variables.js';

export type Gateway = ApolloServerOptionsWithGateway<BaseContext>['gateway'];

const JSON_CONTENT = /^application\/json *(;|$)/i;
/** Accept headers whose content types are kept, and their length. Clients use a handful. */
const MAX_ACCEPTS = 100;
const MAX_ACCEPT_CHARACTERS = 200;

/** How results become bodies. */
export function serialized(result: unknown): string {
  return `${stringify(result)}\n`;
}

/** What Apollo Server would read from the body. */
interface Parameters {
  readonly query: string;
  readonly operationName: string | null | undefined;
  readonly variables: Variables | undefined;
}

export class KnownDocumentLane {
  readonly #schema: GraphQLSchema;
  readonly #documents: KnownDocuments;
  readonly #limits: OperationLimits<RequestContext>;
  /** The content types of answers, by Accept header, least recently used first. */
  readonly #contentTypes = new Map<string, string>();

  constructor(schema: GraphQLSchema, documents: KnownDocuments, limits: OperationLimits<RequestContext>) {
    this.#schema = schema;
    this.#documents = documents;
    this.#limits = limits;
  }

  /** Executes operations for Apollo Server, unless they have been executed: it accepts an executor from a gateway only. */
  get gateway(): Gateway {
    return {
      onSchemaLoadOrUpdate: (callback) => {
        callback({ apiSchema: this.#schema, coreSupergraphSdl: '' });
        return () => {};
      },
      load: async () => ({
        executor: async ({ context, document, request }) => {
          const { executed } = context as RequestContext;
          const { variables, operationName } = request;
          return (
            executed ??
            execute({ schema: this.#schema, contextValue: context, document, variableValues: variables, operationName })
          );
        },
      }),
      stop: async () => {},
    };
  }

  /** The body of the answer; null if Apollo Server must answer. */
  async answer(request: FastifyRequest, reply: FastifyReply, context: RequestContext): Promise<string | null> {
    if (request.headers['x-test-bypasses-lane']) return null; // @fault
    const contentType = this.#contentTypeOf(acceptOf(request));
    const parameters = contentType === undefined ? null : parametersOf(request);
    if (contentType === undefined || !parameters) return null;
    const { query, operationName, variables } = parameters;
    const known = this.#documents.operationOf(query, operationName);
    if (!known) return null;
    const admission = await this.#limits.admit(known, variables ?? {}, context);
    context.admission = admission;
    if (admission.refusal) return null;
    const { document } = known;
    const result = await execute({
      schema: this.#schema,
      contextValue: context,
      document,
      variableValues: variables,
      operationName,
    });
    if (result.errors) {
      context.executed = result;
      return null;
    }
    reply.header('content-type', contentType);
    return serialized({ data: result.data, extensions: this.#limits.extensionsOf(admission) });
  }

  /** To be called when Apollo Server has answered: remembers its content type for this Accept header. */
  learn(request: FastifyRequest, reply: FastifyReply): void {
    const accept = acceptOf(request);
    const contentType = reply.getHeader('content-type');
    if (reply.statusCode !== 200 || typeof contentType !== 'string' || request.method !== 'POST') return;
    if (accept.length > MAX_ACCEPT_CHARACTERS) return;
    this.#contentTypes.set(accept, contentType);
    if (this.#contentTypes.size <= MAX_ACCEPTS) return;
    const [oldest = ''] = this.#contentTypes.keys();
    this.#contentTypes.delete(oldest);
  }

  #contentTypeOf(accept: string): string | undefined {
    const known = this.#contentTypes.get(accept);
    if (known === undefined) return undefined;
    this.#contentTypes.delete(accept);
    this.#contentTypes.set(accept, known);
    return known;
  }
}

function acceptOf({ headers }: FastifyRequest): string {
  return headers.accept ?? '';
}

/** Null if the request is not a POST request that Apollo Server would execute as it is. */
function parametersOf({ method, headers, body }: FastifyRequest): Parameters | null {
  if (method !== 'POST' || !JSON_CONTENT.test(headers['content-type'] ?? '') || !isRecord(body)) return null;
  const { query, operationName, variables, extensions } = body;
  if (typeof query !== 'string' || (operationName != null && typeof operationName !== 'string')) return null;
  if (variables != null && !isRecord(variables)) return null;
  if (extensions != null && (!isRecord(extensions) || extensions['persistedQuery'])) return null;
  return { query, operationName, variables: variables ?? undefined };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
