/**
 * The data keys of a server: one for each account, API key, day and subject, each wrapped with the master key in `keys.db`.
 *
 * A key is on disk before its first use. Keys in use are in memory, so that most calls need no promise. `keys.db` is a file of
 * its own so that it need not be in backups: then what a destroyed key has sealed is unreadable in backups too.
 */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import { StartupError } from '../errors.js';
import type { Databases, KeyDatabase, KeyTables } from '../storage/database.js';
import { KEY_BYTES, open, seal } from '../storage/sealing.js';
import type { SqliteFile } from '../storage/sqlite.js';
import { DataKey, NO_USES } from './data-key.js';
import {
  deleteErasedKeys,
  deleteKeysOfPeriod,
  type ErasedAmong,
  type ErasedKeys,
  eraseKeys,
  findCurrentMaster,
  findKeys,
  findKeysOf,
  findLastKeyId,
  findNewestKey,
  findPeriods,
  insertKey,
  type KeyScope,
  type StoredKey,
  setCurrentMaster,
  setUses,
} from './data-key.queries.js';
import type { MasterKey, MasterKeys } from './master-keys.js';
import { periodOf, spanOf, type WholePeriods } from './periods.js';

/** Whose values a key seals. */
export interface Owner {
  readonly account: string;
  /** Of the API key that they were sent with; null if there was none. */
  readonly keyId: string | null;
  readonly subject: string | null;
}

/** The keys for one owner. */
export interface Sealing {
  readonly key: DataKey;
  /** That of the account, for digests by which its values are found. */
  readonly index: DataKey;
}

/** Random nonces of 96 bits are safe for as many values. */
const MAX_USES = 2 ** 32;
/** A process reserves as many uses at a time, so that the count on disk is never too small. */
const RESERVED_USES = 2 ** 22;
/** Of these, left over for whoever was given the key before they run out: a request seals up to six values for each row. */
const SPARE_USES = 2 ** 20;
/** In memory, in each of three maps. */
const MAX_KNOWN = 10_000;
/** Keys that are made or reserved in one transaction. */
const MAX_BATCH = 500;
/** Periods that a sweep reads at a time. */
const PERIODS_A_STEP = 500;

export class DataKeys {
  readonly #db: KeyDatabase;
  readonly #file: SqliteFile;
  readonly masters: MasterKeys;
  /** Keys that seal, by owner. */
  readonly #sealing = new Map<string, Sealing>();
  readonly #indexes = new Map<string, DataKey>();
  readonly #byId = new Map<number, DataKey>();
  /** Keys that are being made or reserved, by scope: as many as requests that wait for them. */
  readonly #wanted = new Map<string, PromiseWithResolvers<DataKey> & { readonly scope: KeyScope }>();
  #taking: Promise<void> | null = null;
  /** Of this process. */
  #erasures = 0;

  constructor({ keyDb, keysFile }: Pick<Databases, 'keyDb' | 'keysFile'>, masters: MasterKeys) {
    this.#db = keyDb;
    this.#file = keysFile;
    this.masters = masters;
  }

  /** @throws StartupError if the master key is not the one that the data keys are wrapped with */
  async open(): Promise<void> {
    const current = await findCurrentMaster(this.#db);
    if (current === null) await this.masters.makeMissing();
    await this.masters.load();
    if (current !== null && !this.masters.find(current))
      throw new StartupError(
        'the master key is not the one that the data folder is encrypted with. Set MASTER_KEY_FILE, MASTER_KEY_COMMAND or MASTER_KEY to that key; ' +
          'without it, recorded predictions cannot be read.',
      );
    if (current === null) await setCurrentMaster(this.#db, (this.masters.all[0] as MasterKey).id);
  }

  /**
   * The keys for values of this owner that were made at this time, in milliseconds since 1970. Not a promise if they are known: most
   * are, and each promise takes time.
   */
  sealing(owner: Owner, at: number): Sealing | Promise<Sealing> {
    const name = nameOf(owner);
    const known = this.#sealing.get(name);
    if (known?.key.maySeal(at, SPARE_USES) && !known.index.isErased) return known;
    return this.sealingAt(owner, at).then((sealing) => remember(this.#sealing, name, sealing));
  }

  /** As `sealing`, of owners and times that will hardly be asked for again. */
  async sealingAt({ account, keyId, subject }: Owner, at: number): Promise<Sealing> {
    const index = await this.index(account);
    const digest = subject === null ? '' : index.digest('subject', subject);
    const scope = { kind: 'data', account, api_key: keyId ?? '', period: periodOf(at), subject: digest } as const;
    return { index, key: await this.#want(scope) };
  }

  /** The key of an account for digests that must be the same every time. */
  index(account: string): DataKey | Promise<DataKey> {
    const known = this.#indexes.get(account);
    if (known && !known.isErased) return known;
    const wanted = this.#want({ kind: 'index', account, api_key: '', period: '', subject: '' });
    return wanted.then((key) => remember(this.#indexes, account, key));
  }

  /** The keys with these ids, by id. One that was destroyed is missing, and so is one whose master key is. */
  async find(ids: readonly number[]): Promise<ReadonlyMap<number, DataKey>> {
    const found = new Map<number, DataKey>();
    const unknown = ids.filter((id) => {
      const known = this.#byId.get(id);
      if (known && !known.isErased) found.set(id, known);
      return !known;
    });
    const erasures = this.#erasures;
    let stored = await findKeys(this.#db, unknown);
    if (stored.some(({ master_id }) => !this.masters.find(master_id))) {
      // A rotation of the master key has wrapped them again.
      await this.masters.load();
      stored = await findKeys(this.#db, unknown);
    }
    for (const row of stored) {
      const bytes = unwrapped(row, this.masters);
      if (!bytes) continue;
      // It seals nothing: its uses were not reserved.
      const key = new DataKey({ id: row.id, bytes, ...NO_USES });
      found.set(row.id, key);
      // What was read may have been destroyed meanwhile.
      if (erasures === this.#erasures) remember(this.#byId, row.id, key);
    }
    return found;
  }

  /** The newest key, after which an erasure destroys none. */
  async lastId(): Promise<number> {
    return findLastKeyId(this.#db);
  }

  /**
   * Destroys the keys of these periods. It is on disk, and nobody has the keys anymore, when this resolves: but if it
   * returns false, the write-ahead log still has them.
   */
  async erase(keys: ErasedKeys, periods: WholePeriods): Promise<boolean> {
    await eraseKeys(this.#db, keys, periods);
    this.#erasures++;
    // Whoever holds one asks for another; those that were not destroyed are read again.
    for (const { key } of this.#sealing.values()) if (key.id <= keys.lastId) key.markErased();
    for (const key of this.#byId.values()) if (key.id <= keys.lastId) key.markErased();
    this.#sealing.clear();
    this.#byId.clear();
    return this.#file.truncateLog();
  }

  /** Which of the keys an erasure is about, and which do not exist. */
  async of(keys: ErasedKeys, ids: readonly number[]): Promise<ErasedAmong> {
    return findKeysOf(this.#db, keys, ids);
  }

  /** Forgets destroyed keys, once no row refers to them. */
  async forgetErased(keys: ErasedKeys): Promise<void> {
    await deleteErasedKeys(this.#db, keys);
    await this.#file.truncateLog();
  }

  /** Destroys the keys of periods before this time for which `isEmpty`. Returns how many periods had any. */
  async eraseEmpty(before: number, isEmpty: (from: number, until: number) => Promise<boolean>): Promise<number> {
    let erased = 0;
    for (let after = ''; ; ) {
      const periods = await findPeriods(this.#db, { after, before: periodOf(before), limit: PERIODS_A_STEP });
      for (const period of periods) {
        const { from, until } = spanOf(period);
        if (until > before || !(await isEmpty(from, until))) continue;
        await deleteKeysOfPeriod(this.#db, period);
        erased++;
      }
      if (periods.length < PERIODS_A_STEP) break;
      after = periods.at(-1) ?? '';
    }
    if (erased > 0) await this.#file.truncateLog();
    return erased;
  }

  #want(scope: KeyScope): Promise<DataKey> {
    const name = JSON.stringify(scope);
    const wanted = this.#wanted.get(name) ?? { scope, ...Promise.withResolvers<DataKey>() };
    this.#wanted.set(name, wanted);
    this.#taking ??= this.#takeAll();
    return wanted.promise;
  }

  async #takeAll(): Promise<void> {
    // Those that are wanted in this turn of the event loop share the first transaction.
    await new Promise(setImmediate);
    while (this.#wanted.size > 0) {
      const batch = [...this.#wanted].slice(0, MAX_BATCH);
      try {
        const keys = await this.#take(batch.map(([, { scope }]) => scope));
        for (const [i, [, { resolve }]] of batch.entries()) resolve(keys[i] as DataKey);
      } catch (error) {
        for (const [, { reject }] of batch) reject(error);
      }
      for (const [name] of batch) this.#wanted.delete(name);
    }
    this.#taking = null;
  }

  /** Makes the keys of these scopes, or reserves uses of those that exist. */
  async #take(scopes: readonly KeyScope[]): Promise<DataKey[]> {
    const keys = await this.#db.transaction().execute(async (trx) => {
      const master = await this.#currentMaster(trx);
      const taken: DataKey[] = [];
      for (const scope of scopes) taken.push((await this.#reserve(trx, scope)) ?? (await make(trx, scope, master)));
      return taken;
    });
    return keys.map((key) => remember(this.#byId, key.id, key));
  }

  /** A rotation changes it while the server runs. @throws StartupError if it cannot be read */
  async #currentMaster(trx: Transaction<KeyTables>): Promise<MasterKey> {
    const id = (await findCurrentMaster(trx)) ?? '';
    if (!this.masters.find(id)) await this.masters.load();
    const master = this.masters.find(id);
    if (!master)
      throw new StartupError(`the master key was changed while the server ran, and is not in ${this.masters.source}`);
    return master;
  }

  /** Null if there is no key that may be used as often. */
  async #reserve(trx: Transaction<KeyTables>, scope: KeyScope): Promise<DataKey | null> {
    const stored = await findNewestKey(trx, scope);
    const bytes = stored && unwrapped(stored, this.masters);
    if (!bytes) return null;
    // An index key seals nothing, and stays the same.
    if (scope.kind === 'data') {
      if (stored.uses + RESERVED_USES > MAX_USES) return null;
      await setUses(trx, stored.id, stored.uses + RESERVED_USES);
    }
    return new DataKey({ id: stored.id, bytes, ...spanOf(scope.period), uses: RESERVED_USES });
  }
}

async function make(trx: Transaction<KeyTables>, scope: KeyScope, master: MasterKey): Promise<DataKey> {
  const bytes = randomBytes(KEY_BYTES);
  const wrapped = wrap(scope, bytes, master);
  const row = { ...scope, master_id: master.id, wrapped, uses: RESERVED_USES, created_at: Date.now() };
  return new DataKey({ id: await insertKey(trx, row), bytes, ...spanOf(scope.period), uses: RESERVED_USES });
}

/** What a data key is for is authenticated with it. */
export function wrap(scope: KeyScope, bytes: Uint8Array, master: MasterKey): Buffer {
  return seal(bytes, master.bytes, addressOf(scope));
}

/** Null if its master key is missing, or it is for another scope. */
export function unwrapped(stored: StoredKey, masters: Pick<MasterKeys, 'find'>): Buffer | null {
  const master = masters.find(stored.master_id);
  return master ? open(stored.wrapped, master.bytes, addressOf(stored)) : null;
}

/** The account is last, because it is the only part that may contain line breaks. */
function addressOf({ kind, period, api_key, subject, account }: KeyScope): string {
  return `data_key\n${kind}\n${period}\n${api_key}\n${subject}\n${account}`;
}

function nameOf({ account, keyId, subject }: Owner): string {
  return `${keyId ?? ''}\n${account.length}\n${account}${subject ?? ''}`;
}

function remember<K, V>(known: Map<K, V>, name: K, value: V): V {
  known.delete(name);
  if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value as K);
  known.set(name, value);
  return value;
}
