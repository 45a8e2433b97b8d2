/** The route of the API: Apollo Server, the documents that it has seen, and the page that browsers get. */
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GraphQLError, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import { allows } from '../access/policy.js';
import type { RegisteredOperations } from '../access/registered-operations.js';
import type { Config } from '../config.js';
import { AnswerState, mergeErrors } from './answers.js';
import type { BodyReader } from './body.js';
import { RequestContext, type RequestDatabases } from './context.js';
import { costLimit, type FindSpec, OperationLimits } from './cost.js';
import { KnownDocuments, knownOperations, MAX_VALIDATION_ERRORS } from './documents.js';
import { errorFormatter } from './errors.js';
import { explorerPage } from './explorer/pages.js';
import { type Gateway, KnownDocumentLane, serialized } from './lane.js';
import { LIMITS } from './limits.js';
import { refusal, sendRefusal, sendRefusedRequest } from './refusals.js';
import { TrustedDocuments } from './trusted-documents.js';
import { refusalOfUnused } from './unused-parts.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that Apollo Server answers; null before. */
    operationContext: RequestContext | null;
  }
}

export interface GraphqlParts {
  readonly config: Config;
  readonly log: Logger;
  readonly schema: GraphQLSchema;
  /** For the loaders of each request. */
  readonly databases: RequestDatabases;
  /** For the cost of a request. */
  readonly findSpec: FindSpec<RequestContext>;
  /** What clients may run by an id. */
  readonly operations: Pick<RegisteredOperations, 'find'>;
}

/** Leaves one error for all fields that did not fit into the answer. */
const boundedAnswers: ApolloServerPlugin<RequestContext> = {
  async requestDidStart() {
    return {
      async didEncounterErrors({ errors, contextValue }) {
        // Apollo Server formats the errors of this list after the hook.
        mergeErrors(contextValue.answer, errors as GraphQLError[]);
      },
    };
  },
};

export async function registerGraphql(
  http: FastifyInstance,
  { config, log, schema, databases, findSpec, operations, bodies }: GraphqlParts & { bodies: BodyReader },
): Promise<ApolloServer<RequestContext>> {
  const documents = new KnownDocuments(schema);
  const trusted = new TrustedDocuments(operations, config.trustedDocuments);
  const limits = new OperationLimits(LIMITS.maxCost, schema, findSpec);
  const lane = new KnownDocumentLane(schema, documents, limits);
  const apollo = createApollo({ log, documents, limits, gateway: lane.gateway });
  await apollo.start();
  const page = explorerPage(config.explorer);
  // The integration's types support fewer kinds of route than Fastify's.
  const answerByApollo = fastifyApolloHandler(apollo, {
    context: async ({ operationContext }) => operationContext as RequestContext,
  }) as unknown as (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
  http.decorateRequest('operationContext', null);
  http.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    config: { policy: 'public' },
    preHandler: (request, reply, done) => {
      if (page && isBrowser(request)) {
        reply.headers(page.headers).send(page.html);
        return;
      }
      const refused = trusted.resolve(request);
      if (refused) sendRefusedRequest(reply, refused);
      else {
        const errors = errorsOfDocument(request, documents, bodies);
        if (errors.length > 0) sendRefusal(reply, 400, ...errors);
        else done();
      }
    },
    handler: async (request, reply) => {
      const { principal, connection } = request;
      const context = new RequestContext(principal, connection, new AnswerState(request.answer), databases);
      const answer = await lane.answer(request, reply, context);
      if (answer !== null) return answer;
      request.operationContext = context;
      return answerByApollo(request, reply);
    },
  });
  return apollo;
}

interface ApolloParts {
  readonly log: Logger;
  readonly documents: KnownDocuments;
  readonly limits: OperationLimits<RequestContext>;
  readonly gateway: Gateway;
}

function createApollo({ log, documents, limits, gateway }: ApolloParts): ApolloServer<RequestContext> {
  return new ApolloServer<RequestContext>({
    gateway,
    documentStore: documents,
    // Explicit, because NODE_ENV=production would turn it off. Explorers and code generators need it.
    introspection: true,
    includeStacktraceInErrorResponses: false,
    // Off, because anybody could fill the cache of persisted queries.
    persistedQueries: false,
    // A second line of defense: `KnownDocuments` has checked these limits already.
    maxRecursiveSelections: LIMITS.maxRecursiveSelections,
    parseOptions: { maxLexicalTokens: LIMITS.maxTokens, maxComments: LIMITS.maxTokens },
    validationOptions: { maxErrors: MAX_VALIDATION_ERRORS },
    validationRules: [knownOperations],
    formatError: errorFormatter(log),
    stringifyResult: serialized,
    stopOnTerminationSignals: false,
    logger: log,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      costLimit(limits, documents),
      boundedAnswers,
    ],
  });
}

/**
 * Whether a browser opens the page, which shows the operation in the URL and runs nothing. A request of a program has a header
 * that no browser sends by itself.
 */
function isBrowser({ method, headers }: FastifyRequest): boolean {
  if (method !== 'GET' || !(headers.accept ?? '').includes('text/html')) return false;
  return !headers['apollo-require-preflight'] && !headers['x-apollo-operation-name'];
}

/** A request without a document, or with several, is left to Apollo Server, which refuses it. */
function errorsOfDocument(
  request: FastifyRequest,
  documents: KnownDocuments,
  bodies: BodyReader,
): readonly GraphQLFormattedError[] {
  if (Array.isArray(request.body)) {
    const message = 'Lists of operations are not supported. Send one operation per request.';
    return [refusal('BATCHING_NOT_SUPPORTED', message)];
  }
  const text = documentOf(request);
  if (typeof text !== 'string' || text === '') return [];
  const { incoming, body, principal } = request;
  const found = documents.errorsOf(text);
  const errors = allows('introspect', principal) ? found : found.map(withoutSuggestions);
  if (errors.length > 0 || !incoming || !bodies.isLarge(incoming.parsedBytes)) return errors;
  const unused = refusalOfUnused(body as object, documents.variablesOf(text));
  return unused ? [unused] : [];
}

/** The document of a request, found in the same way as Apollo Server finds it. */
function documentOf({ method, url, body }: FastifyRequest): unknown {
  if (method === 'POST') return (body as { query?: unknown } | null | undefined)?.query;
  const [text, ...others] = new URL(url, 'http://localhost').searchParams.getAll('query');
  return others.length === 0 ? text : undefined;
}

/** graphql-js suggests names of the schema for names that do not exist. */
function withoutSuggestions(error: GraphQLFormattedError): GraphQLFormattedError {
  return { ...error, message: error.message.replace(/ Did you mean .*$/s, '') };
}
