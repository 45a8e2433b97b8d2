/**
 * Makes a folder that appears under its name only when it is complete and on the disk. Until then it is in `<name>.partial`,
 * which a process holds a lock on; what a process that was killed has left there is replaced.
 */
import { existsSync } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { StartupError, StoreLockedError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { syncFolder } from '../storage/blobs.js';
import { lockStore } from '../storage/store-lock.js';

/** @throws StartupError if there is something under this name, or another process makes it; what `fill` throws */
export async function makeFolder<T>(target: string, fill: (folder: string) => Promise<T>): Promise<T> {
  await checkFree(target);
  const partial = `${target}.partial`;
  await mkdir(partial, { recursive: true, mode: 0o700 });
  await checkOwn(partial);
  const lock = await lockStore(path.join(partial, 'lock'), 0).catch((error) => {
    throw error instanceof StoreLockedError ? new StartupError(`another process is writing ${target}`) : error;
  });
  const folder = path.join(partial, 'folder');
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    const result = await fill(folder);
    await syncFolders(folder);
    faultPoint('folder.filled'); // @fault
    await rename(folder, target);
    faultPoint('folder.renamed'); // @fault
    await syncFolder(path.dirname(target));
    return result;
  } finally {
    await lock.close();
    await rm(partial, { recursive: true, force: true });
  }
}

/** An empty folder is free. @throws StartupError */
async function checkFree(target: string): Promise<void> {
  if (!existsSync(path.dirname(target)))
    throw new StartupError(`${path.dirname(target)} does not exist: make it first, or choose another folder`);
  const found = await lstat(target).catch(() => null);
  if (found === null) return;
  if (found.isDirectory() && (await readdir(target)).length === 0) return;
  throw new StartupError(`${target} exists and is not an empty folder: choose another name`);
}

/** Whoever has made the folder could replace what is in it. @throws StartupError */
async function checkOwn(partial: string): Promise<void> {
  const found = await lstat(partial);
  if (!found.isDirectory() || (process.getuid && found.uid !== process.getuid()))
    throw new StartupError(`${partial} is a link, or belongs to another user: remove it`);
}

/** The names in a folder, and in those in it. Their contents were synced when they were written. */
async function syncFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await syncFolders(path.join(folder, entry.name));
  await syncFolder(folder);
}

/** Writes what a file has on the disk. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
