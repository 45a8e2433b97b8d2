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
  /** When the first of the changes was seen that have not been imported. */
  readonly waitingSince: number;
  /** The fingerprint before the last import began; null if there was none, or the folder has changed since it was seen. */
  readonly importedFingerprint: string | null;
  /** When the import is repeated although nothing has changed; null if it is not. */
  readonly retryAt: number | null;
  /** Imports in a row, without a change between them, that have to be repeated. */
  readonly retries: number;
}

/** How long a folder must not have changed. */
export const SETTLE_MS = 1_000;
/** Until an import is repeated that failed for a reason outside of the folder, such as a full disk. Doubles each time. */
export const RETRY_MS = 60_000;
/** Of `RETRY_MS`. Imports that are killed again and again leave the time to others. */
export const MAX_RETRY_RATIO = 16;
/** After this long, a folder that does not settle has a reason to wait. */
export const UNSETTLED_MS = 5_000;

/** The folder was looked at now. */
export function observed(before: FolderState | undefined, fingerprint: string, now: number): FolderState {
  if (before?.fingerprint === fingerprint) return before;
  const waitingSince = before && isChanged(before) ? before.waitingSince : now;
  return { fingerprint, changedAt: now, waitingSince, importedFingerprint: null, retryAt: null, retries: 0 };
}

/** Something outside of the folder has changed that its import depends on. */
export function changedOutside(state: FolderState, now: number): FolderState {
  return { ...state, changedAt: now, waitingSince: now, importedFingerprint: null };
}

/** Why a folder waits that other folders do not keep waiting; null if there is no reason. */
export function waitReason({ changedAt, waitingSince }: FolderState, now: number): string | null {
  if (now - waitingSince < UNSETTLED_MS || now - changedAt >= SETTLE_MS) return null;
  return 'the files of the folder keep changing; it is imported when they have not changed for a second';
}

/** Whether the folder waits for its import. One that has changed and changed back is imported too. */
export function isChanged({ fingerprint, importedFingerprint }: FolderState): boolean {
  return fingerprint !== importedFingerprint;
}

export function isDue(state: FolderState, now: number): boolean {
  if (isChanged(state)) return now - state.changedAt >= SETTLE_MS;
  return state.retryAt !== null && now >= state.retryAt;
}

/** An import that began with the state `begun` has ended. A folder that has changed meanwhile is imported again. */
export function afterImport(state: FolderState, begun: FolderState, mustRetry: boolean, now: number): FolderState {
  if (state.changedAt !== begun.changedAt) return state;
  const ended = { ...state, importedFingerprint: state.fingerprint };
  return mustRetry ? retriedLater(ended, now) : { ...ended, retryAt: null, retries: 0 };
}

/** The import has to be repeated, later or when the folder changes. */
export function retriedLater(state: FolderState, now: number): FolderState {
  const retryAt = now + RETRY_MS * Math.min(2 ** state.retries, MAX_RETRY_RATIO);
  return { ...state, retryAt, retries: state.retries + 1 };
}
