/** All SQL that reads models: by id or name, as a list, and counted by facet. */
import { type Expression, type ExpressionBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { BadArgumentError } from '../errors.js';
import { create } from '../graphql/create.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { ModelTable } from '../storage/migrations/catalog.table.js';
import { checkFirst, decodeCursor, type Key, listId, type Page, type PageArgs, pageOf } from '../storage/pages.js';
import { searchHits } from '../storage/search.js';
import { countUpToCap, isAfter, rowCount } from '../storage/sql.js';
import type { TaskName } from '../tasks/tasks.js';
import {
  type Facet,
  type FacetBucket,
  type FacetField,
  Model,
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

export async function findModelsByIds(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Model[]> {
  const rows = await db.selectFrom('model').selectAll().where('id', 'in', ids).where(maySeeModel(principal)).execute();
  return rows.map(toModel);
}

export async function findModelsByNames(
  db: CatalogDatabase,
  principal: Principal,
  names: readonly string[],
): Promise<Model[]> {
  const rows = await db
    .selectFrom('model')
    .selectAll()
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
): Promise<Page<Model>> {
  checkFilter(listing.filter ?? {});
  const order = orderOf(listing);
  const list = listId('models', listing);
  let query = listedModels(db, principal, listing)
    .selectAll('model')
    .select(order.column.as('order_key'))
    .orderBy(order.column, order.direction)
    .orderBy('model.id', order.direction)
    .limit(checkFirst(first) + 1);
  if (after != null) {
    query = query.where(isAfter(decodeCursor(list, after, 2), [order.column, sql.ref('model.id')], order.direction));
  }
  return pageOf(await query.execute(), first, {
    toNode: toModel,
    list,
    keyOf: ({ order_key, id }) => [order_key, id],
    countTotal: () => countModels(db, principal, listing),
  });
}

/** Counts up to `MAX_COUNT + 1`. */
export async function countModels(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<number> {
  const counted = countUpToCap(listedModels(db, principal, listing));
  return (await db.selectNoFrom(counted.as('count')).executeTakeFirstOrThrow()).count;
}

/** Counts the models of a listing by each facet, one statement per facet. */
export async function countFacets(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Facet[]> {
  const models = listedModels(db, principal, listing);
  const tags = models.innerJoin('model_tag', 'model_tag.model_id', 'model.id');
  const versions = models.innerJoin('version', 'version.id', 'model.default_version_id');
  const counted: [keyof typeof FacetField, Promise<FacetBucket[]>][] = [
    ['TASK', countBy(models, sql.ref('model.task'))],
    ['TAG', countBy(tags, sql.ref('model_tag.tag'))],
    ['LICENSE', countBy(models, sql.ref('model.license'))],
    ['FRAMEWORK', countBy(versions, sql.ref('version.framework_name'))],
    ['OWNER', countBy(models, sql.ref('model.owner'))],
  ];
  return Promise.all(counted.map(async ([field, buckets]) => ({ field, buckets: await buckets })));
}

async function countBy<T extends keyof CatalogTables>(
  query: SelectQueryBuilder<CatalogTables, T, object>,
  value: ReturnType<typeof sql.ref<string | null>>,
): Promise<FacetBucket[]> {
  const rows = await query
    .select(value.as('value'))
    .select(rowCount().as('count'))
    .where(value, 'is not', null)
    .groupBy(value)
    .orderBy('count', 'desc')
    .orderBy('value')
    .limit(MAX_BUCKETS)
    .execute();
  return rows as FacetBucket[];
}

function orderOf({ search, orderBy }: ModelListing): {
  column: ReturnType<typeof sql.ref<Key>>;
  direction: 'asc' | 'desc';
} {
  if (!orderBy && search && searchHits(search)) return { column: sql.ref('hit.rank'), direction: 'asc' };
  const { field, direction } = orderBy ?? { field: 'NAME', direction: 'ASC' };
  return { column: sql.ref(ORDER_COLUMN[field]), direction: direction === 'DESC' ? 'desc' : 'asc' };
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
    join.onRef('hit.model_id' as never, '=', 'model.id'),
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
      conditions.push(eb('model.id', 'in', tagged));
    }
    if (filter.frameworks || filter.maxSizeBytes != null) conditions.push(eb.exists(defaultVersionThat(eb, filter)));
    if (filter.metric) conditions.push(eb.exists(evaluationThat(eb, principal, filter.metric)));
    return eb.and(conditions);
  };
}

function defaultVersionThat(eb: ExpressionBuilder<CatalogTables, 'model'>, { frameworks, maxSizeBytes }: ModelFilter) {
  return eb
    .selectFrom('version')
    .select('version.id')
    .whereRef('version.id', '=', 'model.default_version_id')
    .$if(frameworks != null, (q) => q.where('version.framework_name', 'in', frameworks as string[]))
    .$if(maxSizeBytes != null, (q) => q.where('version.artifact_bytes', '<=', maxSizeBytes as number));
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
    .where(maySeeDataset(principal))
    .where('evaluation.job_state', '=', 'SUCCEEDED')
    .where('metric.name', '=', filter.metric)
    .where('metric.label', 'is', null)
    .$if(filter.dataset != null, (q) => q.where('dataset.name', '=', filter.dataset as string))
    .$if(filter.min != null, (q) => q.where('metric.value', '>=', filter.min as number))
    .$if(filter.max != null, (q) => q.where('metric.value', '<=', filter.max as number));
}

function toModel(row: ModelTable): Model {
  return create(Model, {
    id: row.id,
    name: row.name,
    title: row.title,
    summary: row.summary,
    task: row.task as TaskName,
    owner: row.owner,
    license: row.license,
    card: JSON.parse(row.card),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    defaultVersionId: row.default_version_id,
  });
}
