/** The edge: HTTP, GraphQL, explorer and health routes on one Fastify server, with one Apollo Server behind it. */
import type { Socket } from 'node:net';
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { fastifyApolloHandler } from '@as-integrations/fastify';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
  type RouteHandlerMethod,
} from 'fastify';
import type { GraphQLError, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { Logger } from 'pino';
import { v7 } from 'uuid';
import { isPolicyName, POLICIES, type PolicyName } from '../access/policy.js';
import { authenticate, type Principal } from '../access/principal.js';
import type { Config } from '../config.js';
import { stringify } from '../graphql/sized.js';
import { isLoopback } from '../loopback.js';
import { createMetrics, type Measured, type Metrics } from '../metrics/metrics.js';
import { readingFor } from '../storage/read-lane.js';
import { withoutPaths } from '../without-paths.js';
import { AnswerState, mergeErrors } from './answers.js';
import { BODY_LIMITS, type Body, type BodyLimits, BodyReader } from './body.js';
import { shuttingDown } from './body-refusals.js';
import { Connections, maxConnections, ResponseConnection } from './connections.js';
import { RequestContext, type RequestDatabases } from './context.js';
import { costLimit, type FindSpec } from './cost.js';
import { KnownDocuments, knownOperations, MAX_VALIDATION_ERRORS } from './documents.js';
import { errorFormatter } from './errors.js';
import { explorerPage, registerExplorer } from './explorer/explorer.js';
import { LIMITS } from './limits.js';
import {
  answerNotSent,
  checkHeaders,
  countRefusal,
  RefusedRequest,
  refusal,
  refusalOf,
  refuseConnection,
  sendErrors,
  sendRefusal,
  sendRefusedRequest,
  statusOf,
  tooManyWaiting,
  typeOfRefusal,
} from './refusals.js';
import { AnswerBudget, AnswersInFlight, RETRY_AFTER_MS } from './response-budget.js';
import { Responses } from './responses.js';
import { Turns } from './turns.js';
import { refusalOfUnused } from './unused-parts.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use this route. A route without a policy cannot be registered. */
    policy?: PolicyName;
  }
  interface FastifyRequest {
    principal: Principal;
    connection: ResponseConnection;
    answer: AnswerBudget;
    /** Null for a request without a body. */
    incoming: Body | null;
  }
}

export interface ServerParts {
  readonly config: Config;
  readonly log: Logger;
  readonly schema: GraphQLSchema;
  /** For the loaders of each request. */
  readonly databases: RequestDatabases;
  /** For the cost of a request. */
  readonly findSpec: FindSpec<RequestContext>;
  /** What `/metrics` reads besides the HTTP server itself. */
  readonly measured: Pick<Measured, 'engine' | 'commits'>;
  /** Null if a model can answer, else the reason why none can. */
  readonly notReadyReason: () => string | null;
  /** Default: `BODY_LIMITS`. */
  readonly bodyLimits?: BodyLimits;
  /** Default: by the number of files that the process may open. */
  readonly maxConnections?: number;
}

/** Longest time until all headers of a request have arrived. */
const HEADERS_TIMEOUT_MS = 30_000;
/** How often Node looks for slow requests. */
const CHECK_INTERVAL_MS = 5_000;

interface Server {
  readonly http: FastifyInstance;
  readonly stop: () => Promise<void>;
}

/** Failed requests and requests that take this long are logged at level `info`, others at `debug`. */
const SLOW_REQUEST_MS = 1_000;

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

export async function createServer(parts: ServerParts): Promise<Server> {
  const documents = new KnownDocuments(parts.schema);
  const apollo = new ApolloServer<RequestContext>({
    schema: parts.schema,
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
    formatError: errorFormatter(parts.log),
    stringifyResult: (result) => `${stringify(result)}\n`,
    stopOnTerminationSignals: false,
    logger: parts.log,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      costLimit(LIMITS.maxCost, documents, parts.findSpec),
      boundedAnswers,
    ],
  });
  await apollo.start();
  const bodies = new BodyReader(parts.bodyLimits ?? BODY_LIMITS, callerOf);
  const answers = new AnswersInFlight(parts.config.maxResponseBytesInFlight);
  const responses = new Responses();
  const http = await createHttp(parts, { bodies, answers, responses });
  const metrics = createMetrics({ ...parts.measured, responses, bodies, answers });
  registerGraphql(http, { apollo, documents, bodies, ...parts });
  registerHealth(http, parts);
  registerMetrics(http, metrics);
  return { http, stop: () => apollo.stop() };
}

interface HttpParts {
  readonly bodies: BodyReader;
  readonly answers: AnswersInFlight;
  readonly responses: Responses;
}

async function createHttp(parts: ServerParts, { bodies, answers, responses }: HttpParts): Promise<FastifyInstance> {
  const { config, log } = parts;
  const http = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // The onResponse hook below logs one line per request.
    logController: new LogController({ disableRequestLogging: true }),
    // Also ends a slow body that no route reads. `BodyReader` ends the others.
    requestTimeout: bodies.limits.arrival.totalMs,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS },
    return503OnClosing: false,
    genReqId: requestIds(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, _request, reply) => sendRefusal(reply, statusOf(error), refusalOf(error)),
    clientErrorHandler: refuseConnection,
  });
  const connections = new Connections(http.server, parts.maxConnections ?? (await maxConnections()), callerOf);
  readBodies(http, bodies, connections);
  identify(http);
  budgetAnswers(http, config, answers);
  // Before the CORS plugin, which answers preflight requests.
  http.addHook('onRequest', checkHeaders({ isLocal: isLoopback(config.host) && !config.unsafeOpen }));
  await http.register(cors, {
    origin: [...config.corsOrigins],
    methods: ['GET', 'POST'],
    exposedHeaders: ['x-request-id', 'retry-after'],
    maxAge: 86_400,
  });
  http.addHook('onRoute', ({ config: route, url }) => {
    if (!isPolicyName(route?.policy))
      throw new Error(`The route ${url} declares no policy; give it config: { policy }.`);
  });
  http.addHook('onRequest', (request, reply, done) => {
    const policy = request.routeOptions.config.policy;
    if (!policy || POLICIES[policy].allows(request.principal)) done();
    else sendRefusal(reply, 403, refusal('FORBIDDEN', `This route is for ${POLICIES[policy].who} only.`));
  });
  takeTurns(http);
  http.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request;
    const { statusCode: status, elapsedTime } = reply;
    responses.add(status, elapsedTime);
    const level = status >= 400 || elapsedTime >= SLOW_REQUEST_MS ? 'info' : 'debug';
    request.log[level]({ method, url, status, ms: Math.round(elapsedTime) }, 'request');
    done();
  });
  const mask = errorFormatter(log);
  http.setErrorHandler<FastifyError | RefusedRequest>((error, _request, reply) => {
    if (error instanceof RefusedRequest) return sendRefusedRequest(reply, error);
    const status = statusOf(error);
    if (status < 500) sendRefusal(reply, status, refusalOf(error));
    else sendErrors(reply, status, [mask({ message: error.message }, error)]);
  });
  http.setNotFoundHandler((_request, reply) =>
    sendRefusal(reply, 404, refusal('NOT_FOUND', 'No route has this method and path. The API is POST /graphql.')),
  );
  await registerExplorer(http, { kind: config.explorer });
  return http;
}

function identify(http: FastifyInstance): void {
  http.decorateRequest('principal');
  http.decorateRequest('connection');
  http.decorateRequest('incoming', null);
  http.addHook('onRequest', (request, reply, done) => {
    request.principal = authenticate(request);
    request.connection = new ResponseConnection(request.principal.callerId, reply.raw);
    done();
  });
}

/** Counts every answer until it has been sent. One that does not fit is replaced by a refusal, or else not sent. */
function budgetAnswers(http: FastifyInstance, { maxResponseBytes }: Config, inFlight: AnswersInFlight): void {
  http.decorateRequest('answer');
  http.addHook('onRequest', (request, _reply, done) => {
    request.answer = new AnswerBudget(maxResponseBytes, inFlight, request.connection);
    done();
  });
  http.addHook<unknown>('onSend', (request, reply, payload, done) => {
    // Fastify has refused a URL that it cannot decode before any hook.
    if (!request.answer || typeof payload !== 'string' || request.answer.send(Buffer.byteLength(payload))) {
      done(null, payload);
      return;
    }
    const error = answerNotSent();
    countRefusal(error);
    const refused = JSON.stringify({ errors: [error] });
    if (!request.answer.send(refused.length)) request.connection.disconnect();
    reply
      .code(503)
      .type(typeOfRefusal(request))
      .header('retry-after', RETRY_AFTER_MS / 1_000)
      .removeHeader('content-length');
    done(null, refused);
  });
}

function callerOf(socket: Socket): string {
  return authenticate({ socket }).callerId;
}

/** Also refuses requests, and bodies that are still arriving, once the server stops. */
function readBodies(http: FastifyInstance, bodies: BodyReader, connections: Connections): void {
  // Other types are refused unread. JSON.parse makes `__proto__` an own property, and the check of a row refuses it.
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', (request, payload, done) => bodies.read(request, payload, done));
  let isStopping = false;
  http.addHook('preClose', async () => {
    isStopping = true;
    connections.close();
    bodies.close();
  });
  http.addHook('preParsing', (request, _reply, _payload, done) => {
    done(isStopping ? shuttingDown() : bodies.admit(request));
  });
  http.addHook('onSend', ({ raw }, _reply, payload, done) => {
    // Before the response ends, or Node would discard the rest uncounted.
    bodies.discarding.rest(raw);
    done(null, payload);
  });
  http.addHook('onResponse', (request, reply, done) => {
    bodies.answered(request, reply.statusCode);
    done();
  });
}

/** A connection whose request is refused closes after the answer, or at once if it goes on sending. */
function takeTurns(http: FastifyInstance): void {
  const turns = new Turns();
  const refused = new WeakSet<Socket>();
  http.addHook('onRequest', (request, reply, done) => {
    if (turns.take(request.connection.caller, done)) return;
    const { socket } = request;
    if (refused.has(socket)) socket.destroy();
    else sendRefusedRequest(reply, tooManyWaiting());
    refused.add(socket);
  });
}

/** Unique across restarts, and cheaper than a random number per request. */
function requestIds(): () => string {
  const process = v7();
  let count = 0;
  return () => `${process}-${++count}`;
}

function registerGraphql(
  http: FastifyInstance,
  {
    apollo,
    documents,
    bodies,
    config,
    databases,
  }: ServerParts & { apollo: ApolloServer<RequestContext>; documents: KnownDocuments; bodies: BodyReader },
): void {
  const page = explorerPage(config.explorer);
  const answer = fastifyApolloHandler(apollo, {
    context: async ({ principal, connection, answer }) =>
      new RequestContext(principal, connection, new AnswerState(answer), databases),
  });
  http.route({
    method: ['GET', 'POST'],
    url: '/graphql',
    config: { policy: 'public' },
    preHandler: (request, reply, done) => {
      if (page && isBrowser(request)) reply.headers(page.headers).send(page.html);
      else {
        const errors = errorsOfDocument(request, documents, bodies);
        if (errors.length > 0) sendRefusal(reply, 400, ...errors);
        else readingFor.run(request.principal.callerId, done);
      }
    },
    // The integration's types support fewer kinds of route than Fastify's.
    handler: answer as RouteHandlerMethod,
  });
}

/** Whether a browser opens the page. A GET with a `query` in its URL is an API request, even from a browser. */
function isBrowser({ method, headers, query }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html') && !('query' in (query as object));
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
  const errors = documents.errorsOf(text);
  const { incoming, body } = request;
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

function registerHealth(http: FastifyInstance, { notReadyReason }: ServerParts): void {
  const config = { policy: 'public' as const };
  http.get('/health/live', { config }, async () => ({ status: 'live' }));
  http.get('/health/ready', { config }, async (_request, reply) => {
    const reason = notReadyReason();
    return reason === null
      ? { status: 'ready' }
      : reply.code(503).send({ status: 'not ready', reason: withoutPaths(reason) });
  });
}

function registerMetrics(http: FastifyInstance, metrics: Metrics): void {
  http.addHook('onClose', async () => metrics.stop());
  http.get('/metrics', { config: { policy: 'operate' } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
}
