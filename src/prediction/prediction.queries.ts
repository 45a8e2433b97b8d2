/**
 * SQL for predictions. Each row belongs to one principal; no other principal can read it. The SQL of the sweeper is in
 * `retention.queries.ts`.
 */
import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import { readableOwner } from '../access/visibility.js';
import { create } from '../graphql/create.js';
import type { PredictionDatabase, PredictionTables } from '../storage/database.js';
import { compiledInsert, type Insert } from '../storage/group-commit.js';
import { firstIdAt } from '../storage/ids.js';
import type {
  AnswerLabelTable,
  IdempotencyTable,
  PictureTable,
  PredictionTable,
} from '../storage/migrations/prediction.table.js';
import { checkFirst, decodeCursor, type Page, type PageArgs, pageOf, totalOf } from '../storage/pages.js';
import { countUpToCap, idsOf, rowsOf } from '../storage/sql.js';
import type { DataKey } from '../vault/data-key.js';
import type { Sealing } from '../vault/data-keys.js';
import { encodeAnswer } from './answer-json.js';
import { labelsOf } from './answer-labels.js';
import { type NewPrediction, Prediction } from './prediction.type.js';
import type { ImageInputFile } from './recorded-input.js';
import { type SealedColumns, type StoredColumns, sealedColumns } from './sealed-contents.js';

interface PredictionListing {
  /** Identifies the list in its cursors: the field and the filter as it was sent, since a model gets new versions. */
  readonly list: string;
  /** Null for all versions. */
  readonly versionIds: readonly string[] | null;
  readonly since?: Date | null | undefined;
  readonly until?: Date | null | undefined;
  /** As it is stored. */
  readonly label?: string | null | undefined;
  /** As rows of earlier releases that are not sealed yet store it; null if there are none. */
  readonly plainLabel?: string | null | undefined;
}

/** An input: its JSON; or the digest of the blob that holds it, and in place of the JSON a summary. */
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
  const insertPrediction = compiledInsert((row: NewRow) =>
    // The storage thread gets what is to be sealed in place of what is stored.
    db.insertInto('prediction').values(row as unknown as PredictionTable),
  );
  const insertPicture = compiledInsert((row: PictureTable) => db.insertInto('picture').values(row));
  const insertLabel = compiledInsert((row: AnswerLabelTable) => db.insertInto('answer_label').values(row));
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
  return (
    principal: Principal,
    prediction: NewPrediction,
    input: KeptInput,
    sealing: Sealing,
    claim: IdempotencyClaim | null,
  ): Insert[] => {
    const row = toRow(principal, prediction, input, sealing);
    const { image } = prediction.contents;
    const inserts = [insertPrediction(row)];
    for (const label of labelsOf(prediction.contents.answer)) inserts.push(insertLabel(toLabel(row, label, sealing)));
    if (image) inserts.push(insertPicture(toPicture(prediction.id, image, input)));
    if (!claim) return inserts;
    const { id: prediction_id, principal_id, created_at } = row;
    const digests = idempotencyDigests(claim, sealing);
    inserts.push(insertIdempotency({ ...digests, principal_id, prediction_id, created_at }));
    return inserts;
  };
}

function toPicture(prediction_id: string, { bytes, facts }: ImageInputFile, { sha256 }: KeptInput): PictureTable {
  const { width, height, mediaType: media_type } = facts;
  return { prediction_id, name: 'input', max_size: 0, width, height, media_type, size_bytes: bytes.length, sha256 };
}

function toLabel({ id, version_id }: NewRow, label: string, { index }: Sealing): AnswerLabelTable {
  return { version_id, label: storedLabel(label, index), prediction_id: id };
}

/** What is stored of a claim. The request's digest is made with the key that the prediction is sealed with, and ends with it. */
export function idempotencyDigests({ key, requestSha256 }: IdempotencyClaim, { key: dataKey, index }: Sealing) {
  return { key: storedKey(key, index), request_sha256: dataKey.digest('request', requestSha256) };
}

function storedKey(key: string, index: DataKey): string {
  return index.digest('idempotency key', key);
}

/** What is stored of the label of an answer. */
export function storedLabel(label: string, index: DataKey): string {
  return index.repeatedDigest('label', label);
}

type NewRow = Omit<PredictionTable, keyof SealedColumns> & SealedColumns;

function toRow(
  principal: Principal,
  { id, versionId, createdAt, contents }: NewPrediction,
  input: KeptInput,
  { key, index }: Sealing,
): NewRow {
  const { answer, timing, runtime } = contents;
  const identity = { id, principal_id: principal.id };
  const texts = {
    timing: JSON.stringify(timing),
    runtime: JSON.stringify(runtime),
    input: input.json,
    answer: encodeAnswer(answer),
  };
  return {
    ...identity,
    version_id: versionId,
    created_at: createdAt.getTime(),
    input_sha256: input.sha256,
    label: answer.kind === 'classification' ? storedLabel(answer.label, index) : null,
    truncated: answer.isTruncated ? 1 : 0,
    ...sealedColumns(key, identity, texts),
  };
}

/** An idempotency key that was used, and the key that its prediction is sealed with; null if it is not sealed. */
export interface UsedKey extends Pick<IdempotencyTable, 'prediction_id' | 'request_sha256'> {
  readonly data_key: number | null;
}

/** One that a prediction of an earlier release used is stored as it was sent. */
export async function findIdempotency(
  db: PredictionDatabase,
  principal: Principal,
  { key, index, since }: { readonly key: string; readonly index: DataKey; readonly since: number },
): Promise<UsedKey | undefined> {
  return (
    db
      .selectFrom('idempotency')
      .innerJoin('prediction', 'prediction.id', 'idempotency.prediction_id')
      .select(['prediction_id', 'request_sha256', 'data_key'])
      .where('idempotency.principal_id', '=', principal.id)
      .where('key', 'in', [storedKey(key, index), key])
      // A digest that is sent as a key must not find the row that has it.
      .where(({ or, eb }) => or([eb('key', '=', storedKey(key, index)), eb('data_key', 'is', null)]))
      .where('idempotency.created_at', '>', since)
      .executeTakeFirst()
  );
}

export async function findPredictionsByIds(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<Prediction[]> {
  const query = selectPrediction(db.selectFrom('prediction').where('id', 'in', ids));
  return (await query.where('principal_id', '=', readableOwner(principal)).execute()).map(toPrediction);
}

/**
 * Sizes in place of contents: SQLite reads the pages of a large value to reach what is stored behind it. Those of a sealed
 * row are the bytes that have to be read for them.
 */
function selectPrediction<O>(query: SelectQueryBuilder<PredictionTables, 'prediction', O>) {
  const sealedBytes = sql`octet_length(prediction.sealed)`;
  return query.select([
    'prediction.id',
    'prediction.version_id',
    'prediction.created_at',
    'prediction.input_sha256',
    sql<number | null>`coalesce(${sealedBytes}, octet_length(prediction.input))`.as('input_bytes'),
    sql<number>`coalesce(octet_length(prediction.sealed_answer), ${sealedBytes}, octet_length(prediction.answer))`.as(
      'answer_bytes',
    ),
  ]);
}

interface PredictionRow extends Pick<PredictionTable, 'id' | 'version_id' | 'created_at' | 'input_sha256'> {
  readonly input_bytes: number | null;
  readonly answer_bytes: number;
}

const IDENTITY = ['id', 'principal_id', 'data_key'] as const;

/**
 * What the answers of these predictions are stored in. The caller has reserved their bytes.
 *
 * Of the account, as the inputs and details are: what a publishable key has recorded is replayed to who sends the same request.
 */
export async function findAnswers(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<StoredColumns[]> {
  const query = db
    .selectFrom('prediction')
    .select([...IDENTITY, 'answer', 'sealed_answer'])
    .select(sql<Uint8Array | null>`iif(sealed_answer is null, sealed, null)`.as('sealed'))
    .where('id', 'in', ids);
  return query.where('principal_id', '=', principal.id).execute();
}

/** What the inputs of these predictions that are no blobs are stored in. The caller has reserved their bytes. */
export async function findInputs(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<StoredColumns[]> {
  const query = db
    .selectFrom('prediction')
    .select([...IDENTITY, 'input', 'sealed'])
    .where('id', 'in', ids);
  return query.where('principal_id', '=', principal.id).execute();
}

/** What timing, runtime and whether the input was truncated are stored in. */
export async function findDetails(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<StoredColumns[]> {
  const query = db
    .selectFrom('prediction')
    .select([...IDENTITY, 'timing', 'runtime', 'truncated', 'sealed'])
    .where('id', 'in', ids);
  return query.where('principal_id', '=', principal.id).execute();
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
  const query = selectPrediction(newestPredictions(db, principal, listing, before, checkFirst(first) + 1));
  return pageOf(
    await query.execute(),
    { first, after },
    {
      toNode: toPrediction,
      list,
      keyOf: ({ id }) => [id],
      countTotal: async () => {
        const { count, labeled } = await db.selectNoFrom(countsOf(db, principal, listing)).executeTakeFirstOrThrow();
        return totalOf(count + labeled);
      },
    },
  );
}

/** The predictions of a listing, and those whose answers have several labels, counted up to `MAX_COUNT + 1` each. */
function countsOf(db: PredictionDatabase, principal: Principal, listing: PredictionListing) {
  const wanted = wantedVersions(listing);
  const isWanted = sql<string>`(select id from ${wanted})`;
  const count = countUpToCap(
    listedPredictions(db, principal, listing).$if(wanted !== null, (q) => q.where('version_id', 'in', isWanted)),
  ).as('count');
  if (listing.label == null) return [count, sql.lit(0).as('labeled')] as const;
  const labeled = labeledPredictions(db, principal, listing).where('answer_label.version_id', 'in', isWanted);
  return [count, countUpToCap(labeled).as('labeled')] as const;
}

/**
 * All versions that have predictions, by one look into the index for each. No index begins with the label: in an index
 * with many labels, each row of a commit dirties a page of its own.
 */
const usedVersions = sql<{ id: string }>`(with recursive used(id) as (
  select min(version_id) from prediction
  union all
  select (select min(version_id) from prediction where version_id > used.id) from used where used.id is not null
) select id from used where id is not null)`;

/** Versions that have predictions, of anybody, so that not all versions of the catalog have to be looked at. */
export async function findUsedVersionIds(db: PredictionDatabase): Promise<string[]> {
  const used = await db.selectFrom(usedVersions.as('used')).select('used.id').execute();
  return used.map(({ id }) => id);
}

/** The versions to look into, one by one; null to look into all predictions. */
function wantedVersions({ versionIds, label }: PredictionListing): RawBuilder<{ id: string }> | null {
  if (versionIds !== null) return rowsOf(idsOf(versionIds));
  return label == null ? null : usedVersions;
}

/**
 * The newest predictions of a listing before an id. With versions, one limited subquery for each of them that can have
 * some: the newest 20 predictions of all belong to the 20 versions whose newest ones are the newest.
 */
function newestPredictions(
  db: PredictionDatabase,
  principal: Principal,
  listing: PredictionListing,
  before: string | null,
  limit: number,
) {
  const wanted = wantedVersions(listing);
  const newest = listedPredictions(db, principal, listing, before).orderBy('id', 'desc');
  if (wanted === null) return newest.limit(limit);
  const own = newest.select('id').where(sql<SqlBool>`version_id = ${sql.ref('wanted.id')}`);
  const labeled = labeledPredictions(db, principal, listing, before)
    .select('answer_label.prediction_id as id')
    .where(sql<SqlBool>`answer_label.version_id = ${sql.ref('wanted.id')}`);
  const ofVersion = listing.label == null ? own : own.clearOrderBy().unionAll(labeled).orderBy('id', 'desc');
  const versions = db
    .selectFrom(wanted.as('wanted'))
    .select(['wanted.id', ofVersion.limit(1).as('newest')])
    .orderBy('newest', 'desc')
    .limit(limit);
  const listed = db
    .selectFrom(versions.as('wanted'))
    .crossJoin('prediction as found')
    .where('found.id', 'in', ofVersion.limit(limit))
    .select('found.id')
    .orderBy('found.id', 'desc')
    .limit(limit);
  return db.selectFrom('prediction').where('id', 'in', listed).orderBy('id', 'desc');
}

/** One upper bound: of two, SQLite would walk from the wrong one on each page. */
function rangeOf({ since, until }: PredictionListing, before: string | null) {
  const ends = [before, until == null ? null : firstIdAt('Prediction', until.getTime())].filter((id) => id !== null);
  return {
    start: since == null ? null : firstIdAt('Prediction', since.getTime()),
    end: ends.length === 0 ? null : ends.reduce((a, b) => (a < b ? a : b)),
  };
}

/** Of a label, those whose answers have one label. */
function listedPredictions(
  db: PredictionDatabase,
  principal: Principal,
  listing: PredictionListing,
  before: string | null = null,
) {
  const { label, plainLabel } = listing;
  const { start, end } = rangeOf(listing, before);
  return db
    .selectFrom('prediction')
    .where('principal_id', '=', readableOwner(principal))
    .$if(start !== null, (q) => q.where('id', '>=', start as string))
    .$if(end !== null, (q) => q.where('id', '<', end as string))
    .$if(label != null && plainLabel == null, (q) => q.where('label', '=', label as string))
    .$if(label != null && plainLabel != null, (q) => q.where('label', 'in', [label as string, plainLabel as string]));
}

/** Of a label, those whose answers may have several. */
function labeledPredictions(
  db: PredictionDatabase,
  principal: Principal,
  listing: PredictionListing,
  before: string | null = null,
) {
  const { start, end } = rangeOf(listing, before);
  return db
    .selectFrom('answer_label')
    .innerJoin('prediction', 'prediction.id', 'answer_label.prediction_id')
    .where('answer_label.label', '=', listing.label as string)
    .where('prediction.principal_id', '=', readableOwner(principal))
    .$if(start !== null, (q) => q.where('answer_label.prediction_id', '>=', start as string))
    .$if(end !== null, (q) => q.where('answer_label.prediction_id', '<', end as string));
}

function toPrediction(row: PredictionRow): Prediction {
  return create(Prediction, {
    id: row.id,
    createdAt: new Date(row.created_at),
    recorded: true,
    versionId: row.version_id,
    contents: {
      isStored: true,
      answerBytes: row.answer_bytes,
      inputBytes: row.input_bytes,
      inputSha256: row.input_sha256,
    },
  });
}
