/**
 * The cache of urql, Graphcache, for this schema: `cacheExchange({ schema, ...cacheOptions })`, with an introspection result
 * as `schema`. Pages of a list are joined as long as a component asks for more of them with `after`, and as many items per page.
 */
import type { CacheExchangeOpts, FieldInfo, Resolver } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import known from './apollo-cache.json' with { type: 'json' };

const joinAllPages: Resolver = relayPagination();

/** Joins only pages of the same size: a component that shows three items would get all items of another one otherwise. */
const joinPages: Resolver = (parent, args, cache, info) => {
  const isOther = ({ fieldName, arguments: other }: FieldInfo) =>
    fieldName === info.fieldName && (other?.['first'] ?? null) !== (args['first'] ?? null);
  const ofThisSize: typeof cache = Object.create(cache);
  ofThisSize.inspectFields = (entity) => cache.inspectFields(entity).filter((field) => !isOther(field));
  return joinAllPages(parent, args, ofThisSize, info);
};

export const cacheOptions: Pick<CacheExchangeOpts, 'keys' | 'resolvers'> = {
  keys: Object.fromEntries(known.embedded.map((type) => [type, () => null])),
  resolvers: Object.fromEntries(
    Object.entries(known.connections).map(([type, fields]) => [
      type,
      Object.fromEntries(fields.map((field) => [field, joinPages])),
    ]),
  ),
};
