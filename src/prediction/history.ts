/** The list of recorded predictions, with its filter. */
import { mayReadPredictionsOf, readableModels } from '../access/grants.js';
import type { Catalog } from '../catalog/catalog.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { parseRef } from '../catalog/ref.js';
import { findVersionIdsOfModels, findVersionIdsOfTask } from '../catalog/version.queries.js';
import { NotFoundError } from '../errors.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import { listId, type Page, type PageArgs } from '../storage/pages.js';
import type { TaskName } from '../tasks/tasks.js';
import type { DataKeys } from '../vault/data-keys.js';
import type { PredictionFilter } from './prediction.input.js';
import { findPredictionPage, findUsedVersionIds, storedLabel } from './prediction.queries.js';
import type { Prediction } from './prediction.type.js';
import { findUnsealedSizes } from './sealing.queries.js';

export class History {
  readonly #predictionDb: PredictionDatabase;
  readonly #catalogDb: CatalogDatabase;
  readonly #catalog: Catalog;

  readonly #dataKeys: DataKeys;

  constructor(parts: {
    predictionDb: PredictionDatabase;
    catalogDb: CatalogDatabase;
    catalog: Catalog;
    dataKeys: DataKeys;
  }) {
    this.#predictionDb = parts.predictionDb;
    this.#dataKeys = parts.dataKeys;
    this.#catalogDb = parts.catalogDb;
    this.#catalog = parts.catalog;
  }

  /** @throws BadArgumentError, InvalidInputError and NotFoundError for the filter's model */
  async page(context: CatalogContext, filter: PredictionFilter, args: PageArgs): Promise<Page<Prediction>> {
    const { model, task, since, until, label } = filter;
    const named = await this.#versionIds(context, model ?? null);
    const versionIds = task == null ? named : await this.#versionIdsOfTask(context, task, named);
    const list = listId('predictions', filter);
    const labels = label == null ? {} : await this.#labels(context, label);
    const listing = { list, versionIds, since, until, ...labels };
    return findPredictionPage(this.#predictionDb, context.principal, listing, args);
  }

  async #labels({ principal }: CatalogContext, label: string) {
    const [unsealed] = await findUnsealedSizes(this.#predictionDb, 1);
    const index = await this.#dataKeys.index(principal.id);
    return { label: storedLabel(label, index), plainLabel: unsealed ? label : null };
  }

  /**
   * The versions that a reference covers: for a name without alias or number, all versions of the model. Without a reference
   * those of all models whose predictions may be read; null for all versions.
   */
  async #versionIds(context: CatalogContext, text: string | null): Promise<string[] | null> {
    const readable = readableModels(context.principal);
    if (text !== null) return this.#versionIdsOf(context, text);
    return readable && this.#versionIdsOfModels(context, readable);
  }

  async #versionIdsOfTask({ principal }: CatalogContext, task: TaskName, named: string[] | null): Promise<string[]> {
    const candidates = named ?? (await findUsedVersionIds(this.#predictionDb));
    return findVersionIdsOfTask(this.#catalogDb, principal, task, candidates);
  }

  async #versionIdsOfModels(
    { catalogLoaders, principal }: CatalogContext,
    names: readonly string[],
  ): Promise<string[]> {
    const models = await Promise.all(names.map((name) => catalogLoaders.modelByName.load(name)));
    const ids = models.filter((model) => model !== null).map(({ id }) => id);
    return findVersionIdsOfModels(this.#catalogDb, principal, ids);
  }

  async #versionIdsOf({ catalogLoaders, principal }: CatalogContext, text: string): Promise<string[]> {
    const ref = parseRef(text, ['filter', 'model']);
    const model = await catalogLoaders.modelByName.load(ref.name);
    if (!model) throw await this.#catalog.notFound(principal, `The model "${ref.name}"`, ref.name);
    if (!mayReadPredictionsOf(principal, ref.name)) return [];
    if (ref.alias === null && ref.number === null) {
      return findVersionIdsOfModels(this.#catalogDb, principal, [model.id]);
    }
    const version = await catalogLoaders.versionOf(model, ref);
    if (!version) throw new NotFoundError(`The version "${text}"`);
    return [version.id];
  }
}
