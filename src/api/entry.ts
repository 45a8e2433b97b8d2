/** What is found without a manual: the root of the server, and whether it is alive and ready. */
import type { FastifyInstance } from 'fastify';
import { withoutPaths } from '../without-paths.js';

const ROUTE = { config: { policy: 'public' as const } };

/** Browsers go on to the explorer; programs learn where the API is. */
export function registerEntry(http: FastifyInstance, { hasExplorer }: { hasExplorer: boolean }): void {
  const entry = {
    service: 'modelgraph',
    api: '/graphql',
    ...(hasExplorer && { explorer: '/graphiql' }),
    health: '/health',
  };
  http.get('/', ROUTE, async (request, reply) =>
    hasExplorer && request.headers.accept?.includes('text/html') ? reply.redirect('/graphql') : entry,
  );
}

/** @param notReadyReason null if a model can answer, else the reason why none can */
export function registerHealth(http: FastifyInstance, notReadyReason: () => string | null): void {
  http.get('/health/live', ROUTE, async () => ({ status: 'live' }));
  for (const url of ['/health', '/health/ready']) {
    http.get(url, ROUTE, async (_request, reply) => {
      const reason = notReadyReason();
      return reason === null
        ? { status: 'ready' }
        : reply.code(503).send({ status: 'not ready', reason: withoutPaths(reason) });
    });
  }
}
