import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';
import { cacheConfig } from '../../apollo-cache.ts';

/** A server with keys needs a publishable one. */
const { VITE_MODELGRAPH_URL: SERVER = 'http://127.0.0.1:4000', VITE_MODELGRAPH_KEY: KEY } = import.meta.env;

export const client = new ApolloClient({
  link: new HttpLink({ uri: `${SERVER}/graphql`, headers: KEY ? { authorization: `Bearer ${KEY}` } : {} }),
  cache: new InMemoryCache(cacheConfig()),
});

/** It ends after some minutes: an image that a page shows later fails to load, and the page asks for another URL. */
export const urlOfPicture = (path: string): string => new URL(path, SERVER).href;
