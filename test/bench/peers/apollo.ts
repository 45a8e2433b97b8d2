/**
 * The naive peer, as a frontend team might write it in an afternoon: Apollo's standalone server and one ONNX Runtime
 * session in the same process; the resolver awaits `session.run`.
 */
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { resolvers, typeDefs } from './predict.ts';

const server = new ApolloServer({ typeDefs, resolvers });
const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
console.log(`ready ${url}`);
