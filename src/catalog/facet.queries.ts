/** Models counted by facet. */
import { type RawBuilder, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { CatalogDatabase } from '../storage/database.js';
import { MAX_COUNT } from '../storage/pages.js';
import { MAX_HITS, searchHits } from '../storage/search.js';
import { rowCount } from '../storage/sql.js';
import { facetLabel } from './facet-labels.js';
import { isEverything, listedModels, type ModelListing } from './listing.queries.js';
import type { Facet, FacetBucket, FacetField, ModelFilter } from './model.type.js';
import { maySeeCount, searchedAccount } from './visibility.js';

const MAX_BUCKETS = 50;
/** Of public and of private models. With it, SQLite looks up the models of the hits, and does not scan all models. */
const MOST_HITS = sql.lit(2 * MAX_HITS);

type Field = keyof typeof FacetField;

/** Of each facet, the condition of the filter that selects its values, and the column of `model` that has them. */
const FACETS = {
  TASK: { condition: 'tasks', column: 'task' },
  TAG: { condition: 'tags', column: null },
  LICENSE: { condition: 'licenses', column: 'license' },
  FRAMEWORK: { condition: 'frameworks', column: 'default_framework' },
  OWNER: { condition: 'owners', column: 'owner' },
} as const satisfies Record<Field, { condition: keyof ModelFilter; column: string | null }>;
const FIELDS = Object.keys(FACETS) as Field[];

interface Count {
  readonly field: Field;
  readonly value: string;
  readonly count: number;
}

/**
 * Counts the models of a listing by each facet, without the filter's condition on that facet, in one statement. All models
 * are counted when they are written; of those that a search or filter selects, `MAX_COUNT` are counted here.
 *
 * @throws BadArgumentError
 */
export async function countFacets(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Facet[]> {
  const lists = new Lists(db, principal, listing);
  const counts = FIELDS.map((field) => {
    const others = withoutOwn(listing, field);
    const selected = selectedIn(listing, field);
    return isEverything(others)
      ? storedCounts(db, principal, field, selected)
      : countBy(field, lists.of(others), selected);
  });
  const buckets = sql<Count>`(${lists.definitions()} ${sql.join(counts, sql` union all `)})`;
  const byField = Map.groupBy(await db.selectFrom(buckets.as('bucket')).selectAll().execute(), ({ field }) => field);
  return FIELDS.map((field) => ({
    field,
    buckets: bucketsOf(field, byField.get(field) ?? [], selectedIn(listing, field)),
  }));
}

function withoutOwn({ search, filter }: ModelListing, field: Field): ModelListing {
  return { search, filter: { ...filter, [FACETS[field].condition]: null } };
}

function selectedIn({ filter }: ModelListing, field: Field): readonly string[] {
  return filter?.[FACETS[field].condition] ?? [];
}

/** The lists that facets count, each read once. All share the matches of the search. */
class Lists {
  readonly #tables = new Map<string, RawBuilder<unknown>>();
  readonly #names = new Map<string, string>();
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;

  constructor(db: CatalogDatabase, principal: Principal, { search }: ModelListing) {
    this.#db = db;
    this.#principal = principal;
    const hits = searchHits(search ?? '', searchedAccount(principal));
    if (hits) this.#tables.set('hits', hits);
  }

  /** The name of the table of this list. */
  of(listing: ModelListing): string {
    const key = JSON.stringify(listing.filter);
    const known = this.#names.get(key) ?? `listed_${this.#names.size}`;
    this.#names.set(key, known);
    if (!this.#tables.has(known)) this.#tables.set(known, this.#listed(listing));
    return known;
  }

  definitions(): RawBuilder<unknown> {
    if (this.#tables.size === 0) return sql``;
    const tables = Array.from(this.#tables, ([name, table]) => sql`${sql.table(name)} as materialized ${table}`);
    return sql`with ${sql.join(tables)}`;
  }

  #listed(listing: ModelListing): RawBuilder<unknown> {
    const hits = this.#tables.has('hits')
      ? sql<{ search_id: number; score: number }>`(select * from hits limit ${MOST_HITS})`
      : undefined;
    const listed = listedModels(this.#db, this.#principal, listing, hits)
      .select(['model.id', 'model.task', 'model.license', 'model.owner', 'model.default_framework'])
      .limit(MAX_COUNT);
    return sql`${listed}`;
  }
}

function storedCounts(
  db: CatalogDatabase,
  principal: Principal,
  field: Field,
  selected: readonly string[],
): RawBuilder<unknown> {
  const count = sql<number>`cast(sum(count) as integer)`;
  const counts = db
    .selectFrom('facet_count')
    .select(['field', 'value', count.as('count')])
    .where('field', '=', field)
    .where(maySeeCount(principal))
    .groupBy('value')
    .having(count, '>', 0);
  return sql`select * from (select * from ${counts} ${mostFrequent(selected)})`;
}

function countBy(field: Field, list: string, selected: readonly string[]): RawBuilder<unknown> {
  const listed = sql.table(list);
  const { column } = FACETS[field];
  const value = column ? sql.ref(`${list}.${column}`) : sql.ref('model_tag.tag');
  const from = column ? listed : sql`${listed} cross join model_tag on model_tag.model_id = ${sql.ref(`${list}.id`)}`;
  const counts = sql`select ${sql.lit(field)} as field, ${value} as value, ${rowCount()} as count
    from ${from} where ${value} is not null group by ${value}`;
  return sql`select * from (select * from (${counts}) ${mostFrequent(selected)})`;
}

/** Values that the filter selects come before more frequent ones, so that they can be deselected. */
function mostFrequent(selected: readonly string[]): RawBuilder<unknown> {
  const first = selected.length > 0 ? sql`value in (${sql.join(selected)}) desc,` : sql``;
  return sql`order by ${first} count desc, value limit ${sql.lit(MAX_BUCKETS)}`;
}

/** Most frequent first. Selected values that no model has are listed, too. */
function bucketsOf(field: Field, counts: readonly Count[], selected: readonly string[]): FacetBucket[] {
  const found = new Set(counts.map(({ value }) => value));
  const missing = [...new Set(selected)].filter((value) => !found.has(value)).map((value) => ({ value, count: 0 }));
  const all = [...counts, ...missing.slice(0, MAX_BUCKETS - counts.length)];
  return all
    .toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .map(({ value, count }) => ({ value, count, selected: selected.includes(value), label: facetLabel(field, value) }));
}
