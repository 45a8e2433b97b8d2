/** Mercurius with graphql-jit and the same resolvers, on the file of a catalog. */
import fastify from 'fastify';
import mercurius from 'mercurius';
import { Loaders, resolvers, typeDefs } from './catalog.ts';

declare module 'mercurius' {
  interface MercuriusContext extends Loaders {}
}

const app = fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1, context: () => new Loaders() });
console.log(`ready ${await app.listen({ port: 0, host: '127.0.0.1' })}/graphql`);
