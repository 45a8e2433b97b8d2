/** Apollo's standalone server with DataLoader, on the file of a catalog. */
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { Loaders, resolvers, typeDefs } from './catalog.ts';

const server = new ApolloServer<Loaders>({ typeDefs, resolvers });
const { url } = await startStandaloneServer(server, {
  listen: { port: 0, host: '127.0.0.1' },
  context: async () => new Loaders(),
});
console.log(`ready ${url}`);
