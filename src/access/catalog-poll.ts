/**
 * Asks twice a second whether the file of the catalog has changed, and then has what is kept of it in memory read again:
 * `npm run keys` and other commands write to it from their own processes.
 */
import type { SqliteFile } from '../storage/sqlite.js';

/** A key that another process has revoked is refused within a second: after this time and the reads that follow. */
const POLL_MS = 500;

/** Reads again what has changed. Returns false if that may be out of date already, so that it is called again. */
type Load = () => Promise<boolean>;

export class CatalogPoll {
  readonly #file: Pick<SqliteFile, 'dataVersion'>;
  readonly #loads: readonly Load[];
  readonly #onError: (error: unknown) => void;
  #version = -1;
  #timer: NodeJS.Timeout | null = null;

  constructor(file: Pick<SqliteFile, 'dataVersion'>, loads: readonly Load[], onError: (error: unknown) => void) {
    this.#file = file;
    this.#loads = loads;
    this.#onError = onError;
  }

  start(): void {
    this.#timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #poll(): Promise<void> {
    try {
      const version = await this.#file.dataVersion();
      if (version !== this.#version) {
        const loaded = await Promise.all(this.#loads.map((load) => load()));
        if (loaded.every(Boolean)) this.#version = version;
      }
    } catch (error) {
      this.#onError(error);
    }
    if (this.#timer) this.start();
  }
}
