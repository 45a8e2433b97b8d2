/** Totals and facets of lists of models. They read the whole list, so they are kept while the catalog does not change. */
import { createHash } from 'node:crypto';
import type { Principal } from '../access/principal.js';
import { visibleValues } from '../access/visibility.js';
import type { CatalogDatabase } from '../storage/database.js';
import type { Total } from '../storage/pages.js';
import { countFacets } from './facet.queries.js';
import type { ModelListing } from './listing.queries.js';
import { countModels } from './model.queries.js';
import type { Facet } from './model.type.js';

/** An entry has at most five facets of 50 buckets, about 20 kB. */
const MAX_ENTRIES = 200;

export class ListingCounts {
  readonly #db: CatalogDatabase;
  /** Changes with every write to the catalog, whoever made it. */
  readonly #revision: () => number;
  readonly #known = new Map<string, Promise<unknown>>();
  #knownRevision = 0;

  constructor(db: CatalogDatabase, revision: () => number) {
    this.#db = db;
    this.#revision = revision;
  }

  total(principal: Principal, listing: ModelListing): Promise<Total> {
    return this.#keep('total', principal, listing, () => countModels(this.#db, principal, listing));
  }

  facets(principal: Principal, listing: ModelListing): Promise<Facet[]> {
    return this.#keep('facets', principal, listing, () => countFacets(this.#db, principal, listing));
  }

  #keep<T>(what: string, principal: Principal, { search, filter }: ModelListing, count: () => Promise<T>): Promise<T> {
    if (this.#knownRevision !== this.#revision()) {
      this.#known.clear();
      this.#knownRevision = this.#revision();
    }
    const listing = JSON.stringify([what, visibleValues(principal), search, filter]);
    const key = createHash('sha256').update(listing).digest('base64url');
    const known = this.#known.get(key) as Promise<T> | undefined;
    this.#known.delete(key);
    const counted = known ?? count();
    this.#known.set(key, counted);
    if (this.#known.size > MAX_ENTRIES) this.#known.delete(this.#known.keys().next().value as string);
    counted.catch(() => this.#known.get(key) === counted && this.#known.delete(key));
    return counted;
  }
}
