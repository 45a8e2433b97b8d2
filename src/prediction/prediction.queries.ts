/**
 * SQL for predictions. Each row belongs to one principal; no other principal can read it. The SQL of the sweeper is in
 * `retention.queries.ts`.
 */
import { type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { create } from '../graphql/create.js';
import type { PredictionDatabase } from '../storage/database.js';
import { compiledInsert, type Insert } from '../storage/group-commit.js';
import { firstIdAt } from '../storage/ids.js';
import type { IdempotencyTable, PredictionTable } from '../storage/migrations/prediction.table.js';
import { checkFirst, decodeCursor, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap, rowsOf } from '../storage/sql.js';
import { decodeAnswer, encodeAnswer } from './answer-json.js';
import { Prediction } from './prediction.type.js';

interface PredictionListing {
  /** Identifies the list in its cursors: the field and the filter as it was sent, since a model gets new versions. */
  readonly list: string;
  /** Null for all versions. */
  readonly versionIds: readonly string[] | null;
  readonly since?: Date | null | undefined;
  readonly until?: Date | null | undefined;
  readonly label?: string | null | undefined;
}

/** A stored input: its JSON, or the digest of the blob that holds it. Both are null if it is not stored. */
export interface KeptInput {
  readonly json: string | null;
  readonly sha256: string | null;
}

export interface IdempotencyClaim {
  readonly key: string;
  /** Digest of the request. The same key with another digest is a conflict. */
  readonly requestSha256: string;
}

/** Makes the inserts that store a prediction, for the group commit. */
export function predictionInserts(db: PredictionDatabase) {
  const insertPrediction = compiledInsert((row: PredictionTable) => db.insertInto('prediction').values(row));
  const insertIdempotency = compiledInsert((row: IdempotencyTable) =>
    db
      .insertInto('idempotency')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['principal_id', 'key']).doUpdateSet(({ ref }) => ({
          prediction_id: ref('excluded.prediction_id'),
          request_sha256: ref('excluded.request_sha256'),
          created_at: ref('excluded.created_at'),
        })),
      ),
  );
  return (principal: Principal, prediction: Prediction, input: KeptInput, claim: IdempotencyClaim | null): Insert[] => {
    const row = toRow(principal, prediction, input);
    const { id: prediction_id, principal_id, created_at } = row;
    if (!claim) return [insertPrediction(row)];
    const { key, requestSha256: request_sha256 } = claim;
    return [insertPrediction(row), insertIdempotency({ principal_id, key, prediction_id, request_sha256, created_at })];
  };
}

function toRow(principal: Principal, prediction: Prediction, input: KeptInput): PredictionTable {
  const { id, versionId, createdAt, answer, timing, runtime } = prediction;
  return {
    id,
    version_id: versionId,
    principal_id: principal.id,
    created_at: createdAt.getTime(),
    input: input.json,
    input_sha256: input.sha256,
    answer: encodeAnswer(answer),
    label: answer.kind === 'classification' ? answer.label : null,
    timing: JSON.stringify(timing),
    runtime: JSON.stringify(runtime),
  };
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
  const { list } = listing;
  const before = after == null ? null : (decodeCursor(list, after, ['string'])[0] as string);
  const query = newestPredictions(db, principal, listing, before, checkFirst(first) + 1).selectAll('prediction');
  return pageOf(await query.execute(), first, {
    toNode: toPrediction,
    list,
    keyOf: ({ id }) => [id],
    countTotal: async () => {
      const counted = countUpToCap(listedPredictions(db, principal, listing));
      return totalOf((await db.selectNoFrom(counted.as('count')).executeTakeFirstOrThrow()).count);
    },
  });
}

/** The newest predictions of a listing before an id. With versions, one limited subquery for each of them. */
function newestPredictions(
  db: PredictionDatabase,
  principal: Principal,
  listing: PredictionListing,
  before: string | null,
  limit: number,
) {
  const { versionIds } = listing;
  const newest = listedPredictions(db, principal, { ...listing, versionIds: null })
    .$if(before !== null, (q) => q.where('id', '<', before as string))
    .orderBy('id', 'desc')
    .limit(limit);
  if (versionIds === null) return newest;
  const ofVersion = newest.select('id').where(sql<SqlBool>`version_id = ${sql.ref('wanted.id')}`);
  const listed = db
    .selectFrom(rowsOf(versionIds).as('wanted'))
    .crossJoin('prediction as found')
    .where('found.id', 'in', ofVersion)
    .select('found.id')
    .orderBy('found.id', 'desc')
    .limit(limit);
  return db.selectFrom('prediction').where('id', 'in', listed).orderBy('id', 'desc');
}

function listedPredictions(
  db: PredictionDatabase,
  principal: Principal,
  { versionIds, since, until, label }: PredictionListing,
) {
  return db
    .selectFrom('prediction')
    .where('principal_id', '=', principal.id)
    .$if(versionIds !== null, (q) => q.where('version_id', 'in', versionIds as string[]))
    .$if(since != null, (q) => q.where('id', '>=', firstIdAt('Prediction', (since as Date).getTime())))
    .$if(until != null, (q) => q.where('id', '<', firstIdAt('Prediction', (until as Date).getTime())))
    .$if(label != null, (q) => q.where('label', '=', label as string));
}

function toPrediction(row: PredictionTable): Prediction {
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
