/**
 * Imports what changes in the model store while the server runs.
 *
 * The store is looked at in intervals. Notifications of the operating system would come sooner, but they are lost when
 * there are too many, end at a limit on their number, and do not exist on network file systems. Names of folders are read
 * often, files as seldom as keeps the cost below 2% of a core.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { fingerprintOf } from './fingerprint.js';
import {
  afterImport,
  changedOutside,
  type FolderState,
  isChanged,
  isDue,
  observed,
  retriedLater,
  waitReason,
} from './folder-state.js';
import { CONCURRENT_IMPORTS, type FolderResult } from './import.js';
import type { ImportProgress } from './import-progress.js';
import { modelNameOf, subfolders } from './manifest.js';

const LOOK_INTERVAL_MS = 250;
/** All files are looked at this often, or as often as costs at most 1 / `COST_RATIO` of the time. */
const FILES_INTERVAL_MS = 1_000;
const COST_RATIO = 50;

interface Parts {
  readonly store: string;
  readonly log: Logger;
  readonly progress: ImportProgress;
  /** Imports a folder of the store, which has this name. Logs failures. */
  readonly importFolder: (name: string) => Promise<Pick<FolderResult, 'mustRetry'>>;
}

export class StoreWatcher {
  readonly #parts: Parts;
  readonly #states = new Map<string, FolderState>();
  readonly #running = new Map<string, Promise<void>>();
  #filesLookedAt = Number.NEGATIVE_INFINITY;
  #filesIntervalMs = FILES_INTERVAL_MS;
  #lookIntervalMs = LOOK_INTERVAL_MS;
  #isOpen = false;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Notes the present state of all folders, which are about to be imported. What changes from now on is imported again. */
  async open(): Promise<void> {
    await this.#observe();
    for (const [name, state] of this.#states)
      this.#states.set(name, { ...state, importedFingerprint: state.fingerprint });
    this.#isOpen = true;
  }

  /** `toRetry`: the folders whose first import has to be repeated. */
  start(toRetry: readonly string[]): void {
    const now = performance.now();
    for (const name of toRetry) {
      const state = this.#states.get(name);
      if (state) this.#states.set(name, retriedLater(state, now));
    }
    this.#lookLater();
  }

  /** Resolves when the folders that are being imported are done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#looking;
    await Promise.all(this.#running.values());
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#lookLater());
    }, this.#lookIntervalMs).unref();
  }

  async #look(): Promise<void> {
    try {
      await this.#observe();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'the model store cannot be looked at');
      return;
    }
    this.#startDue();
  }

  #startDue(): void {
    const now = performance.now();
    for (const [name, state] of this.#states) {
      if (this.#isStopped || this.#running.size >= CONCURRENT_IMPORTS) return;
      if (!this.#running.has(name) && isDue(state, now)) this.#running.set(name, this.#import(name, state));
    }
  }

  /** Looks at the files of new folders and of those that are changing, and from time to time at those of all others. */
  async #observe(): Promise<void> {
    const { store, progress } = this.#parts;
    const listed = performance.now();
    const names = new Set(await subfolders(store));
    const begun = performance.now();
    this.#lookIntervalMs = Math.max(LOOK_INTERVAL_MS, COST_RATIO * (begun - listed));
    const isTimeForAll = begun - this.#filesLookedAt >= this.#filesIntervalMs;
    this.#forgetAllBut(names);
    for (const name of names) {
      const before = this.#states.get(name);
      if (before && !isChanged(before) && !isTimeForAll) continue;
      const fingerprint = await fingerprintOf(path.join(store, name));
      if (this.#isStopped) return;
      if (fingerprint === null) continue;
      // The import of this folder may have ended meanwhile.
      const now = performance.now();
      const state = observed(this.#states.get(name), fingerprint, now);
      this.#states.set(name, state);
      if (this.#isOpen && isChanged(state) && !this.#running.has(name))
        progress.set(name, 'WAITING', waitReason(state, now));
    }
    if (!isTimeForAll) return;
    this.#filesLookedAt = performance.now();
    this.#filesIntervalMs = Math.max(FILES_INTERVAL_MS, COST_RATIO * (this.#filesLookedAt - begun));
  }

  #forgetAllBut(names: ReadonlySet<string>): void {
    const freed = new Set<string>();
    for (const name of this.#states.keys()) {
      if (names.has(name)) continue;
      freed.add(modelNameOf(name));
      this.#states.delete(name);
      if (!this.#running.has(name)) this.#parts.progress.delete(name);
    }
    if (freed.size === 0) return;
    // Of several folders with the same model name, the next one is the model now.
    for (const [name, state] of this.#states)
      if (freed.has(modelNameOf(name))) this.#states.set(name, changedOutside(state, performance.now()));
  }

  async #import(name: string, begun: FolderState): Promise<void> {
    const { log, importFolder } = this.#parts;
    log.info({ folder: name }, 'importing a folder of the model store');
    // An error other than those that `importFolder` records, such as of the database, may pass.
    const { mustRetry } = await importFolder(name).catch((error) => {
      log.error({ folder: name, err: error }, 'a folder of the model store could not be imported; it is tried again');
      return { mustRetry: true };
    });
    const state = this.#states.get(name);
    if (state) this.#states.set(name, afterImport(state, begun, mustRetry, performance.now()));
    this.#running.delete(name);
    // Not only when the store is looked at: imports of small folders take less time than that.
    this.#startDue();
  }
}
