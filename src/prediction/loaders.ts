/** Predictions as one request sees them: batched, and cached for that request only. */
import type { Principal } from '../access/principal.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CallerConnection } from '../engine/queue.js';
import type { PredictionDatabase } from '../storage/database.js';
import { loadOne } from '../storage/loaders.js';
import { findAnswers, findDetails, findInputs, findPredictionsByIds } from './prediction.queries.js';

/** The part of the request context that resolvers of predictions need. */
export interface PredictionContext extends CatalogContext {
  readonly predictionLoaders: PredictionLoaders;
  readonly connection: CallerConnection;
}

/** The contents of stored predictions have loaders of their own, because they can be large. */
export class PredictionLoaders {
  readonly #db: PredictionDatabase;
  readonly #principal: Principal;

  constructor(db: PredictionDatabase, principal: Principal) {
    this.#db = db;
    this.#principal = principal;
  }

  readonly prediction = loadOne(
    (ids) => findPredictionsByIds(this.#db, this.#principal, ids),
    ({ id }) => id,
  );
  readonly answer = loadOne(
    (ids) => findAnswers(this.#db, this.#principal, ids),
    ({ id }) => id,
  );
  readonly input = loadOne(
    (ids) => findInputs(this.#db, this.#principal, ids),
    ({ id }) => id,
  );
  readonly details = loadOne(
    (ids) => findDetails(this.#db, this.#principal, ids),
    ({ id }) => id,
  );
}
