/** Publications as one request sees them: batched, and cached for that request only. */
import type { Principal } from '../access/principal.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loadOne } from '../storage/loaders.js';
import { findPublications } from './publication.queries.js';
import { publicationOf } from './publication.type.js';

/** The part of the request context that resolvers of publications need. */
export interface PublicationContext extends CatalogContext {
  readonly publicationLoaders: PublicationLoaders;
}

export class PublicationLoaders {
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;

  constructor(db: CatalogDatabase, principal: Principal) {
    this.#db = db;
    this.#principal = principal;
  }

  readonly publication = loadOne(
    async (ids) => (await findPublications(this.#db, this.#principal, ids)).map(publicationOf),
    ({ id }) => id,
  );
}
