/**
 * Life of a prediction: resolve the version, check the input, run it, record the answer.
 */
import type { Principal } from '../access/principal.js';
import type { Engine } from '../engine/engine.js';
import { SplitBlockError } from '../engine/entry.js';
import type { CallerConnection, Outcome, PriorityName } from '../engine/queue.js';
import { type AppError, IdempotencyConflictError, InferenceFailedError, InvalidInputError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import { create } from '../graphql/create.js';
import type { Resolved, Serving } from '../serving/serving.js';
import type { PredictionDatabase } from '../storage/database.js';
import { newId } from '../storage/ids.js';
import type { Answer } from '../tasks/answer.js';
import type { Block } from '../tasks/block.js';
import type { BulkRows } from '../tasks/bulk.js';
import { readRows } from '../tasks/bulk-rows.js';
import type { ItemFailure, ItemResult } from '../tasks/failures.js';
import type { Item, ModelInput } from '../tasks/tasks.js';
import { checkInput } from '../tasks/tasks.js';
import { checkBatch, checkLists, checkOptions } from './check-request.js';
import { type Begun, earlierDigest, inTime, remainingMs, requestDigest, SharedPredictions } from './idempotency.js';
import { ManyPredictions, type Wanted } from './many-predictions.js';
import type { PredictInput, PredictManyInput } from './prediction.input.js';
import { findIdempotency, findPredictionsByIds, type IdempotencyClaim } from './prediction.queries.js';
import { type NewPrediction, Prediction } from './prediction.type.js';
import type { Recorder } from './recorder.js';
import { KEY_LIFE_MS } from './request-limits.js';

/** The principal of a request, and the connection that waits for the response. */
interface Caller {
  readonly principal: Principal;
  readonly connection: CallerConnection;
}

/** What the inputs of a request have in common. */
interface RowsRequest {
  readonly version: Resolved;
  readonly deadlineMs: number;
  readonly priority: PriorityName;
  readonly record: boolean;
}

interface PredictionRequest extends RowsRequest {
  readonly input: ModelInput;
  readonly path: readonly string[];
}

/** Rows of one request, while they run. */
interface Bulk {
  readonly rows: BulkRows;
  readonly request: RowsRequest;
  readonly caller: Caller;
  readonly many: ManyPredictions;
  readonly areObjectsWanted: boolean;
}

/** A request whose input has been checked. */
interface Job extends PredictionRequest {
  readonly item: Item;
  readonly startedAt: number;
}

const NOTHING_TO_RECORD = Promise.resolve();
const ROWS_PATH = ['input', 'rows'] as const;

export class Predictions {
  readonly #serving: Serving;
  readonly #engine: Engine;
  readonly #recorder: Recorder;
  readonly #db: PredictionDatabase;
  readonly #defaultDeadlineMs: number;
  readonly #shared = new SharedPredictions();

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
    if (input.idempotencyKey != null) return this.#predictOnce(input, input.idempotencyKey, caller);
    const job = await this.#job(input, caller);
    return { prediction: await this.#answer(job, caller), replayed: false };
  }

  /** Begins to run all inputs. @throws AppError if no input can be run */
  async predictMany(input: PredictManyInput, caller: Caller, wanted: Wanted): Promise<ManyPredictions> {
    checkOptions(input);
    checkBatch(input);
    const { priority, record } = input;
    const version = await this.#resolve(input, caller);
    const request = { version, deadlineMs: this.#deadlineMs(input), priority, record };
    const { spec } = version.engineVersion;
    const rows = input.rows ? readRows(input.rows, spec, ROWS_PATH) : null;
    const inputs = input.inputs ?? [];
    const many = new ManyPredictions(rows?.count ?? inputs.length, spec.labels, wanted, record);
    if (rows) this.#runRows({ rows, request, caller, many, areObjectsWanted: wanted.results });
    for (const [i, one] of inputs.entries())
      this.#runOne(i, () => checkedJob({ ...request, input: one, path: ['input', 'inputs', String(i)] }), caller, many);
    return many;
  }

  /** `job` is called at once. */
  #runOne(i: number, job: () => Job, caller: Caller, many: ManyPredictions): void {
    const answer = async () => this.#answer(job(), caller);
    answer().then(
      (prediction) => many.settle(i, { answer: prediction.contents.answer, prediction }),
      (error) => many.settle(i, { error }),
    );
  }

  /** Rows of numbers run in blocks, all others as items. */
  #runRows(bulk: Bulk): void {
    const { rows, request, many } = bulk;
    for (const [row, error] of rows.refused) many.settle(row, { error });
    for (const row of rows.items.keys()) this.#runRow(row, bulk);
    const { stack } = rows;
    if (!stack) return;
    const size = this.#engine.rowsPerBlock(request.version.engineVersion, stack.workPerRow);
    for (let begin = 0; begin < stack.rows.length; begin += size) {
      const end = Math.min(begin + size, stack.rows.length);
      const places = stack.rows.slice(begin, end);
      this.#runBlock(places, stack.block(begin, end), bulk).catch((error) => {
        for (const row of places) {
          if (error instanceof SplitBlockError) this.#runRow(row, bulk);
          else many.settle(row, { error });
        }
      });
    }
  }

  #runRow(row: number, { rows, request, caller, many }: Bulk): void {
    const path = [...ROWS_PATH, String(row)];
    const job = (): Job => {
      const startedAt = performance.now();
      const input = rows.input(row);
      const item = rows.items.get(row) ?? checkInput(request.version.engineVersion.spec, input, path);
      return { ...request, input, path, item, startedAt };
    };
    this.#runOne(row, job, caller, many);
  }

  /** `places`: the rows of the block. @throws if they have no results */
  async #runBlock(places: readonly number[], block: Block, bulk: Bulk): Promise<void> {
    const { rows, request, caller, many, areObjectsWanted } = bulk;
    const { version, deadlineMs, priority, record } = request;
    const startedAt = performance.now();
    const { connection } = caller;
    const outcome = await this.#engine.run(version.engineVersion, block, { deadlineMs, priority, connection });
    for (const [place, row] of places.entries()) {
      const result = outcome.results[place] as ItemResult;
      if ('failure' in result) many.settle(row, { error: errorOf(result.failure, [...ROWS_PATH, String(row)]) });
      else if (!record && !areObjectsWanted) many.settle(row, { answer: result.answer, prediction: null });
      else {
        const input = record ? rows.input(row) : null;
        const prediction = predictionOf({ ...request, input, startedAt }, result.answer, outcome);
        const recorded = record ? this.#record(caller.principal, prediction, null) : NOTHING_TO_RECORD;
        const answer = prediction.contents.answer;
        inTime(recorded, { startedAt, deadlineMs }, 'record').then(
          () => many.settle(row, { answer, prediction }),
          (error) => many.settle(row, { error }),
        );
      }
    }
  }

  /** @throws AppError if the reference names no version that can run, or the input does not match it */
  async #job(input: PredictInput, caller: Caller): Promise<Job> {
    const { priority, record } = input;
    const version = await this.#resolve(input, caller);
    const deadlineMs = this.#deadlineMs(input);
    return checkedJob({ version, input: input.input, path: ['input', 'input'], deadlineMs, priority, record });
  }

  #deadlineMs({ deadlineMs }: { deadlineMs?: number | null }): number {
    return deadlineMs ?? this.#defaultDeadlineMs;
  }

  #resolve({ model, variant }: { model: string; variant?: string | null }, { principal }: Caller): Promise<Resolved> {
    return this.#serving.resolve(model, principal, { path: ['input'], variant });
  }

  async #answer(job: Job, caller: Caller): Promise<NewPrediction> {
    const { prediction, recorded } = await this.#begin(job, caller, null);
    if (job.record) await inTime(recorded, job, 'record');
    return prediction;
  }

  /** Runs the model, and begins to record its answer. */
  async #begin(
    job: Job,
    { principal, connection }: Caller,
    claim: IdempotencyClaim | null,
  ): Promise<Begun & { readonly prediction: NewPrediction }> {
    const { version, item, deadlineMs, priority, path } = job;
    const outcome = await this.#engine.run(version.engineVersion, item, { deadlineMs, priority, connection });
    const result = outcome.results[0] as ItemResult;
    if ('failure' in result) throw errorOf(result.failure, path);
    const prediction = predictionOf(job, result.answer, outcome);
    faultPoint('predict.answered'); // @fault
    const recorded = job.record ? this.#record(principal, prediction, claim) : NOTHING_TO_RECORD;
    return { prediction, replayed: false, recorded };
  }

  async #record(principal: Principal, prediction: NewPrediction, claim: IdempotencyClaim | null): Promise<void> {
    await this.#recorder.record(principal, prediction, claim);
    faultPoint('predict.recorded'); // @fault
  }

  async #predictOnce(
    input: PredictInput,
    key: string,
    caller: Caller,
  ): Promise<{ prediction: Prediction; replayed: boolean }> {
    checkLists(input.input);
    const digest = requestDigest(input.model, input.variant, input.input);
    const slot = `${caller.principal.id}\n${key}`;
    const mine = {
      connection: caller.connection,
      startedAt: performance.now(),
      deadlineMs: this.#deadlineMs(input),
    };
    this.#shared.checkRoom(input.model, slot, caller.connection.caller);
    let deadlineMs = mine.deadlineMs;
    for (let earlier = this.#shared.get(slot); earlier; earlier = this.#shared.get(slot)) {
      const prediction = await this.#shared.join(slot, mine);
      if (prediction && earlier.digest !== digest) throw new IdempotencyConflictError(key, prediction.id);
      if (prediction) return { prediction, replayed: true };
      // The first request failed and left nothing to replay, so this one takes its place, or joins another that did.
      deadlineMs = remainingMs(mine);
    }
    // No await since the key was free, so that no other request can take it.
    return this.#shared.begin(slot, digest, mine, async (connection) => {
      const found = await this.#findReplay(input, caller, key, digest);
      if (found) return { prediction: found, replayed: true, recorded: Promise.resolve() };
      const job = await this.#job(input, caller);
      const claim = { key, requestSha256: digest };
      return this.#begin({ ...job, deadlineMs }, { principal: caller.principal, connection }, claim);
    });
  }

  /** @throws IdempotencyConflictError if the key belongs to another request */
  async #findReplay(input: PredictInput, caller: Caller, key: string, digest: string): Promise<Prediction | undefined> {
    const { principal } = caller;
    const found = await findIdempotency(this.#db, principal, key, Date.now() - KEY_LIFE_MS);
    if (!found) return undefined;
    if (found.request_sha256 !== digest && found.request_sha256 !== (await this.#earlierDigest(input, caller))) {
      throw new IdempotencyConflictError(key, found.prediction_id);
    }
    return (await findPredictionsByIds(this.#db, principal, [found.prediction_id]))[0];
  }

  /** Null if the reference names no version anymore. */
  async #earlierDigest(input: PredictInput, caller: Caller): Promise<string | null> {
    const version = await this.#resolve(input, caller).catch(() => null);
    return version && earlierDigest(version.engineVersion.key, input.input);
  }
}

/** Checked first: deeply nested JSON could overflow the stack when it is serialized, but never passes the check. */
function checkedJob(request: PredictionRequest): Job {
  const startedAt = performance.now();
  const item = checkInput(request.version.engineVersion.spec, request.input, request.path);
  return { ...request, item, startedAt };
}

/** `input` is read only to be recorded. */
function predictionOf(
  {
    version,
    input,
    record,
    startedAt,
  }: Pick<Job, 'version' | 'record' | 'startedAt'> & { readonly input: ModelInput | null },
  answer: Answer,
  { timing, batchSize, executionProvider, device, dispatchedAt }: Outcome,
): NewPrediction {
  const { versionId, variant, engineVersion } = version;
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
      inputJson: record ? JSON.stringify(input) : null,
    },
  }) as NewPrediction;
}

/** The error for a failure in the worker: an unreadable input, or a failure of the model. */
function errorOf(failure: ItemFailure, path: readonly string[]): AppError {
  if (failure.kind !== 'input') return new InferenceFailedError(failure.message);
  const { code, message, expected } = failure;
  return new InvalidInputError([{ path: [...path, ...failure.path], code, message, expected, received: null }]);
}
