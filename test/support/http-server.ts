/** The HTTP server without an app behind it: requests are read, checked and refused, but no model or database can answer. */
import { pino } from 'pino';
import { BODY_LIMITS, type BodyLimits } from '#src/api/body.js';
import { Certificate } from '#src/api/certificate.js';
import type { RequestDatabases } from '#src/api/context.js';
import { createSchema } from '#src/api/schema.js';
import { createServer, type ServerParts } from '#src/api/server.js';
import { type Config, loadConfig } from '#src/config.js';

/** Everybody on this machine is the local principal. */
export const NO_KEYS: ServerParts['keys'] = {
  find: () => 'unknown',
  hasAny: false,
  isOriginOfAKey: () => false,
  quotaOf: () => null,
};

export type HttpServer = Awaited<ReturnType<typeof createServer>>;

/** Not yet listening. The caller closes `http` and then calls `stop`. */
export async function createHttpServer(
  limits: Partial<BodyLimits> = {},
  config: Partial<Config> = {},
  maxConnections?: number,
): Promise<HttpServer> {
  const settings = { ...loadConfig({}), ...config };
  return createServer({
    config: settings,
    log: pino({ level: 'silent' }),
    schema: createSchema(),
    databases: {} as RequestDatabases,
    keys: NO_KEYS,
    tokens: null,
    certificate: await Certificate.open(settings),
    operations: { find: () => undefined },
    findSpec: async () => null,
    uploads: {} as ServerParts['uploads'],
    pictures: {} as ServerParts['pictures'],
    plots: {} as ServerParts['plots'],
    sealedPlots: {} as ServerParts['sealedPlots'],
    measured: {} as ServerParts['measured'],
    notReadyReason: () => null,
    ...(maxConnections && { maxConnections }),
    bodyLimits: { ...BODY_LIMITS, ...limits },
  });
}
