/**
 * Life of a prediction: resolve the version, check the input, run it, record the answer.
 */
import { checkGrant } from '../access/grants.js';
import type { ModelUses } from '../catalog/model-uses.js';
import { parseRef } from '../catalog/ref.js';
import type { Engine } from '../engine/engine.js';
import { IdempotencyConflictError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { Resolved, Serving } from '../serving/serving.js';
import type { PredictionDatabase } from '../storage/database.js';
import { readRows } from '../tasks/bulk-rows.js';
import type { ItemResult } from '../tasks/failures.js';
import type { DataKeys } from '../vault/data-keys.js';
import { checkBatch, checkLists, checkOptions } from './check-request.js';
import { type Begun, earlierDigest, remainingMs, requestDigest, SharedPredictions } from './idempotency.js';
import { inTime } from './in-time.js';
import { ManyPredictions, type SelectedFields } from './many-predictions.js';
import { type NamedImages, type NamingCaller, namesImage } from './named-images.js';
import { type Caller, checkedJob, errorOf, type Job, type PredictionRequest, predictionOf } from './new-prediction.js';
import type { PredictInput, PredictManyInput } from './prediction.input.js';
import { findIdempotency, findPredictionsByIds, type IdempotencyClaim, type UsedKey } from './prediction.queries.js';
import type { NewPrediction, Prediction } from './prediction.type.js';
import type { Recorder } from './recorder.js';
import { KEY_LIFE_MS } from './request-limits.js';
import { ROWS_PATH, RowsRun } from './rows-run.js';

const NOTHING_TO_RECORD = Promise.resolve();

export class Predictions {
  readonly #serving: Serving;
  readonly #engine: Engine;
  readonly #recorder: Recorder;
  readonly #db: PredictionDatabase;
  readonly #dataKeys: DataKeys;
  readonly #images: NamedImages;
  readonly #uses: ModelUses;
  readonly #defaultDeadlineMs: number;
  readonly #maxResponseBytes: number;
  readonly #rowsParts: ConstructorParameters<typeof RowsRun>[0];
  readonly #shared = new SharedPredictions();

  constructor(
    parts: {
      serving: Serving;
      engine: Engine;
      recorder: Recorder;
      db: PredictionDatabase;
      dataKeys: DataKeys;
      images: NamedImages;
      uses: ModelUses;
    },
    options: { defaultDeadlineMs: number; maxResponseBytes: number },
  ) {
    this.#serving = parts.serving;
    this.#engine = parts.engine;
    this.#recorder = parts.recorder;
    this.#db = parts.db;
    this.#dataKeys = parts.dataKeys;
    this.#images = parts.images;
    this.#uses = parts.uses;
    this.#defaultDeadlineMs = options.defaultDeadlineMs;
    this.#maxResponseBytes = options.maxResponseBytes;
    this.#rowsParts = {
      engine: parts.engine,
      recordAll: this.#recorder.recordAll.bind(this.#recorder),
      runOne: this.#runOne.bind(this),
    };
  }

  /** @throws AppError for every failure that the client can act on */
  async predict(input: PredictInput, caller: NamingCaller): Promise<{ prediction: Prediction; replayed: boolean }> {
    checkOptions(input);
    if (input.idempotencyKey != null) return this.#predictOnce(input, input.idempotencyKey, caller);
    const job = await this.#job(input, caller);
    return { prediction: await this.#answer(job, caller), replayed: false };
  }

  /** Begins to run all inputs. @throws AppError if no input can be run */
  async predictMany(input: PredictManyInput, caller: NamingCaller, wanted: SelectedFields): Promise<ManyPredictions> {
    checkOptions(input);
    checkBatch(input);
    const { priority, record, subject = null } = input;
    const version = await this.#resolve(input, caller);
    this.#uses.note(caller.principal.id, version.versionId);
    const options = { version, deadlineMs: this.#deadlineMs(input), priority, record, subject };
    const { spec } = version.engineVersion;
    const rows = input.rows ? readRows(input.rows, spec, ROWS_PATH) : null;
    const inputs = input.inputs ?? [];
    const { labels } = spec;
    const answers = { labels, isRecorded: record, maxBytes: this.#maxResponseBytes };
    const many = new ManyPredictions(rows?.count ?? inputs.length, wanted, answers);
    if (rows) new RowsRun(this.#rowsParts, { rows, options, caller, many, areObjectsWanted: wanted.results }).begin();
    for (const [i, one] of inputs.entries()) {
      const path = ['input', 'inputs', String(i)];
      this.#runOne(i, () => this.#checked({ ...options, input: one, path }, caller), caller, many);
    }
    return many;
  }

  /** `job` is called at once. */
  #runOne(i: number, job: () => Job | Promise<Job>, caller: Caller, many: ManyPredictions): void {
    const answer = async () => {
      const made = job();
      return this.#answer(made instanceof Promise ? await made : made, caller);
    };
    answer().then(
      (prediction) => many.settle(i, { answer: prediction.contents.answer, prediction }),
      (error) => many.settle(i, { error }),
    );
  }

  /** @throws AppError if the reference names no version that can run, or the input does not match it */
  async #job(input: PredictInput, caller: NamingCaller): Promise<Job> {
    const { priority, record, subject = null } = input;
    const version = await this.#resolve(input, caller);
    this.#uses.note(caller.principal.id, version.versionId);
    const options = { version, deadlineMs: this.#deadlineMs(input), priority, record, subject };
    return this.#checked({ ...options, input: input.input, path: ['input', 'input'] }, caller);
  }

  /** A promise only for an input that names an image. */
  #checked(request: PredictionRequest, caller: NamingCaller): Job | Promise<Job> {
    const { input, path } = request;
    if (!namesImage(input)) return checkedJob(request);
    return this.#images.resolve(input, path, caller).then((resolved) => checkedJob({ ...request, input: resolved }));
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
    const { version, item, priority, path, subject } = job;
    // Of a row whose block has waited, less is left.
    const deadlineMs = Math.max(1, Math.ceil(remainingMs(job)));
    const outcome = await this.#engine.run(version.engineVersion, item, { deadlineMs, priority, connection });
    const result = outcome.results[0] as ItemResult;
    if ('failure' in result) throw errorOf(result.failure, path);
    const prediction = predictionOf(job, result.answer, outcome);
    faultPoint('predict.answered'); // @fault
    const recorded = job.record ? this.#recorder.record({ principal, subject }, prediction, claim) : NOTHING_TO_RECORD;
    return { prediction, replayed: false, recorded };
  }

  async #predictOnce(
    input: PredictInput,
    key: string,
    caller: NamingCaller,
  ): Promise<{ prediction: Prediction; replayed: boolean }> {
    // An answer that was recorded is found without the version.
    checkGrant(caller.principal, parseRef(input.model, ['input', 'model']).name, input.model);
    checkLists(input.input);
    const digest = requestDigest(input);
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
    const index = await this.#dataKeys.index(principal.id);
    const found = await findIdempotency(this.#db, principal, { key, index, since: Date.now() - KEY_LIFE_MS });
    if (!found) return undefined;
    const stored = await this.#storedDigest(found);
    if (stored === null) return undefined;
    const earlier = () => this.#earlierDigest(input, caller).then((other) => other !== null && stored(other));
    if (found.request_sha256 !== stored(digest) && found.request_sha256 !== (await earlier())) {
      throw new IdempotencyConflictError(key, found.prediction_id);
    }
    // What a publishable key has recorded may be replayed to who sends the same request.
    return (await findPredictionsByIds(this.#db, { ...principal, key: null }, [found.prediction_id]))[0];
  }

  /** How the digest of a request is stored with the prediction; null if its key was erased, so that nothing can be replayed. */
  async #storedDigest({ data_key: id }: UsedKey): Promise<((digest: string) => string) | null> {
    if (id === null) return (digest) => digest;
    const key = (await this.#dataKeys.find([id])).get(id);
    return key ? (digest) => key.digest('request', digest) : null;
  }

  /** Null if the reference names no version anymore, or for a request with a subject, which earlier versions did not have. */
  async #earlierDigest(input: PredictInput, caller: Caller): Promise<string | null> {
    if (input.subject != null) return null;
    const version = await this.#resolve(input, caller).catch(() => null);
    return version && earlierDigest(version.engineVersion.key, input.input);
  }
}
