/**
 * Makes predictions durable before they are answered.
 *
 * Inputs up to 16 KiB stand in the row; larger ones are blobs under their digest, on the disk before the row is.
 */
import type { Principal } from '../access/principal.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { type BlobFolder, sha256 } from '../storage/blobs.js';
import type { GroupCommit } from '../storage/group-commit.js';
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
   * @throws StorageFullError when it cannot be written; then nothing of it is kept, unless the writer was lost after it
   *   had committed: the idempotency key finds out.
   */
  async record(principal: Principal, prediction: Prediction, idempotency: IdempotencyClaim | null): Promise<void> {
    const input = await this.#keepInput(prediction.inputJson);
    faultPoint('predict.inputKept'); // @fault
    await this.#commits.append(predictionInserts(principal, prediction, input, idempotency));
  }

  async #keepInput(json: string | null): Promise<KeptInput> {
    if (json === null || Buffer.byteLength(json) <= MAX_INLINE_BYTES) return { json, sha256: null };
    return { json: null, sha256: await this.#blobs.put(json) };
  }
}

/** Names a request: another version or input under the same key is a conflict. */
export function requestDigest(versionKey: string, inputJson: string): string {
  return sha256(`${versionKey}\n${inputJson}`);
}
