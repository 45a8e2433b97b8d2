/** Predictions as one request sees them: batched, and cached for that request only. */
import type { Principal } from '../access/principal.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CallerConnection } from '../engine/queue.js';
import type { PredictionDatabase } from '../storage/database.js';
import { loadOne } from '../storage/loaders.js';
import type { DataKeys } from '../vault/data-keys.js';
import { findAnswers, findDetails, findInputs, findPredictionsByIds } from './prediction.queries.js';
import { type StoredColumns, StoredRow } from './sealed-contents.js';

/** The part of the request context that resolvers of predictions need. */
export interface PredictionContext extends CatalogContext {
  readonly predictionLoaders: PredictionLoaders;
  readonly connection: CallerConnection;
}

/** The contents of stored predictions have loaders of their own, because they can be large. */
export class PredictionLoaders {
  readonly #db: PredictionDatabase;
  readonly #keys: DataKeys;
  readonly #principal: Principal;

  constructor(db: PredictionDatabase, keys: DataKeys, principal: Principal) {
    this.#db = db;
    this.#keys = keys;
    this.#principal = principal;
  }

  readonly prediction = loadOne(
    (ids) => findPredictionsByIds(this.#db, this.#principal, ids),
    ({ id }) => id,
  );
  readonly answer = this.#rows(findAnswers);
  readonly input = this.#rows(findInputs);
  readonly details = this.#rows(findDetails);

  #rows(find: typeof findAnswers) {
    return loadOne(
      async (ids) => this.#withKeys(await find(this.#db, this.#principal, ids)),
      ({ id }) => id,
    );
  }

  async #withKeys(rows: readonly StoredColumns[]): Promise<StoredRow[]> {
    const keys = await this.#keys.find([...new Set(rows.flatMap(({ data_key }) => data_key ?? []))]);
    return rows.map((row) => new StoredRow(row, row.data_key === null ? undefined : keys.get(row.data_key)));
  }
}
