/**
 * Erases predictions: destroys the keys that they were sealed with, then deletes rows, idempotency keys and blobs.
 *
 * The request is on disk, with its entry in the audit log, before anything is erased: an erasure that was interrupted goes
 * on when the server starts. Nothing that was recorded later is erased. What is deleted is overwritten, and the write-ahead
 * logs are emptied.
 */
import type { Logger } from 'pino';
import { v7 } from 'uuid';
import { appendAudit } from '../access/audit.queries.js';
import type { Principal } from '../access/principal.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import type { GroupCommit } from '../storage/group-commit.js';
import { END_OF_TIME_MS, firstIdAt } from '../storage/ids.js';
import type { SqliteFile } from '../storage/sqlite.js';
import type { ErasedKeys } from '../vault/data-key.queries.js';
import type { DataKeys } from '../vault/data-keys.js';
import { periodsWithin } from '../vault/periods.js';
import {
  countUnfinishedByKeys,
  deletePredictions,
  type ErasedRow,
  findErasure,
  findNewestId,
  findOwnIds,
  findRowsToErase,
  findUnfinishedErasures,
  insertErasure,
  type StoredErasure,
  updateErasure,
} from './erasure.queries.js';
import { deleteBlobsWithoutPrediction } from './orphaned-blobs.js';
import { findBlobsOfPictures } from './picture.queries.js';

const ROWS_A_STEP = 500;
const ERASURES_A_STEP = 100;
/** How far the time of an id may be from that of its prediction, which is that of its key: clocks are set. */
const CLOCK_MARGIN_MS = 3_600_000;

/** What is to be erased of an account. Null: not narrowed by it. */
export interface Wanted {
  readonly account: string;
  readonly subject: string | null;
  readonly keyId: string | null;
  readonly from: Date | null;
  readonly to: Date | null;
  readonly predictions: readonly string[] | null;
}

/** The change that the audit log has. */
interface By {
  readonly principal: Principal;
  readonly action: 'erasePredictions' | 'deletePredictions';
  readonly reason: string | null;
}

interface Parts {
  /** The lane of reads by key. */
  readonly catalogDb: CatalogDatabase;
  readonly predictionDb: PredictionDatabase;
  readonly predictionsFile: SqliteFile;
  readonly commits: GroupCommit;
  readonly blobs: BlobFolder;
  readonly dataKeys: DataKeys;
  readonly log: Logger;
}

export class Erasures {
  readonly #parts: Parts;
  #isStopping = false;
  /** One at a time. Those of named predictions, which are short, do not wait for others. */
  readonly #running = { named: Promise.resolve(), others: Promise.resolve() };

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Resolves when all is erased, or the server stops: then the rest is erased when it starts again. @throws StorageFullError */
  async erase(wanted: Wanted, by: By): Promise<StoredErasure> {
    const { predictionDb } = this.#parts;
    const predictions = wanted.predictions && (await findOwnIds(predictionDb, wanted.account, wanted.predictions));
    const erasure = await this.#planned({ ...wanted, predictions });
    // Nothing is kept of ids that nobody has: whoever sends them would fill the catalog.
    if (predictions?.length === 0) return { ...erasure, finished_at: erasure.requested_at };
    await this.#request(erasure, { ...wanted, predictions }, by);
    faultPoint('erasure.requested'); // @fault
    await this.#inTurn(erasure.predictions === null ? 'others' : 'named', () => this.#run(erasure));
    return (await findErasure(this.#parts.catalogDb, erasure.id)) ?? erasure;
  }

  /** Goes on with erasures that were interrupted. One that fails is tried again the next time. */
  async resume(): Promise<void> {
    await this.#inTurn('others', async () => {
      for (let after = ''; !this.#isStopping; ) {
        const erasures = await findUnfinishedErasures(this.#parts.catalogDb, after, ERASURES_A_STEP);
        for (const erasure of erasures) if (!(await this.#resume(erasure))) return;
        if (erasures.length < ERASURES_A_STEP) break;
        after = erasures.at(-1)?.id ?? '';
      }
    });
  }

  /** Returns false if those after it should wait too, because the logs cannot be emptied now. */
  async #resume(erasure: StoredErasure): Promise<boolean> {
    const { log } = this.#parts;
    log.info({ erasure: erasure.id }, 'an erasure goes on');
    return this.#run(erasure).catch((error) => {
      log.error({ err: error, erasure: erasure.id }, 'an erasure failed');
      return true;
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([this.#running.named, this.#running.others]);
  }

  #inTurn(queue: 'named' | 'others', work: () => Promise<unknown>): Promise<unknown> {
    const mine = this.#running[queue].then(work);
    this.#running[queue] = mine.then(
      () => {},
      () => {},
    );
    return mine;
  }

  async #planned({ account, subject, keyId, from, to, predictions }: Wanted): Promise<StoredErasure> {
    const { dataKeys } = this.#parts;
    const now = Date.now();
    const index = subject === null ? null : await dataKeys.index(account);
    return {
      id: `erasure_${v7()}`,
      account,
      subject: index && subject !== null ? index.digest('subject', subject) : null,
      key_id: keyId,
      made_from: Math.max(0, from?.getTime() ?? 0),
      made_before: to && to.getTime() <= now ? Math.max(0, to.getTime()) : END_OF_TIME_MS,
      predictions: predictions && JSON.stringify(predictions),
      last_data_key: await dataKeys.lastId(),
      deleted: 0,
      left_in_backups: 0,
      requested_at: now,
      finished_at: null,
    };
  }

  async #request(erasure: StoredErasure, { keyId, from, to, predictions }: Wanted, by: By): Promise<void> {
    const { principal, action, reason } = by;
    const after = { id: erasure.id, subject: erasure.subject, keyId, from, to, predictions };
    await this.#parts.catalogDb.transaction().execute(async (trx) => {
      await insertErasure(trx, erasure);
      const target = `predictions of ${erasure.account}`;
      await appendAudit(trx, principal, { action, target, reason, before: null, after });
    });
  }

  /** Returns whether it is complete. What is not goes on with `resume`. */
  async #run(erasure: StoredErasure): Promise<boolean> {
    const { catalogDb, predictionsFile, commits, dataKeys, log } = this.#parts;
    const keys = keysOf(erasure);
    let isEmptied = true;
    if (erasure.predictions === null) {
      isEmptied = await dataKeys.erase(keys, periodsWithin(erasure.made_from, erasure.made_before));
      faultPoint('erasure.keysDestroyed'); // @fault
    }
    // What was sealed with these keys until now is in the commits that wait: none of it is later than their end.
    await commits.append([]);
    if (!(await this.#deleteRows(erasure, keys))) return false;
    if (!(isEmptied && (await predictionsFile.truncateLog()))) {
      log.warn({ erasure: erasure.id }, 'a command reads the databases, so the logs still have what was erased');
      return false;
    }
    // The rows of another erasure may still have to be found by its keys.
    const isLast = (await countUnfinishedByKeys(catalogDb)) < 2;
    if (erasure.predictions === null && isLast) await dataKeys.forgetErased(keys);
    await updateErasure(catalogDb, erasure.id, { deleted: 0, left_in_backups: 0, finished_at: Date.now() });
    return true;
  }

  /** Returns false if the server stops meanwhile. */
  async #deleteRows(erasure: StoredErasure, keys: ErasedKeys): Promise<boolean> {
    const { catalogDb, predictionDb } = this.#parts;
    const last = await findNewestId(predictionDb);
    const { predictions, made_from, made_before } = erasure;
    const range = {
      predictions,
      made_from: made_from - CLOCK_MARGIN_MS,
      made_before: Math.min(END_OF_TIME_MS, made_before + CLOCK_MARGIN_MS),
    };
    for (let after = ''; !this.#isStopping; ) {
      const rows = await findRowsToErase(predictionDb, range, { after, last, limit: ROWS_A_STEP });
      const own = rows.filter(({ principal_id }) => principal_id === erasure.account);
      const { matching, left_in_backups } = await this.#matching(own, erasure, keys);
      const deleted = await this.#delete(matching);
      if (deleted > 0) await updateErasure(catalogDb, erasure.id, { deleted, left_in_backups, finished_at: null });
      faultPoint('erasure.rowsDeleted'); // @fault
      if (rows.length < ROWS_A_STEP) return true;
      after = (rows.at(-1) as ErasedRow).id;
    }
    return false;
  }

  /**
   * All that were named. Otherwise, rows of earlier releases that are not sealed yet belong to no subject and no API key, and so
   * do those whose keys do not exist; and a key that was not destroyed may have sealed something since the request.
   */
  async #matching(rows: readonly ErasedRow[], erasure: StoredErasure, keys: ErasedKeys) {
    const { subject, key_id, predictions, requested_at } = erasure;
    const ids = [...new Set(rows.flatMap(({ data_key }) => data_key ?? []))];
    const { isDestroyed, gone } = await this.#parts.dataKeys.of(keys, ids);
    const isNarrowed = subject !== null || key_id !== null;
    const isUnreadable = ({ data_key }: ErasedRow) =>
      data_key !== null && (gone.has(data_key) || isDestroyed.get(data_key) === true);
    const matching = rows.filter((row) => {
      const { data_key, created_at } = row;
      if (predictions !== null || (data_key !== null && isDestroyed.get(data_key))) return true;
      const isMeant = data_key === null || gone.has(data_key) ? !isNarrowed : isDestroyed.has(data_key);
      return isMeant && created_at <= requested_at && isWithin(row, erasure);
    });
    return { matching, left_in_backups: matching.filter((row) => !isUnreadable(row)).length };
  }

  /** Blobs first: a row that is left finds its blob again, but a blob that is left would find no row. */
  async #delete(rows: readonly ErasedRow[]): Promise<number> {
    if (rows.length === 0) return 0;
    const { predictionDb, blobs } = this.#parts;
    const digestsOf = (isSealed: boolean) =>
      rows.filter(({ data_key }) => (data_key !== null) === isSealed).flatMap(({ input_sha256 }) => input_sha256 ?? []);
    const ids = rows.map(({ id }) => id);
    const deleteAll = async (digests: readonly string[]) => {
      for (const digest of digests) await blobs.deleteUnused(digest, Number.POSITIVE_INFINITY);
    };
    await deleteAll([...digestsOf(true), ...(await findBlobsOfPictures(predictionDb, ids))]);
    const deleted = await deletePredictions(predictionDb, ids);
    // Thumbnails may have been made meanwhile.
    await deleteAll(deleted.digests);
    // Rows of earlier releases may share a blob.
    await deleteBlobsWithoutPrediction(this.#parts, digestsOf(false), Number.POSITIVE_INFINITY);
    return deleted.count;
  }
}

function keysOf({ account, subject, key_id: keyId, last_data_key: lastId }: StoredErasure): ErasedKeys {
  return { account, subject, keyId, lastId };
}

/** A key is of the day on which a prediction was made; its id may be later or earlier, as clocks are set, and is what counts otherwise. */
function isWithin({ id }: ErasedRow, { made_from, made_before }: StoredErasure): boolean {
  return id >= firstIdAt('Prediction', made_from) && id < firstIdAt('Prediction', made_before);
}
