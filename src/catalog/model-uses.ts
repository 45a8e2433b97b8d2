/**
 * When accounts last had predictions of models, by day: noted in memory by each request, and written down once a minute, so
 * that no request waits for it.
 */
import type { CatalogDatabase } from '../storage/database.js';
import { type DayOfUse, deleteUsesBefore, saveModelUses } from './model-uses.queries.js';

/** How many days a use counts as recent. */
export const RECENT_DAYS = 90;
const DAY_MS = 86_400_000;
const SAVE_MS = 60_000;
/** Uses that are remembered. More of them are forgotten at once, and then written down again. */
const MAX_NOTED = 50_000;
/** Uses that wait to be written. One more is noted when the same account uses the version after the next save. */
const MAX_WAITING = 10_000;

/** Days from 1970, in UTC. */
export function today(): number {
  return Math.floor(Date.now() / DAY_MS);
}

export class ModelUses {
  readonly #db: CatalogDatabase;
  /** By account, the last day on which each version was used. */
  readonly #noted = new Map<string, Map<string, number>>();
  #notedCount = 0;
  #waiting: DayOfUse[] = [];
  #deletedOn = 0;
  /** Null if no use waits. */
  #timer: NodeJS.Timeout | null = null;
  readonly #onError: (error: Error) => void;

  constructor(db: CatalogDatabase, onError: (error: Error) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /** Of every request for predictions that has found its version. */
  note(account: string, versionId: string): void {
    const day = today();
    if (this.#noted.get(account)?.get(versionId) === day || this.#waiting.length >= MAX_WAITING) return;
    if (this.#notedCount >= MAX_NOTED) {
      this.#noted.clear();
      this.#notedCount = 0;
    }
    const ofAccount = this.#noted.get(account) ?? new Map<string, number>();
    this.#noted.set(account, ofAccount.set(versionId, day));
    this.#notedCount++;
    this.#waiting.push({ account, versionId, day });
    this.#timer ??= setTimeout(() => this.#save(), SAVE_MS);
  }

  /** Writes down what was not yet. */
  async stop(): Promise<void> {
    await this.#save();
  }

  async #save(): Promise<void> {
    const uses = this.#waiting;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (uses.length === 0) return;
    this.#waiting = [];
    const day = today();
    try {
      await saveModelUses(this.#db, uses);
      if (this.#deletedOn !== day) await deleteUsesBefore(this.#db, day - RECENT_DAYS);
      this.#deletedOn = day;
    } catch (error) {
      this.#noted.clear();
      this.#notedCount = 0;
      this.#onError(error as Error);
    }
  }
}
