/**
 * Metrics of a version on the outcomes of its predictions. A thread opens and measures the outcomes: it gets some rows at a time,
 * with the keys of these rows.
 */
import type { Principal } from '../access/principal.js';
import type { Version } from '../catalog/version.type.js';
import type { MeasuredMetric } from '../evaluation/measure.js';
import {
  countLivePredictions,
  findLiveOutcomes,
  type LiveWindow,
  measuredOwner,
} from '../prediction/outcome.queries.js';
import type { PredictionDatabase } from '../storage/database.js';
import { END_OF_TIME_MS, firstIdAt } from '../storage/ids.js';
import type { VersionSpec } from '../tasks/tasks.js';
import type { DataKeys } from '../vault/data-keys.js';
import { withLentKeys } from '../vault/lent-keys.js';
import { AskedThread } from './asked-thread.js';
import { type Comparable, comparableOf, mostOutcomes } from './comparable.js';
import type { Measurements } from './measurements.js';
import type { MeasuredOutcomes, OutcomeMessage } from './outcome-thread.js';

const DAY_MS = 86_400_000;
const MAX_PREDICTIONS = 100_000;
/** Each may have a key of its own, which the event loop decrypts: 2 ms. */
const ROWS_A_READ = 200;
const NO_OUTCOMES = 'No outcome was recorded of the predictions in the window.';

export interface MeasuredWindow {
  readonly since: Date;
  readonly measuredAt: Date;
  /** Null if there are too many to count. */
  readonly predictions: number | null;
  readonly outcomes: number;
  /** Whether older outcomes of the window were left out. */
  readonly isCapped: boolean;
  readonly metrics: readonly MeasuredMetric[];
}

interface Parts {
  readonly db: PredictionDatabase;
  readonly dataKeys: DataKeys;
  readonly measurements: Measurements;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

interface Wanted {
  readonly version: Pick<Version, 'id' | 'ref'>;
  readonly spec: VersionSpec;
  readonly windowDays: number;
}

type OutcomeThread = AskedThread<OutcomeMessage>;

export class Live {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Null if the answers of the version have no outcomes. @throws OverloadedError, ShuttingDownError */
  async measure(wanted: Wanted, principal: Principal): Promise<MeasuredWindow | null> {
    const { version, spec, windowDays } = wanted;
    const comparable = comparableOf(spec);
    if (!comparable) return null;
    const name = JSON.stringify(['live', version.id, windowDays, measuredOwner(principal)]);
    const by = { account: principal.id, ref: version.ref };
    return this.#parts.measurements.of(name, by, () => this.#measure(wanted, comparable, principal));
  }

  async #measure(
    { version, windowDays }: Wanted,
    comparable: Comparable,
    principal: Principal,
  ): Promise<MeasuredWindow> {
    const { db, signal } = this.#parts;
    const measuredAt = Date.now();
    const window = { versionId: version.id, since: measuredAt - windowDays * DAY_MS };
    const file = 'outcome-thread.js';
    const thread: OutcomeThread = new AskedThread({ file, workerData: comparable, ref: version.ref, signal });
    try {
      const isCapped = await this.#sendOutcomes(thread, window, mostOutcomes(comparable), principal);
      const predictions = await countLivePredictions(db, principal, window, MAX_PREDICTIONS);
      const seed = `outcomes of ${version.id}`;
      const { outcomes, metrics } = await thread.ask<MeasuredOutcomes>({ kind: 'measure', seed });
      const times = { since: new Date(window.since), measuredAt: new Date(measuredAt) };
      const found = outcomes > 0 ? metrics : metrics.map((metric) => ({ ...metric, undefinedReason: NO_OUTCOMES }));
      return { ...times, predictions, outcomes, isCapped, metrics: found };
    } finally {
      await thread.end();
    }
  }

  /** Returns whether there are more than `most`. */
  async #sendOutcomes(thread: OutcomeThread, window: LiveWindow, most: number, principal: Principal): Promise<boolean> {
    const { db, dataKeys } = this.#parts;
    let before = firstIdAt('Prediction', END_OF_TIME_MS);
    for (let left = most; ; ) {
      const limit = Math.min(ROWS_A_READ, left + 1);
      const found = await findLiveOutcomes(db, principal, window, { before, limit });
      const rows = found.slice(0, left);
      const keys = await dataKeys.find([...new Set(rows.map(({ data_key }) => data_key))]);
      await withLentKeys(keys, (lent) => thread.ask<null>({ kind: 'outcomes', rows, keys: lent }));
      left -= rows.length;
      if (rows.length < found.length) return true;
      if (found.length < limit) return false;
      before = rows.at(-1)?.prediction_id ?? '';
    }
  }
}
