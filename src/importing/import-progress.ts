/** What the import of the model store is doing, for operators: the folders that wait or are imported, and the last ones. */

export type ImportStage = 'WAITING' | 'IMPORTING' | 'FINISHED';

interface FolderImport {
  /** Name in the model store. */
  readonly folder: string;
  readonly stage: ImportStage;
  /** When the stage was reached. */
  readonly since: Date;
  /** Why the folder could not be imported, or is tried again; null if there is no reason. Versions have their own. */
  readonly reason: string | null;
}

/** Finished imports that are remembered. */
const MAX_FINISHED = 100;

export class ImportProgress {
  /** By folder, in the order of their last change. */
  readonly #folders = new Map<string, FolderImport>();

  /** The last change first. */
  get folders(): FolderImport[] {
    return [...this.#folders.values()].reverse();
  }

  set(folder: string, stage: ImportStage, reason: string | null = null): void {
    const before = this.#folders.get(folder);
    if (before?.stage === stage && before.reason === reason && stage !== 'FINISHED') return;
    this.#folders.delete(folder);
    this.#folders.set(folder, { folder, stage, since: new Date(), reason });
    this.#forgetOldest();
  }

  /** The folder is gone before it was imported. */
  delete(folder: string): void {
    this.#folders.delete(folder);
  }

  #forgetOldest(): void {
    const finished = [...this.#folders.values()].filter(({ stage }) => stage === 'FINISHED');
    for (const { folder } of finished.slice(0, Math.max(0, finished.length - MAX_FINISHED)))
      this.#folders.delete(folder);
  }
}
