/**
 * Makes predictions durable before they are returned.
 *
 * Inputs of up to 16 KiB are stored in the row. Larger ones are stored as a blob, which is on disk before the row.
 */
import type { Principal } from '../access/principal.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { GroupCommit, Insert } from '../storage/group-commit.js';
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
  record(principal: Principal, prediction: NewPrediction, claim: IdempotencyClaim | null): Promise<void> {
    const kept = this.#keepInput(prediction);
    if (!(kept instanceof Promise)) return this.#append(this.#insertsOf(principal, prediction, kept, claim));
    return kept.then((input) => this.#append(this.#insertsOf(principal, prediction, input, claim)));
  }

  /** Resolves once all are on disk. @throws as `record`, and then none is stored */
  async recordAll(principal: Principal, predictions: readonly NewPrediction[]): Promise<void> {
    const inputs = await Promise.all(predictions.map((prediction) => this.#keepInput(prediction)));
    await this.#append(predictions.flatMap((one, i) => this.#insertsOf(principal, one, inputs[i] as KeptInput, null)));
  }

  /** Not a promise if nothing has to be written first: most inputs are small, and each promise takes time. */
  #keepInput({ contents: { inputJson: json } }: NewPrediction): KeptInput | Promise<KeptInput> {
    if (json === null || Buffer.byteLength(json) <= MAX_INLINE_BYTES) return { json, sha256: null };
    return this.#blobs.put(json).then((sha256) => ({ json: null, sha256 }));
  }

  #append(inserts: readonly Insert[]): Promise<void> {
    faultPoint('predict.inputKept'); // @fault
    let written = this.#commits.append(inserts);
    written = written.then(() => faultPoint('predict.recorded')); // @fault
    return written;
  }
}
