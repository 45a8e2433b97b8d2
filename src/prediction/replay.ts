/** Running a recorded input again on the graph that answered it, and comparing the answers. */
import type { Engine } from '../engine/engine.js';
import { ConflictError, NotFoundError } from '../errors.js';
import { create } from '../graphql/create.js';
import type { Resolved, Serving } from '../serving/serving.js';
import { answerDifference } from '../tasks/answer-difference.js';
import type { ItemResult } from '../tasks/failures.js';
import { toleranceOf } from '../tasks/tolerances.js';
import { checkOptions } from './check-request.js';
import type { PredictionContext } from './loaders.js';
import { checkedJob, errorOf, predictionOf } from './new-prediction.js';
import type { Prediction } from './prediction.type.js';
import type { RecordedPredictions } from './recorded.js';
import { Replay, type ReplayPredictionInput } from './replay.type.js';

/** Path of problems with the recorded input, which only a later release can find. */
const PATH = ['input', 'prediction'];

export class Replays {
  readonly #serving: Serving;
  readonly #engine: Engine;
  readonly #recorded: RecordedPredictions;
  readonly #defaultDeadlineMs: number;

  constructor(
    parts: { serving: Serving; engine: Engine; recorded: RecordedPredictions },
    { defaultDeadlineMs }: { defaultDeadlineMs: number },
  ) {
    this.#serving = parts.serving;
    this.#engine = parts.engine;
    this.#recorded = parts.recorded;
    this.#defaultDeadlineMs = defaultDeadlineMs;
  }

  /** @throws AppError for every failure that the client can act on */
  async replay(request: ReplayPredictionInput, context: PredictionContext): Promise<Replay> {
    checkOptions(request);
    const { prediction: id } = request;
    const { predictionLoaders, connection } = context;
    const prediction = await predictionLoaders.prediction.load(id);
    if (!prediction) throw new NotFoundError(`The prediction "${id}"`);
    const version = await this.#versionOf(prediction, context);
    const input = await this.#recorded.input(prediction, PATH, context);
    const answer = await this.#recorded.answer(prediction, context);
    if (!input || !answer) throw new NotFoundError(`The contents of the prediction "${id}"`);
    const deadlineMs = request.deadlineMs ?? this.#defaultDeadlineMs;
    const options = { deadlineMs, priority: 'LOW', record: false, subject: null } as const;
    const job = checkedJob({ ...options, version, input, path: PATH });
    const outcome = await this.#engine.run(version.engineVersion, job.item, { ...options, connection });
    const result = outcome.results[0] as ItemResult;
    if ('failure' in result) throw errorOf(result.failure, PATH);
    const tolerance = toleranceOf(version.engineVersion.spec.inputKind);
    const { largest, first } = answerDifference(answer, result.answer, tolerance);
    const { contents } = predictionOf(job, result.answer, outcome);
    return create(Replay, {
      prediction,
      isSame: first === null,
      difference: first,
      largestDifference: largest,
      tolerance,
      timing: contents.timing,
      runtime: contents.runtime,
      answer: contents.answer,
      labels: contents.labels,
    });
  }

  /** @throws NotFoundError, NotReadyError, ForbiddenError; ConflictError if its graph is not the one that answered */
  async #versionOf(prediction: Prediction, context: PredictionContext): Promise<Resolved> {
    const { id, versionId } = prediction;
    const { catalogLoaders, principal } = context;
    const made = await catalogLoaders.version.load(versionId);
    const runtime = await this.#recorded.runtime(prediction, context);
    if (!made || !runtime) throw new NotFoundError(`The version that made the prediction "${id}"`);
    const { variant, artifactSha256 } = runtime;
    const version = await this.#serving.resolve(made.ref, principal, { path: PATH, variant });
    if (version.engineVersion.artifactSha256 !== artifactSha256)
      throw new ConflictError(`The graph of ${made.ref} is not the one that made the prediction, ${artifactSha256}.`);
    return version;
  }
}
