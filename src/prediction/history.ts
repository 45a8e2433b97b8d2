/** The list of recorded predictions, with its filter. */
import type { Catalog } from '../catalog/catalog.js';
import type { CatalogContext } from '../catalog/loaders.js';
import { parseRef } from '../catalog/ref.js';
import { findVersionIdsOfModel } from '../catalog/version.queries.js';
import { NotFoundError } from '../errors.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import { listId, type Page, type PageArgs } from '../storage/pages.js';
import type { PredictionFilter } from './prediction.input.js';
import { findPredictionPage } from './prediction.queries.js';
import type { Prediction } from './prediction.type.js';

export class History {
  readonly #predictionDb: PredictionDatabase;
  readonly #catalogDb: CatalogDatabase;
  readonly #catalog: Catalog;

  constructor(parts: { predictionDb: PredictionDatabase; catalogDb: CatalogDatabase; catalog: Catalog }) {
    this.#predictionDb = parts.predictionDb;
    this.#catalogDb = parts.catalogDb;
    this.#catalog = parts.catalog;
  }

  /** @throws BadArgumentError, InvalidInputError and NotFoundError for the filter's model */
  async page(context: CatalogContext, filter: PredictionFilter, args: PageArgs): Promise<Page<Prediction>> {
    const { model, since, until, label } = filter;
    const versionIds = model == null ? null : await this.#versionIds(context, model);
    const list = listId('predictions', filter);
    return findPredictionPage(this.#predictionDb, context.principal, { list, versionIds, since, until, label }, args);
  }

  /** The versions that a reference covers: for a name without alias or number, all versions of the model. */
  async #versionIds({ catalogLoaders, principal }: CatalogContext, text: string): Promise<string[]> {
    const ref = parseRef(text, ['filter', 'model']);
    const model = await catalogLoaders.modelByName.load(ref.name);
    if (!model) throw await this.#catalog.notFound(principal, `The model "${ref.name}"`, ref.name);
    if (ref.alias === null && ref.number === null) {
      return findVersionIdsOfModel(this.#catalogDb, principal, model.id);
    }
    const version = await catalogLoaders.versionOf(model, ref);
    if (!version) throw new NotFoundError(`The version "${text}"`);
    return [version.id];
  }
}
