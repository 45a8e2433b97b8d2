/** A prediction in the making: the request, the job that its check makes of it, and the prediction of a job's outcome. */
import type { Principal } from '../access/principal.js';
import type { CallerConnection, Outcome, PriorityName } from '../engine/queue.js';
import { type AppError, InferenceFailedError, InvalidInputError } from '../errors.js';
import { create } from '../graphql/create.js';
import type { Resolved } from '../serving/serving.js';
import { newId } from '../storage/ids.js';
import type { Answer } from '../tasks/answer.js';
import type { ItemFailure } from '../tasks/failures.js';
import { checkInput, type Item, type ModelInput } from '../tasks/tasks.js';
import { type NewPrediction, Prediction } from './prediction.type.js';
import { imageFileOf } from './recorded-input.js';

/** The principal of a request, and the connection that waits for the response. */
export interface Caller {
  readonly principal: Principal;
  readonly connection: CallerConnection;
}

/** What the inputs of a request have in common. */
export interface RequestOptions {
  readonly version: Resolved;
  readonly deadlineMs: number;
  readonly priority: PriorityName;
  readonly record: boolean;
  readonly subject: string | null;
}

export interface PredictionRequest extends RequestOptions {
  readonly input: ModelInput;
  readonly path: readonly string[];
}

/** A request whose input has been checked. */
export interface Job extends PredictionRequest {
  readonly item: Item;
  readonly startedAt: number;
}

/** Checked first: deeply nested JSON could overflow the stack when it is serialized, but never passes the check. */
export function checkedJob(request: PredictionRequest): Job {
  const startedAt = performance.now();
  const item = checkInput(request.version.engineVersion.spec, request.input, request.path);
  return { ...request, item, startedAt };
}

/** `input` is read only to be recorded. */
export function predictionOf(
  {
    version,
    input,
    record,
    startedAt,
    item,
  }: Pick<Job, 'version' | 'record' | 'startedAt'> & { readonly input: ModelInput | null; readonly item?: Item },
  answer: Answer,
  { timing, batchSize, executionProvider, device, dispatchedAt }: Outcome,
): NewPrediction {
  const { versionId, variant, engineVersion } = version;
  const image = record && input && item?.kind === 'image' ? imageFileOf(item.bytes, input) : null;
  return create(Prediction, {
    id: newId('Prediction'),
    createdAt: new Date(),
    recorded: record,
    versionId,
    contents: {
      isStored: false,
      timing: {
        queueMs: dispatchedAt - startedAt,
        prepareMs: timing.preprocessMs,
        inferMs: timing.inferMs,
        finishMs: timing.postprocessMs,
        totalMs: performance.now() - startedAt,
        batchSize,
      },
      runtime: {
        executionProvider,
        device: device ?? executionProvider,
        artifactSha256: engineVersion.artifactSha256,
        variant,
      },
      answer,
      labels: engineVersion.spec.labels,
      input: record ? input : null,
      image,
      inputJson: record && !image ? JSON.stringify(input) : null,
    },
  }) as NewPrediction;
}

/** The error for a failure in the worker: an unreadable input, or a failure of the model. */
export function errorOf(failure: ItemFailure, path: readonly string[]): AppError {
  if (failure.kind !== 'input') return new InferenceFailedError(failure.message);
  const { code, message, expected } = failure;
  return new InvalidInputError([{ path: [...path, ...failure.path], code, message, expected, received: null }]);
}
