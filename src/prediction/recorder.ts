/**
 * Makes predictions durable before they are returned.
 *
 * Inputs of up to 16 KiB are stored in the row. Larger ones are stored as a blob, which is on disk before the row.
 */
import type { Principal } from '../access/principal.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { GroupCommit } from '../storage/group-commit.js';
import { type IdempotencyClaim, type KeptInput, predictionInserts } from './prediction.queries.js';
import type { NewPrediction } from './prediction.type.js';

const MAX_INLINE_BYTES = 16 * 1024;

export class Recorder {
  readonly #commits: GroupCommit;
  readonly #blobs: BlobFolder;
  readonly #insertsOf: ReturnType<typeof predictionInserts>;

  constructor(parts: { db: PredictionDatabase; commits: GroupCommit; blobs: BlobFolder }) {
    this.#commits = parts.commits;
    this.#blobs = parts.blobs;
    this.#insertsOf = predictionInserts(parts.db);
  }

  /**
   * Resolves once the prediction is on disk.
   *
   * @throws StorageFullError if it cannot be written. Then nothing is stored, unless the writer thread ended after the
   *   commit; a retry with the same idempotency key returns what was stored.
   */
  async record(principal: Principal, prediction: NewPrediction, claim: IdempotencyClaim | null): Promise<void> {
    const input = await this.#keepInput(prediction.contents.inputJson);
    faultPoint('predict.inputKept'); // @fault
    await this.#commits.append(this.#insertsOf(principal, prediction, input, claim));
  }

  async #keepInput(json: string | null): Promise<KeptInput> {
    if (json === null || Buffer.byteLength(json) <= MAX_INLINE_BYTES) return { json, sha256: null };
    return { json: null, sha256: await this.#blobs.put(json) };
  }
}
