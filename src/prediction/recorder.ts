/**
 * Makes predictions durable before they are returned.
 *
 * Inputs of up to 16 KiB are stored in the row. Larger ones are stored as a blob, which is on disk before the row: see
 * `recorded-input.ts`. Both are sealed, with the key of the caller and the subject.
 */
import type { Principal } from '../access/principal.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { GroupCommit, Insert } from '../storage/group-commit.js';
import type { DataKey } from '../vault/data-key.js';
import type { DataKeys, Owner, Sealing } from '../vault/data-keys.js';
import { type IdempotencyClaim, type KeptInput, predictionInserts } from './prediction.queries.js';
import type { NewPrediction } from './prediction.type.js';
import { jsonBytesOfImage, jsonOfImage, jsonOfSummary, MAX_INLINE_BYTES, summaryOf } from './recorded-input.js';
import { addressOfFile, sealedBlob } from './sealed-contents.js';

/** Whose predictions are recorded. */
export interface Recorded {
  readonly principal: Principal;
  /** Whom the inputs are about; null if the caller named nobody. */
  readonly subject: string | null;
}

export class Recorder {
  readonly #commits: GroupCommit;
  readonly #blobs: BlobFolder;
  readonly #keys: DataKeys;
  readonly #insertsOf: ReturnType<typeof predictionInserts>;

  constructor(parts: { db: PredictionDatabase; commits: GroupCommit; blobs: BlobFolder; dataKeys: DataKeys }) {
    this.#commits = parts.commits;
    this.#blobs = parts.blobs;
    this.#keys = parts.dataKeys;
    this.#insertsOf = predictionInserts(parts.db);
  }

  /**
   * Resolves once the prediction is on disk.
   *
   * @throws StorageFullError if it cannot be written. Then nothing is stored, unless the writer thread ended after the
   *   commit; a retry with the same idempotency key returns what was stored.
   */
  record(of: Recorded, prediction: NewPrediction, claim: IdempotencyClaim | null): Promise<void> {
    const sealing = this.#keys.sealing(ownerOf(of), prediction.createdAt.getTime());
    const json = smallInputOf(prediction);
    if (sealing instanceof Promise || json === undefined) return this.#recordLater(of, [prediction], claim, sealing);
    return this.#append(this.#insertsOf(of.principal, prediction, { json, sha256: null }, sealing, claim));
  }

  /** Resolves once all are on disk. @throws as `record`, and then none is stored */
  recordAll(of: Recorded, predictions: readonly NewPrediction[]): Promise<void> {
    return this.#recordLater(of, predictions, null);
  }

  async #recordLater(
    of: Recorded,
    predictions: readonly NewPrediction[],
    claim: IdempotencyClaim | null,
    first: Sealing | Promise<Sealing> | null = null,
  ): Promise<void> {
    const sealings = await this.#sealingsOf(of, predictions, first);
    const sealed = predictions.map((one, i) => ({ one, sealing: sealings[i] as Sealing }));
    const inputs = await Promise.all(sealed.map(({ one, sealing }) => this.#keepInput(sealing.key, of, one)));
    // A key was destroyed while blobs were written: they are sealed again, with another one.
    if (sealings.some(({ key }) => key.isErased)) return this.#recordLater(of, predictions, claim);
    await this.#append(
      sealed.flatMap(({ one, sealing }, i) =>
        this.#insertsOf(of.principal, one, inputs[i] as KeptInput, sealing, claim),
      ),
    );
  }

  /** Nearly always the same for all: predictions that are recorded together were made on the same day. */
  async #sealingsOf(
    of: Recorded,
    predictions: readonly NewPrediction[],
    first: Sealing | Promise<Sealing> | null,
  ): Promise<Sealing[]> {
    const owner = ownerOf(of);
    const sealings: Sealing[] = [];
    let last = await first;
    for (const { createdAt } of predictions) {
      const at = createdAt.getTime();
      if (!last?.key.maySeal(at, 0)) last = await this.#keys.sealing(owner, at);
      sealings.push(last);
    }
    return sealings;
  }

  async #keepInput(key: DataKey, { principal }: Recorded, prediction: NewPrediction): Promise<KeptInput> {
    const json = smallInputOf(prediction);
    if (json !== undefined) return { json, sha256: null };
    const identity = { id: prediction.id, principal_id: principal.id };
    const { image, input, inputJson } = prediction.contents;
    if (image) {
      const { bytes, sha256 } = await key.ofFile(addressOfFile(identity, 'input', 0)).seal(image.bytes);
      const file = { prefix: image.prefix, sizeBytes: image.bytes.length };
      return {
        json: jsonOfSummary({ kind: 'IMAGE', preview: null, file }),
        sha256: await this.#blobs.put(bytes, sha256),
      };
    }
    const sha256 = await this.#blobs.put(sealedBlob(key, identity, inputJson ?? ''));
    return { json: input && jsonOfSummary(summaryOf(input, inputJson ?? '')), sha256 };
  }

  #append(inserts: readonly Insert[]): Promise<void> {
    faultPoint('predict.inputKept'); // @fault
    let written = this.#commits.append(inserts);
    written = written.then(() => faultPoint('predict.recorded')); // @fault
    return written;
  }
}

function ownerOf({ principal: { id, key }, subject }: Recorded): Owner {
  return { account: id, keyId: key?.id ?? null, subject };
}

/** The input as JSON; undefined if it is too large for a row. */
function smallInputOf({ contents: { inputJson: json, image } }: NewPrediction): string | null | undefined {
  if (image) {
    const isSmall = jsonBytesOfImage(image.prefix, image.bytes.length) <= MAX_INLINE_BYTES;
    return isSmall ? jsonOfImage(image.prefix, image.bytes) : undefined;
  }
  return json === null || Buffer.byteLength(json) <= MAX_INLINE_BYTES ? json : undefined;
}
