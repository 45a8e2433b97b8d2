/** All SQL that reads models: by id or name, as a list, and counted by facet. */
import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { BadArgumentError } from '../errors.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { ModelTable } from '../storage/migrations/catalog.table.js';
import {
  checkFirst,
  decodeCursor,
  type Key,
  type KeyType,
  listId,
  type Page,
  type PageArgs,
  pageOf,
  type Total,
  totalOf,
} from '../storage/pages.js';
import { countMatches, MAX_HITS, searchHits } from '../storage/search.js';
import { countUpToCap, interruptible, isAfter, rowCount } from '../storage/sql.js';
import type { TaskName } from '../tasks/tasks.js';
import {
  type Facet,
  type FacetBucket,
  type FacetField,
  Model,
  type ModelCard,
  type ModelFilter,
  type ModelOrder,
} from './model.type.js';
import { maySeeDataset, maySeeModel } from './visibility.js';

export interface ModelListing {
  readonly search?: string | null | undefined;
  readonly filter?: ModelFilter | null | undefined;
  readonly orderBy?: ModelOrder | null | undefined;
}

const MAX_BUCKETS = 50;
const ORDER_COLUMN = { NAME: 'model.name', CREATED_AT: 'model.created_at', UPDATED_AT: 'model.updated_at' } as const;

/** The card is read by `findCards` if a field of it is selected. */
const MODEL_COLUMNS = [
  'model.id',
  'model.name',
  'model.title',
  'model.summary',
  'model.task',
  'model.owner',
  'model.license',
  'model.default_version_id',
  'model.created_at',
  'model.updated_at',
  sql<number>`octet_length(model.card)`.as('card_bytes'),
] as const;

type ModelColumn = 'id' | 'name' | 'title' | 'summary' | 'task' | 'owner' | 'license' | 'default_version_id';

interface ModelRow extends Pick<ModelTable, ModelColumn | 'created_at' | 'updated_at'> {
  readonly card_bytes: number;
}

/** The cards of these models. The caller has reserved their bytes. */
export async function findCards(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<{ id: string; card: ModelCard }[]> {
  const query = db.selectFrom('model').select(['id', 'card']).where('id', 'in', ids).where(maySeeModel(principal));
  return (await query.execute()).map(({ id, card }) => ({ id, card: JSON.parse(card) }));
}

export async function findModelsByIds(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Model[]> {
  const rows = await db
    .selectFrom('model')
    .select(MODEL_COLUMNS)
    .where('id', 'in', ids)
    .where(maySeeModel(principal))
    .execute();
  return rows.map(toModel);
}

export async function findModelsByNames(
  db: CatalogDatabase,
  principal: Principal,
  names: readonly string[],
): Promise<Model[]> {
  const rows = await db
    .selectFrom('model')
    .select(MODEL_COLUMNS)
    .where('name', 'in', names)
    .where(maySeeModel(principal))
    .execute();
  return rows.map(toModel);
}

/** Names of models that the principal may see, as candidates for suggestions. */
export async function findModelNames(db: CatalogDatabase, principal: Principal, limit: number): Promise<string[]> {
  const rows = await db.selectFrom('model').select('name').where(maySeeModel(principal)).limit(limit).execute();
  return rows.map(({ name }) => name);
}

export async function findTags(
  db: CatalogDatabase,
  principal: Principal,
  modelIds: readonly string[],
): Promise<{ model_id: string; tag: string }[]> {
  return db
    .selectFrom('model_tag')
    .innerJoin('model', 'model.id', 'model_tag.model_id')
    .selectAll('model_tag')
    .where('model_tag.model_id', 'in', modelIds)
    .where(maySeeModel(principal))
    .orderBy('model_tag.tag')
    .execute();
}

/** @throws BadArgumentError */
export async function findModelPage(
  db: CatalogDatabase,
  principal: Principal,
  listing: ModelListing,
  { first, after }: PageArgs,
  countTotal = () => countModels(db, principal, listing),
): Promise<Page<Model>> {
  checkFilter(listing.filter ?? {});
  const { column, type, direction } = orderOf(listing);
  const list = listId('models', listing);
  let listed = listedModels(db, principal, listing)
    .select(['model.id', column.as('order_key')])
    .orderBy(column, direction)
    .orderBy('model.id', direction)
    .limit(checkFirst(first) + 1);
  if (after != null)
    listed = listed.where(
      isAfter(decodeCursor(list, after, [type, 'string']), [column, sql.ref('model.id')], direction),
    );
  // The list itself is read from an index only; the rows, with their cards, just for the page.
  const rows = await db
    .selectFrom(listed.as('listed'))
    .innerJoin('model', 'model.id', 'listed.id')
    .select(MODEL_COLUMNS)
    .select('listed.order_key')
    .orderBy('listed.order_key', direction)
    .orderBy('model.id', direction)
    .execute();
  return pageOf(rows, first, { toNode: toModel, list, keyOf: ({ order_key, id }) => [order_key, id], countTotal });
}

/** Capped also if a search has more matches than it looks at. @throws BadArgumentError */
export async function countModels(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Total> {
  checkFilter(listing.filter ?? {});
  const counted = countUpToCap(listedModels(db, principal, listing));
  const { count, matches } = await db
    .selectNoFrom([counted.as('count'), countMatches(listing.search ?? '').as('matches')])
    .executeTakeFirstOrThrow();
  const total = totalOf(count);
  return { ...total, isCapped: total.isCapped || matches > MAX_HITS };
}

/** Counts the models of a listing by each facet, in one statement that reads the listing once. */
export async function countFacets(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Facet[]> {
  checkFilter(listing.filter ?? {});
  const listed = listedModels(db, principal, listing).select([
    'model.id',
    'model.task',
    'model.license',
    'model.owner',
    'model.default_framework',
  ]);
  const columns = { TASK: 'task', LICENSE: 'license', FRAMEWORK: 'default_framework', OWNER: 'owner' } as const;
  const counted = Object.entries(columns).map(([field, column]) => countBy(field, sql.ref(`listed.${column}`)));
  const tags = countBy('TAG', sql.ref('model_tag.tag'), sql`cross join model_tag where model_tag.model_id = listed.id`);
  const buckets = sql<Bucket>`(${sql.join([tags, ...counted], sql` union all `)})`;
  const rows = await db
    .with(
      (cte) => cte('listed').materialized(),
      () => listed,
    )
    .selectFrom(buckets.as('bucket'))
    .selectAll()
    .execute();
  const byField = Map.groupBy(rows, ({ field }) => field);
  return FACETS.map((field) => ({
    field,
    buckets: (byField.get(field) ?? []).map(({ value, count }) => ({ value, count })),
  }));
}

type Bucket = FacetBucket & { readonly field: keyof typeof FacetField };

const FACETS = ['TASK', 'TAG', 'LICENSE', 'FRAMEWORK', 'OWNER'] as const;

function countBy(field: string, value: RawBuilder<unknown>, from = sql`where 1 = 1`): RawBuilder<unknown> {
  return sql`select * from (select ${sql.lit(field)} as field, ${value} as value, ${rowCount()} as count
    from listed ${from} and ${value} is not null group by ${value} order by count desc, value limit ${sql.lit(MAX_BUCKETS)})`;
}

function orderOf({ search, orderBy }: ModelListing): {
  column: ReturnType<typeof sql.ref<Key>>;
  type: KeyType;
  direction: 'asc' | 'desc';
} {
  if (!orderBy && search && searchHits(search))
    return { column: sql.ref('hit.score'), type: 'number', direction: 'asc' };
  const { field, direction } = orderBy ?? { field: 'NAME', direction: 'ASC' };
  const type = field === 'NAME' ? 'string' : 'number';
  return { column: sql.ref(ORDER_COLUMN[field]), type, direction: direction === 'DESC' ? 'desc' : 'asc' };
}

/** The models of a listing, before columns, order and page are chosen. */
function listedModels(db: CatalogDatabase, principal: Principal, { search, filter }: ModelListing) {
  const hits = search ? searchHits(search) : undefined;
  const from = db
    .selectFrom('model')
    .where(maySeeModel(principal))
    .where(filterCondition(principal, filter ?? {}));
  if (!hits) return from;
  return from.innerJoin(hits.as('hit'), (join) =>
    join.onRef('hit.search_id' as never, '=', 'model.search_id'),
  ) as unknown as typeof from;
}

const MAX_FILTER_VALUES = 100;

/** The database limits the number of parameters, and no user selects more values than this by hand. */
function checkFilter(filter: ModelFilter): void {
  for (const [name, values] of Object.entries(filter)) {
    if (Array.isArray(values) && values.length > MAX_FILTER_VALUES) {
      throw new BadArgumentError(
        `filter.${name} has ${values.length} values; at most ${MAX_FILTER_VALUES} are allowed.`,
      );
    }
  }
}

function filterCondition(principal: Principal, filter: ModelFilter) {
  return (eb: ExpressionBuilder<CatalogTables, 'model'>): Expression<SqlBool> => {
    const conditions: Expression<SqlBool>[] = [];
    if (filter.tasks) conditions.push(eb('model.task', 'in', filter.tasks));
    if (filter.owners) conditions.push(eb('model.owner', 'in', filter.owners));
    if (filter.licenses) conditions.push(eb('model.license', 'in', filter.licenses));
    if (filter.tags) {
      const tagged = eb.selectFrom('model_tag').select('model_id').where('tag', 'in', filter.tags);
      // Not `model.id`: the planner would start from all models with the tag, and sort them.
      conditions.push(eb(eb.fn.coalesce('model.id', sql.lit('')), 'in', tagged));
    }
    if (filter.frameworks) conditions.push(eb('model.default_framework', 'in', filter.frameworks));
    if (filter.maxSizeBytes != null) conditions.push(eb('model.default_bytes', '<=', filter.maxSizeBytes));
    if (filter.metric) conditions.push(eb.exists(evaluationThat(eb, principal, filter.metric)));
    return eb.and(conditions);
  };
}

/** Considers only metrics over all classes, of evaluations that succeeded on datasets that the principal may see. */
function evaluationThat(
  eb: ExpressionBuilder<CatalogTables, 'model'>,
  principal: Principal,
  filter: NonNullable<ModelFilter['metric']>,
) {
  return eb
    .selectFrom('evaluation')
    .innerJoin('metric', 'metric.evaluation_id', 'evaluation.id')
    .innerJoin('dataset', 'dataset.id', 'evaluation.dataset_id')
    .select('evaluation.id')
    .whereRef('evaluation.version_id', '=', 'model.default_version_id')
    .where(interruptible())
    .where(maySeeDataset(principal))
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .where('metric.name', '=', filter.metric)
    .where('metric.label', 'is', null)
    .$if(filter.dataset != null, (q) => q.where('dataset.name', '=', filter.dataset as string))
    .$if(filter.min != null, (q) => q.where('metric.value', '>=', filter.min as number))
    .$if(filter.max != null, (q) => q.where('metric.value', '<=', filter.max as number));
}

function toModel(row: ModelRow): Model {
  return create(Model, {
    id: row.id,
    name: row.name,
    title: row.title,
    summary: row.summary,
    task: row.task as TaskName,
    owner: row.owner,
    license: row.license,
    cardBytes: row.card_bytes,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    defaultVersionId: row.default_version_id,
  });
}
