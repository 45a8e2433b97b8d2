/** When keys were last used: noted in memory by each request, and written down once a minute, so that no request waits for it. */
import type { CatalogDatabase } from '../storage/database.js';
import { saveLastUses, type UsedKey } from './api-key.queries.js';

const SAVE_MS = 60_000;

export interface Use {
  /** In milliseconds since 1970; 0 if the key was never used. */
  lastMs: number;
}

export class KeyUses {
  readonly #db: CatalogDatabase;
  /** By key. */
  #byId = new Map<string, Use>();
  #savedAt = Date.now();
  #timer: NodeJS.Timeout | null = null;
  #onError: (error: unknown) => void = () => {};

  constructor(db: CatalogDatabase) {
    this.#db = db;
  }

  /** The same object for each call with the same key. */
  of(id: string): Use {
    const use = this.#byId.get(id) ?? { lastMs: 0 };
    this.#byId.set(id, use);
    return use;
  }

  /** Forgets other keys than these. */
  keep(keys: readonly UsedKey[]): void {
    const before = this.#byId;
    this.#byId = new Map();
    for (const { key, lastUsedAt } of keys) {
      const use = before.get(key.id) ?? { lastMs: 0 };
      use.lastMs = Math.max(use.lastMs, lastUsedAt?.getTime() ?? 0);
      this.#byId.set(key.id, use);
    }
  }

  /** Null if the key was never used. */
  lastUsedAt(id: string): Date | null {
    const { lastMs = 0 } = this.#byId.get(id) ?? {};
    return lastMs === 0 ? null : new Date(lastMs);
  }

  start(onError: (error: unknown) => void): void {
    this.#onError = onError;
    this.#timer = setInterval(() => this.#save(), SAVE_MS);
  }

  /** Writes down what was not yet. */
  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    await this.#save();
  }

  async #save(): Promise<void> {
    const since = this.#savedAt;
    this.#savedAt = Date.now();
    const uses = [...this.#byId].filter(([, { lastMs }]) => lastMs >= since);
    if (uses.length === 0) return;
    const byId = Object.fromEntries(uses.map(([id, { lastMs }]) => [id, lastMs]));
    await saveLastUses(this.#db, byId).catch(this.#onError);
  }
}
