/** Tells whether a folder has changed, from the names, sizes and times of its files. Nothing is read. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** Levels of folders. Deeper files are not looked at. */
const MAX_DEPTH = 5;
/** Of folders in a version or in a dataset, which are in a folder of the store themselves. */
const MAX_FOLDERS = MAX_DEPTH - 2;
/** Of a folder and its subfolders together, the upper levels first. A model has a few files. */
export const MAX_ENTRIES = 10_000;

/** Null if there is no such folder. */
export async function fingerprintOf(folder: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const { place, found } of entriesOf(folder))
      hash.update(`/${place}\0${found ? [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ') : ''}\n`);
    return hash.digest('base64');
  } catch {
    return null;
  }
}

interface Entry {
  /** Path from the folder, with `/`. */
  readonly place: string;
  /** Of the target of a link; null if it is not there. */
  readonly found: BigIntStats | null;
}

/**
 * Files and folders, the upper levels first. Hidden ones, which editors and tools write meanwhile, are left out.
 *
 * @throws Error if there is no such folder
 */
export async function* entriesOf(folder: string): AsyncGenerator<Entry> {
  let entries = MAX_ENTRIES;
  let level = [''];
  for (let depth = 1; depth <= MAX_DEPTH; depth++) {
    const next: string[] = [];
    for (const inside of level) {
      const names = await readdir(path.join(folder, inside)).catch((error) => {
        if (inside === '') throw error;
        return [];
      });
      for (const name of names.sort()) {
        if (name.startsWith('.') || entries-- <= 0) continue;
        const place = inside === '' ? name : `${inside}/${name}`;
        const found = await stat(path.join(folder, place), { bigint: true }).catch(() => null);
        yield { place, found };
        if (found?.isDirectory()) next.push(place);
      }
    }
    level = next;
  }
}

/**
 * Why a change of a file would not be noticed; null if it would. `place`: the file as it is named, from the folder of a
 * model, a version or a dataset.
 */
export function unwatchedReason(place: string): string | null {
  const names = path.normalize(place).split(path.sep);
  if (names.some((name) => name.startsWith('.') && name !== '..')) return 'it is hidden, or in a hidden folder';
  return names.length > MAX_FOLDERS + 1 ? `it is more than ${MAX_FOLDERS} folders deep` : null;
}
