/** What a prediction says of itself, whether it was just made or is stored: for running its input again. */
import type { BlobFolder } from '../storage/blobs.js';
import type { Answer } from '../tasks/answer.js';
import type { ModelInput } from '../tasks/tasks.js';
import { decodeAnswer } from './answer-json.js';
import type { PredictionContext } from './loaders.js';
import type { NamedImages } from './named-images.js';
import type { Prediction, Runtime } from './prediction.type.js';

export class RecordedPredictions {
  readonly #images: NamedImages;
  readonly #blobs: BlobFolder;

  constructor(parts: { images: NamedImages; blobs: BlobFolder }) {
    this.#images = parts.images;
    this.#blobs = parts.blobs;
  }

  /**
   * Null if the prediction was not recorded, or its input is not stored anymore. `path`: of problems with it.
   *
   * @throws as `NamedImages.resolve`
   */
  async input(
    { id, contents }: Prediction,
    path: readonly string[],
    context: PredictionContext,
  ): Promise<ModelInput | null> {
    if (!contents.isStored) return contents.input;
    const { inputSha256 } = contents;
    const isFile = inputSha256 !== null && (await context.predictionLoaders.picture.load(id)) !== null;
    if (isFile) return this.#images.resolve({ image: { prediction: id } }, path, context);
    const row = await context.predictionLoaders.input.load(id);
    const blob = inputSha256 === null ? null : await this.#blobs.get(inputSha256);
    return row && (inputSha256 === null || blob) ? JSON.parse(row.input(blob)) : null;
  }

  async answer({ id, contents }: Prediction, { predictionLoaders }: PredictionContext): Promise<Answer | null> {
    if (!contents.isStored) return contents.answer;
    const row = await predictionLoaders.answer.load(id);
    return row && decodeAnswer(row.answer());
  }

  async runtime({ id, contents }: Prediction, { predictionLoaders }: PredictionContext): Promise<Runtime | null> {
    if (!contents.isStored) return contents.runtime;
    return (await predictionLoaders.details.load(id))?.runtime ?? null;
  }
}
