/**
 * When a folder of the model store is imported: once it has not changed for a second, so that a folder that is being copied
 * is not read half-way.
 *
 * Pure: times are in milliseconds of the caller's clock.
 */

export interface FolderState {
  /** Stands for the names, sizes and times of all files; see `fingerprint.ts`. */
  readonly fingerprint: string;
  /** When this fingerprint was seen first. */
  readonly changedAt: number;
  /** The fingerprint before the last import began; null if there was none, or the folder has changed since it was seen. */
  readonly importedFingerprint: string | null;
  /** When the import is repeated although nothing has changed; null if it is not. */
  readonly retryAt: number | null;
}

/** How long a folder must not have changed. */
export const SETTLE_MS = 1_000;
/** Until an import is repeated that failed for a reason outside of the folder, such as a full disk. */
export const RETRY_MS = 60_000;

/** The folder was looked at now. */
export function observed(before: FolderState | undefined, fingerprint: string, now: number): FolderState {
  if (before?.fingerprint === fingerprint) return before;
  return { fingerprint, changedAt: now, importedFingerprint: null, retryAt: null };
}

/** Whether the folder waits for its import. One that has changed and changed back is imported too. */
export function isChanged({ fingerprint, importedFingerprint }: FolderState): boolean {
  return fingerprint !== importedFingerprint;
}

export function isDue(state: FolderState, now: number): boolean {
  if (isChanged(state)) return now - state.changedAt >= SETTLE_MS;
  return state.retryAt !== null && now >= state.retryAt;
}

/** An import that began with this fingerprint has ended. A folder that has changed meanwhile is imported again. */
export function afterImport(state: FolderState, fingerprint: string, mustRetry: boolean, now: number): FolderState {
  return { ...state, importedFingerprint: fingerprint, retryAt: mustRetry ? now + RETRY_MS : null };
}

/** The first import has to be repeated, later or when the folder changes. */
export function retriedLater(state: FolderState, now: number): FolderState {
  return { ...state, retryAt: now + RETRY_MS };
}
