/** Predictions as one request sees them: batched, and cached for that request only. */
import { mayReadPredictionsOf } from '../access/grants.js';
import type { CatalogContext } from '../catalog/loaders.js';
import type { CallerConnection } from '../engine/queue.js';
import type { PredictionDatabase } from '../storage/database.js';
import { loadOne } from '../storage/loaders.js';
import type { DataKeys } from '../vault/data-keys.js';
import { findOutcomes, type OutcomeRow } from './outcome.queries.js';
import { findInputPictures } from './picture.queries.js';
import { findAnswers, findDetails, findInputs, findPredictionsByIds } from './prediction.queries.js';
import type { Prediction } from './prediction.type.js';
import { type StoredColumns, StoredRow } from './sealed-contents.js';
import { type OutcomeContents, openOutcomeOrThrow } from './sealed-outcome.js';

/** The part of the request context that resolvers of predictions need. */
export interface PredictionContext extends CatalogContext {
  readonly predictionLoaders: PredictionLoaders;
  readonly connection: CallerConnection;
}

/** An outcome that was read. */
export interface StoredOutcome {
  readonly id: string;
  readonly recordedAt: Date;
  readonly firstRecordedAt: Date;
  /** Decrypted when it is asked for. @throws UnreadableRecordError */
  readonly contents: OutcomeContents;
}

/** The contents of stored predictions have loaders of their own, because they can be large. */
export class PredictionLoaders {
  readonly #db: PredictionDatabase;
  readonly #keys: DataKeys;
  readonly #context: CatalogContext;

  /** `context`: of the request. */
  constructor(db: PredictionDatabase, keys: DataKeys, context: CatalogContext) {
    this.#db = db;
    this.#keys = keys;
    this.#context = context;
  }

  readonly prediction = loadOne(
    async (ids) => this.#readable(await findPredictionsByIds(this.#db, this.#context.principal, ids)),
    ({ id }) => id,
  );
  readonly answer = this.#rows(findAnswers);
  readonly input = this.#rows(findInputs);
  readonly details = this.#rows(findDetails);
  readonly picture = loadOne(
    (ids) => findInputPictures(this.#db, this.#context.principal, ids),
    ({ prediction_id }) => prediction_id,
  );

  readonly outcome = loadOne(
    async (ids) => this.#outcomesOf(await findOutcomes(this.#db, this.#context.principal, ids)),
    ({ id }) => id,
  );

  #rows(find: typeof findAnswers) {
    return loadOne(
      async (ids) => this.#withKeys(await find(this.#db, this.#context.principal, ids)),
      ({ id }) => id,
    );
  }

  /** Those that the key of the request may read. */
  async #readable(predictions: Prediction[]): Promise<Prediction[]> {
    const { principal, catalogLoaders } = this.#context;
    if (!principal.key?.models) return predictions;
    const versions = await Promise.all(predictions.map(({ versionId }) => catalogLoaders.version.load(versionId)));
    return predictions.filter((_, i) => mayReadPredictionsOf(principal, versions[i]?.ref ?? ''));
  }

  async #outcomesOf(rows: readonly OutcomeRow[]): Promise<StoredOutcome[]> {
    const keys = await this.#keys.find([...new Set(rows.map(({ data_key }) => data_key))]);
    return rows.map(({ prediction_id: id, principal_id, data_key, recorded_at, first_recorded_at, sealed }) => ({
      id,
      recordedAt: new Date(recorded_at),
      firstRecordedAt: new Date(first_recorded_at),
      get contents() {
        return openOutcomeOrThrow(keys.get(data_key), { id, principal_id }, sealed);
      },
    }));
  }

  async #withKeys(rows: readonly StoredColumns[]): Promise<StoredRow[]> {
    const keys = await this.#keys.find([...new Set(rows.flatMap(({ data_key }) => data_key ?? []))]);
    return rows.map((row) => new StoredRow(row, row.data_key === null ? undefined : keys.get(row.data_key)));
  }
}
