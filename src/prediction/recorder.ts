/**
 * Makes predictions durable before they are answered.
 *
 * Inputs up to 16 KiB stand in the row; larger ones are blobs under their digest, on the disk before the row is.
 */
import type { Principal } from '../access/principal.js';
import { StorageFullError } from '../errors.js';
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { GroupCommit } from '../storage/group-commit.js';
import { SqliteError } from '../storage/sqlite.js';
import { type KeptInput, predictionInserts } from './prediction.queries.js';
import type { Prediction } from './prediction.type.js';

const MAX_INLINE_BYTES = 16 * 1024;

export interface IdempotencyClaim {
  readonly key: string;
  readonly requestSha256: string;
}

export class Recorder {
  readonly #commits: GroupCommit;
  readonly #blobs: BlobFolder;

  constructor(commits: GroupCommit, blobs: BlobFolder) {
    this.#commits = commits;
    this.#blobs = blobs;
  }

  /**
   * Resolves when the prediction is on the disk.
   *
   * @throws StorageFullError when it cannot be written; then nothing of it is kept.
   */
  async record(principal: Principal, prediction: Prediction, idempotency: IdempotencyClaim | null): Promise<void> {
    try {
      const input = await this.#keepInput(prediction.inputJson);
      await this.#commits.append(predictionInserts(principal, prediction, input, idempotency));
    } catch (error) {
      throw isDiskFailure(error) ? new StorageFullError() : error;
    }
  }

  async #keepInput(json: string | null): Promise<KeptInput> {
    if (json === null || Buffer.byteLength(json) <= MAX_INLINE_BYTES) return { json, sha256: null };
    return { json: null, sha256: await this.#blobs.put(json) };
  }
}

/** SQLite's result codes for a disk that is busy, read-only, failing or full. */
const DISK_CODES = new Set([5, 8, 10, 13, 14]);
const FILE_CODES = new Set(['ENOSPC', 'EIO', 'EMFILE', 'EROFS', 'EDQUOT']);

function isDiskFailure(error: unknown): boolean {
  if (error instanceof SqliteError) return DISK_CODES.has(error.errcode & 0xff);
  return FILE_CODES.has((error as NodeJS.ErrnoException).code ?? '');
}

/** Names a request: another version or input under the same key is a conflict. */
export function requestDigest(versionKey: string, inputJson: string): string {
  return sha256(`${versionKey}\n${inputJson}`);
}
