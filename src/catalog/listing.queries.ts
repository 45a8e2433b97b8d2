/** The models of a list, by search and filter. Everything but cards and tags is in the index that the list is read from. */

import { type Expression, type ExpressionBuilder, type RawBuilder, type SqlBool, sql } from 'kysely';
import type { Viewer } from '../access/visibility.js';
import { BadArgumentError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import { hasWords, searchHits } from '../storage/search.js';
import { countRows, interruptible } from '../storage/sql.js';
import type { MetricFilter, ModelFilter, ModelOrder } from './model.type.js';
import { maySeeDataset, maySeeModel, searchedAccount } from './visibility.js';

export interface ModelListing {
  readonly search?: string | null | undefined;
  /** An empty list in it is no condition. */
  readonly filter?: ModelFilter | null | undefined;
  readonly orderBy?: ModelOrder | null | undefined;
}

/** Whether the list has all models. */
export function isEverything({ search, filter }: ModelListing): boolean {
  return !hasWords(search ?? '') && Object.values(conditionsOf(filter)).every((condition) => condition == null);
}

/** The filter without the lists that are empty: a form sends them when nothing is chosen. */
export function conditionsOf(filter: ModelFilter | null | undefined): ModelFilter {
  const isCondition = (value: unknown) => !Array.isArray(value) || value.length > 0;
  return Object.fromEntries(Object.entries(filter ?? {}).filter(([, value]) => isCondition(value)));
}

/**
 * The models of a listing, before columns, order and page are chosen. `hits`: those of its search, where they are read
 * already. @throws BadArgumentError
 */
export function listedModels(
  db: CatalogDatabase,
  principal: Viewer,
  { search, filter }: ModelListing,
  hits = searchHits(search ?? '', searchedAccount(principal)),
) {
  const conditions = conditionsOf(filter);
  checkFilter(conditions);
  const from = db.selectFrom('model').where(maySeeModel(principal)).where(filterCondition(principal, conditions));
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

type ModelExpressions = ExpressionBuilder<CatalogTables, 'model'>;

function filterCondition(principal: Viewer, filter: ModelFilter) {
  return (eb: ModelExpressions): Expression<SqlBool> => {
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
    if (filter.metric) conditions.push(hasMetric(eb, principal, filter.metric));
    return eb.and(conditions);
  };
}

const DATASET_ID = sql.ref<string>('model_metric.dataset_id');

/** Up to this many values that meet a condition are collected; if there are more, models are looked up one by one. */
const MAX_COLLECTED = 20_000;

/**
 * Whether a model has a value that meets the condition. Few values are collected from an index by value, once; if there
 * are many, a page is soon full of models that have one, and each is looked up. So neither a condition that no model
 * meets nor one that all meet takes long.
 */
function hasMetric(eb: ModelExpressions, principal: Viewer, filter: MetricFilter): RawBuilder<SqlBool> {
  const values = eb
    .selectFrom('model_metric')
    .where('name', '=', filter.metric)
    .$if(filter.min != null, (q) => q.where('value', '>=', filter.min as number))
    .$if(filter.max != null, (q) => q.where('value', '<=', filter.max as number));
  const dataset = eb.selectFrom('dataset').select('dataset.id').where(maySeeDataset(principal));
  const named = filter.dataset == null ? null : dataset.where('dataset.name', '=', filter.dataset);
  const byValue = named ? values.where('dataset_id', '=', named) : values;
  const visible = eb.exists(dataset.where('dataset.id', '=', DATASET_ID));
  const collected = (named ? byValue : byValue.where(visible)).select('search_id');
  const ofModel = values
    .select('model_metric.value')
    .where(interruptible())
    .whereRef('model_metric.search_id', '=', 'model.search_id')
    // Not `dataset_id`: the planner might start from all values on the dataset.
    .where(named ? eb(eb.fn.coalesce(DATASET_ID, sql.lit('')), '=', named) : visible);
  return sql<SqlBool>`case when ${countRows(byValue, MAX_COLLECTED + 1)} <= ${sql.lit(MAX_COLLECTED)}
    then model.search_id in ${collected} else ${eb.exists(ofModel)} end`;
}
