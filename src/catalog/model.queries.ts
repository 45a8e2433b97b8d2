/** All SQL that reads models: by id or name, and as a list. */
import { type ExpressionBuilder, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { Viewer } from '../access/visibility.js';
import { create } from '../graphql/create.js';
import type { Values } from '../storage/compiled.js';
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
import { hasTooManyMatches, hasWords } from '../storage/search.js';
import { countUpToCap, type Ids, idsIn, idsOf, isAfter, isSet, jsonListOf, limitOf } from '../storage/sql.js';
import type { TaskName } from '../tasks/tasks.js';
import { isEverything, listedModels, type ModelListing } from './listing.queries.js';
import { isMeasured, type MeasuredOrder, measuredIds, positionIn } from './measured-order.queries.js';
import { Model, type ModelCard } from './model.type.js';
import { compiledFor, maySeeModel, searchedAccount } from './visibility.js';

const ORDER_COLUMN = { NAME: 'model.name', CREATED_AT: 'model.created_at', UPDATED_AT: 'model.updated_at' } as const;

const DEFAULT_ORDER = { field: 'NAME', direction: 'ASC' } as const;

/** The card is read by `findCards` if a field of it is selected. */
const MODEL_COLUMNS = [
  (eb: ExpressionBuilder<CatalogTables, 'model'>) =>
    jsonListOf(
      eb.selectFrom('model_tag').select('tag').whereRef('model_id', '=', 'model.id').orderBy('tag'),
      sql.ref('tag'),
    ).as('tags'),
  'model.id',
  'model.name',
  'model.title',
  'model.summary',
  'model.task',
  'model.owner',
  'model.account',
  'model.visibility',
  'model.license',
  'model.default_version_id',
  'model.created_at',
  'model.updated_at',
  sql<number>`octet_length(model.card)`.as('card_bytes'),
] as const;

type ModelColumn =
  | 'id'
  | 'name'
  | 'title'
  | 'summary'
  | 'task'
  | 'owner'
  | 'account'
  | 'visibility'
  | 'license'
  | 'default_version_id';

interface ModelRow extends Pick<ModelTable, ModelColumn | 'created_at' | 'updated_at'> {
  /** JSON of string[]. */
  readonly tags: string;
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

const modelsByIds = compiledFor((db, viewer, { ids }: { ids: Ids }) =>
  db.selectFrom('model').select(MODEL_COLUMNS).where('id', 'in', idsIn(ids)).where(maySeeModel(viewer)),
);

export async function findModelsByIds(
  db: CatalogDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Model[]> {
  return (await modelsByIds(db, principal, { ids: idsOf(ids) })).map(toModel);
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

interface Range {
  readonly limit: number;
  /** The key after which the page begins; both empty for the first page. */
  readonly afterKey: Key;
  readonly afterId: string;
}

/** The list itself is read from an index only; the rows, with their cards, just for the page. */
function modelPage(db: CatalogDatabase, viewer: Viewer, listing: ModelListing, hasCursor: boolean, range: Range) {
  const { column, direction } = orderOf(listing);
  let listed = listedModels(db, viewer, listing)
    .select(['model.id', column.as('order_key')])
    .orderBy(column, direction)
    .orderBy('model.id', direction)
    .limit(limitOf(range.limit));
  if (hasCursor)
    listed = listed.where(isAfter([range.afterKey, range.afterId], [column, sql.ref('model.id')], direction));
  return db
    .selectFrom(listed.as('listed'))
    .innerJoin('model', 'model.id', 'listed.id')
    .select(MODEL_COLUMNS)
    .select('listed.order_key')
    .orderBy('listed.order_key', direction)
    .orderBy('model.id', direction);
}

type FindPage = ReturnType<typeof compiledFor<Range & Values, ModelRow & { order_key: Key }>>;

/** Pages of all models, by their order and whether they have a cursor. */
const pagesOfAll = new Map<string, FindPage>();

function pageOfAll({ orderBy }: ModelListing, hasCursor: boolean): FindPage {
  const { field, direction } = orderBy ?? DEFAULT_ORDER;
  const known = `${field} ${direction} ${hasCursor}`;
  const find =
    pagesOfAll.get(known) ??
    compiledFor((db, viewer, range: Range & Values) => modelPage(db, viewer, { orderBy }, hasCursor, range));
  pagesOfAll.set(known, find);
  return find;
}

/** As `modelPage`, in an order in which not every model has a place. */
async function measuredPage(
  db: CatalogDatabase,
  principal: Principal,
  listing: ModelListing & { readonly orderBy: MeasuredOrder },
  { first, after }: PageArgs,
  countTotal: () => Promise<Total>,
): Promise<Page<Model>> {
  const list = listId('models', listing);
  const position = after == null ? null : positionIn(list, after);
  const { ids, direction } = measuredIds(db, principal, listing, { after: position, limit: checkFirst(first) + 1 });
  const rows = await db
    .selectFrom(ids.as('listed'))
    .innerJoin('model', 'model.id', 'listed.id')
    .select(MODEL_COLUMNS)
    .select(['listed.part', 'listed.value', 'listed.tie'])
    .orderBy('listed.part')
    .orderBy('listed.value', direction)
    .orderBy(sql`iif(listed.part = 0, listed.tie, null)`, direction)
    .orderBy('listed.tie')
    .execute();
  const keyOf = ({ part, value, tie }: (typeof rows)[number]) => [part, value, tie];
  return pageOf(rows, { first, after }, { toNode: toModel, list, keyOf, countTotal });
}

/** @throws BadArgumentError */
export async function findModelPage(
  db: CatalogDatabase,
  principal: Principal,
  listing: ModelListing,
  { first, after }: PageArgs,
  countTotal = () => countModels(db, principal, listing),
): Promise<Page<Model>> {
  const { orderBy } = listing;
  if (isMeasured(orderBy)) return measuredPage(db, principal, { ...listing, orderBy }, { first, after }, countTotal);
  const list = listId('models', listing);
  const [afterKey = '', afterId = ''] =
    after == null ? [] : decodeCursor(list, after, [orderOf(listing).type, 'string']);
  const range = { limit: checkFirst(first) + 1, afterKey, afterId: String(afterId) };
  const hasCursor = after != null;
  const rows = isEverything(listing)
    ? await pageOfAll(listing, hasCursor)(db, principal, range)
    : await modelPage(db, principal, listing, hasCursor, range).execute();
  const keyOf = ({ order_key, id }: (typeof rows)[number]) => [order_key, id];
  return pageOf(rows, { first, after }, { toNode: toModel, list, keyOf, countTotal });
}

/** Capped also if a search has more matches than it looks at. @throws BadArgumentError */
export async function countModels(db: CatalogDatabase, principal: Principal, listing: ModelListing): Promise<Total> {
  const counted = countUpToCap(listedModels(db, principal, listing));
  const tooMany = hasTooManyMatches(listing.search ?? '', searchedAccount(principal));
  const { count, isTooMany } = await db
    .selectNoFrom([counted.as('count'), tooMany.as('isTooMany')])
    .executeTakeFirstOrThrow();
  const total = totalOf(count);
  return { ...total, isCapped: total.isCapped || isSet(isTooMany) };
}

function orderOf({ search, orderBy }: ModelListing): {
  column: ReturnType<typeof sql.ref<Key>>;
  type: KeyType;
  direction: 'asc' | 'desc';
} {
  if (!orderBy && search && hasWords(search)) return { column: sql.ref('hit.score'), type: 'number', direction: 'asc' };
  const { field, direction } = orderBy ?? DEFAULT_ORDER;
  const type = field === 'NAME' ? 'string' : 'number';
  return {
    column: sql.ref(ORDER_COLUMN[field as keyof typeof ORDER_COLUMN]),
    type,
    direction: direction === 'DESC' ? 'desc' : 'asc',
  };
}

function toModel(row: ModelRow): Model {
  return create(Model, {
    id: row.id,
    name: row.name,
    title: row.title,
    summary: row.summary,
    task: row.task as TaskName,
    owner: row.owner,
    account: row.account,
    visibility: row.visibility === 'public' ? 'PUBLIC' : 'PRIVATE',
    license: row.license,
    tags: JSON.parse(row.tags),
    cardBytes: row.card_bytes,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    defaultVersionId: row.default_version_id,
  });
}
