/**
 * Deletes orphans: blobs that no row refers to, because the server ended, or a write failed, between blob and row.
 *
 * Each sweep looks at a part of the folders, so that all have been looked at after about a day.
 */
import { SYSTEM } from '../access/principal.js';
import { findBlobsOfEvaluations } from '../catalog/answer-blobs.queries.js';
import { findBlobsOfVersions } from '../catalog/version.queries.js';
import { findBlobsOfDatasets } from '../datasets/dataset-rows.queries.js';
import { BLOB_FOLDERS, type BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import { MAX_DEADLINE_MS } from './request-limits.js';
import { findBlobsInUse } from './retention.queries.js';

const HOUR_MS = 3_600_000;
/**
 * How long a blob stays although no row refers to it, because the row may not have been written yet. A prediction is written
 * within its deadline, after its blobs; an import may take long.
 */
export const GRACE_MS = { prediction: MAX_DEADLINE_MS, orphan: 24 * HOUR_MS } as const;
/** Not 24: a server that runs only at some hours of the day also looks at all folders in time. */
const PARTS = 23;
const BLOBS_A_STEP = 500;
const VERSIONS_A_STEP = 100;
/** The rest waits for a later sweep. */
const MAX_CANDIDATES = 10_000;

interface Parts {
  readonly catalogDb: CatalogDatabase;
  readonly predictionDb: PredictionDatabase;
  readonly blobs: BlobFolder;
}

/** Of these blobs, deletes those that no prediction refers to and that were stored before this time. */
export async function deleteBlobsWithoutPrediction(
  { predictionDb, blobs }: Pick<Parts, 'predictionDb' | 'blobs'>,
  digests: readonly string[],
  before: number,
): Promise<void> {
  const inUse = await findBlobsInUse(predictionDb, digests);
  for (const digest of digests) if (!inUse.has(digest)) await blobs.deleteUnused(digest, before);
}

/** Returns the number of blobs that were deleted. */
export async function deleteOrphans(parts: Parts, now: number, isStopping: () => boolean): Promise<number> {
  const { blobs } = parts;
  const candidates = await findCandidates(parts, now - GRACE_MS.orphan, partAt(now), isStopping);
  await removeThoseOfVersions(parts, candidates, isStopping);
  await removeThose(findBlobsOfDatasets, parts, candidates, isStopping);
  await removeThose(findBlobsOfEvaluations, parts, candidates, isStopping);
  let count = 0;
  for (const digest of candidates) {
    if (isStopping()) break;
    // A blob that was stored again meanwhile is young, and stays.
    if (await blobs.deleteUnused(digest, now - GRACE_MS.orphan)) count++;
  }
  return count;
}

/** The folders that the sweep at this time looks at. */
function partAt(now: number): string[] {
  const part = Math.floor(now / HOUR_MS) % PARTS;
  return BLOB_FOLDERS.filter((_, i) => i % PARTS === part);
}

/** Old blobs that no prediction refers to. */
async function findCandidates(
  { predictionDb, blobs }: Parts,
  before: number,
  folders: readonly string[],
  isStopping: () => boolean,
): Promise<Set<string>> {
  const candidates = new Set<string>();
  let step: string[] = [];
  const endStep = async () => {
    const inUse = await findBlobsInUse(predictionDb, step);
    for (const digest of step) if (!inUse.has(digest)) candidates.add(digest);
    step = [];
  };
  for (const folder of folders)
    for await (const digest of blobs.storedBefore(before, folder)) {
      if (isStopping() || candidates.size >= MAX_CANDIDATES) return candidates;
      step.push(digest);
      if (step.length === BLOBS_A_STEP) await endStep();
    }
  await endStep();
  return candidates;
}

/** Removes the blobs that `find` finds from the candidates; all of them if the server stops meanwhile. */
async function removeThose(
  find: typeof findBlobsOfDatasets,
  { catalogDb }: Parts,
  candidates: Set<string>,
  isStopping: () => boolean,
): Promise<void> {
  const digests = [...candidates];
  for (let at = 0; at < digests.length; at += BLOBS_A_STEP) {
    if (isStopping()) return candidates.clear();
    const used = await find(catalogDb, SYSTEM, digests.slice(at, at + BLOBS_A_STEP));
    for (const digest of used) candidates.delete(digest);
  }
}

/** Removes the blobs of versions from the candidates; all of them if not every version could be read. */
async function removeThoseOfVersions(
  { catalogDb }: Parts,
  candidates: Set<string>,
  isStopping: () => boolean,
): Promise<void> {
  let after = '';
  while (candidates.size > 0) {
    if (isStopping()) return candidates.clear();
    const { digests, lastId } = await findBlobsOfVersions(catalogDb, SYSTEM, after, VERSIONS_A_STEP);
    for (const digest of digests) candidates.delete(digest);
    if (lastId === null) return;
    after = lastId;
  }
}
