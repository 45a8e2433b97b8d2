/** Checks a data folder, whether its server runs or not, and repairs one that no server uses. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { appendAudit } from '../access/audit.queries.js';
import { COMMAND_LINE } from '../access/principal.js';
import { BlobFolder } from '../storage/blobs.js';
import { DATABASE_FILES, KEYS_FILE, type KeyTables, openDatabases } from '../storage/database.js';
import { openSnapshot, openSnapshots, type Snapshots } from '../storage/snapshot.js';
import type { MasterKeySettings } from '../vault/master-keys.js';
import { blobProblems } from './blob-checks.js';
import { auditProblems, invalidRows, wrongDefaults, wrongKeptTables } from './catalog-checks.queries.js';
import { erasedPredictions } from './erased-checks.queries.js';
import { unreadableKeys } from './key-checks.queries.js';
import {
  brokenIdempotencyKeys,
  brokenLabels,
  brokenOutcomes,
  brokenPictures,
  invalidOutcomes,
  invalidPredictions,
  predictionsOfNoVersion,
} from './prediction-checks.queries.js';
import type { Problem, Progress, RepairParts } from './problem.js';
import { wrongSearchIndex } from './search-checks.queries.js';
import { brokenReferences, damages, schemaDifferences, wrongTypes } from './tables.queries.js';

/** A run stops after as many problems. */
export const MAX_PROBLEMS = 10_000;
/** What nothing refers to may still be in use by a server that writes: a row may follow the blob much later. */
const GRACE_MS = 24 * 3_600_000;

/** Where the master key is, for what it must decrypt. */
export interface CheckOptions extends MasterKeySettings {
  readonly progress: Progress;
  /** Whether no server can use the folder. */
  readonly isAlone: boolean;
}

/** @throws StartupError if the folder cannot be checked */
export async function* checkFolder(dataDir: string, options: CheckOptions): AsyncGenerator<Problem> {
  const snapshots = openSnapshots(dataDir);
  try {
    let count = 0;
    for await (const problem of problemsOf(snapshots, dataDir, options)) {
      yield problem;
      if (++count >= MAX_PROBLEMS) return;
    }
  } finally {
    snapshots.close();
  }
}

/** In the order in which they must be repaired: for example, an alias without a version before the default version. */
async function* problemsOf(
  snapshots: Snapshots,
  dataDir: string,
  { progress, isAlone, ...settings }: CheckOptions,
): AsyncGenerator<Problem> {
  const { catalog, predictions } = snapshots;
  const checks: (() => Iterable<Problem> | AsyncIterable<Problem>)[] = [
    () => damages(catalog, 'catalog'),
    () => damages(predictions, 'predictions'),
    () => schemaDifferences(catalog, 'catalog', DATABASE_FILES.catalog.migrations),
    () => schemaDifferences(predictions, 'predictions', DATABASE_FILES.predictions.migrations),
    () => wrongTypes(catalog),
    () => wrongTypes(predictions),
    () => keyProblems(dataDir, settings),
    () => brokenReferences(catalog),
    () => invalidRows(catalog),
    () => wrongDefaults(catalog),
    () => wrongKeptTables(catalog),
    () => wrongSearchIndex(catalog, progress),
    () => auditProblems(catalog),
    () => invalidPredictions(predictions),
    () => predictionsOfNoVersion(predictions, catalog),
    () => brokenIdempotencyKeys(predictions),
    () => brokenPictures(predictions),
    () => brokenLabels(predictions),
    () => invalidOutcomes(predictions),
    () => brokenOutcomes(predictions),
    () =>
      blobProblems({
        snapshots,
        blobs: new BlobFolder(path.join(dataDir, 'blobs')),
        progress,
        before: isAlone ? Number.POSITIVE_INFINITY : Date.now() - GRACE_MS,
        max: MAX_PROBLEMS,
      }),
  ];
  for (const [i, check] of checks.entries()) {
    progress(`of ${checks.length} checks done`, i);
    yield* check();
  }
}

/** A folder that was just restored has no keys. */
async function* keyProblems(dataDir: string, settings: MasterKeySettings): AsyncGenerator<Problem> {
  if (!existsSync(path.join(dataDir, KEYS_FILE.name))) return;
  const problems: Problem[] = [];
  const keys = openSnapshot<KeyTables>(dataDir, KEYS_FILE);
  try {
    problems.push(...damages(keys, 'keys'));
    for await (const problem of schemaDifferences(keys, 'keys', KEYS_FILE.migrations)) problems.push(problem);
    problems.push(...wrongTypes(keys));
  } finally {
    keys.close();
  }
  yield* problems;
  if (problems.length > 0) return;
  yield* unreadableKeys(dataDir, settings);
  yield* erasedPredictions(dataDir);
}

export interface Repaired {
  readonly problem: Problem;
  /** Null if it was repaired. */
  readonly failure: string | null;
}

/**
 * Repairs what can be repaired. No server can use the folder meanwhile; one of an older release is migrated.
 *
 * @throws StartupError if a server uses the folder, or it cannot be opened
 */
export async function* repairFolder(
  dataDir: string,
  { store, reason, ...options }: Omit<CheckOptions, 'isAlone'> & { store: string; reason: string | null },
): AsyncGenerator<Repaired> {
  const databases = await openDatabases(dataDir);
  try {
    const blobs = new BlobFolder(path.join(dataDir, 'blobs'));
    const problems: Problem[] = [];
    for await (const problem of checkFolder(dataDir, { ...options, isAlone: true })) problems.push(problem);
    await blobs.open();
    for (const problem of problems) {
      const failure = problem.repair
        ? await repair({ databases, blobs, store }, problem, reason).then(
            () => null,
            (error: Error) => error.message,
          )
        : 'there is nothing to repair it from';
      yield { problem, failure };
    }
  } finally {
    await databases.close();
  }
}

async function repair(
  parts: RepairParts,
  { code, where, message, repair }: Problem,
  reason: string | null,
): Promise<void> {
  if (!repair) return;
  if ('beside' in repair) {
    await repair.beside(parts);
    return;
  }
  await parts.databases.catalogByKey.transaction().execute(async (trx) => {
    await repair.inCatalog(trx);
    await appendAudit(trx, COMMAND_LINE, {
      action: 'repair',
      target: where,
      reason,
      before: { code, message },
      after: { repair: repair.does },
    });
  });
}
