/**
 * Copies a data folder, whose server may be running, into a new folder.
 *
 * 1. The blobs, because a blob may be deleted as soon as the last row that refers to it is gone.
 * 2. The predictions, then the catalog, so that the versions of the predictions are in it. `vacuum into` copies one state of a
 *    database while others write, and leaves out what was deleted.
 * 3. The blobs that the copied databases refer to and that have been stored since; those that they do not refer to are removed.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { StartupError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { BlobFolder } from '../storage/blobs.js';
import { DATABASE_FILES } from '../storage/database.js';
import { openSnapshots, vacuumInto } from '../storage/snapshot.js';
import { type BlobReference, BlobReferences } from './blob-references.queries.js';
import { copyFileSynced, digestOfFile } from './copy-file.js';
import { type BackupTotals, blobPath, ManifestWriter, type MissingBlob } from './manifest.js';
import { makeFolder, syncFile } from './new-folder.js';
import type { Progress } from './problem.js';

export interface BackupReport extends BackupTotals {
  /** The first of the blobs that the data folder lacks. */
  readonly firstMissing: readonly MissingBlob[];
}

/** @throws StartupError if the folder cannot be read, or the target is not free */
export async function backUp(dataDir: string, target: string, progress: Progress): Promise<BackupReport> {
  // Refuses a folder without a catalog, and one of another release.
  openSnapshots(dataDir).close();
  if (!path.relative(dataDir, target).startsWith('..'))
    throw new StartupError(`${target} is in the data folder: choose another place`);
  return makeFolder(target, async (folder) => {
    await copyBlobs(dataDir, folder, progress);
    faultPoint('backup.blobs'); // @fault
    for (const which of ['predictions', 'catalog'] as const) {
      const { name } = DATABASE_FILES[which];
      progress(`databases copied; ${name} is next`, which === 'catalog' ? 1 : 0);
      vacuumInto(path.join(dataDir, name), path.join(folder, name));
      await syncFile(path.join(folder, name));
    }
    faultPoint('backup.databases'); // @fault
    return writeManifest(dataDir, folder, progress);
  });
}

async function copyBlobs(dataDir: string, folder: string, progress: Progress): Promise<void> {
  let count = 0;
  for await (const { digest } of blobsIn(dataDir).files()) {
    if (digest !== null) await copyBlob(dataDir, folder, digest);
    progress('blobs copied', ++count);
  }
}

/** Returns whether there is a copy. A blob that is missing or damaged is left out. */
async function copyBlob(dataDir: string, folder: string, digest: string): Promise<boolean> {
  const to = path.join(folder, blobPath(digest));
  await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
  try {
    const { sha256 } = await copyFileSynced(path.join(dataDir, blobPath(digest)), to);
    if (sha256 === digest) return true;
  } catch (error) {
    if (!['ENOENT', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  await rm(to, { force: true });
  return false;
}

const FIRST_MISSING = 20;

async function writeManifest(dataDir: string, folder: string, progress: Progress): Promise<BackupReport> {
  const manifest = await ManifestWriter.create(folder);
  for (const { name } of Object.values(DATABASE_FILES))
    await manifest.file({ path: name, ...(await digestOfFile(path.join(folder, name))) });
  const firstMissing: MissingBlob[] = [];
  await withReferences(folder, async (references) => {
    await removeUnused(folder, references);
    let count = 0;
    for (const { digest, place } of references.all()) {
      progress('blobs listed', ++count);
      if (existsSync(path.join(folder, blobPath(digest))) || (await copyBlob(dataDir, folder, digest))) {
        const bytes = await blobsIn(folder).size(digest);
        await manifest.file({ path: blobPath(digest), bytes, sha256: digest });
        continue;
      }
      const missing = { missing: digest, place };
      if (firstMissing.length < FIRST_MISSING) firstMissing.push(missing);
      await manifest.missing(missing);
    }
  });
  return { ...(await manifest.end()), firstMissing };
}

async function withReferences(folder: string, use: (references: BlobReferences) => Promise<void>): Promise<void> {
  const snapshots = openSnapshots(folder);
  const references = new BlobReferences();
  try {
    // What cannot be read is copied as it is; `npm run fsck` names it.
    for (const _ of references.add(snapshots));
    await use(references);
  } finally {
    references.close();
    snapshots.close();
  }
}

/** Blobs whose rows were deleted, or not written yet, when the databases were copied. */
async function removeUnused(folder: string, references: BlobReferences): Promise<void> {
  const isNeeded = (digest: BlobReference['digest'] | null) => digest !== null && references.isNeeded(digest);
  for await (const { file, digest } of blobsIn(folder).files()) if (!isNeeded(digest)) await rm(file);
}

function blobsIn(folder: string): BlobFolder {
  return new BlobFolder(path.join(folder, 'blobs'));
}
