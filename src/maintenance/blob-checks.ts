/**
 * Compares the blobs with what the databases refer to. A server may write meanwhile: what looks wrong is looked at again at the
 * end, in a newer state of the databases.
 */
import { lstat, rm } from 'node:fs/promises';
import { pino } from 'pino';
import { restoreBlobs } from '../importing/published.js';
import type { BlobFolder, StoredFile } from '../storage/blobs.js';
import type { Snapshots } from '../storage/snapshot.js';
import { type BlobReference, BlobReferences } from './blob-references.queries.js';
import { digestOfFile } from './copy-file.js';
import type { Problem, Progress, Repair } from './problem.js';

interface BlobCheck {
  readonly snapshots: Snapshots;
  readonly blobs: BlobFolder;
  readonly progress: Progress;
  /** Files that were stored after this time may be part of what a server is writing. */
  readonly before: number;
  /** At most as many problems are found. */
  readonly max: number;
}

/** A problem, unless a newer state of the databases explains it. */
interface Suspicion {
  readonly problem: Problem;
  readonly isFounded: (now: BlobReferences) => Promise<boolean> | boolean;
}

export async function* blobProblems(check: BlobCheck): AsyncGenerator<Problem> {
  const references = new BlobReferences();
  const suspicions: Suspicion[] = [];
  try {
    yield* references.add(check.snapshots);
    // To read all blobs may take hours.
    check.snapshots.predictions.end();
    check.snapshots.catalog.end();
    for await (const one of suspicionsOf(check, references)) {
      suspicions.push(one);
      if (suspicions.length >= check.max) break;
    }
  } finally {
    references.close();
  }
  if (suspicions.length > 0) yield* founded(check, suspicions);
}

async function* founded({ snapshots }: BlobCheck, suspicions: readonly Suspicion[]): AsyncGenerator<Problem> {
  snapshots.predictions.renew();
  snapshots.catalog.renew();
  const now = new BlobReferences();
  try {
    for (const _ of now.add(snapshots));
    for (const { problem, isFounded } of suspicions) if (await isFounded(now)) yield problem;
  } finally {
    now.close();
  }
}

async function* suspicionsOf(check: BlobCheck, references: BlobReferences): AsyncGenerator<Suspicion> {
  for await (const file of check.blobs.files()) {
    const suspicion = suspicionOfFile(check, references, file);
    if (suspicion) yield suspicion;
  }
  const what = `of ${references.count} blobs read`;
  let count = 0;
  for (const reference of references.all()) {
    check.progress(what, count++);
    const problem = await problemOfBlob(check.blobs, reference);
    if (problem) yield { problem, isFounded: (now) => now.has(reference.digest) };
  }
}

function suspicionOfFile(
  { before }: BlobCheck,
  references: BlobReferences,
  { file, name, digest, sizeBytes, storedAt }: StoredFile,
): Suspicion | null {
  if (storedAt >= before || (digest !== null && references.has(digest))) return null;
  const repair: Repair = { does: 'deletes the file', beside: () => rm(file, { recursive: true, force: true }) };
  const message = `${digest === null ? 'is no blob' : 'nothing refers to it'}: ${sizeBytes} bytes`;
  const problem: Problem = { code: digest === null ? 'FILE_LEFT_OVER' : 'BLOB_UNUSED', where: name, message, repair };
  // A blob that is stored again gets a new age before it gets a row.
  const isStillOld = async () => ((await lstat(file).catch(() => null))?.mtimeMs ?? before) < before;
  return { problem, isFounded: async (now) => (digest === null || !now.has(digest)) && (await isStillOld()) };
}

async function problemOfBlob(blobs: BlobFolder, reference: BlobReference): Promise<Problem | null> {
  const { digest, place } = reference;
  const found = await digestOfFile(blobs.pathOf(digest)).catch(({ code }: NodeJS.ErrnoException) => ({ error: code }));
  if ('sha256' in found && found.sha256 === digest) return null;
  const isMissing = 'error' in found && found.error === 'ENOENT';
  const state =
    'error' in found ? `cannot be read: ${found.error}` : `has ${found.bytes} bytes with the digest ${found.sha256}`;
  return {
    code: isMissing ? 'BLOB_MISSING' : 'BLOB_DAMAGED',
    where: place,
    message: `the blob ${digest} ${isMissing ? 'does not exist' : state}`,
    repair: repairOf(reference),
  };
}

function repairOf({ digest, version_id }: BlobReference): Repair | null {
  if (version_id === null) return null;
  return {
    does: 'restores the blob from the model store',
    beside: async ({ databases, blobs, store }) => {
      await restoreBlobs({ db: databases.catalogByKey, blobs, log: SILENT }, store, version_id, [digest]);
      if (!(await blobs.isIntact(digest))) throw new Error('the model store does not have it anymore');
    },
  };
}

const SILENT = pino({ level: 'silent' });
