/** The edge: HTTP, GraphQL, explorer and health routes on one Fastify server, with one Apollo Server behind it. */
import type { ServerOptions } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Logger } from 'pino';
import { v7 } from 'uuid';
import type { ApiKeys } from '../access/api-keys.js';
import { Authentication } from '../access/authentication.js';
import { PageOrigins } from '../access/page-origins.js';
import { allows, isPolicyName, type PolicyName, whoMay } from '../access/policy.js';
import { isNobody, nobody, type Principal } from '../access/principal.js';
import { isRefused, type Refused } from '../access/refusals.js';
import type { Tokens } from '../access/tokens.js';
import { type Config, exposure } from '../config.js';
import { isLoopback } from '../loopback.js';
import { createMetrics, type Measured, type Metrics } from '../metrics/metrics.js';
import type { Uploads } from '../publishing/uploads.js';
import { readingFor } from '../storage/read-lane.js';
import { BODY_LIMITS, type Body, type BodyLimits, BodyReader } from './body.js';
import { shuttingDown } from './body-refusals.js';
import { browserHeaders } from './browser-headers.js';
import type { Certificate } from './certificate.js';
import { compressAnswers } from './compression.js';
import { Connections, maxConnections, ResponseConnection } from './connections.js';
import { registerEntry, registerHealth } from './entry.js';
import { errorFormatter } from './errors.js';
import { registerExplorer } from './explorer/explorer.js';
import { type GraphqlParts, registerGraphql } from './graphql-route.js';
import { mediaTypeOfRefusal } from './media-type.js';
import { type PictureRouteParts, registerPictures } from './picture-route.js';
import { type PlotRouteParts, registerPlots } from './plot-route.js';
import { takeAnswer, takeRequest } from './quotas.js';
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
} from './refusals.js';
import { AnswerBudget, AnswersInFlight, RETRY_AFTER_MS } from './response-budget.js';
import { Responses } from './responses.js';
import { Turns } from './turns.js';
import { registerUploads } from './upload-route.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use this route. A route without a policy cannot be registered. */
    policy?: PolicyName;
  }
  interface FastifyRequest {
    principal: Principal;
    /** Null unless its key or token is refused. Then it counts for the address that it came from. */
    refused: Refused | null;
    connection: ResponseConnection;
    answer: AnswerBudget;
    /** Null for a request without a body. */
    incoming: Body | null;
  }
}

export interface ServerParts extends GraphqlParts {
  readonly keys: Pick<ApiKeys, 'find' | 'hasAny' | 'isOriginOfAKey' | 'quotaOf'>;
  /** Null if no issuer of tokens is trusted. */
  readonly tokens: Tokens | null;
  readonly uploads: Pick<Uploads, 'ofUrl' | 'receive'>;
  readonly pictures: PictureRouteParts['pictures'];
  readonly plots: PlotRouteParts['plots'];
  readonly sealedPlots: PlotRouteParts['sealedPlots'];
  /** What `/metrics` reads besides the HTTP server itself. */
  readonly measured: Pick<Measured, 'engine' | 'commits'>;
  /** Null if a model can answer, else the reason why none can. */
  readonly notReadyReason: () => string | null;
  /** Null for plain HTTP. */
  readonly certificate: Certificate | null;
  /** Default: `BODY_LIMITS`. */
  readonly bodyLimits?: BodyLimits;
  /** Default: by the number of files that the process may open. */
  readonly maxConnections?: number;
}

/** Longest time until all headers of a request have arrived, and, before the first, until a connection is secure. */
const HEADERS_TIMEOUT_MS = 30_000;
/** Of uploads and images, for pages that read them. */
const HEADERS_OF_FILES = ['upload-offset', 'upload-length', 'tus-resumable', 'content-range', 'etag'];
/** How often Node looks for slow requests. */
const CHECK_INTERVAL_MS = 5_000;

interface Server {
  readonly http: FastifyInstance;
  readonly stop: () => Promise<void>;
}

/** Failed requests and requests that take this long are logged at level `info`, others at `debug`. */
const SLOW_REQUEST_MS = 1_000;

export async function createServer(parts: ServerParts): Promise<Server> {
  const bodies = new BodyReader(parts.bodyLimits ?? BODY_LIMITS);
  const answers = new AnswersInFlight(parts.config.maxResponseBytesInFlight);
  const responses = new Responses();
  const http = await createHttp(parts, { bodies, answers, responses });
  const metrics = createMetrics({ ...parts.measured, responses, bodies, answers });
  const apollo = await registerGraphql(http, { bodies, ...parts });
  const quotaOf = (keyId: string) => parts.keys.quotaOf(keyId);
  await registerUploads(http, { uploads: parts.uploads, quotaOf });
  registerPictures(http, { pictures: parts.pictures, quotaOf });
  registerPlots(http, { plots: parts.plots, sealedPlots: parts.sealedPlots, quotaOf });
  registerEntry(http, { hasExplorer: parts.config.explorer !== 'off' });
  registerHealth(http, parts.notReadyReason);
  registerMetrics(http, metrics);
  return { http, stop: () => apollo.stop() };
}

interface HttpParts {
  readonly bodies: BodyReader;
  readonly answers: AnswersInFlight;
  readonly responses: Responses;
}

async function createHttp(parts: ServerParts, { bodies, answers, responses }: HttpParts): Promise<FastifyInstance> {
  const { config, log, keys, tokens, certificate } = parts;
  const protection = browserHeaders(certificate !== null);
  const http = Fastify({
    ...serverOptions(certificate),
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    loggerInstance: log as FastifyBaseLogger,
    // The onResponse hook below logs one line per request.
    logController: new LogController({ disableRequestLogging: true }),
    // Also ends a slow body that no route reads. `BodyReader` ends the others.
    requestTimeout: bodies.limits.arrival.totalMs,
    return503OnClosing: false,
    genReqId: requestIds(),
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    // No hook has run.
    frameworkErrors: (error, _request, reply) =>
      sendRefusal(reply.headers(protection), statusOf(error), refusalOf(error)),
    clientErrorHandler: refuseConnection,
  });
  if (certificate) followCertificate(http, certificate, log);
  const connections = new Connections(http.server, parts.maxConnections ?? (await maxConnections()), callerOf);
  readBodies(http, bodies, connections);
  const origins = new PageOrigins(config.corsOrigins);
  const authentication = new Authentication({ keys, tokens, origins });
  const isUnexposed = exposure(config) === null;
  identify(http, authentication);
  budgetAnswers(http, config, answers);
  http.addHook('onRequest', (_request, reply, done) => {
    reply.headers(protection);
    done();
  });
  // Before the CORS plugin, which answers preflight requests.
  http.addHook('onRequest', checkHeaders({ isLocal: isLoopback(config.host), allowedHosts: config.allowedHosts }));
  await http.register(cors, {
    origin: (origin, done) => {
      const isOpen = isUnexposed && authentication.isOpen;
      done(null, origin !== undefined && (origins.mayCall(origin, isOpen) || keys.isOriginOfAKey(origin)));
    },
    methods: ['GET', 'POST', 'HEAD', 'PUT', 'PATCH'],
    exposedHeaders: ['x-request-id', 'retry-after', ...HEADERS_OF_FILES],
    maxAge: 86_400,
  });
  enforcePolicies(http);
  takeTurns(http);
  compressAnswers(http);
  logRequests(http, responses);
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
  await registerExplorer(http, { isOn: config.explorer !== 'off' });
  return http;
}

function logRequests(http: FastifyInstance, responses: Responses): void {
  http.addHook('onResponse', (request, reply, done) => {
    // Without the query, which may hold what nobody should read in a log.
    const { method } = request;
    const [url] = request.url.split('?');
    const { statusCode: status, elapsedTime } = reply;
    responses.add(status, elapsedTime);
    const level = status >= 400 || elapsedTime >= SLOW_REQUEST_MS ? 'info' : 'debug';
    request.log[level]({ method, url, status, ms: Math.round(elapsedTime) }, 'request');
    done();
  });
}

/** The limits of slow requests are the same with and without TLS. */
function serverOptions(certificate: Certificate | null): { http: ServerOptions } {
  const limits = { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS };
  const https = certificate && { ...certificate.options, ...limits, handshakeTimeout: HEADERS_TIMEOUT_MS };
  // Fastify's types tell servers with TLS from others, which nothing here depends on.
  return { http: limits, ...(https && { https }) };
}

function followCertificate(http: FastifyInstance, certificate: Certificate, log: Logger): void {
  certificate.follow(http.server as HttpsServer, log);
  http.addHook('onClose', async () => certificate.stop());
}

function enforcePolicies(http: FastifyInstance): void {
  http.addHook('onRoute', ({ config: route, url }) => {
    if (!isPolicyName(route?.policy))
      throw new Error(`The route ${url} declares no policy; give it config: { policy }.`);
  });
  http.addHook('onRequest', (request, reply, done) => {
    const policy = request.routeOptions.config.policy;
    const { principal, refused } = request;
    if (refused) refuse(reply, refused);
    else if (!policy || allows(policy, principal)) {
      if (principal.quota) takeRequest(request, reply, principal.quota, done);
      else done();
    } else if (isNobody(principal)) refuseUnauthenticated(reply, NEEDS_KEY);
    else sendRefusal(reply, 403, refusal('FORBIDDEN', `This route is for ${whoMay(policy, principal)} only.`));
  });
}

const NEEDS_KEY = 'This route needs an API key or a token. Send it in the header "Authorization: Bearer …".';

function refuse(reply: FastifyReply, { code, message, retryAfterMs }: Refused): void {
  if (code === 'UNAUTHENTICATED') refuseUnauthenticated(reply, message);
  else if (retryAfterMs === null) sendRefusal(reply, 403, refusal(code, message));
  else {
    const retryable = refusal(code, message, { retryable: true });
    sendRefusedRequest(reply, new RefusedRequest(503, retryable, Math.ceil(retryAfterMs / 1_000)));
  }
}

function refuseUnauthenticated(reply: FastifyReply, message: string): void {
  reply.header('www-authenticate', 'Bearer realm="modelgraph"');
  sendRefusal(reply, 401, refusal('UNAUTHENTICATED', message));
}

function identify(http: FastifyInstance, authentication: Authentication): void {
  http.decorateRequest('principal');
  http.decorateRequest('refused', null);
  http.decorateRequest('quotaBytes', null);
  http.decorateRequest('connection');
  http.decorateRequest('incoming', null);
  const identified = (request: FastifyRequest, reply: FastifyReply, found: Principal | Refused) => {
    request.refused = isRefused(found) ? found : null;
    request.principal = isRefused(found) ? nobody(request.ip) : found;
    request.connection = new ResponseConnection(request.principal.callerId, reply.raw);
  };
  http.addHook('onRequest', (request, reply, done) => {
    const found = authentication.authenticate(request);
    if (found instanceof Promise) found.then((later) => identified(request, reply, later)).then(() => done(), done);
    else {
      identified(request, reply, found);
      done();
    }
  });
  // Not before: what is read while a body arrives would not know its caller.
  http.addHook('preHandler', (request, _reply, done) => readingFor.run(request.principal.callerId, done));
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
    if (!request.answer || typeof payload !== 'string' || isSent(request, reply, Buffer.byteLength(payload))) {
      done(null, payload);
      return;
    }
    const error = answerNotSent();
    countRefusal(error);
    const refused = JSON.stringify({ errors: [error] });
    if (!request.answer.send(refused.length)) request.connection.disconnect();
    reply
      .code(503)
      .type(mediaTypeOfRefusal(request.headers.accept))
      .header('retry-after', RETRY_AFTER_MS / 1_000)
      .removeHeader('content-length');
    done(null, refused);
  });
}

function isSent(request: FastifyRequest, { statusCode }: FastifyReply, bytes: number): boolean {
  if (request.principal.quota) takeAnswer(request, statusCode, bytes);
  return request.answer.send(bytes);
}

/** Of a connection, before a request is read from it. */
function callerOf({ remoteAddress }: Socket): string {
  return remoteAddress ?? 'unknown';
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
    const { streamsBody = false } = request.routeOptions.config;
    done(isStopping ? shuttingDown() : streamsBody ? null : bodies.admit(request));
  });
  http.addHook('onSend', (request, _reply, payload, done) => {
    // Before the response ends, or Node would discard the rest uncounted. No other hook has run if the URL cannot be read.
    bodies.discarding.rest(request.raw, request.connection?.caller ?? request.ip);
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

function registerMetrics(http: FastifyInstance, metrics: Metrics): void {
  http.addHook('onClose', async () => metrics.stop());
  http.get('/metrics', { config: { policy: 'operate' } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
}
