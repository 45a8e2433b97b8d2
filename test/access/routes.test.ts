/** A route that declares no policy cannot be registered. */
import 'reflect-metadata';
import { pino } from 'pino';
import type { RequestDatabases } from '#src/api/context.js';
import { createSchema } from '#src/api/schema.js';
import { createServer } from '#src/api/server.js';
import { DEFAULTS } from '#src/config.js';

test('a route without a policy is refused when it is registered', async () => {
  const server = await createServer({
    config: DEFAULTS,
    log: pino({ level: 'silent' }),
    schema: createSchema(),
    databases: {} as RequestDatabases,
    findSpec: async () => null,
    notReadyReason: () => null,
  });

  expect(() => server.http.get('/open', async () => 'anything')).toThrow('The route /open declares no policy');

  await server.http.close();
  await server.stop();
});
