/** The API keys of a server, in memory: every request asks for one. `CatalogPoll` has them read again. */
import type { Transaction } from 'kysely';
import { EndedKeyError, ForbiddenError, InvalidInputError } from '../errors.js';
import type { CatalogDatabase, CatalogTables } from '../storage/database.js';
import type { Page, PageArgs } from '../storage/pages.js';
import { type ApiKey, generateKey, isSameDigest, readKey } from './api-key.js';
import {
  countApiKeys,
  deleteEndedApiKeys,
  findApiKey,
  findApiKeyPage,
  findApiKeys,
  findApiKeysFingerprint,
  findLastLimitsChange,
  insertApiKey,
  updateApiKey,
} from './api-key.queries.js';
import { appendAudit } from './audit.queries.js';
import { grants } from './grants.js';
import { limitsOf, type WantedLimits } from './key-limits.js';
import { KeyUses, type Use } from './key-uses.js';
import type { KeyRefusal, Principal } from './principal.js';
import type { Quota } from './quota.js';
import type { Quotas } from './quotas.js';

/** Keys of a server, those included that have ended and are still kept. */
const MAX_KEYS = 10_000;
/** How long a key that has ended is kept, unless keys that are accepted need its place. It is removed when the next key is made. */
const ENDED_KEPT_MS = 90 * 86_400_000;
/** Keys that are recognized without a digest. */
const MAX_RECENT = 1_000;

interface Known {
  readonly key: ApiKey;
  readonly principal: Principal;
  readonly use: Use;
}

export type NewApiKey = Pick<
  ApiKey,
  'account' | 'name' | 'kind' | 'roles' | 'operations' | 'models' | 'origins' | 'expiresAt'
> & { readonly limits: WantedLimits | null };

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
  readonly uses: KeyUses;
  readonly #quotas: Pick<Quotas, 'of'> | null;
  #byId = new Map<string, Known>();
  /** By what clients send, so that a digest is made of it once. */
  readonly #byText = new Map<string, Known>();
  #origins: ReadonlySet<string> = new Set();
  #fingerprint = '';
  /** Made by this process. */
  #changes = 0;

  /** `quotas`: null where keys are only managed. */
  constructor(db: CatalogDatabase, quotas: Pick<Quotas, 'of'> | null = null) {
    this.#db = db;
    this.uses = new KeyUses(db);
    this.#quotas = quotas;
  }

  /** Whether there has ever been a key: a server whose last key has ended does not become open again. */
  get hasAny(): boolean {
    return this.#byId.size > 0;
  }

  get all(): readonly ApiKey[] {
    return Array.from(this.#byId.values(), ({ key }) => key);
  }

  /** Newest first. @throws BadArgumentError */
  page<T>(args: PageArgs, toNode: (key: ApiKey) => T): Promise<Page<T>> {
    return findApiKeyPage(this.#db, args, toNode);
  }

  /** Whether any key is bound to this origin. */
  isOriginOfAKey(origin: string): boolean {
    return this.#origins.has(origin);
  }

  /** Whether the key with this id is still accepted. */
  isAccepted(id: string): boolean {
    const known = this.#byId.get(id);
    return known !== undefined && refusalOf(known.key, Date.now()) === null;
  }

  /** The quota of the key with this id; null if it has none. */
  quotaOf(id: string): Quota | null {
    return this.#byId.get(id)?.principal.quota ?? null;
  }

  /** The principal of a key, or why it is refused. */
  find(text: string): Principal | KeyRefusal {
    const known = this.#byText.get(text) ?? this.#lookUp(text);
    if (typeof known === 'string') return known;
    const now = Date.now();
    const refusal = refusalOf(known.key, now);
    if (refusal !== null) return refusal;
    known.use.lastMs = now;
    return known.principal;
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

  /** Returns false if what was read may be older than a change of this process, so that it must be read again. */
  async load(): Promise<boolean> {
    const changes = this.#changes;
    const fingerprint = await findApiKeysFingerprint(this.#db);
    if (fingerprint === this.#fingerprint) return true;
    const keys = await findApiKeys(this.#db);
    if (changes !== this.#changes) return false;
    this.uses.keep(keys);
    this.#keep(keys.map(({ key }) => key));
    this.#fingerprint = fingerprint;
    return true;
  }

  #keep(keys: readonly ApiKey[]): void {
    this.#byId = new Map(keys.map((key) => [key.id, this.#known(key)]));
    this.#byText.clear();
    this.#origins = originsOf(keys);
  }

  #known(key: ApiKey): Known {
    const { id, account, roles } = key;
    const callerId = `key ${id}`;
    const quota = this.#quotas?.of(callerId, key.limits) ?? null;
    const keyRefusal = () => {
      const now = this.#byId.get(id)?.key;
      return now ? refusalOf(now, Date.now()) : 'unknown';
    };
    return {
      key,
      use: this.uses.of(id),
      principal: Object.freeze({ id: account, roles, key, token: null, callerId, quota, keyRefusal }),
    };
  }

  /** @throws InvalidInputError if there are too many keys; ForbiddenError if the caller's key has narrower rights, or ended */
  async create(wanted: NewApiKey, by: Actor): Promise<CreatedKey> {
    const created = this.#generate(wanted);
    await this.#change(by, async (trx) => {
      checkGrant(by.principal, wanted);
      await makeRoom(trx);
      await insertApiKey(trx, created.key);
      return [{ action: 'createApiKey', before: null, after: created.key }];
    });
    return created;
  }

  /** Null if there is no such key. */
  async revoke(id: string, by: Actor): Promise<ApiKey | null> {
    await this.#change(by, async (trx) => {
      const before = await findApiKey(trx, id);
      if (!before || before.revokedAt) return [];
      const after = { ...before, revokedAt: new Date() };
      await updateApiKey(trx, after);
      return [{ action: 'revokeApiKey', before, after }];
    });
    // Another process may have made it or revoked it.
    if (!this.#byId.get(id)?.key.revokedAt) await this.load();
    return this.#byId.get(id)?.key ?? null;
  }

  /**
   * Makes a key like this one, with these limits if they are given, which then expires after `overlapMs`. Null if there is no such key.
   *
   * @throws InvalidInputError if it has ended or was replaced already; as `create`
   */
  async rotate(
    id: string,
    { overlapMs, limits }: { readonly overlapMs: number; readonly limits: WantedLimits | null },
    by: Actor,
  ): Promise<CreatedKey | null> {
    let created: CreatedKey | null = null;
    await this.#change(by, async (trx) => {
      const before = await findApiKey(trx, id);
      if (!before) return [];
      checkAccepted(before);
      if (before.replacedBy !== null) throw new InvalidInputError([replaced(before.replacedBy)]);
      checkGrant(by.principal, before);
      created = this.#generate({ ...before, limits: limits ?? before.limits });
      const expiresAt = earlier(before.expiresAt, new Date(Date.now() + overlapMs));
      const after = { ...before, expiresAt, replacedBy: created.key.id };
      await makeRoom(trx);
      await insertApiKey(trx, created.key);
      await updateApiKey(trx, after);
      return [
        { action: 'rotateApiKey', before, after },
        { action: 'createApiKey', before: null, after: created.key },
      ];
    });
    return created;
  }

  /** Replaces the limits of a key. Null if there is no such key. @throws InvalidInputError if it has ended; as `create` */
  async setLimits(id: string, wanted: WantedLimits | null, by: Actor): Promise<ApiKey | null> {
    let changed: ApiKey | null = null;
    await this.#change(by, async (trx) => {
      const before = await findApiKey(trx, id);
      if (!before) return [];
      checkAccepted(before);
      // Other processes read the keys again if this is later than before, also when the clock was set back.
      const limitsChangedAt = new Date(Math.max(Date.now(), (await findLastLimitsChange(trx)) + 1));
      const after = { ...before, limits: limitsOf(before.kind, wanted), limitsChangedAt };
      changed = after;
      await updateApiKey(trx, after);
      return [{ action: 'setApiKeyLimits', before, after }];
    });
    return changed;
  }

  #generate({ limits, account, name, kind, roles, operations, models, origins, expiresAt }: NewApiKey): CreatedKey {
    const { id, secretSha256, text } = generateKey(kind);
    const wanted = { account, name, kind, roles, operations, models, origins, limits: limitsOf(kind, limits) };
    // In the order of keys that are read, so that the states of an unchanged key have the same digest in the audit log.
    const ends = { limitsChangedAt: null, createdAt: new Date(), expiresAt, revokedAt: null, replacedBy: null };
    const key = { id, secretSha256, ...wanted, ...ends };
    return { key, text };
  }

  /** Makes changes and their entries in the audit log together, unless the caller's own key has ended meanwhile. */
  async #change(
    { principal, reason }: Actor,
    make: (trx: Transaction<CatalogTables>) => Promise<KeyChange[]>,
  ): Promise<void> {
    const changes = await this.#db.transaction().execute(async (trx) => {
      await checkOwnKey(trx, principal);
      const made = await make(trx);
      for (const { action, before, after } of made) {
        const states = { before: before && stateOf(before), after: stateOf(after) };
        await appendAudit(trx, principal, { action, target: `API key ${after.id}`, reason, ...states });
      }
      return made;
    });
    if (changes.length === 0) return;
    this.#changes++;
    for (const { after } of changes) this.#byId.set(after.id, this.#known(after));
    this.#byText.clear();
    this.#origins = this.#origins.union(originsOf(changes.map(({ after }) => after)));
  }
}

/** To be called in the transaction of a change. @throws EndedKeyError if the caller's own key or token has ended meanwhile */
export async function checkOwnKey(trx: Transaction<CatalogTables>, { key, keyRefusal }: Principal): Promise<void> {
  const own = key && (await findApiKey(trx, key.id));
  if (keyRefusal() !== null || (key && (!own || refusalOf(own, Date.now()) !== null))) throw new EndedKeyError();
}

interface KeyChange {
  readonly action: string;
  readonly before: ApiKey | null;
  readonly after: ApiKey;
}

function originsOf(keys: readonly ApiKey[]): ReadonlySet<string> {
  return new Set(keys.flatMap(({ origins }) => origins ?? []));
}

/** What the audit log says of a key. */
export function stateOf({ secretSha256: _, id: __, createdAt: ___, ...state }: ApiKey): object {
  return state;
}

function earlier(a: Date | null, b: Date): Date {
  return a && a < b ? a : b;
}

/** A key that is bound to operations or models makes keys that are bound to no others. @throws ForbiddenError */
function checkGrant({ key }: Principal, wanted: Pick<NewApiKey, 'operations' | 'models'>): void {
  for (const field of ['operations', 'models'] as const) {
    const own = key?.[field] ?? null;
    if (own !== null && !grants(own, wanted[field]))
      throw new ForbiddenError(
        `Making a key for other ${field} than those of your key`,
        `keys that are not bound to ${field}`,
      );
  }
}

function refusalOf({ revokedAt, expiresAt }: ApiKey, now: number): KeyRefusal | null {
  if (revokedAt) return 'revoked';
  return expiresAt && expiresAt.getTime() <= now ? 'expired' : null;
}

/** @throws InvalidInputError if the key has ended */
function checkAccepted(key: ApiKey): void {
  const refusal = refusalOf(key, Date.now());
  if (refusal === null) return;
  const at = (key.revokedAt ?? key.expiresAt)?.toISOString();
  throw new InvalidInputError([
    {
      path: ['id'],
      code: 'NOT_IN_CATEGORIES',
      message: 'the key has ended',
      expected: 'a key that is accepted',
      received: refusal === 'revoked' ? `a key that was revoked at ${at}` : `a key that expired at ${at}`,
    },
  ]);
}

/** For one more key. @throws InvalidInputError */
async function makeRoom(trx: Transaction<CatalogTables>): Promise<void> {
  const now = Date.now();
  await deleteEndedApiKeys(trx, { before: now - ENDED_KEPT_MS, most: MAX_KEYS });
  const tooManyBy = (await countApiKeys(trx)) + 1 - MAX_KEYS;
  if (tooManyBy <= 0) return;
  await deleteEndedApiKeys(trx, { before: now, most: tooManyBy });
  const left = await countApiKeys(trx);
  if (left >= MAX_KEYS) throw new InvalidInputError([tooMany(left)]);
}

function replaced(by: string) {
  return {
    path: ['id'],
    code: 'NOT_IN_CATEGORIES' as const,
    message: 'the key was replaced already',
    expected: 'a key that was not replaced',
    received: `a key that was replaced by ${by}`,
  };
}

function tooMany(count: number) {
  return {
    path: ['keys'],
    code: 'TOO_LARGE' as const,
    message: 'the server has too many keys',
    expected: `fewer than ${MAX_KEYS} keys that are accepted`,
    received: `${count} keys`,
  };
}
