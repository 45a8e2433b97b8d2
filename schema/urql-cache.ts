/**
 * The cache of urql, Graphcache, for this schema: `cacheExchange({ schema, ...cacheOptions })`, with an introspection result
 * as `schema`. Pages of a list are joined as long as a component asks for more of them with `after`.
 */
import type { CacheExchangeOpts, Resolver } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import known from './apollo-cache.json' with { type: 'json' };

const joinPages: Resolver = relayPagination();

export const cacheOptions: Pick<CacheExchangeOpts, 'keys' | 'resolvers'> = {
  keys: Object.fromEntries(known.embedded.map((type) => [type, () => null])),
  resolvers: Object.fromEntries(
    Object.entries(known.connections).map(([type, fields]) => [
      type,
      Object.fromEntries(fields.map((field) => [field, joinPages])),
    ]),
  ),
};
