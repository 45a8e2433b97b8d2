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
  /** The fingerprint before the last import began; null if there was none. */
  readonly imported: string | null;
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
  return { fingerprint, changedAt: now, imported: before?.imported ?? null, retryAt: null };
}

export function isChanged({ fingerprint, imported }: FolderState): boolean {
  return fingerprint !== imported;
}

export function isDue(state: FolderState, now: number): boolean {
  if (isChanged(state)) return now - state.changedAt >= SETTLE_MS;
  return state.retryAt !== null && now >= state.retryAt;
}

/** An import that began with this fingerprint has ended. A folder that has changed meanwhile is imported again. */
export function imported(state: FolderState, fingerprint: string, mustRetry: boolean, now: number): FolderState {
  return { ...state, imported: fingerprint, retryAt: mustRetry ? now + RETRY_MS : null };
}
