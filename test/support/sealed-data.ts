/** What stands beside the databases of a data folder, for tests that open it without a server. */
import path from 'node:path';
import { pino } from 'pino';
import { BlobFolder } from '#src/storage/blobs.js';
import type { Databases } from '#src/storage/database.js';
import { GroupCommit } from '#src/storage/group-commit.js';
import { DataKeys } from '#src/vault/data-keys.js';
import { MasterKeys, NO_SETTINGS } from '#src/vault/master-keys.js';

export async function openDataKeys(databases: Databases, dataDir: string): Promise<DataKeys> {
  const keys = new DataKeys(databases, new MasterKeys(NO_SETTINGS, dataDir));
  await keys.open();
  return keys;
}

/** The parts of a sweeper. */
export async function sweeperParts(databases: Databases, dataDir: string) {
  const { catalogDb, predictionDb, predictionsFile } = databases;
  return {
    catalogDb,
    predictionDb,
    predictionsFile,
    blobs: new BlobFolder(path.join(dataDir, 'blobs')),
    commits: new GroupCommit(predictionsFile),
    dataKeys: await openDataKeys(databases, dataDir),
    log: pino({ level: 'silent' }),
  };
}
