/**
 * Images that an input names instead of sending them: that of an earlier prediction, or an upload. They are read when the
 * request is checked, and recorded with the new prediction like images that were sent.
 */
import { readFile } from 'node:fs/promises';
import { allows } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { disconnected } from '../engine/entry.js';
import type { CallerConnection } from '../engine/queue.js';
import { InvalidInputError, OverloadedError } from '../errors.js';
import { fitsShare, Shares } from '../fair-share.js';
import { factsOfImage } from '../tasks/image-file.js';
import type { ModelInput } from '../tasks/tasks.js';
import type { PredictionLoaders } from './loaders.js';
import type { Pictures } from './pictures.js';
import { MAX_NAMED_IMAGE_BYTES } from './request-limits.js';

/** Of all requests in flight, until they are answered. */
const MAX_BYTES = 128 * 1_048_576;
const RETRY_AFTER_MS = 1_000;

/** Who names an image. */
export interface NamingCaller {
  readonly principal: Principal;
  readonly connection: CallerConnection;
  readonly predictionLoaders: PredictionLoaders;
}

interface Parts {
  readonly pictures: Pick<Pictures, 'ofPrediction'>;
  readonly uploads: {
    /** A complete upload of the account; null if there is none. */
    findComplete(
      id: string,
      principal: Principal,
    ): Promise<{ readonly path: string; readonly sizeBytes: number } | null>;
  };
}

/** An image that is not read yet. */
interface Found {
  readonly sizeBytes: number;
  readonly read: () => Promise<Buffer>;
}

const EXPECTED = {
  prediction: 'the id of one of your recorded predictions that has an image',
  upload: 'the id of a complete upload of your account',
} as const;

export function namesImage({ image }: ModelInput): boolean {
  return image != null && image.base64 == null;
}

export class NamedImages {
  readonly #parts: Parts;
  readonly #shares = new Shares();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * The input with the bytes of the image that it names. `path`: of the input.
   *
   * @throws InvalidInputError if there is none that the caller may read, the same for all reasons; OverloadedError;
   *   InferenceFailedError if the caller has disconnected
   */
  async resolve({ image }: ModelInput, path: readonly string[], caller: NamingCaller): Promise<ModelInput> {
    const key = image?.prediction == null ? 'upload' : 'prediction';
    const id = image?.[key] ?? '';
    const found = key === 'prediction' ? await this.#ofPrediction(id, caller) : await this.#ofUpload(id, caller);
    const problem = { path: [...path, 'image', key], received: id.slice(0, 60) };
    const message = 'there is no such image, or you may not read it';
    const unknown = new InvalidInputError([{ ...problem, code: 'UNKNOWN_NAME', message, expected: EXPECTED[key] }]);
    if (!found) throw unknown;
    if (found.sizeBytes > MAX_NAMED_IMAGE_BYTES) {
      const expected = `at most ${MAX_NAMED_IMAGE_BYTES} bytes`;
      const received = `${found.sizeBytes} bytes`;
      throw new InvalidInputError([
        { ...problem, code: 'TOO_LARGE', message: 'the file is too large', expected, received },
      ]);
    }
    this.#take(found.sizeBytes, caller.connection);
    const bytes = await found.read().catch(() => null);
    // It was deleted meanwhile, or its file is missing or damaged.
    if (!bytes) throw unknown;
    // An image whose size cannot be read is recorded as it would be sent.
    return { image: factsOfImage(bytes) ? { bytes, namedBy: key } : { base64: bytes.toString('base64') } };
  }

  /** Until the request is answered. */
  #take(bytes: number, connection: CallerConnection): void {
    const { caller } = connection;
    // A closed connection does not call `onClose` any more: the bytes would never be given back.
    if (connection.isClosed) throw disconnected();
    if (!fitsShare(bytes, this.#shares.total, this.#shares.of(caller), MAX_BYTES))
      throw new OverloadedError(
        'The server',
        0,
        RETRY_AFTER_MS,
        'other inputs that name images hold the memory for them',
      );
    this.#shares.add(caller, bytes);
    connection.onClose?.(() => this.#shares.giveBack(caller, bytes));
  }

  async #ofPrediction(id: string, { principal, predictionLoaders }: NamingCaller): Promise<Found | null> {
    if (!mayUse(principal, 'prediction')) return null;
    const prediction = await predictionLoaders.prediction.load(id);
    const picture = prediction && (await this.#parts.pictures.ofPrediction(id));
    return picture && { sizeBytes: picture.sizeBytes, read: picture.readAll };
  }

  async #ofUpload(id: string, { principal }: NamingCaller): Promise<Found | null> {
    if (!allows('publish', principal) || !mayUse(principal, 'createUpload')) return null;
    const upload = await this.#parts.uploads.findComplete(id, principal);
    return upload && { sizeBytes: upload.sizeBytes, read: () => readFile(upload.path) };
  }
}

/** Whether the key is not bound to other root fields: what it cannot read by them, it does not read this way either. */
function mayUse({ key }: Principal, field: string): boolean {
  return key?.operations?.includes(field) ?? true;
}
