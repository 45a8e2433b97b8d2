/**
 * The short way to an answer, for POST requests whose document is known: it checks, prices and executes the operation, and
 * serializes the result, without the pipeline of Apollo Server.
 *
 * Every rule exists once: both ways share the known documents, the limits (`OperationLimits`), `execute` and `serialized`.
 * Whatever is not plain is left to Apollo Server: requests that it has to refuse, operations that are not admitted, and
 * results with errors, which are passed on and not executed again.
 */
import type { ApolloServerOptionsWithGateway, BaseContext } from '@apollo/server';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type DocumentNode, execute, type GraphQLSchema } from 'graphql';
import { stringify } from '../graphql/sized.js';
import type { RequestContext } from './context.js';
import type { OperationLimits } from './cost.js';
import type { KnownDocuments } from './documents.js';
import { mediaTypeFor } from './media-type.js';
import type { Variables } from './variables.js';

export type Gateway = ApolloServerOptionsWithGateway<BaseContext>['gateway'];

/** How results become bodies. */
export function serialized(result: unknown): string {
  return `${stringify(result)}\n`;
}

/** What Apollo Server would read from the body. */
interface Parameters {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Variables | undefined;
}

export class KnownDocumentLane {
  readonly #schema: GraphQLSchema;
  readonly #documents: KnownDocuments;
  readonly #limits: OperationLimits<RequestContext>;

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
          const own = context as RequestContext;
          return own.executed ?? this.#execute(document, own, request.operationName);
        },
      }),
      stop: async () => {},
    };
  }

  /** The body of the answer; null if Apollo Server must answer. */
  async answer(request: FastifyRequest, reply: FastifyReply, context: RequestContext): Promise<string | null> {
    if (request.headers['x-test-bypasses-lane']) return null; // @fault
    const mediaType = mediaTypeFor(request.headers.accept);
    const parameters = mediaType && parametersOf(request);
    if (!mediaType || !parameters) return null;
    const { query, operationName, variables } = parameters;
    const known = this.#documents.operationOf(query, operationName);
    if (!known) return null;
    const admission = await this.#limits.admit(known, variables ?? {}, context);
    context.admission = admission;
    if (admission.refusal) return null;
    const result = await this.#execute(known.document, context, operationName);
    if (result.errors) {
      context.executed = result;
      return null;
    }
    reply.type(mediaType);
    return serialized({ data: result.data, extensions: this.#limits.extensionsOf(admission) });
  }

  /** Without an operation of this name, nothing has been admitted, and `execute` says what is wrong. */
  #execute(document: DocumentNode, context: RequestContext, operationName: string | null | undefined) {
    const { document: own, variables } = context.admission?.execution ?? { document, variables: {} };
    return execute({
      schema: this.#schema,
      contextValue: context,
      document: own,
      variableValues: variables,
      operationName,
    });
  }
}

/** Null if the request is not a POST request that Apollo Server would execute as it is. */
function parametersOf({ method, body }: FastifyRequest): Parameters | null {
  if (method !== 'POST' || !isRecord(body)) return null;
  const { query, operationName, variables, extensions } = body;
  if (typeof query !== 'string' || (operationName != null && typeof operationName !== 'string')) return null;
  if (variables != null && !isRecord(variables)) return null;
  if (extensions != null && (!isRecord(extensions) || extensions['persistedQuery'])) return null;
  return { query, operationName, variables: variables ?? undefined };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
