/** Latency curves as one request sees them: batched, and cached for that request only. */
import type { Principal } from '../access/principal.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loadMany } from '../storage/loaders.js';
import { findLatencies } from './latency.queries.js';

/** The part of the request context that resolvers of serving need. */
export interface ServingContext extends CatalogContext {
  readonly servingLoaders: ServingLoaders;
}

export class ServingLoaders {
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;

  constructor(db: CatalogDatabase, principal: Principal) {
    this.#db = db;
    this.#principal = principal;
  }

  /** Of a version, in all environments. */
  readonly latencies = loadMany(
    (ids) => findLatencies(this.#db, this.#principal, ids),
    ({ version_id }) => version_id,
    (row) => row,
  );
}
