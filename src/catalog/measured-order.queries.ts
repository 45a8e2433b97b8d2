/**
 * Pages of models in an order in which not every model has a place: by size, by a metric, and by recent use. The others come
 * last, by name, in both directions.
 *
 * Models with a place are read from an index in their order; the others only if those do not fill the page.
 */
import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import { readableModels } from '../access/grants.js';
import type { Principal } from '../access/principal.js';
import { readableOwner } from '../access/visibility.js';
import { BadArgumentError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { decodeCursor } from '../storage/pages.js';
import { interruptible, isAfter, limitOf } from '../storage/sql.js';
import { listedModels, type ModelListing } from './listing.queries.js';
import type { ModelOrder } from './model.type.js';
import { RECENT_DAYS, today } from './model-uses.js';
import { maySeeDataset } from './visibility.js';

export type MeasuredOrder = ModelOrder & { readonly field: 'SIZE' | 'METRIC' | 'RECENT_USE' };

/** @throws BadArgumentError if the order names a metric that it does not sort by, or sorts by one that it does not name */
export function isMeasured(order: ModelOrder | null | undefined): order is MeasuredOrder {
  if (!order) return false;
  if (order.field === 'METRIC' && !order.metric)
    throw new BadArgumentError('orderBy.metric is missing: METRIC sorts by a metric on a dataset.');
  if (order.field !== 'METRIC' && order.metric)
    throw new BadArgumentError(`orderBy.metric is given, but orderBy.field is ${order.field}; it must be METRIC.`);
  return order.field === 'SIZE' || order.field === 'METRIC' || order.field === 'RECENT_USE';
}

/** Of models with a place, and of the others. */
const PLACED = 0;
const OTHERS = 1;

/** Where a page begins: behind a model with this value and id, or, of the others, with this name. */
interface Position {
  readonly part: number;
  readonly value: number;
  readonly tie: string;
}

/** @throws BadArgumentError */
export function positionIn(list: string, cursor: string): Position {
  const [part, value, tie] = decodeCursor(list, cursor, ['number', 'number', 'string']) as [number, number, string];
  return { part, value, tie };
}

type Listed = ReturnType<typeof listedModels>;
type ModelExpressions = ExpressionBuilder<CatalogTables, 'model'>;

/** How an order finds the models that have a place in it. */
interface Measure {
  readonly placed: (listed: Listed) => Listed;
  readonly value: RawBuilder<number>;
  readonly id: RawBuilder<string>;
  readonly hasNone: (eb: ModelExpressions) => Expression<SqlBool>;
}

/** Ids of models in their order, with the keys of their cursors. */
export function measuredIds(
  db: CatalogDatabase,
  principal: Principal,
  listing: ModelListing & { readonly orderBy: MeasuredOrder },
  { after, limit }: { readonly after: Position | null; readonly limit: number },
) {
  const direction = listing.orderBy.direction === 'DESC' ? 'desc' : 'asc';
  const { placed, value, id, hasNone } = measureOf(db, principal, listing.orderBy);
  const listed = listedModels(db, principal, listing);
  let measured = placed(listed)
    .select(['model.id', sql.lit(PLACED).as('part'), value.as('value'), id.as('tie')])
    .orderBy(value, direction)
    .orderBy(id, direction)
    .limit(limitOf(limit));
  if (after?.part === PLACED) measured = measured.where(isAfter([after.value, after.tie], [value, id], direction));
  const name = sql.ref<string>('model.name');
  let others = listed
    .where(hasNone)
    .select(['model.id', sql.lit(OTHERS).as('part'), sql.lit(0).as('value'), name.as('tie')])
    .orderBy(name)
    .limit(limitOf(limit));
  if (after?.part === OTHERS) others = others.where(name, '>', after.tie);
  const last = db.selectFrom(others.as('found')).selectAll();
  const ids = after?.part === OTHERS ? last : db.selectFrom(measured.as('found')).selectAll().unionAll(last);
  return { ids: ids.limit(limitOf(limit)), direction } as const;
}

function measureOf(db: CatalogDatabase, principal: Principal, order: MeasuredOrder): Measure {
  if (order.field === 'SIZE') return BY_SIZE;
  return order.field === 'METRIC' ? byMetric(db, principal, order) : byRecentUse(principal);
}

const BY_SIZE: Measure = {
  placed: (listed) => listed.where('model.default_bytes', 'is not', null),
  value: sql.ref('model.default_bytes'),
  id: sql.ref('model.id'),
  // Not `is null`: the planner would start from these models, and sort them.
  hasNone: (eb) => eb(eb.fn.coalesce('model.default_bytes', sql.lit(-1)), '<', 0),
};

function byMetric(db: CatalogDatabase, principal: Principal, { metric }: MeasuredOrder): Measure {
  const { metric: name, dataset } = metric as NonNullable<typeof metric>;
  const datasetId = db
    .selectFrom('dataset')
    .select('dataset.id')
    .where('dataset.name', '=', dataset)
    .where(maySeeDataset(principal));
  return {
    placed: (listed) =>
      listed
        .innerJoin('model_score', 'model_score.search_id', 'model.search_id')
        .where('model_score.name', '=', name)
        .where('model_score.dataset_id', '=', datasetId) as unknown as Listed,
    value: sql.ref('model_score.value'),
    id: sql.ref('model_score.model_id'),
    hasNone: (eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('model_score')
            .select('model_score.value')
            .whereRef('model_score.search_id', '=', 'model.search_id')
            .where('model_score.name', '=', name)
            .where('model_score.dataset_id', '=', datasetId)
            .where(interruptible()),
        ),
      ),
  };
}

/** Of the reader's own account, and by keys that are bound to models only of these: as with its predictions. */
function byRecentUse(principal: Principal): Measure {
  const account = readableOwner(principal);
  const since = today() - RECENT_DAYS;
  const models = readableModels(principal);
  const isReadable = (eb: ModelExpressions) => (models === null ? eb.lit(true) : eb('model.name', 'in', models));
  return {
    placed: (listed) =>
      listed
        .innerJoin('model_use', 'model_use.model_id', 'model.id')
        .where('model_use.account', '=', account)
        .where('model_use.used_on', '>=', since)
        .where(isReadable as never) as unknown as Listed,
    value: sql.ref('model_use.used_on'),
    id: sql.ref('model_use.model_id'),
    hasNone: (eb) =>
      eb.not(
        eb.and([
          isReadable(eb),
          eb.exists(
            eb
              .selectFrom('model_use')
              .select('model_use.used_on')
              .whereRef('model_use.model_id', '=', 'model.id')
              .where('model_use.account', '=', account)
              .where('model_use.used_on', '>=', since)
              .where(interruptible()),
          ),
        ]),
      ),
  };
}
