/**
 * The API keys of a server, in memory: every request asks for one. The database is asked twice a second whether it has
 * changed, because `npm run keys` writes to it from another process.
 */
import type { Transaction } from 'kysely';
import { InvalidInputError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { SqliteFile } from '../storage/sqlite.js';
import { type ApiKey, generateKey, isSameDigest, readKey } from './api-key.js';
import { endApiKey, findApiKeys, insertApiKey } from './api-key.queries.js';
import { type AuditedChange, appendAudit } from './audit.queries.js';
import type { Principal } from './principal.js';

/** A key that was revoked is refused after this time at the latest. */
const POLL_MS = 500;
/** Keys of a server, those that have ended included. */
const MAX_KEYS = 10_000;
/** Keys that are recognized without a digest. */
const MAX_RECENT = 1_000;

interface Known {
  readonly key: ApiKey;
  readonly principal: Principal;
}

export type KeyRefusal = 'malformed' | 'unknown' | 'expired' | 'revoked';

export type NewApiKey = Pick<
  ApiKey,
  'account' | 'name' | 'kind' | 'roles' | 'operations' | 'models' | 'origins' | 'expiresAt'
>;

/** Who changes keys, and why, for the audit log. */
export interface Actor {
  readonly principal: Principal;
  readonly reason: string | null;
}

/** A key that was just made, with its text, which is shown once. */
export interface CreatedKey {
  readonly key: ApiKey;
  readonly text: string;
}

export class ApiKeys {
  readonly #db: CatalogDatabase;
  #byId = new Map<string, Known>();
  /** By what clients send, so that a digest is made of it once. */
  readonly #byText = new Map<string, Known>();
  #origins: ReadonlySet<string> = new Set();
  #version = -1;
  #timer: NodeJS.Timeout | null = null;

  constructor(db: CatalogDatabase) {
    this.#db = db;
  }

  /** Whether there has ever been a key: a server whose last key has ended does not become open again. */
  get hasAny(): boolean {
    return this.#byId.size > 0;
  }

  get all(): readonly ApiKey[] {
    return Array.from(this.#byId.values(), ({ key }) => key);
  }

  /** Whether any key is bound to this origin. */
  isOriginOfAKey(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /** The principal of a key, or why it is refused. */
  find(text: string): Principal | KeyRefusal {
    const known = this.#byText.get(text) ?? this.#lookUp(text);
    if (typeof known === 'string') return known;
    return refusalOf(known.key, Date.now()) ?? known.principal;
  }

  #lookUp(text: string): Known | KeyRefusal {
    const given = readKey(text);
    if (!given) return 'malformed';
    const known = this.#byId.get(given.id);
    if (!known || !isSameDigest(known.key.secretSha256, given.secretSha256)) return 'unknown';
    if (this.#byText.size >= MAX_RECENT) this.#byText.clear();
    this.#byText.set(text, known);
    return known;
  }

  async load(): Promise<void> {
    const keys = await findApiKeys(this.#db);
    this.#byId = new Map(keys.map((key) => [key.id, { key, principal: principalOf(key) }]));
    this.#byText.clear();
    this.#origins = new Set(keys.flatMap(({ origins }) => origins ?? []));
  }

  /** Keeps the keys up to date with the file of the catalog until `stop`. */
  start(file: Pick<SqliteFile, 'dataVersion'>, onError: (error: unknown) => void): void {
    const poll = async () => {
      try {
        const version = await file.dataVersion();
        if (version !== this.#version) await this.load();
        this.#version = version;
      } catch (error) {
        onError(error);
      }
      if (this.#timer) this.#timer = setTimeout(poll, POLL_MS);
    };
    this.#timer = setTimeout(poll, POLL_MS);
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** @throws InvalidInputError if there are too many keys */
  async create(wanted: NewApiKey, by: Actor): Promise<CreatedKey> {
    const created = this.#generate(wanted);
    await this.#change(by, 'createApiKey', created.key.id, async (trx) => {
      await insertApiKey(trx, created.key);
      return { before: null, after: stateOf(created.key) };
    });
    return created;
  }

  /** Null if there is no such key. */
  async revoke(id: string, by: Actor): Promise<ApiKey | null> {
    const key = this.#byId.get(id)?.key;
    if (!key) return null;
    const revokedAt = new Date();
    await this.#change(by, 'revokeApiKey', id, async (trx) => {
      await endApiKey(trx, id, 'revoked_at', revokedAt);
      return { before: stateOf(key), after: stateOf({ ...key, revokedAt: earlier(key.revokedAt, revokedAt) }) };
    });
    return this.#byId.get(id)?.key ?? null;
  }

  /** Makes a key like this one, which then expires after `overlapMs`. Null if there is no such key, or it has ended. */
  async rotate(id: string, overlapMs: number, by: Actor): Promise<CreatedKey | null> {
    const old = this.#byId.get(id)?.key;
    if (!old || refusalOf(old, Date.now()) !== null) return null;
    const created = this.#generate(old);
    const expiresAt = new Date(Date.now() + overlapMs);
    await this.#change(by, 'rotateApiKey', id, async (trx) => {
      await insertApiKey(trx, created.key);
      await endApiKey(trx, id, 'expires_at', expiresAt);
      const ending = stateOf({ ...old, expiresAt: earlier(old.expiresAt, expiresAt) });
      return { before: stateOf(old), after: { ...ending, replacedBy: created.key.id } };
    });
    return created;
  }

  #generate({ account, name, kind, roles, operations, models, origins, expiresAt }: NewApiKey): CreatedKey {
    if (this.#byId.size >= MAX_KEYS) throw new InvalidInputError([tooMany(this.#byId.size)]);
    const { id, secretSha256, text } = generateKey(kind);
    const wanted = { account, name, kind, roles, operations, models, origins, expiresAt };
    return { key: { ...wanted, id, secretSha256, createdAt: new Date(), revokedAt: null }, text };
  }

  /** Makes the change and its entry in the audit log together. */
  async #change(
    { principal, reason }: Actor,
    action: string,
    id: string,
    change: (trx: Transaction<CatalogTables>) => Promise<Pick<AuditedChange, 'before' | 'after'>>,
  ): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      await appendAudit(trx, principal, { action, target: `API key ${id}`, reason, ...(await change(trx)) });
    });
    await this.load();
  }
}

/** What the audit log says of a key. */
function stateOf({ secretSha256: _, id: __, createdAt: ___, ...state }: ApiKey): object {
  return state;
}

function earlier(a: Date | null, b: Date): Date {
  return a && a < b ? a : b;
}

function refusalOf({ revokedAt, expiresAt }: ApiKey, now: number): KeyRefusal | null {
  if (revokedAt) return 'revoked';
  return expiresAt && expiresAt.getTime() <= now ? 'expired' : null;
}

function tooMany(count: number) {
  return {
    path: ['keys'],
    code: 'TOO_LARGE' as const,
    message: 'the server has too many keys',
    expected: `fewer than ${MAX_KEYS} keys, those that have ended included`,
    received: `${count} keys`,
  };
}

function principalOf(key: ApiKey): Principal {
  return Object.freeze({ id: key.account, roles: key.roles, key, callerId: `key ${key.id}` });
}
