/**
 * Every read that must stay fast in a large catalog, through the functions that the resolvers call. The test of the plans
 * and the benchmark of growth both use this list.
 */
import type { Principal } from '#src/access/principal.js';
import { findDatasetPage } from '#src/catalog/dataset.queries.js';
import { countFacets } from '#src/catalog/facet.queries.js';
import type { ModelListing } from '#src/catalog/listing.queries.js';
import { countModels, findModelPage, findModelsByIds, findModelsByNames } from '#src/catalog/model.queries.js';
import type { ModelOrder } from '#src/catalog/model.type.js';
import { findVersionPages, findVersionsByIds } from '#src/catalog/version.queries.js';
import { findBestEvaluations, findEvaluationPages } from '#src/evaluation/evaluation.queries.js';
import { findIdempotency, findPredictionPage, findPredictionsByIds } from '#src/prediction/prediction.queries.js';
import type { CatalogDatabase, PredictionDatabase } from '#src/storage/database.js';
import { DataKey } from '#src/vault/data-key.js';

export interface Read {
  readonly name: string;
  readonly run: (db: CatalogDatabase, principal: Principal) => Promise<unknown>;
}

export interface PredictionRead {
  readonly name: string;
  readonly run: (db: PredictionDatabase, principal: Principal) => Promise<unknown>;
}

const TWENTY = { first: 20 };

function models(name: string, listing: ModelListing): Read[] {
  return [
    { name, run: (db, principal) => findModelPage(db, principal, listing, TWENTY) },
    { name: `${name}: total`, run: (db, principal) => countModels(db, principal, listing) },
  ];
}

/** Without a total, which does not depend on the order. */
function measured(name: string, orderBy: ModelOrder): Read[] {
  return models(name, { orderBy }).slice(0, 1);
}

async function modelsAfterCursor(db: CatalogDatabase, principal: Principal): Promise<unknown> {
  const { edges } = await findModelPage(db, principal, {}, { first: 1 });
  return findModelPage(db, principal, {}, { first: 20, after: edges.at(-1)?.cursor });
}

async function modelByName(db: CatalogDatabase, principal: Principal): Promise<unknown> {
  const [model] = await findModelsByNames(db, principal, ['m000001']);
  return findModelsByIds(db, principal, [model?.id ?? 'none']);
}

async function modelsWithMetrics(db: CatalogDatabase, principal: Principal): Promise<unknown> {
  const { edges } = await findModelPage(db, principal, {}, { first: 25 });
  const ids = edges.flatMap(({ node }) => node.defaultVersionId ?? []);
  await findVersionsByIds(db, principal, ids);
  return findBestEvaluations(db, principal, ids, { hasMetrics: true });
}

async function modelsWithVersions(db: CatalogDatabase, principal: Principal): Promise<unknown> {
  const { edges } = await findModelPage(db, principal, {}, TWENTY);
  const ids = edges.map(({ node }) => node.id);
  const pages = await findVersionPages(db, principal, 'model', ids, { first: 5 });
  const versionIds = [...pages.values()].flatMap((page) => page.edges.map(({ node }) => node.id));
  return findEvaluationPages(db, principal, 'version', versionIds, { first: 5 });
}

/** `popular` is the id of the dataset that the most models are evaluated on, `dataset` its name. */
export function catalogReads({ popular, dataset }: { popular: string; dataset: string }): Read[] {
  const metric = { metric: 'accuracy', min: 0.9 };
  return [
    ...models('models', {}),
    { name: 'models after a cursor', run: modelsAfterCursor },
    { name: 'model by name and by id', run: modelByName },
    ...models('models of a common owner', { filter: { owners: ['owner-1'] } }),
    ...models('models of an owner nobody has', { filter: { owners: ['nobody'] } }),
    ...models('models of a license nobody has', { filter: { licenses: ['none'] } }),
    ...models('models of a framework nobody has', { filter: { frameworks: ['none'] } }),
    ...models('models of at most 0 bytes', { filter: { maxSizeBytes: 0 } }),
    ...models('models with a common tag', { filter: { tags: ['even'] } }),
    ...models('models with a tag nobody has', { filter: { tags: ['none'] } }),
    ...models('models by metric', { filter: { metric } }),
    ...models('models by metric and dataset', { filter: { metric: { ...metric, dataset } } }),
    ...models('models by a metric that none reaches', { filter: { metric: { metric: 'accuracy', min: 2 } } }),
    ...models('models by task, tag and metric', { filter: { tasks: ['TENSOR'], tags: ['even'], metric } }),
    ...models('models by creation and an owner nobody has', {
      filter: { owners: ['nobody'] },
      orderBy: { field: 'CREATED_AT', direction: 'ASC' },
    }),
    ...models('models by update and a metric that none reaches', {
      filter: { metric: { metric: 'accuracy', min: 2 } },
      orderBy: { field: 'UPDATED_AT', direction: 'DESC' },
    }),
    ...measured('models by size', { field: 'SIZE', direction: 'ASC' }),
    ...measured('models by accuracy on a dataset', {
      field: 'METRIC',
      direction: 'DESC',
      metric: { metric: 'accuracy', dataset },
    }),
    ...measured('models by recent use', { field: 'RECENT_USE', direction: 'DESC' }),
    ...models('search: a word of all models', { search: 'number' }),
    ...models('search: a word of 1 % of the models', { search: 'rare' }),
    ...models('search: a prefix of two letters', { search: 'mo' }),
    ...models('search: three words', { search: 'classification of things' }),
    { name: 'facets', run: (db, principal) => countFacets(db, principal, {}) },
    { name: 'facets of a filter', run: (db, principal) => countFacets(db, principal, { filter: { tags: ['even'] } }) },
    { name: 'facets of a search', run: (db, principal) => countFacets(db, principal, { search: 'number' }) },
    { name: '25 models with version and metrics', run: modelsWithMetrics },
    { name: '20 models with versions and evaluations', run: modelsWithVersions },
    { name: 'datasets', run: (db, principal) => findDatasetPage(db, principal, TWENTY) },
    ...(['evaluations', 'trained versions'] as const).flatMap((what): Read[] => {
      const page = (db: CatalogDatabase, principal: Principal) =>
        what === 'evaluations'
          ? findEvaluationPages(db, principal, 'dataset', [popular], TWENTY)
          : findVersionPages(db, principal, 'dataset', [popular], TWENTY);
      return [
        { name: `${what} of a popular dataset`, run: page },
        {
          name: `${what} of a popular dataset: total`,
          run: async (db, principal) => (await page(db, principal)).get(popular)?.total(),
        },
      ];
    }),
  ];
}

/** `versions` are those of one model; `id` is a prediction. */
export function predictionReads({ versions, id }: { versions: readonly string[]; id: string }): PredictionRead[] {
  const page = (name: string, listing: { versionIds?: readonly string[]; label?: string; since?: Date }) =>
    [
      {
        name,
        run: (db: PredictionDatabase, principal: Principal) =>
          findPredictionPage(db, principal, { list: name, versionIds: null, ...listing }, TWENTY),
      },
      {
        name: `${name}: total`,
        run: async (db: PredictionDatabase, principal: Principal) =>
          (await findPredictionPage(db, principal, { list: name, versionIds: null, ...listing }, { first: 1 })).total(),
      },
    ] satisfies PredictionRead[];
  const index = new DataKey({ id: 1, bytes: Buffer.alloc(32), from: 0, until: 0, uses: 0 });
  return [
    ...page('predictions', {}),
    ...page('predictions since', { since: new Date(0) }),
    ...page('predictions with a common label', { label: 'ham' }),
    ...page('predictions with a rare label', { label: 'rare' }),
    ...page('predictions with an unknown label', { label: 'unknown' }),
    ...page('predictions of a model', { versionIds: versions }),
    ...page('predictions of a model nobody used', { versionIds: ['version_unused'] }),
    ...page('predictions of a model with a rare label', { versionIds: versions, label: 'rare' }),
    ...page('predictions of a model with an unknown label', { versionIds: versions, label: 'unknown' }),
    { name: 'prediction by id', run: (db, principal) => findPredictionsByIds(db, principal, [id]) },
    {
      name: 'idempotency key',
      run: (db, principal) => findIdempotency(db, principal, { key: 'key', index, since: 0 }),
    },
  ];
}
