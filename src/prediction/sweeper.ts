/**
 * Deletes expired data: predictions after the retention of their model, blobs that no prediction refers to any more, and
 * idempotency keys after a day. Deletes in small steps, so that other writes do not wait long.
 */
import type { Logger } from 'pino';
import { SYSTEM } from '../access/principal.js';
import { findRetentions } from '../catalog/version.queries.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import { KEY_LIFE_MS } from './request-limits.js';
import { deleteIdempotencyBefore, deletePredictionsBefore, findBlobsInUse } from './retention.queries.js';

const DAY_MS = 24 * 3_600_000;
const EVERY_MS = 3_600_000;
const ROWS_A_STEP = 500;
/** A blob younger than this may belong to a prediction that is being written. */
const YOUNG_MS = 3_600_000;

interface SweeperParts {
  readonly catalogDb: CatalogDatabase;
  readonly predictionDb: PredictionDatabase;
  readonly blobs: BlobFolder;
  readonly log: Logger;
}

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

  start(): void {
    const sweep = () => {
      this.#sweeping = this.sweep(Date.now()).then(
        (count) => this.#parts.log.debug({ count }, 'expired predictions were deleted'),
        (error) => this.#parts.log.error({ err: error }, 'the sweeper failed; it runs again in an hour'),
      );
    };
    this.#timer = setInterval(sweep, EVERY_MS);
    sweep();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer) clearInterval(this.#timer);
    await this.#sweeping;
  }

  /** Returns the number of predictions that were deleted. */
  async sweep(now: number): Promise<number> {
    await deleteIdempotencyBefore(this.#parts.predictionDb, now - KEY_LIFE_MS);
    let count = 0;
    for (const { versionIds, retentionDays } of await this.#retentions()) {
      count += await this.#sweepVersions(versionIds, now, now - retentionDays * DAY_MS);
    }
    return count;
  }

  async #retentions(): Promise<{ versionIds: string[]; retentionDays: number }[]> {
    const rows = await findRetentions(this.#parts.catalogDb, SYSTEM);
    const byDays = Map.groupBy(rows, ({ retention_days }) => retention_days ?? this.#defaultDays);
    return Array.from(byDays, ([retentionDays, versions]) => ({
      retentionDays,
      versionIds: versions.map(({ id }) => id),
    }));
  }

  async #sweepVersions(versionIds: readonly string[], now: number, cutoff: number): Promise<number> {
    let total = 0;
    while (!this.#isStopping) {
      const { count, blobs } = await deletePredictionsBefore(this.#parts.predictionDb, versionIds, cutoff, ROWS_A_STEP);
      faultPoint('sweeper.deleted'); // @fault
      const inUse = await findBlobsInUse(this.#parts.predictionDb, blobs);
      for (const digest of new Set(blobs)) {
        if (!inUse.has(digest)) await this.#parts.blobs.deleteUnused(digest, now - YOUNG_MS);
      }
      total += count;
      if (count < ROWS_A_STEP) break;
    }
    return total;
  }
}
