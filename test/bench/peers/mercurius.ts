/** The same on Mercurius, which compiles each query with graphql-jit when it has seen it once. */
import fastify from 'fastify';
import mercurius from 'mercurius';
import { resolvers, typeDefs } from './predict.ts';

const app = fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1 });
console.log(`ready ${await app.listen({ port: 0, host: '127.0.0.1' })}/graphql`);
