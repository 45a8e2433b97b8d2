/**
 * The edge: HTTP, GraphQL, explorer, health. One Fastify server, one Apollo Server.
 */
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
  type RouteHandlerMethod,
} from 'fastify';
import type { GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import { v7 } from 'uuid';
import { isPolicyName, POLICIES, type PolicyName } from '../access/policy.js';
import { type Principal, principalOf } from '../access/principal.js';
import type { Config } from '../config.js';
import type { Connection } from '../engine/queue.js';
import { type LoaderFactories, RequestContext } from './context.js';
import { errorFormatter } from './errors.js';
import { explorerPage, registerExplorer } from './explorer/explorer.js';
import { costLimit, knownOperations, LIMITS, maxDepth } from './limits.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use this route; a route without one cannot be registered. */
    policy?: PolicyName;
  }
}

export interface ServerParts {
  readonly config: Config;
  readonly log: Logger;
  readonly schema: GraphQLSchema;
  readonly loadersOf: (principal: Principal) => LoaderFactories;
  /** Null when a model can answer, else what is missing. */
  readonly notReadyReason: () => string | null;
}

export interface Server {
  readonly http: FastifyInstance;
  readonly stop: () => Promise<void>;
}

const MAX_RECURSIVE_SELECTIONS = 300;
/** Requests that took longer, or failed, are in the log; the others only at level `debug`. */
const SLOW_REQUEST_MS = 1_000;

export async function createServer(parts: ServerParts): Promise<Server> {
  const apollo = new ApolloServer<RequestContext>({
    schema: parts.schema,
    // Explicit: NODE_ENV=production would turn it off, and explorers and code generators need it.
    introspection: true,
    includeStacktraceInErrorResponses: false,
    maxRecursiveSelections: MAX_RECURSIVE_SELECTIONS,
    parseOptions: { maxTokens: LIMITS.maxTokens },
    validationRules: [knownOperations, maxDepth(LIMITS.maxDepth)],
    formatError: errorFormatter(parts.log),
    stopOnTerminationSignals: false,
    logger: parts.log,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      costLimit(LIMITS.maxCost),
    ],
  });
  await apollo.start();
  const http = await createHttp(parts);
  registerGraphql(http, apollo, parts);
  registerHealth(http, parts);
  return { http, stop: () => apollo.stop() };
}

async function createHttp({ config, log }: ServerParts): Promise<FastifyInstance> {
  const http = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // Our own hook writes one line a request.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.maxBodyBytes,
    // Such names are own properties after JSON.parse, and the check of a row answers them precisely.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    genReqId: requestIds(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
  });
  await http.register(cors, { origin: [...config.corsOrigins], methods: ['GET', 'POST'], maxAge: 86_400 });
  http.addHook('onRoute', ({ config: route, url }) => {
    if (!isPolicyName(route?.policy))
      throw new Error(`The route ${url} declares no policy; give it config: { policy }.`);
  });
  http.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    const policy = request.routeOptions.config.policy;
    if (!policy || POLICIES[policy].allows(principalOf(request.socket.remoteAddress))) done();
    else reply.code(403).send({ error: `This is for ${POLICIES[policy].who}.` });
  });
  http.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    const level = reply.statusCode >= 400 || reply.elapsedTime >= SLOW_REQUEST_MS ? 'info' : 'debug';
    request.log[level]({ method, url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'request');
    done();
  });
  await registerExplorer(http, { kind: config.explorer });
  return http;
}

/** Unique over restarts, and cheaper than a random number for each request. */
function requestIds(): () => string {
  const process = v7();
  let count = 0;
  return () => `${process}-${++count}`;
}

function registerGraphql(
  http: FastifyInstance,
  apollo: ApolloServer<RequestContext>,
  { config, loadersOf }: ServerParts,
): void {
  const page = explorerPage(config.explorer);
  const answer = fastifyApolloHandler(apollo, {
    context: async (request, reply) =>
      new RequestContext(principalOf(request.socket.remoteAddress), connectionOf(reply), loadersOf),
  });
  http.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    config: { policy: 'public' },
    preHandler: (request, reply, done) => {
      if (page && isBrowser(request)) reply.headers(page.headers).send(page.html);
      else done();
    },
    // The integration's generics know fewer routes than Fastify's.
    handler: answer as RouteHandlerMethod,
  });
}

/** Somebody opens the address in a browser; a query in the address is still a query. */
function isBrowser({ method, headers, query }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html') && !('query' in (query as object));
}

/** Looked at when a batch is formed: what nobody waits for any more is then not done. */
function connectionOf({ raw }: FastifyReply): Connection {
  return {
    get isClosed() {
      return raw.destroyed;
    },
  };
}

function registerHealth(http: FastifyInstance, { notReadyReason }: ServerParts): void {
  const config = { policy: 'public' as const };
  http.get('/health/live', { config }, async () => ({ status: 'live' }));
  http.get('/health/ready', { config }, async (_request, reply) => {
    const reason = notReadyReason();
    return reason === null ? { status: 'ready' } : reply.code(503).send({ status: 'not ready', reason });
  });
}
