/** Explains recorded predictions: runs the model on changed inputs, at low priority, within a budget. */
import type { Dataset } from '../catalog/dataset.type.js';
import { readable } from '../catalog/readable.js';
import type { Version } from '../catalog/version.type.js';
import type { DatasetContext } from '../datasets/loaders.js';
import { DeadlineExceededError, InvalidInputError, NotFoundError } from '../errors.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import { create } from '../graphql/create.js';
import type { PredictionContext } from '../prediction/loaders.js';
import type { PredictManyInput } from '../prediction/prediction.input.js';
import type { Prediction } from '../prediction/prediction.type.js';
import { runOf } from '../prediction/prediction-cost.js';
import type { Predictions } from '../prediction/predictions.js';
import type { RecordedPredictions } from '../prediction/recorded.js';
import { splitDataUrl } from '../tasks/image.js';
import { checkInput, type ModelInput, type VersionSpec } from '../tasks/tasks.js';
import { type ExplainedScore, explainedScore, unexplained } from './explained-score.js';
import { Explanation, FeatureAttribution, HeatMap, TextAttribution } from './explanation.type.js';
import { type HidePatches, imageEffects } from './image-effects.js';
import { textEffects, textParts, withoutPart } from './occlusion.js';
import { leastRows, shapleyValues } from './shapley.js';

export type ExplanationContext = PredictionContext & DatasetContext & EvaluationContext;

export interface ExplanationOptions {
  readonly maxModelCalls: number;
  readonly budgetMs: number;
  /** Name of the dataset with the background rows; null for the training or test data of the version. */
  readonly background: string | null;
}

/** Of what an explanation may run, by the price of its inputs. */
const MAX_RUN_POINTS = 20_000;
/** Of a row of numbers in a block, when it is neither read from a request nor written to an answer. */
const POINTS_PER_ROW = 0.1;
const BACKGROUND_ROWS = 100;
/** More parts are too small to look at. */
const MAX_TEXT_PARTS = 200;
const TEXTS_AT_ONCE = 64;
const WANTED = { results: false, columns: { classScores: true, values: true, tensors: false } } as const;

/** What does not depend on the kind of input. */
interface Subject {
  readonly prediction: Prediction;
  readonly version: Version;
  readonly variant: string | null;
  readonly spec: VersionSpec;
  readonly score: ExplainedScore;
  readonly options: ExplanationOptions;
  readonly signal: AbortSignal;
  readonly context: ExplanationContext;
}

export class Explanations {
  readonly #predictions: Predictions;
  readonly #recorded: RecordedPredictions;
  readonly #hide: HidePatches;

  constructor(parts: { predictions: Predictions; recorded: RecordedPredictions; hide: HidePatches }) {
    this.#predictions = parts.predictions;
    this.#recorded = parts.recorded;
    this.#hide = parts.hide;
  }

  /** @throws AppError for every failure that the client can act on */
  async explain(
    prediction: Prediction,
    options: ExplanationOptions,
    context: ExplanationContext,
  ): Promise<Explanation> {
    const { catalogLoaders } = context;
    const [input, answer, runtime, version] = await Promise.all([
      this.#recorded.input(prediction, ['explanation'], context),
      this.#recorded.answer(prediction, context),
      this.#recorded.runtime(prediction, context),
      catalogLoaders.version.load(prediction.versionId),
    ]);
    const spec = version && (await catalogLoaders.spec.load(version.id))?.spec;
    if (!version || !spec) throw new NotFoundError(`The version that made the prediction "${prediction.id}"`);
    if (!input || !answer || !runtime) throw unexplained('its input is not stored', 'a recorded prediction');
    const signal = AbortSignal.timeout(options.budgetMs);
    const score = explainedScore(answer, spec.labels);
    const subject = { prediction, version, variant: runtime.variant, spec, score, options, signal, context };
    try {
      if (input.row != null) return await this.#explainRow(subject, input.row);
      if (input.text != null) return await this.#explainText(subject, input.text);
      if (input.image != null) return await this.#explainImage(subject, input.image);
    } catch (error) {
      if (error === signal.reason) throw new DeadlineExceededError(options.budgetMs, 'run');
      throw error;
    }
    throw unexplained('its input is neither a row, a text nor an image', 'a row, a text or an image');
  }

  async #explainRow(subject: Subject, given: Readonly<Record<string, unknown>>): Promise<Explanation> {
    const { prediction, spec, options, signal, score, context } = subject;
    const names = spec.columns.map(({ name }) => name);
    const row = names.map((name) => given[name] ?? null);
    const { dataset, rows: background } = await backgroundRows(subject, names);
    const points = POINTS_PER_ROW + runOf({ input: { input: { row: given }, record: false } }, spec).largestComputation;
    const maxRows = Math.min(options.maxModelCalls, Math.floor(MAX_RUN_POINTS / points));
    const used = background.slice(0, backgroundSize(names.length, background.length, maxRows));
    const scores = async (rows: readonly (readonly unknown[])[]) => {
      const columns = Object.fromEntries(names.map((name, i) => [name, rows.map((one) => one[i])]));
      return this.#run({ rows: { columns } }, subject);
    };
    const seed = `${prediction.id} ${dataset.sha256}`;
    const found = await shapleyValues({ row, background: used, scores, maxRows, seed, signal });
    return create(Explanation, {
      predictionId: prediction.id,
      method: found.method === 'EXACT' ? 'EXACT_SHAPLEY' : 'KERNEL_SHAP',
      label: score.label,
      score: found.score,
      base: found.base,
      additivityError: found.attributions.reduce((sum, one) => sum + one, found.base) - found.score,
      features: spec.columns.map(({ name, title }, i) =>
        create(FeatureAttribution, {
          name,
          title: title ?? readable(name),
          value: row[i],
          attribution: found.attributions[i] as number,
          standardError: found.standardErrors[i] as number,
        }),
      ),
      spans: null,
      heatMap: null,
      background: await context.catalogLoaders.dataset.load(dataset.id),
      backgroundRows: used.length,
      modelCalls: found.rows,
    });
  }

  async #explainText(subject: Subject, text: string): Promise<Explanation> {
    const { prediction, spec, options, signal, score } = subject;
    const { points } = runOf({ input: { input: { text }, record: false } }, spec);
    const calls = Math.min(options.maxModelCalls, Math.floor(MAX_RUN_POINTS / points)) - 1;
    if (calls < 1) throw unexplained('its text is too long for the model calls', 'a shorter text, or more model calls');
    const parts = textParts(text, Math.min(calls, MAX_TEXT_PARTS));
    const texts = [text, ...parts.map((part) => withoutPart(text, part, ''))];
    const scores: number[] = [];
    for (let at = 0; at < texts.length; at += TEXTS_AT_ONCE) {
      signal.throwIfAborted();
      const inputs = texts.slice(at, at + TEXTS_AT_ONCE).map((one) => ({ text: one }));
      scores.push(...Array.from(await this.#run({ inputs }, subject)));
    }
    const [whole = 0, ...without] = scores;
    return create(Explanation, {
      predictionId: prediction.id,
      method: 'OCCLUSION',
      label: score.label,
      score: whole,
      base: null,
      additivityError: null,
      features: null,
      spans: textEffects(parts, whole, without).map(({ start, end, effect }) =>
        create(TextAttribution, { text: text.slice(start, end), start, end, attribution: effect }),
      ),
      heatMap: null,
      background: null,
      backgroundRows: null,
      modelCalls: texts.length,
    });
  }

  async #explainImage(subject: Subject, { bytes, base64 }: NonNullable<ModelInput['image']>): Promise<Explanation> {
    const { prediction, spec, options, signal, score } = subject;
    const image = bytes ?? Buffer.from(splitDataUrl(base64 ?? '').base64, 'base64');
    const inputs = (images: readonly Uint8Array[]) =>
      images.map((one) => ({ image: { base64: Buffer.from(one).toString('base64') } }));
    const { points } = runOf({ input: { input: inputs([image])[0], record: false } }, spec);
    const found = await imageEffects({
      image,
      maxCalls: Math.min(options.maxModelCalls, Math.floor(MAX_RUN_POINTS / points)),
      hide: this.#hide,
      scores: (images) => this.#run({ inputs: inputs(images) }, subject),
      signal,
    });
    const { columns, rows } = found.grid;
    return create(Explanation, {
      predictionId: prediction.id,
      method: 'OCCLUSION',
      label: score.label,
      score: found.score,
      base: null,
      additivityError: null,
      features: null,
      spans: null,
      heatMap: create(HeatMap, { columns, rows, values: Array.from(found.effects) }),
      background: null,
      backgroundRows: null,
      modelCalls: found.modelCalls,
    });
  }

  /** The scores of inputs, as many as `predictMany` takes. Nothing is recorded. */
  async #run(of: Pick<PredictManyInput, 'inputs' | 'rows'>, subject: Subject): Promise<ArrayLike<number>> {
    const { version, variant, options, score, context } = subject;
    const { budgetMs: deadlineMs } = options;
    const request = { model: version.ref, variant, deadlineMs, priority: 'LOW' as const, record: false, ...of };
    const many = await this.#predictions.predictMany(request, context, WANTED);
    const columns = await (many.columns as NonNullable<typeof many.columns>);
    if (columns.problems()[0]?.problem.code === 'DEADLINE_EXCEEDED') throw new DeadlineExceededError(deadlineMs, 'run');
    return score.of(columns);
  }
}

/** As many background rows as the model calls suffice for, so that few calls give a coarse explanation, and not none. */
function backgroundSize(features: number, available: number, maxRows: number): number {
  for (let size = Math.min(available, BACKGROUND_ROWS); size > 1; size--)
    if (leastRows(features, size) <= maxRows) return size;
  return 1;
}

/** The training data of a version, then its test data, then what else it was evaluated on. */
async function dataOf({ id }: Version, { catalogLoaders, evaluationLoaders }: ExplanationContext): Promise<Dataset[]> {
  const [training, testIds] = await Promise.all([
    catalogLoaders.trainingDatasets.load(id),
    evaluationLoaders.testDatasetIds(id),
  ]);
  const tests = await Promise.all(testIds.map((testId) => catalogLoaders.dataset.load(testId)));
  return [...training, ...tests.filter((test) => test !== null)];
}

/** Evenly spread rows of the named dataset, or of the first one of the version that has its columns. */
async function backgroundRows(
  { version, spec, options, context }: Subject,
  names: readonly string[],
): Promise<{ dataset: Dataset; rows: unknown[][] }> {
  const { catalogLoaders, datasetLoaders } = context;
  const { background } = options;
  const named = background === null ? null : await catalogLoaders.getDataset(background);
  const candidates = named ? [named] : await dataOf(version, context);
  for (const dataset of candidates) {
    const found = await datasetLoaders.spread(dataset, BACKGROUND_ROWS);
    // Columns that a version does not require may all be missing, but not because the dataset is of something else.
    if (!names.every((name) => found.some((row) => Object.hasOwn(row, name)))) continue;
    const rows = found.filter((row) => canRun(spec, row)).map((row) => names.map((name) => row[name] ?? null));
    if (rows.length > 0) return { dataset, rows };
  }
  throw new InvalidInputError([
    {
      path: ['background'],
      code: background === null ? 'MISSING' : 'WRONG_KIND',
      message: 'there are no background rows for the columns of the version',
      expected: 'the name of a dataset that has rows with the columns of the version',
      received: background,
    },
  ]);
}

function canRun(spec: VersionSpec, row: Readonly<Record<string, unknown>>): boolean {
  const own = Object.fromEntries(spec.columns.map(({ name }) => [name, row[name] ?? null]));
  try {
    checkInput(spec, { row: own }, []);
    return true;
  } catch (error) {
    if (error instanceof InvalidInputError) return false;
    throw error;
  }
}
