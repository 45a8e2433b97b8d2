/**
 * Seals the predictions of earlier releases, which stored them as they were: in small steps, so that other writes do not
 * wait long. Each step is a commit, so an interrupted server goes on where it ended.
 */
import type { Logger } from 'pino';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { GroupCommit, Insert } from '../storage/group-commit.js';
import type { PredictionTable } from '../storage/migrations/prediction.table.js';
import type { SqliteFile } from '../storage/sqlite.js';
import type { DataKeys, Sealing } from '../vault/data-keys.js';
import { periodOf } from '../vault/periods.js';
import { deleteBlobsWithoutPrediction } from './orphaned-blobs.js';
import { storedLabel } from './prediction.queries.js';
import { sealedBlob, sealedColumns } from './sealed-contents.js';
import { claimUpdate, findPlainClaims, findUnsealed, findUnsealedSizes, sealingUpdate } from './sealing.queries.js';

const ROWS_A_STEP = 100;
/** Unless a single row has more. */
const BYTES_A_STEP = 8 * 1024 * 1024;

export interface SealingParts {
  readonly predictionDb: PredictionDatabase;
  readonly predictionsFile: SqliteFile;
  readonly blobs: BlobFolder;
  readonly commits: GroupCommit;
  readonly dataKeys: DataKeys;
  readonly log: Logger;
}

/** Returns the number of predictions that were sealed. */
export async function sealEarlier(parts: SealingParts, isStopping: () => boolean): Promise<number> {
  let count = 0;
  while (!isStopping()) {
    const ids = await nextIds(parts.predictionDb);
    if (ids.length === 0) break;
    if (count === 0) parts.log.info('predictions of an earlier release are being encrypted');
    await sealStep(parts, ids);
    count += ids.length;
  }
  if (count === 0 || isStopping()) return count;
  // What was overwritten is still in the write-ahead log.
  await parts.predictionsFile.truncateLog();
  parts.log.info({ count }, 'predictions of an earlier release were encrypted');
  return count;
}

async function nextIds(db: PredictionDatabase): Promise<string[]> {
  let bytes = 0;
  const rows = await findUnsealedSizes(db, ROWS_A_STEP);
  return rows
    .filter((row, i) => {
      bytes += row.bytes;
      return i === 0 || bytes <= BYTES_A_STEP;
    })
    .map(({ id }) => id);
}

async function sealStep(parts: SealingParts, ids: readonly string[]): Promise<void> {
  const sealings = new Map<string, Promise<Sealing>>();
  const sealingOf = ({ principal_id: account, created_at }: PredictionTable) => {
    const name = `${periodOf(created_at)}${account}`;
    const sealing = sealings.get(name) ?? parts.dataKeys.sealingAt({ account, keyId: null, subject: null }, created_at);
    sealings.set(name, sealing);
    return sealing;
  };
  const rows = await findUnsealed(parts.predictionDb, ids);
  const claims = Map.groupBy(await findPlainClaims(parts.predictionDb, ids), ({ prediction_id }) => prediction_id);
  const updates: Insert[] = [];
  // One after the other: each may have a large blob.
  for (const row of rows) {
    const sealing = await sealingOf(row);
    updates.push(await sealedRow(parts, row, sealing));
    for (const claim of claims.get(row.id) ?? []) updates.push(claimUpdate(parts.predictionDb, claim, sealing));
  }
  await parts.commits.append(updates);
  faultPoint('seal.committed'); // @fault
  const digests = new Set(rows.flatMap(({ input_sha256 }) => input_sha256 ?? []));
  await deleteBlobsWithoutPrediction(parts, [...digests], Date.now());
}

async function sealedRow(
  { predictionDb, blobs, log }: SealingParts,
  row: PredictionTable,
  { key, index }: Sealing,
): Promise<Insert> {
  const { id, input_sha256: digest } = row;
  const input = digest === null ? null : await blobs.get(digest).catch(() => null);
  if (digest !== null && input === null) log.warn({ id }, 'the input of a prediction is missing, and stays missing');
  const input_sha256 = input && (await blobs.put(sealedBlob(key, row, input)));
  const label = row.label === null ? null : storedLabel(row.label, index);
  return sealingUpdate(predictionDb, id, { ...sealedColumns(key, row, row), input_sha256, label });
}
