/**
 * Data keys that another thread opens values with. They are in memory that both threads share: nothing copies them, and who lends
 * them overwrites them when the values are open, also if the thread has failed.
 */
import { KEY_BYTES } from '../storage/sealing.js';
import { DataKey, NO_USES } from './data-key.js';

export interface LentKeys {
  /** In the order in which their bytes are. */
  readonly ids: readonly number[];
  readonly bytes: SharedArrayBuffer;
}

/** Calls `use` with the keys, which are gone once it has ended. */
export async function withLentKeys<T>(
  keys: ReadonlyMap<number, DataKey>,
  use: (lent: LentKeys) => Promise<T>,
): Promise<T> {
  const bytes = new SharedArrayBuffer(keys.size * KEY_BYTES);
  try {
    let at = 0;
    for (const key of keys.values()) key.copyTo(new Uint8Array(bytes, KEY_BYTES * at++, KEY_BYTES));
    return await use({ ids: [...keys.keys()], bytes });
  } finally {
    new Uint8Array(bytes).fill(0);
  }
}

/** In the other thread: the keys by id. They open nothing anymore when they were overwritten. */
export function borrowedKeys({ ids, bytes }: LentKeys): ReadonlyMap<number, DataKey> {
  return new Map(
    ids.map((id, at) => [id, new DataKey({ id, bytes: Buffer.from(bytes, KEY_BYTES * at, KEY_BYTES), ...NO_USES })]),
  );
}
