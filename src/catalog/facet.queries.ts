/** Models counted by facet. */
import { type RawBuilder, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase } from '../storage/database.js';
import { MAX_COUNT } from '../storage/pages.js';
import { rowCount } from '../storage/sql.js';
import { isEverything, listedModels, type ModelListing } from './listing.queries.js';
import type { Facet, FacetBucket, FacetField } from './model.type.js';
import { maySeeCount } from './visibility.js';

const MAX_BUCKETS = 50;

const FACETS = ['TASK', 'TAG', 'LICENSE', 'FRAMEWORK', 'OWNER'] as const;

type Bucket = FacetBucket & { readonly field: keyof typeof FacetField };

/**
 * Counts the models of a listing by each facet, in one statement. All models are counted when they are written; of those
 * that a search or filter selects, `MAX_COUNT` are counted here. @throws BadArgumentError
 */
export async function countFacets(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Facet[]> {
  const buckets = isEverything(listing) ? readCounts(db, principal) : countListed(db, principal, listing);
  const byField = Map.groupBy(await buckets, ({ field }) => field);
  return FACETS.map((field) => ({
    field,
    buckets: (byField.get(field) ?? []).map(({ value, count }) => ({ value, count })),
  }));
}

function readCounts(db: CatalogDatabase, principal: Principal): Promise<Bucket[]> {
  const count = sql<number>`cast(sum(count) as integer)`;
  const buckets = FACETS.map((field) => {
    const counts = db
      .selectFrom('facet_count')
      .select(['field', 'value', count.as('count')])
      .where('field', '=', field)
      .where(maySeeCount(principal))
      .groupBy('value')
      .having(count, '>', 0)
      .orderBy('count', 'desc')
      .orderBy('value')
      .limit(MAX_BUCKETS);
    return db.selectFrom(counts.as('counts')).selectAll();
  });
  return buckets.reduce((all, one) => all.unionAll(one)).execute();
}

async function countListed(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Bucket[]> {
  const listed = listedModels(db, principal, listing)
    .select(['model.id', 'model.task', 'model.license', 'model.owner', 'model.default_framework'])
    .limit(MAX_COUNT);
  const columns = { TASK: 'task', LICENSE: 'license', FRAMEWORK: 'default_framework', OWNER: 'owner' } as const;
  const counted = Object.entries(columns).map(([field, column]) => countBy(field, sql.ref(`listed.${column}`)));
  const tags = countBy('TAG', sql.ref('model_tag.tag'), sql`cross join model_tag where model_tag.model_id = listed.id`);
  const buckets = sql<Bucket>`(${sql.join([tags, ...counted], sql` union all `)})`;
  return db
    .with(
      (cte) => cte('listed').materialized(),
      () => listed,
    )
    .selectFrom(buckets.as('bucket'))
    .selectAll()
    .execute();
}

function countBy(field: string, value: RawBuilder<unknown>, from = sql`where 1 = 1`): RawBuilder<unknown> {
  return sql`select * from (select ${sql.lit(field)} as field, ${value} as value, ${rowCount()} as count
    from listed ${from} and ${value} is not null group by ${value} order by count desc, value limit ${sql.lit(MAX_BUCKETS)})`;
}
