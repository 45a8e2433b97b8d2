/** All SQL for predictions. Each row belongs to one principal; no other principal can read it. */
import type { Principal } from '../access/principal.js';
import { create } from '../graphql/create.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { Insert } from '../storage/group-commit.js';
import { firstIdAt } from '../storage/ids.js';
import type { IdempotencyTable, PredictionTable } from '../storage/migrations/prediction.table.js';
import { checkFirst, decodeCursor, listId, type Page, type PageArgs, pageOf } from '../storage/pages.js';
import { rowCount } from '../storage/sql.js';
import { decodeAnswer, encodeAnswer } from './answer-json.js';
import { Prediction } from './prediction.type.js';

export interface PredictionListing {
  /** Null for all versions. */
  readonly versionIds: readonly string[] | null;
  readonly since?: Date | null | undefined;
  readonly until?: Date | null | undefined;
  readonly label?: string | null | undefined;
}

const PREDICTION_COLUMNS = [
  'id',
  'version_id',
  'principal_id',
  'created_at',
  'input',
  'input_sha256',
  'answer',
  'label',
  'timing',
  'runtime',
] as const satisfies readonly (keyof PredictionTable)[];

const INSERT_PREDICTION = `insert into prediction (${PREDICTION_COLUMNS.join(', ')})
  values (${PREDICTION_COLUMNS.map(() => '?').join(', ')})`;

const INSERT_IDEMPOTENCY = `insert into idempotency (principal_id, key, prediction_id, request_sha256, created_at)
  values (?, ?, ?, ?, ?) on conflict (principal_id, key) do update set
  prediction_id = excluded.prediction_id, request_sha256 = excluded.request_sha256, created_at = excluded.created_at`;

/** A stored input: its JSON, or the digest of the blob that holds it. Both are null if it is not stored. */
export interface KeptInput {
  readonly json: string | null;
  readonly sha256: string | null;
}

/** The inserts that store a prediction, for the group commit. */
export function predictionInserts(
  principal: Principal,
  prediction: Prediction,
  input: KeptInput,
  idempotency: { key: string; requestSha256: string } | null,
): Insert[] {
  const { id, versionId, createdAt, answer, timing, runtime } = prediction;
  const created = createdAt.getTime();
  const label = answer.kind === 'classification' ? answer.label : null;
  const values = [id, versionId, principal.id, created, input.json, input.sha256, encodeAnswer(answer), label];
  const insert = { sql: INSERT_PREDICTION, row: [...values, JSON.stringify(timing), JSON.stringify(runtime)] };
  if (!idempotency) return [insert];
  const { key, requestSha256 } = idempotency;
  return [insert, { sql: INSERT_IDEMPOTENCY, row: [principal.id, key, id, requestSha256, created] }];
}

export async function findIdempotency(
  db: PredictionDatabase,
  principal: Principal,
  key: string,
  since: number,
): Promise<IdempotencyTable | undefined> {
  return db
    .selectFrom('idempotency')
    .selectAll()
    .where('principal_id', '=', principal.id)
    .where('key', '=', key)
    .where('created_at', '>', since)
    .executeTakeFirst();
}

export async function findPredictionsByIds(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Prediction[]> {
  const query = db.selectFrom('prediction').selectAll().where('id', 'in', ids).where('principal_id', '=', principal.id);
  return (await query.execute()).map(toPrediction);
}

/** Newest first. @throws BadArgumentError */
export async function findPredictionPage(
  db: PredictionDatabase,
  principal: Principal,
  listing: PredictionListing,
  { first, after }: PageArgs,
): Promise<Page<Prediction>> {
  const list = listId('predictions', listing);
  let query = listed(db, principal, listing)
    .selectAll()
    .orderBy('id', 'desc')
    .limit(checkFirst(first) + 1);
  if (after != null) query = query.where('id', '<', decodeCursor(list, after, 1)[0] as string);
  return pageOf(await query.execute(), first, {
    toNode: toPrediction,
    list,
    keyOf: ({ id }) => [id],
    countTotal: async () => {
      const count = listed(db, principal, listing).select(rowCount().as('count'));
      return (await count.executeTakeFirstOrThrow()).count;
    },
  });
}

function listed(db: PredictionDatabase, principal: Principal, { versionIds, since, until, label }: PredictionListing) {
  return db
    .selectFrom('prediction')
    .where('principal_id', '=', principal.id)
    .$if(versionIds !== null, (q) => q.where('version_id', 'in', versionIds as string[]))
    .$if(since != null, (q) => q.where('id', '>=', firstIdAt('Prediction', (since as Date).getTime())))
    .$if(until != null, (q) => q.where('id', '<', firstIdAt('Prediction', (until as Date).getTime())))
    .$if(label != null, (q) => q.where('label', '=', label as string));
}

/** Deletes up to `limit` predictions of these versions made before `cutoff`. Returns the digests of their blobs. */
export async function deletePredictionsBefore(
  db: PredictionDatabase,
  versionIds: readonly string[],
  cutoff: number,
  limit: number,
): Promise<{ count: number; blobs: string[] }> {
  const old = await db
    .selectFrom('prediction')
    .select(['id', 'input_sha256'])
    .where('version_id', 'in', versionIds)
    .where('id', '<', firstIdAt('Prediction', cutoff))
    .limit(limit)
    .execute();
  const ids = old.map(({ id }) => id);
  if (ids.length > 0) await db.deleteFrom('prediction').where('id', 'in', ids).execute();
  return { count: ids.length, blobs: old.flatMap(({ input_sha256 }) => input_sha256 ?? []) };
}

export async function findBlobsInUse(db: PredictionDatabase, digests: readonly string[]): Promise<Set<string>> {
  if (digests.length === 0) return new Set();
  const rows = await db.selectFrom('prediction').select('input_sha256').where('input_sha256', 'in', digests).execute();
  return new Set(rows.flatMap(({ input_sha256 }) => input_sha256 ?? []));
}

export async function deleteIdempotencyBefore(db: PredictionDatabase, cutoff: number): Promise<void> {
  await db.deleteFrom('idempotency').where('created_at', '<', cutoff).execute();
}

export function toPrediction(row: PredictionTable): Prediction {
  return create(Prediction, {
    id: row.id,
    createdAt: new Date(row.created_at),
    recorded: true,
    timing: JSON.parse(row.timing),
    runtime: JSON.parse(row.runtime),
    versionId: row.version_id,
    answer: decodeAnswer(row.answer),
    labels: null,
    inputJson: row.input,
    inputSha256: row.input_sha256,
  });
}
