/**
 * The operations that clients may run by their ids, in memory: every request by id asks for one. `CatalogPoll` has them read
 * again, because `npm run operations:publish` writes to the catalog from another process.
 */
import type { Transaction } from 'kysely';
import { InvalidInputError, NotFoundError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { PageArgs } from '../storage/pages.js';
import { type Actor, checkOwnKey } from './api-keys.js';
import { appendAuditEntries } from './audit.queries.js';
import {
  deleteRegisteredOperations,
  findRegisteredByIds,
  findRegisteredFingerprint,
  findRegisteredOperations,
  findRegisteredPage,
  findRegisteredSize,
  insertRegisteredOperations,
  type RegisteredOperation,
} from './registered-operation.queries.js';

/** Of a server. All of them are read when one has changed, and their documents are kept in memory. */
export const MAX_OPERATIONS = 5_000;
export const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;
export const SHA256_PREFIX = 'sha256:';

export type NewOperation = Omit<RegisteredOperation, 'publishedAt'>;

export interface Published {
  /** That were not registered before. */
  readonly added: number;
  readonly unchanged: number;
}

export class RegisteredOperations {
  readonly #db: CatalogDatabase;
  /** Those whose id is a SHA-256 also have the digest alone as an id. */
  #byId: ReadonlyMap<string, RegisteredOperation> = new Map();
  #fingerprint = '';
  /** Loads follow each other, so that none replaces a later one. */
  #loading: Promise<unknown> = Promise.resolve();

  constructor(db: CatalogDatabase) {
    this.#db = db;
  }

  /** Oldest first. */
  get all(): readonly RegisteredOperation[] {
    return [...new Set(this.#byId.values())];
  }

  find(id: string): RegisteredOperation | undefined {
    return this.#byId.get(id);
  }

  page<T>(args: PageArgs, toNode: (operation: RegisteredOperation) => T) {
    return findRegisteredPage(this.#db, args, toNode);
  }

  /** Reads the operations again if they have changed. */
  load(): Promise<true> {
    const loaded = this.#loading.then(() => this.#load());
    this.#loading = loaded.catch(() => {});
    return loaded;
  }

  async #load(): Promise<true> {
    // Before the operations: if they change in between, the next fingerprint is another one.
    const fingerprint = await findRegisteredFingerprint(this.#db);
    if (fingerprint === this.#fingerprint) return true;
    const byId = new Map<string, RegisteredOperation>();
    for (const operation of await findRegisteredOperations(this.#db)) {
      const { id } = operation;
      byId.set(id, operation);
      if (id.startsWith(SHA256_PREFIX)) byId.set(id.slice(SHA256_PREFIX.length), operation);
    }
    this.#byId = byId;
    this.#fingerprint = fingerprint;
    return true;
  }

  /**
   * Adds those that are not registered. Their documents have been checked.
   *
   * @throws InvalidInputError if there are too many; EndedKeyError
   */
  async publish(operations: readonly NewOperation[], by: Actor, path: readonly string[]): Promise<Published> {
    const wanted = new Map(operations.map((operation) => [operation.id, operation]));
    const added = await this.#change(by, 'publishOperations', async (trx) => {
      for (const { id } of await findRegisteredByIds(trx, [...wanted.keys()])) wanted.delete(id);
      const publishedAt = new Date();
      const missing = Array.from(wanted.values(), (operation) => ({ ...operation, publishedAt }));
      await checkRoom(trx, missing, path);
      await insertRegisteredOperations(trx, missing);
      return missing;
    });
    return { added, unchanged: operations.length - added };
  }

  /** Returns how many were removed. @throws NotFoundError if one of them is not registered; EndedKeyError */
  remove(ids: readonly string[], by: Actor): Promise<number> {
    const wanted = new Set(ids.map(canonicalId));
    return this.#change(by, 'removeOperations', async (trx) => {
      const found = await findRegisteredByIds(trx, [...wanted]);
      const unknown = wanted
        .difference(new Set(found.map(({ id }) => id)))
        .values()
        .next().value;
      if (unknown !== undefined) throw new NotFoundError(`The operation "${unknown.slice(0, 80)}"`);
      await deleteRegisteredOperations(trx, [...wanted]);
      return found;
    });
  }

  /** Makes a change and its entries in the audit log together. `make` returns the operations that it added or removed. */
  async #change(
    { principal, reason }: Actor,
    action: 'publishOperations' | 'removeOperations',
    make: (trx: Transaction<CatalogTables>) => Promise<readonly RegisteredOperation[]>,
  ): Promise<number> {
    const changed = await this.#db.transaction().execute(async (trx) => {
      await checkOwnKey(trx, principal);
      const operations = await make(trx);
      const isAdded = action === 'publishOperations';
      const changes = operations.map(({ id, name, type }) => {
        const states = { before: isAdded ? null : { name, type }, after: isAdded ? { name, type } : null };
        return { action, target: `operation ${id}`, reason, ...states };
      });
      await appendAuditEntries(trx, principal, changes);
      return operations.length;
    });
    await this.load();
    return changed;
  }
}

/** A SHA-256 may be given with or without its prefix. */
export function canonicalId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `${SHA256_PREFIX}${id}` : id;
}

/** @throws InvalidInputError */
async function checkRoom(
  trx: Transaction<CatalogTables>,
  added: readonly RegisteredOperation[],
  path: readonly string[],
): Promise<void> {
  const { operations, bytes } = await findRegisteredSize(trx);
  const [wanted, wantedBytes] = [
    operations + added.length,
    added.reduce((sum, { document }) => sum + Buffer.byteLength(document), bytes),
  ];
  if (added.length === 0 || (wanted <= MAX_OPERATIONS && wantedBytes <= MAX_DOCUMENT_BYTES)) return;
  const expected = `at most ${MAX_OPERATIONS} operations with ${MAX_DOCUMENT_BYTES} bytes in all; remove those that no page uses`;
  const received = `${wanted} operations with ${wantedBytes} bytes, ${operations} of them registered before`;
  const message = 'the server would have too many operations';
  throw new InvalidInputError([{ path, code: 'TOO_LARGE', message, expected, received }]);
}
