/**
 * Life of a prediction: resolve the version, check the input, run it, record the answer.
 */
import type { Principal } from '../access/principal.js';
import type { Engine } from '../engine/engine.js';
import type { CallerConnection, Outcome, PriorityName } from '../engine/queue.js';
import {
  type AppError,
  DeadlineExceededError,
  IdempotencyConflictError,
  InferenceFailedError,
  InvalidInputError,
} from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { create } from '../graphql/create.js';
import { payloadOf } from '../graphql/problem.type.js';
import type { Resolved, Serving } from '../serving/serving.js';
import type { PredictionDatabase } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { ItemFailure } from '../tasks/failures.js';
import type { Item, ModelInput } from '../tasks/tasks.js';
import { checkInput } from '../tasks/tasks.js';
import { checkBatch, checkOptions, checkTexts } from './check-request.js';
import type { PredictInput, PredictManyInput } from './prediction.input.js';
import { findIdempotency, findPredictionsByIds, type IdempotencyClaim } from './prediction.queries.js';
import { Prediction, type PredictPayload } from './prediction.type.js';
import { type Recorder, requestDigest } from './recorder.js';
import { KEY_LIFE_MS } from './request-limits.js';

/** The principal of a request, and the connection that waits for the response. */
interface Caller {
  readonly principal: Principal;
  readonly connection: CallerConnection;
}

interface PredictionRequest {
  readonly version: Resolved;
  readonly input: ModelInput;
  readonly path: readonly string[];
  readonly deadlineMs: number;
  readonly priority: PriorityName;
  readonly record: boolean;
}

/** A request whose input has been checked. */
interface Job extends PredictionRequest {
  readonly item: Item;
  readonly startedAt: number;
}

interface Replayable {
  readonly requestSha256: string;
  readonly prediction: Promise<Prediction>;
}

export class Predictions {
  readonly #serving: Serving;
  readonly #engine: Engine;
  readonly #recorder: Recorder;
  readonly #db: PredictionDatabase;
  readonly #defaultDeadlineMs: number;
  /** Running requests that have an idempotency key. A duplicate waits for the first. */
  readonly #inFlight = new Map<string, Replayable>();

  constructor(
    parts: { serving: Serving; engine: Engine; recorder: Recorder; db: PredictionDatabase },
    options: { defaultDeadlineMs: number },
  ) {
    this.#serving = parts.serving;
    this.#engine = parts.engine;
    this.#recorder = parts.recorder;
    this.#db = parts.db;
    this.#defaultDeadlineMs = options.defaultDeadlineMs;
  }

  /** @throws AppError for every failure that the client can act on */
  async predict(input: PredictInput, caller: Caller): Promise<{ prediction: Prediction; replayed: boolean }> {
    checkOptions(input);
    const { priority, record } = input;
    const version = await this.#resolve(input, caller);
    const deadlineMs = input.deadlineMs ?? this.#defaultDeadlineMs;
    const job = checkedJob({ version, input: input.input, path: ['input', 'input'], deadlineMs, priority, record });
    if (input.idempotencyKey != null) return this.#predictOnce(job, caller, input.idempotencyKey);
    return { prediction: await this.#answer(job, caller, null), replayed: false };
  }

  /** One payload for each input, in order. @throws AppError if no input can be run */
  async predictMany(input: PredictManyInput, caller: Caller): Promise<PredictPayload[]> {
    checkOptions(input);
    checkBatch(input.inputs);
    const { priority, record } = input;
    const version = await this.#resolve(input, caller);
    checkTexts(version.engineVersion.spec, input.inputs);
    const deadlineMs = input.deadlineMs ?? this.#defaultDeadlineMs;
    return Promise.all(
      input.inputs.map((one, i) => {
        const path = ['input', 'inputs', String(i)];
        return this.#payload({ version, input: one, path, deadlineMs, priority, record }, caller);
      }),
    );
  }

  #resolve({ model, variant }: { model: string; variant?: string | null }, { principal }: Caller): Promise<Resolved> {
    return this.#serving.resolve(model, principal, { path: ['input'], variant });
  }

  async #payload(request: PredictionRequest, caller: Caller): Promise<PredictPayload> {
    const { result, problem } = await payloadOf(async () => this.#answer(checkedJob(request), caller, null));
    return { prediction: result, problem, replayed: false };
  }

  async #answer(job: Job, { principal, connection }: Caller, claim: IdempotencyClaim | null): Promise<Prediction> {
    const { version, item, deadlineMs, priority } = job;
    const outcome = await this.#engine.run(version.engineVersion, item, { deadlineMs, priority, connection });
    const prediction = predictionOf(job, outcome);
    faultPoint('predict.answered'); // @fault
    if (job.record) {
      const recorded = this.#recorder.record(principal, prediction, claim);
      await recordedInTime(recorded, job);
      faultPoint('predict.recorded'); // @fault
    }
    return prediction;
  }

  async #predictOnce(job: Job, caller: Caller, key: string): Promise<{ prediction: Prediction; replayed: boolean }> {
    const requestSha256 = requestDigest(job.version.engineVersion.key, JSON.stringify(job.input));
    const slot = `${caller.principal.id}\n${key}`;
    // Registered before the first await, so that a duplicate arriving in the meantime finds it.
    const earlier = this.#inFlight.get(slot);
    if (earlier) return this.#join(earlier, { job, caller, key, requestSha256 });
    let replayed = false;
    const prediction = this.#findReplay(caller.principal, key, requestSha256).then((found) => {
      replayed = found !== undefined;
      return found ?? this.#answer({ ...job, startedAt: performance.now() }, caller, { key, requestSha256 });
    });
    this.#inFlight.set(slot, { requestSha256, prediction });
    try {
      return { prediction: await prediction, replayed };
    } finally {
      this.#inFlight.delete(slot);
    }
  }

  async #join(
    earlier: Replayable,
    mine: { job: Job; caller: Caller; key: string; requestSha256: string },
  ): Promise<{ prediction: Prediction; replayed: boolean }> {
    const prediction = await earlier.prediction.catch(() => null);
    // The first request failed and left nothing to replay, so this one takes its place.
    if (!prediction) return this.#predictOnce(mine.job, mine.caller, mine.key);
    if (earlier.requestSha256 !== mine.requestSha256) throw new IdempotencyConflictError(mine.key, prediction.id);
    return { prediction, replayed: true };
  }

  async #findReplay(principal: Principal, key: string, requestSha256: string): Promise<Prediction | undefined> {
    const found = await findIdempotency(this.#db, principal, key, Date.now() - KEY_LIFE_MS);
    if (!found) return undefined;
    if (found.request_sha256 !== requestSha256) throw new IdempotencyConflictError(key, found.prediction_id);
    return (await findPredictionsByIds(this.#db, principal, [found.prediction_id]))[0];
  }
}

/** Checked first: deeply nested JSON could overflow the stack when it is serialized, but never passes the check. */
function checkedJob(request: PredictionRequest): Job {
  const startedAt = performance.now();
  const item = checkInput(request.version.engineVersion.spec, request.input, request.path);
  return { ...request, item, startedAt };
}

function predictionOf({ version, input, path, record, startedAt }: Job, outcome: Outcome): Prediction {
  const { result, timing, batchSize, executionProvider, dispatchedAt } = outcome;
  if ('failure' in result) throw errorOf(result.failure, path);
  const { versionId, variant, engineVersion } = version;
  return create(Prediction, {
    id: newId('Prediction'),
    createdAt: new Date(),
    recorded: record,
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
      device: executionProvider,
      artifactSha256: engineVersion.artifactSha256,
      variant,
    },
    versionId,
    answer: result.answer,
    labels: engineVersion.spec.labels,
    inputJson: record ? JSON.stringify(input) : null,
    inputSha256: null,
  });
}

/** The error for a failure in the worker: an unreadable input, or a failure of the model. */
function errorOf(failure: ItemFailure, path: readonly string[]): AppError {
  if (failure.kind !== 'input') return new InferenceFailedError(failure.message);
  const { code, message, expected } = failure;
  return new InvalidInputError([{ path: [...path, ...failure.path], code, message, expected, received: null }]);
}

/** @throws DeadlineExceededError if the prediction is not recorded within its deadline */
async function recordedInTime(recorded: Promise<void>, { deadlineMs, startedAt }: Job): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const remainingMs = Math.max(0, deadlineMs - (performance.now() - startedAt));
    timer = setTimeout(() => reject(new DeadlineExceededError(deadlineMs, 'record')), remainingMs);
  });
  await Promise.race([recorded, late]).finally(() => clearTimeout(timer));
}
