/**
 * The catalog as one request sees it: batched, cached for that request only, limited to what its principal may see.
 *
 * Children of one kind are read with one statement, however many parents a list has.
 */
import DataLoader from 'dataloader';
import { type Principal, SYSTEM } from '../access/principal.js';
import { NotFoundError } from '../errors.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loaderFor, loadMany, loadOne } from '../storage/loaders.js';
import type { Page, PageArgs } from '../storage/pages.js';
import { changeBefore, findAliasChangePages, findAliases, findAliasesAsOf } from './alias.queries.js';
import type { AliasChange } from './alias.type.js';
import {
  findColumns,
  findDatasetNames,
  findDatasetsByIds,
  findDatasetsByNames,
  findPreviews,
  findTrainingDatasets,
} from './dataset.queries.js';
import type { Dataset } from './dataset.type.js';
import { findCards, findModelNames, findModelsByIds, findModelsByNames } from './model.queries.js';
import type { Model } from './model.type.js';
import { parseRef, type Ref } from './ref.js';
import { NAMES_TO_SUGGEST_FROM, suggest } from './suggest.js';
import {
  findSpecParts,
  findSpecs,
  findVariants,
  findVersionPages,
  findVersionsByIds,
  findVersionsByNumbers,
  positionIn,
} from './version.queries.js';
import type { Version } from './version.type.js';

/** The part of the request context that resolvers of the catalog need. */
export interface CatalogContext {
  readonly principal: Principal;
  readonly catalogLoaders: CatalogLoaders;
}

export class CatalogLoaders {
  readonly #db: CatalogDatabase;
  readonly #byKey: CatalogDatabase;
  readonly #principal: Principal;
  readonly #pages = new Map<string, DataLoader<string, Page<Version>>>();
  readonly #historyPages = new Map<string, DataLoader<string, Page<AliasChange>>>();
  readonly #asOf = new Map<string, DataLoader<string, { versionId: string } | null>>();

  /** `byKey` is for reads by key, which predictions also need. */
  constructor(db: CatalogDatabase, byKey: CatalogDatabase, principal: Principal) {
    this.#db = db;
    this.#byKey = byKey;
    this.#principal = principal;
  }

  readonly model = loadOne(
    (ids) => findModelsByIds(this.#byKey, this.#principal, ids),
    ({ id }: Model) => id,
  );
  readonly modelByName = loadOne(
    (names) => findModelsByNames(this.#byKey, this.#principal, names),
    ({ name }: Model) => name,
  );
  readonly version = loadOne(
    (ids) => findVersionsByIds(this.#byKey, this.#principal, ids),
    ({ id }: Version) => id,
  );
  readonly spec = loadOne(
    (ids) => findSpecs(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  readonly variants = loadOne(
    (ids) => findVariants(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  readonly specParts = loadOne(
    (ids) => findSpecParts(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  /** Also of versions that the caller may not see anymore: for answers that were recorded for them. */
  readonly labels = loadOne(
    (ids) => findSpecParts(this.#byKey, SYSTEM, ids),
    ({ id }) => id,
  );
  readonly card = loadOne(
    (ids) => findCards(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  readonly columns = loadOne(
    (ids) => findColumns(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  readonly preview = loadOne(
    (ids) => findPreviews(this.#byKey, this.#principal, ids),
    ({ id }) => id,
  );
  readonly dataset = loadOne(
    (ids) => findDatasetsByIds(this.#byKey, this.#principal, ids),
    ({ id }: Dataset) => id,
  );
  readonly datasetByName = loadOne(
    (names) => findDatasetsByNames(this.#byKey, this.#principal, names),
    ({ name }: Dataset) => name,
  );

  readonly versionByNumber = new DataLoader<{ modelId: string; number: number }, Version | null, string>(
    async (keys) => {
      const versions = await findVersionsByNumbers(this.#byKey, this.#principal, keys);
      const found = new Map(versions.map((version) => [numberKey(version), version]));
      return keys.map((key) => found.get(numberKey(key)) ?? null);
    },
    { cacheKeyFn: numberKey },
  );

  readonly aliasesOfModel = loadMany(
    (ids) => findAliases(this.#byKey, this.#principal, 'alias.model_id', ids),
    ({ modelId }) => modelId,
    (alias) => alias,
  );
  readonly aliasNamesOfVersion = loadMany(
    (ids) => findAliases(this.#byKey, this.#principal, 'alias.version_id', ids),
    ({ versionId }) => versionId,
    ({ name }) => name,
  );
  readonly trainingDatasets = loadMany(
    (ids) => findTrainingDatasets(this.#db, this.#principal, ids),
    ({ versionId }) => versionId,
    ({ dataset }) => dataset,
  );

  /** The version of a model by number or alias; without both, the default one. */
  async versionOf(model: Model, { number, alias }: Omit<Ref, 'name'>): Promise<Version | null> {
    if (number !== null) return this.versionByNumber.load({ modelId: model.id, number });
    if (alias === null) return model.defaultVersionId === null ? null : this.version.load(model.defaultVersionId);
    const found = (await this.aliasesOfModel.load(model.id)).find(({ name }) => name === alias);
    return found ? this.version.load(found.versionId) : null;
  }

  /** The version that an alias of the model pointed to at a time; null if it did not exist. */
  async versionAsOf({ id }: Model, alias: string, asOf: Date): Promise<Version | null> {
    const time = asOf.getTime();
    const load = () =>
      loadOne(
        (ids) => findAliasesAsOf(this.#byKey, this.#principal, { alias, asOfMs: time }, ids),
        ({ modelId }) => modelId,
      );
    const found = await loaderFor(this.#asOf, [alias, time], load).load(id);
    return found && this.version.load(found.versionId);
  }

  /** Changes of the aliases of a model, or of one of them. Models with the same arguments share a statement. */
  async aliasHistory(modelId: string, alias: string | null, args: PageArgs): Promise<Page<AliasChange>> {
    // Before the parents are batched: the cursor is wrong for all others.
    if (args.after != null) changeBefore(modelId, alias, args.after);
    const load = async (ids: readonly string[]) => {
      const found = await findAliasChangePages(this.#db, this.#principal, alias, ids, args);
      return ids.map((id) => found.get(id) as Page<AliasChange>);
    };
    const key = [alias, args.first, args.after];
    return loaderFor(this.#historyPages, key, () => new DataLoader(load)).load(modelId);
  }

  /** The version that a reference names, or null. @throws InvalidInputError at `path` if the reference is malformed */
  async findVersion(text: string, path: readonly string[]): Promise<Version | null> {
    const ref = parseRef(text, path);
    const model = await this.modelByName.load(ref.name);
    return model && this.versionOf(model, ref);
  }

  /** @throws NotFoundError, with similar names */
  async getDataset(name: string): Promise<Dataset> {
    const found = await this.datasetByName.load(name);
    if (found) return found;
    const names = await findDatasetNames(this.#db, this.#principal, NAMES_TO_SUGGEST_FROM);
    throw new NotFoundError(`The dataset "${shown(name)}"`, suggest(name, names));
  }

  /** @throws NotFoundError, with similar names */
  async getModel(name: string): Promise<Model> {
    const found = await this.modelByName.load(name);
    if (!found) throw new NotFoundError(`The model "${shown(name)}"`, await this.#similarModels(name));
    return found;
  }

  /** As `findVersion`. @throws NotFoundError, with similar names */
  async getVersion(text: string, path: readonly string[]): Promise<Version> {
    const found = await this.findVersion(text, path);
    if (found) return found;
    const { name } = parseRef(text, path);
    const model = await this.modelByName.load(name);
    const newest = model && (await this.versionOf(model, { number: null, alias: null }));
    const similar = model ? (newest ? [newest.ref] : []) : await this.#similarModels(name);
    throw new NotFoundError(`The version "${shown(text)}"`, similar);
  }

  async #similarModels(name: string): Promise<string[]> {
    return suggest(name, await findModelNames(this.#db, this.#principal, NAMES_TO_SUGGEST_FROM));
  }

  /** Called after an alias was moved, because the default version may have changed with it. */
  forgetAliases(): void {
    for (const loader of [this.aliasesOfModel, this.aliasNamesOfVersion, this.model, this.modelByName]) {
      loader.clearAll();
    }
  }

  /** Versions of one parent. Parents with the same page arguments share a statement. */
  async versionsOf(parent: 'model' | 'dataset', parentId: string, args: PageArgs): Promise<Page<Version>> {
    // Before the parents are batched: the cursor is wrong for all others.
    if (args.after != null) positionIn(parent, parentId, args.after);
    const load = async (ids: readonly string[]) => {
      const found = await findVersionPages(this.#db, this.#principal, parent, ids, args);
      return ids.map((id) => found.get(id) as Page<Version>);
    };
    return loaderFor(this.#pages, [parent, args.first, args.after], () => new DataLoader(load)).load(parentId);
  }
}

function numberKey({ modelId, number }: { modelId: string; number: number }): string {
  return `${modelId}:${number}`;
}

/** Of a name that a caller has sent. */
function shown(name: string): string {
  return name.slice(0, 80);
}
