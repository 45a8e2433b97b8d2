/** A route that declares no policy cannot be registered. */
import 'reflect-metadata';
import { createHttpServer } from '../support/http-server.js';

test('a route without a policy is refused when it is registered', async () => {
  const server = await createHttpServer();

  expect(() => server.http.get('/open', async () => 'anything')).toThrow('The route /open declares no policy');

  await server.http.close();
  await server.stop();
});
