/**
 * Life of a prediction: resolve the version, check the input, run it, record the answer.
 */
import type { Principal } from '../access/principal.js';
import type { Engine } from '../engine/engine.js';
import type { Connection, Outcome, PriorityName } from '../engine/queue.js';
import {
  AppError,
  DeadlineExceededError,
  IdempotencyConflictError,
  InferenceFailedError,
  type InputProblem,
  InvalidInputError,
} from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { create } from '../graphql/create.js';
import { problemOf } from '../graphql/problem.type.js';
import type { Resolved, Serving } from '../serving/serving.js';
import type { PredictionDatabase } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { ItemFailure } from '../tasks/failures.js';
import type { ModelInput, VersionSpec } from '../tasks/tasks.js';
import { checkInput, taskNamed } from '../tasks/tasks.js';
import type { PredictInput, PredictManyInput } from './prediction.input.js';
import { findIdempotency, findPredictionsByIds, type IdempotencyClaim } from './prediction.queries.js';
import { Prediction, type PredictPayload } from './prediction.type.js';
import { type Recorder, requestDigest } from './recorder.js';

export const MAX_BATCH = 1_000;
const MAX_DEADLINE_MS = 3_600_000;
const MAX_KEY_CHARACTERS = 200;
const KEY_LIFE_MS = 24 * 3_600_000;

/** The principal of a request, and the connection that waits for the response. */
export interface Caller {
  readonly principal: Principal;
  readonly connection: Connection;
}

interface Job {
  readonly version: Resolved;
  readonly input: ModelInput;
  readonly path: readonly string[];
  readonly deadlineMs: number;
  readonly priority: PriorityName;
  readonly record: boolean;
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
    const { variant } = input;
    const version = await this.#serving.resolve(input.model, caller.principal, { path: ['input'], variant });
    const job = {
      ...input,
      version,
      path: ['input', 'input'],
      deadlineMs: input.deadlineMs ?? this.#defaultDeadlineMs,
    };
    if (input.idempotencyKey != null) return this.#predictOnce(job, caller, input.idempotencyKey);
    return { prediction: await this.#answer(job, caller, null), replayed: false };
  }

  /** One payload for each input, in order. @throws AppError if no input can be run */
  async predictMany(input: PredictManyInput, caller: Caller): Promise<PredictPayload[]> {
    checkOptions(input);
    checkBatch(input.inputs);
    const { variant } = input;
    const version = await this.#serving.resolve(input.model, caller.principal, { path: ['input'], variant });
    const { priority, record } = input;
    checkTexts(version.engineVersion.spec, input.inputs);
    const deadlineMs = input.deadlineMs ?? this.#defaultDeadlineMs;
    return Promise.all(
      input.inputs.map((one, i) => {
        const path = ['input', 'inputs', String(i)];
        return this.#payload({ version, input: one, path, deadlineMs, priority, record }, caller);
      }),
    );
  }

  async #payload(job: Job, caller: Caller): Promise<PredictPayload> {
    try {
      return { prediction: await this.#answer(job, caller, null), problem: null, replayed: false };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { prediction: null, problem: problemOf(error), replayed: false };
    }
  }

  async #answer(job: Job, { principal, connection }: Caller, claim: IdempotencyClaim | null): Promise<Prediction> {
    const begun = performance.now();
    const { version, deadlineMs, priority } = job;
    const { engineVersion } = version;
    const item = checkInput(engineVersion.spec, job.input, job.path);
    const outcome = await this.#engine.run(engineVersion, item, { deadlineMs, priority, connection });
    const prediction = predictionOf(job, outcome, begun);
    faultPoint('predict.answered'); // @fault
    if (job.record) {
      const recorded = this.#recorder.record(principal, prediction, claim);
      await within(deadlineMs - (performance.now() - begun), recorded, deadlineMs);
      faultPoint('predict.recorded'); // @fault
    }
    return prediction;
  }

  async #predictOnce(job: Job, caller: Caller, key: string): Promise<{ prediction: Prediction; replayed: boolean }> {
    // Checked before it is serialized: deeply nested JSON could overflow the stack, but never passes the check.
    const { key: versionKey, spec } = job.version.engineVersion;
    checkInput(spec, job.input, job.path);
    const requestSha256 = requestDigest(versionKey, JSON.stringify(job.input));
    const slot = `${caller.principal.id}\n${key}`;
    // Registered before the first await, so that a duplicate arriving in the meantime finds it.
    const earlier = this.#inFlight.get(slot);
    if (earlier) return this.#join(earlier, { job, caller, key, requestSha256 });
    let replayed = false;
    const prediction = this.#findReplay(caller.principal, key, requestSha256).then((found) => {
      replayed = found !== undefined;
      return found ?? this.#answer(job, caller, { key, requestSha256 });
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

function predictionOf({ version, input, path, record }: Job, outcome: Outcome, begun: number): Prediction {
  const { result, timing, batchSize, executionProvider, dispatchedAt } = outcome;
  if ('failure' in result) throw errorOf(result.failure, path);
  const { versionId, variant, engineVersion } = version;
  return create(Prediction, {
    id: newId('Prediction'),
    createdAt: new Date(),
    recorded: record,
    timing: {
      queueMs: dispatchedAt - begun,
      prepareMs: timing.preprocessMs,
      inferMs: timing.inferMs,
      finishMs: timing.postprocessMs,
      totalMs: performance.now() - begun,
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

async function within(ms: number, work: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceededError(deadlineMs, 'record')), Math.max(0, ms));
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function checkOptions(input: Partial<PredictInput>): void {
  const { deadlineMs, idempotencyKey, record } = input;
  const problems: InputProblem[] = [];
  if (deadlineMs != null && (deadlineMs < 1 || deadlineMs > MAX_DEADLINE_MS)) {
    const expected = `1 to ${MAX_DEADLINE_MS} ms`;
    problems.push(problem('deadlineMs', 'OUT_OF_RANGE', 'the deadline is out of range', expected, `${deadlineMs} ms`));
  }
  if (idempotencyKey != null) problems.push(...keyProblems(idempotencyKey, record));
  if (problems.length > 0) throw new InvalidInputError(problems);
}

function keyProblems(key: string, record: boolean | undefined): InputProblem[] {
  const lengths = `1 to ${MAX_KEY_CHARACTERS} characters`;
  const problems: InputProblem[] = [];
  const add = (code: InputProblem['code'], message: string, expected: string, received: string) =>
    problems.push(problem('idempotencyKey', code, message, expected, received));
  if (key === '') add('EMPTY', 'the key is empty', lengths, '""');
  if (key.length > MAX_KEY_CHARACTERS) add('TOO_LARGE', 'the key is too long', lengths, `${key.length} characters`);
  if (!key.isWellFormed()) add('UNREADABLE', 'the key is not valid Unicode', 'valid Unicode', JSON.stringify(key));
  if (record === false)
    add('WRONG_KIND', 'a key needs a recorded prediction', 'record: true, or no key', 'a key with record: false');
  return problems;
}

function checkBatch(inputs: readonly unknown[]): void {
  if (inputs.length >= 1 && inputs.length <= MAX_BATCH) return;
  const [code, message] =
    inputs.length === 0 ? (['EMPTY', 'the list is empty'] as const) : (['TOO_LARGE', 'the list is too long'] as const);
  throw new InvalidInputError([
    problem('inputs', code, message, `1 to ${MAX_BATCH} inputs`, `${inputs.length} inputs`),
  ]);
}

function checkTexts({ task }: VersionSpec, inputs: readonly ModelInput[]): void {
  const { maxCharactersTogether = Number.POSITIVE_INFINITY } = taskNamed(task);
  const characters = inputs.reduce((sum, { text }) => sum + (text?.length ?? 0), 0);
  if (characters <= maxCharactersTogether) return;
  const expected = `at most ${maxCharactersTogether} characters in total`;
  const received = `${characters} characters`;
  throw new InvalidInputError([problem('inputs', 'TOO_LARGE', 'the texts are too long in total', expected, received)]);
}

function problem(
  field: string,
  code: InputProblem['code'],
  message: string,
  expected: string,
  received: string,
): InputProblem {
  return { path: ['input', field], code, message, expected, received };
}
