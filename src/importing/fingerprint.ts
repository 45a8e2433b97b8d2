/** Tells whether a folder has changed, from the names, sizes and times of its files. Nothing is read. */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** A version's folder, and the folders in it. Deeper files are not looked at. */
const MAX_DEPTH = 3;
/** Of a folder and its subfolders together, in the order of names. A model has a few files. */
export const MAX_ENTRIES = 2_000;

/** Null if there is no such folder. Hidden files, which editors and tools write meanwhile, are left out. */
export async function fingerprintOf(folder: string): Promise<string | null> {
  const hash = createHash('sha256');
  const budget = { entries: MAX_ENTRIES };
  if (!(await addFolder(folder, '', 1, { hash, budget }))) return null;
  return hash.digest('base64');
}

interface Walk {
  readonly hash: ReturnType<typeof createHash>;
  readonly budget: { entries: number };
}

async function addFolder(folder: string, inside: string, depth: number, walk: Walk): Promise<boolean> {
  const names = await readdir(folder).catch(() => null);
  if (!names) return false;
  for (const name of names.sort()) {
    if (name.startsWith('.') || walk.budget.entries-- <= 0) continue;
    const [file, place] = [path.join(folder, name), `${inside}/${name}`];
    // Of the target of a link.
    const found = await stat(file, { bigint: true }).catch(() => null);
    walk.hash.update(`${place}\0${found ? [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ') : ''}\n`);
    if (found?.isDirectory() && depth < MAX_DEPTH) await addFolder(file, place, depth + 1, walk);
  }
  return true;
}
