/** Makes a data folder of a backup. Only a backup whose files are all there, with their digests, is restored. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { faultPoint } from '../fault-points.js'; // @fault
import { NO_SETTINGS } from '../vault/master-keys.js';
import { checkFolder } from './check.js';
import { copyFileSynced } from './copy-file.js';
import { BackupError, type BackupTotals, readManifest } from './manifest.js';
import { makeFolder } from './new-folder.js';
import type { Problem, Progress } from './problem.js';

export interface RestoreReport extends BackupTotals {
  /** What a check of the new folder finds: the data folder had the same problems. */
  readonly problems: readonly Problem[];
}

/** @throws BackupError if the backup is not complete or was changed; StartupError if the target is not free */
export async function restore(backup: string, target: string, progress: Progress): Promise<RestoreReport> {
  return makeFolder(target, async (folder) => {
    const totals = await copyFiles(backup, folder, progress);
    faultPoint('restore.copied'); // @fault
    const problems: Problem[] = [];
    for await (const problem of checkFolder(folder, { ...NO_SETTINGS, progress, isAlone: true }))
      problems.push(problem);
    return { ...totals, problems };
  });
}

async function copyFiles(backup: string, folder: string, progress: Progress): Promise<BackupTotals> {
  const lines = readManifest(backup);
  for (let count = 1; ; count++) {
    const { done, value } = await lines.next();
    if (done) return value;
    if (!('file' in value)) continue;
    const { path: name, bytes, sha256 } = value.file;
    const to = path.join(folder, name);
    await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
    const copied = await copyFileSynced(path.join(backup, name), to).catch((error: NodeJS.ErrnoException) => {
      throw new BackupError(`${name} of the backup cannot be copied: ${error.code}`);
    });
    if (copied.bytes !== bytes || copied.sha256 !== sha256)
      throw new BackupError(
        `${name} of the backup was changed: it has ${copied.bytes} bytes with the digest ${copied.sha256}; expected ${bytes} bytes with ${sha256}`,
      );
    progress('files restored', count);
  }
}
