/**
 * Deletes expired data: predictions after the retention of their model and those of deleted models, blobs that no row refers to
 * anymore, idempotency keys after a day, and keys of days without predictions. Deletes in small steps, so that other writes
 * do not wait long.
 *
 * First it goes on with erasures that were interrupted, and seals predictions of earlier releases. If one part fails, the
 * others still run.
 */
import { SYSTEM } from '../access/principal.js';
import { findDeletedVersions, forgetDeletedVersions } from '../catalog/deleted-version.queries.js';
import { findOwnRetentions, findVersionIdsOfModels, findVersionsWithOwnRetention } from '../catalog/version.queries.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { CatalogDatabase } from '../storage/database.js';
import { END_OF_TIME_MS } from '../storage/ids.js';
import { deletePredictions, hasPredictionsBetween } from './erasure.queries.js';
import type { Erasures } from './erasures.js';
import { deleteBlobsWithoutPrediction, deleteOrphans, GRACE_MS } from './orphaned-blobs.js';
import { KEY_LIFE_MS, MAX_DEADLINE_MS } from './request-limits.js';
import { deleteIdempotencyBefore, findPredictionsBefore } from './retention.queries.js';
import { type SealingParts, sealEarlier } from './seal-earlier.js';

const DAY_MS = 24 * 3_600_000;
const EVERY_MS = 3_600_000;
const ROWS_A_STEP = 500;
const MODELS_A_STEP = 100;
const VERSIONS_A_STEP = 100;

type SweeperParts = SealingParts & { readonly catalogDb: CatalogDatabase };

export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #defaultDays: number;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(parts: SweeperParts, options: { retentionDays: number }) {
    this.#parts = parts;
    this.#defaultDays = options.retentionDays;
  }

  start(erasures: Pick<Erasures, 'resume'>): void {
    const parts = {
      erasures: () => erasures.resume(),
      encryption: () => sealEarlier(this.#parts, () => this.#isStopping),
      ...this.#partsOf(() => Date.now()),
    };
    const sweep = () => {
      this.#sweeping = this.#runAll(parts);
    };
    this.#timer = setInterval(sweep, EVERY_MS);
    sweep();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer) clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** Returns the number of predictions that were deleted. @throws what the first part that failed has thrown */
  async sweep(now: number): Promise<number> {
    let count = 0;
    for (const run of Object.values(this.#partsOf(() => now))) count += Number((await run()) ?? 0);
    return count;
  }

  /** Deletes the predictions of deleted models, and returns how many. */
  async purge(now: number): Promise<number> {
    const { catalogDb } = this.#parts;
    let count = 0;
    let after = '';
    while (!this.#isStopping) {
      const versions = await findDeletedVersions(catalogDb, after, VERSIONS_A_STEP);
      // Also those that were made before the clock was set back.
      for (const { version_id } of versions) count += await this.#sweepRange(version_id, now, END_OF_TIME_MS);
      // One that was running when its model was deleted may be recorded until its deadline.
      const done = versions.filter(({ deleted_at }) => deleted_at < now - MAX_DEADLINE_MS);
      if (!this.#isStopping) await forgetDeletedVersions(catalogDb, done);
      if (versions.length < VERSIONS_A_STEP) break;
      after = versions.at(-1)?.version_id ?? '';
    }
    return count;
  }

  #partsOf(now: () => number): Record<string, () => Promise<unknown>> {
    return {
      'deleted models': () => this.purge(now()),
      'idempotency keys': () => this.#sweepIdempotency(now()),
      retention: () => this.#sweepPredictions(now()),
      'keys of data': () => this.#destroyKeys(now()),
      blobs: () => this.#sweepOrphans(now()),
    };
  }

  async #runAll(parts: Record<string, () => Promise<unknown>>): Promise<void> {
    const { log } = this.#parts;
    for (const [part, run] of Object.entries(parts))
      await run().catch((error) =>
        log.error({ err: error, part }, 'a part of the sweeper failed; it runs again in an hour'),
      );
    log.debug('the sweeper has run');
  }

  async #sweepIdempotency(now: number): Promise<void> {
    while (!this.#isStopping) {
      const deleted = await deleteIdempotencyBefore(this.#parts.predictionDb, now - KEY_LIFE_MS, ROWS_A_STEP);
      if (deleted < ROWS_A_STEP) break;
    }
  }

  /** Returns the number of predictions that were deleted. */
  async #sweepPredictions(now: number): Promise<number> {
    const { catalogDb } = this.#parts;
    let count = await this.#sweepRange(null, now, now - this.#defaultDays * DAY_MS);
    let after = '';
    while (!this.#isStopping) {
      const models = await findOwnRetentions(catalogDb, SYSTEM, after, MODELS_A_STEP);
      for (const { id, retention_days, origin } of models) {
        const [ownDays, mostDays] = [Number(retention_days), this.#defaultDays];
        // An account keeps them no longer than the operator, whose the models of the store are.
        const days = origin === 'account' ? Math.min(ownDays, mostDays) : ownDays;
        for (const versionId of await findVersionIdsOfModels(catalogDb, SYSTEM, [id]))
          count += await this.#sweepRange(versionId, now, now - days * DAY_MS);
      }
      if (models.length < MODELS_A_STEP) break;
      after = models.at(-1)?.id ?? '';
    }
    return count;
  }

  async #sweepOrphans(now: number): Promise<void> {
    const orphans = await deleteOrphans(this.#parts, now, () => this.#isStopping);
    if (orphans > 0) this.#parts.log.info({ orphans }, 'blobs that nothing referred to were deleted');
  }

  /** A prediction may be recorded as long after its time as its deadline is. Times of ids are not exact: clocks are set. */
  async #destroyKeys(now: number): Promise<void> {
    const { predictionDb, dataKeys } = this.#parts;
    await dataKeys.eraseEmpty(
      now - MAX_DEADLINE_MS,
      async (from, until) => !(await hasPredictionsBetween(predictionDb, from - DAY_MS, until + DAY_MS)),
    );
  }

  /** Deletes in the order of ids: those of one version, or of all versions whose models have no retention of their own. */
  async #sweepRange(versionId: string | null, now: number, cutoff: number): Promise<number> {
    const { predictionDb, catalogDb } = this.#parts;
    let total = 0;
    let after = '';
    while (!this.#isStopping) {
      const rows = await findPredictionsBefore(predictionDb, { cutoff, after, versionId, limit: ROWS_A_STEP });
      const versionIds = [...new Set(rows.map(({ version_id }) => version_id))];
      const kept = versionId === null ? await findVersionsWithOwnRetention(catalogDb, SYSTEM, versionIds) : new Set();
      const expired = rows.filter(({ version_id }) => !kept.has(version_id));
      const deleted = await deletePredictions(
        predictionDb,
        expired.map(({ id }) => id),
      );
      total += deleted.count;
      faultPoint('sweeper.deleted'); // @fault
      const digests = new Set([...expired.flatMap(({ input_sha256 }) => input_sha256 ?? []), ...deleted.digests]);
      await deleteBlobsWithoutPrediction(this.#parts, [...digests], now - GRACE_MS.prediction);
      if (rows.length < ROWS_A_STEP) break;
      after = rows.at(-1)?.id ?? '';
    }
    return total;
  }
}
