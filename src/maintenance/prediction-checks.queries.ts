/** Checks of the rows of the prediction database. */
import type { CatalogTables, PredictionTables } from '../storage/database.js';
import { MIN_SEALED_BYTES } from '../storage/sealing.js';
import type { Snapshot } from '../storage/snapshot.js';
import type { Problem, RepairParts } from './problem.js';

type Predictions = Snapshot<PredictionTables>;

/** Contents are checked in rows of earlier releases only: in others they are encrypted. */
const RULES: readonly string[] = [
  `select id, 'it has a key but nothing that is encrypted' as message from prediction
    where data_key is not null and (sealed is null or length(sealed) < ${MIN_SEALED_BYTES})`,
  ...['input', 'answer', 'timing', 'runtime'].map(
    (column) => `select id, '${column} is not a JSON object' as message from prediction
      where data_key is null and ${column} is not null and case when json_valid(${column}) then json_type(${column}) <> 'object' else 1 end`,
  ),
  `select id, 'it has its input both in the row and as a blob' as message from prediction
    where input is not null and input_sha256 is not null`,
  `select id, 'input_sha256 is not a SHA-256 digest' as message from prediction
    where input_sha256 is not null and (length(input_sha256) <> 64 or input_sha256 glob '*[^0-9a-f]*')`,
  `select id, 'label is ' || quote(label) || ', but the answer has ' || quote(json_extract(answer, '$.label')) as message
    from prediction where data_key is null and json_valid(answer) and label is not
      case json_extract(answer, '$.kind') when 'classification' then json_extract(answer, '$.label') end`,
];

export function* invalidPredictions(predictions: Predictions): Generator<Problem> {
  for (const sql of RULES)
    for (const { id, message } of predictions.rows<{ id: string; message: string }>(sql))
      yield { code: 'ROW_INVALID', where: `prediction ${id}`, message, repair: null };
}

const OUTCOME_RULES: readonly string[] = [
  `select prediction_id as id, 'it has nothing that is encrypted' as message from outcome
    where length(sealed) <= ${MIN_SEALED_BYTES}`,
  `select prediction_id as id, 'its account or its version is not that of the prediction' as message
    from outcome join prediction on prediction.id = outcome.prediction_id
    where (outcome.principal_id, outcome.version_id) is not (prediction.principal_id, prediction.version_id)`,
];

export function* invalidOutcomes(predictions: Predictions): Generator<Problem> {
  for (const sql of OUTCOME_RULES)
    for (const { id, message } of predictions.rows<{ id: string; message: string }>(sql))
      yield { code: 'ROW_INVALID', where: `outcome of ${id}`, message, repair: null };
}

/** The predictions of a deleted version are about to be deleted. */
const KNOWN_VERSION = 'select 1 from version where id = ? union all select 1 from deleted_version where version_id = ?';

export function* predictionsOfNoVersion(
  predictions: Predictions,
  catalog: Snapshot<CatalogTables>,
): Generator<Problem> {
  const used = predictions.rows<{ version_id: string; count: number }>(
    'select version_id, count(*) as count from prediction group by version_id',
  );
  for (const { version_id, count } of used)
    if ([...catalog.rows(KNOWN_VERSION, version_id, version_id)].length === 0)
      yield {
        code: 'REFERENCE_BROKEN',
        where: `predictions of ${version_id}`,
        message: `${count} predictions refer to a version that does not exist`,
        repair: null,
      };
}

/** Idempotency keys whose prediction is gone would answer with an error. */
export function* brokenIdempotencyKeys(predictions: Predictions): Generator<Problem> {
  const broken = predictions.rows<{ principal_id: string; key: string }>(
    'select principal_id, key from idempotency where prediction_id not in (select id from prediction)',
  );
  for (const { principal_id, key } of broken)
    yield {
      code: 'REFERENCE_BROKEN',
      where: `idempotency ${JSON.stringify([principal_id, key])}`,
      message: 'refers to a prediction that does not exist',
      repair: {
        does: 'deletes the key',
        beside: ({ databases }: RepairParts) =>
          databases.predictionDb
            .deleteFrom('idempotency')
            .where('principal_id', '=', principal_id)
            .where('key', '=', key)
            .execute(),
      },
    };
}

/** Labels whose prediction is gone: they would be read with each history of the label. */
export function* brokenLabels(predictions: Predictions): Generator<Problem> {
  const broken = predictions.rows<{ prediction_id: string; count: number }>(
    'select prediction_id, count(*) as count from answer_label where prediction_id not in (select id from prediction) group by 1',
  );
  for (const { prediction_id, count } of broken)
    yield {
      code: 'REFERENCE_BROKEN',
      where: `labels of ${prediction_id}`,
      message: `${count} labels refer to a prediction that does not exist`,
      repair: {
        does: 'deletes them',
        beside: ({ databases }: RepairParts) =>
          databases.predictionDb.deleteFrom('answer_label').where('prediction_id', '=', prediction_id).execute(),
      },
    };
}

/** Outcomes whose prediction is gone: they would count in metrics after the prediction was deleted. */
export function* brokenOutcomes(predictions: Predictions): Generator<Problem> {
  const broken = predictions.rows<{ prediction_id: string }>(
    'select prediction_id from outcome where prediction_id not in (select id from prediction)',
  );
  for (const { prediction_id } of broken)
    yield {
      code: 'REFERENCE_BROKEN',
      where: `outcome of ${prediction_id}`,
      message: 'refers to a prediction that does not exist',
      repair: {
        does: 'deletes it',
        beside: ({ databases }: RepairParts) =>
          databases.predictionDb.deleteFrom('outcome').where('prediction_id', '=', prediction_id).execute(),
      },
    };
}

/** Images whose prediction is gone: nobody can read them, and their blobs would stay. */
export function* brokenPictures(predictions: Predictions): Generator<Problem> {
  const broken = predictions.rows<{ prediction_id: string; count: number }>(
    'select prediction_id, count(*) as count from picture where prediction_id not in (select id from prediction) group by 1',
  );
  for (const { prediction_id, count } of broken)
    yield {
      code: 'REFERENCE_BROKEN',
      where: `pictures of ${prediction_id}`,
      message: `${count} pictures refer to a prediction that does not exist`,
      repair: {
        does: 'deletes them',
        beside: ({ databases }: RepairParts) =>
          databases.predictionDb.deleteFrom('picture').where('prediction_id', '=', prediction_id).execute(),
      },
    };
}
