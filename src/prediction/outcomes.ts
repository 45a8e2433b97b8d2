/** Recording what turned out to be true of predictions. */
import type { Principal } from '../access/principal.js';
import { checkReason } from '../access/reason.js';
import { type InputProblem, InvalidInputError, NotFoundError, UnreadableRecordError } from '../errors.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { GroupCommit } from '../storage/group-commit.js';
import type { Answer } from '../tasks/answer.js';
import { isMultiLabel } from '../tasks/scores.js';
import type { DataKey } from '../vault/data-key.js';
import type { DataKeys } from '../vault/data-keys.js';
import type { PredictionContext } from './loaders.js';
import { findKeyOfPrediction, outcomeInsert } from './outcome.queries.js';
import type { RecordOutcomeInput } from './outcome.type.js';
import type { Prediction } from './prediction.type.js';
import type { RecordedPredictions } from './recorded.js';
import { type OutcomeContents, packScores, sealOutcome } from './sealed-outcome.js';

/** Labels that a problem lists. */
const MAX_LISTED_LABELS = 10;

interface Parts {
  /** The lane of reads by key. */
  readonly db: PredictionDatabase;
  readonly commits: GroupCommit;
  readonly dataKeys: DataKeys;
  readonly recorded: RecordedPredictions;
}

export class Outcomes {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Resolves once the outcome is on disk.
   *
   * @throws InvalidInputError, NotFoundError, StorageFullError; UnreadableRecordError if the prediction cannot be decrypted
   */
  async record(input: RecordOutcomeInput, context: PredictionContext): Promise<Prediction> {
    const { prediction: id, label = null, value = null } = input;
    const reason = checkReason(input.reason, ['input', 'reason']);
    const truth = truthOf(label, value);
    const { predictionLoaders } = context;
    const prediction = await predictionLoaders.prediction.load(id);
    if (!prediction) throw notFound(id);
    const answer = await this.#parts.recorded.answer(prediction, context);
    const labels = answer && (await labelsFor(answer, prediction.versionId, context));
    if (!answer || !labels) throw notFound(id);
    await this.#store(id, { ...comparable(answer, labels, truth), reason }, context);
    const stored = await predictionLoaders.outcome.clear(id).load(id);
    // It was deleted meanwhile.
    if (!stored) throw notFound(id);
    return prediction;
  }

  async #store(id: string, contents: OutcomeContents, { principal }: PredictionContext): Promise<void> {
    const { db, commits } = this.#parts;
    const key = await this.#keyOf(id, principal);
    const sealed = await sealOutcome(key, { id, principal_id: principal.id }, contents);
    const row = { prediction_id: id, data_key: key.id, recorded_at: Date.now(), sealed };
    await commits.append([outcomeInsert(db, principal, row)]);
  }

  /** The key of the prediction: of one of an earlier release that is not sealed yet, the one that it will be sealed with. */
  async #keyOf(id: string, principal: Principal): Promise<DataKey> {
    const { db, dataKeys } = this.#parts;
    const row = await findKeyOfPrediction(db, principal, id);
    if (!row) throw notFound(id);
    const { data_key, created_at } = row;
    const owner = { account: principal.id, keyId: null, subject: null };
    if (data_key === null) return (await dataKeys.sealingAt(owner, created_at)).key;
    const key = (await dataKeys.find([data_key])).get(data_key);
    if (!key) throw new UnreadableRecordError(id, 'the key that it was encrypted with was erased or is missing');
    return key;
  }
}

function notFound(id: string): NotFoundError {
  return new NotFoundError(`The prediction "${id}"`);
}

/** @throws InvalidInputError unless exactly one is given, and a number is finite */
function truthOf(label: string | null, value: number | null): string | number {
  if ((label === null) === (value === null))
    throw invalid([], {
      code: label === null ? 'MISSING' : 'WRONG_KIND',
      message: 'exactly one of label and value is required',
      expected: 'label or value',
      received: label === null ? null : 'both',
    });
  if (value !== null && !Number.isFinite(value))
    throw invalid(['value'], {
      code: 'NOT_FINITE',
      message: 'the value is not a finite number',
      expected: 'a finite number',
      received: String(value),
    });
  return (label ?? value) as string | number;
}

/** The labels that an outcome may have; null if the version is gone. @throws InvalidInputError if several can apply */
async function labelsFor(
  { kind }: Answer,
  versionId: string,
  { catalogLoaders }: PredictionContext,
): Promise<readonly string[] | null> {
  if (kind !== 'classification') return [];
  const spec = (await catalogLoaders.spec.load(versionId))?.spec;
  if (spec && isMultiLabel(spec)) throw noOutcomes('several labels');
  // Also of a version that the account may not see anymore.
  return (spec ?? (await catalogLoaders.labels.load(versionId)))?.labels ?? null;
}

/** The outcome beside what was answered. @throws InvalidInputError if they cannot be compared */
function comparable(
  answer: Answer,
  labels: readonly string[],
  truth: string | number,
): Pick<OutcomeContents, 'truth' | 'predicted' | 'scores'> {
  if (answer.kind === 'regression') {
    if (typeof truth === 'string') throw otherKind('label', 'the prediction is a number', 'value', truth);
    return { truth, predicted: answer.value, scores: null };
  }
  if (answer.kind !== 'classification') throw noOutcomes(answer.kind);
  if (answer.labels) throw noOutcomes('a choice among labels that were sent');
  if (typeof truth === 'number') throw otherKind('value', 'the prediction is a label', 'label', String(truth));
  if (!labels.includes(truth))
    throw invalid(['label'], {
      code: 'NOT_IN_CATEGORIES',
      message: 'the version has no such label',
      expected: listed(labels),
      received: JSON.stringify(truth),
    });
  return { truth, predicted: answer.label, scores: packScores(answer.scores) };
}

function noOutcomes(received: string): InvalidInputError {
  return invalid(['prediction'], {
    code: 'WRONG_KIND',
    message: 'predictions of this kind have no outcomes',
    expected: 'a prediction of one of the labels of its version, or of one number',
    received,
  });
}

function listed(labels: readonly string[]): string {
  const shown = labels.slice(0, MAX_LISTED_LABELS).map((label) => JSON.stringify(label));
  const more = labels.length - shown.length;
  return more > 0 ? `${shown.join(', ')} or one of ${more} others` : shown.join(', ');
}

function otherKind(field: string, message: string, expected: string, received: string): InvalidInputError {
  return invalid([field], { code: 'WRONG_KIND', message, expected, received });
}

function invalid(path: readonly string[], problem: Omit<InputProblem, 'path'>): InvalidInputError {
  return new InvalidInputError([{ path: ['input', ...path], ...problem }]);
}
