/**
 * Drift: how recent predictions of a version differ from its answers in an evaluation, and their inputs from the rows of the dataset.
 * A thread opens a sample of the predictions, and compares it with a sample of the evaluated rows.
 */
import type { Principal } from '../access/principal.js';
import type { Version } from '../catalog/version.type.js';
import type { DatasetColumn } from '../datasets/dataset-columns.js';
import { type Plan, planOf } from '../evaluation/plan.js';
import { measuredOwner } from '../prediction/outcome.queries.js';
import { findSampled, findSampledIds } from '../prediction/sample.queries.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import type { VersionSpec } from '../tasks/tasks.js';
import type { DataKeys } from '../vault/data-keys.js';
import { withLentKeys } from '../vault/lent-keys.js';
import { AskedThread } from './asked-thread.js';
import type { Watched } from './drift-sample.js';
import type { ComparedSamples, DriftMessage, DriftTask } from './drift-thread.js';
import type { Measurements } from './measurements.js';
import { findReference, findReferencePieces, type Reference, type ReferencePiece } from './reference.queries.js';

/** Predictions, and rows. */
const SAMPLE_SIZE = 5_000;
/** Of the newest ones in the window, with those of all accounts. */
const SCANNED_PREDICTIONS = 100_000;
/** Of all sampled predictions together: of versions with many labels, fewer are sampled. */
const MAX_SCORES = 200_000;
/** More labels, and more columns, are not compared. */
const MAX_SCORED_LABELS = 20;
const MAX_COLUMNS = 50;
/** Of the evaluation, evenly spread; each has up to 1,000 rows. */
const MAX_PIECES = 100;
/** Up to 32 KiB each. */
const ROWS_A_READ = 50;
const NO_REFERENCE =
  'This server has no evaluation of the version on data that it was not trained on, or you may not see it.';
const DELETED = 'The evaluation was deleted meanwhile.';

export interface FoundDrift extends ComparedSamples {
  readonly evaluationId: string | null;
  readonly undefinedReason: string | null;
}

interface Parts {
  readonly db: PredictionDatabase;
  readonly catalogDb: CatalogDatabase;
  readonly blobs: BlobFolder;
  readonly dataKeys: DataKeys;
  readonly measurements: Measurements;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

export interface WantedDrift {
  readonly version: Pick<Version, 'id' | 'ref'>;
  readonly spec: VersionSpec;
  readonly since: Date;
}

type DriftThread = AskedThread<DriftMessage>;

export class Drifts {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws OverloadedError, ShuttingDownError */
  async measure(wanted: WantedDrift, principal: Principal): Promise<FoundDrift> {
    const { catalogDb, measurements } = this.#parts;
    const { id, ref } = wanted.version;
    const reference = await findReference(catalogDb, principal, id);
    if (!reference) return nothing(null, NO_REFERENCE);
    const name = JSON.stringify(['drift', id, wanted.since, reference.id, measuredOwner(principal)]);
    return measurements.of(name, { account: principal.id, ref }, () => this.#measure(wanted, reference, principal));
  }

  async #measure({ version, spec, since }: WantedDrift, reference: Reference, principal: Principal) {
    const { db, catalogDb, blobs, signal } = this.#parts;
    const columns: DatasetColumn[] = JSON.parse(reference.columns);
    const plan = planOf(spec, { target: reference.target, columns });
    const pieces = evenly(await findReferencePieces(catalogDb, principal, reference), MAX_PIECES);
    const size = Math.min(SAMPLE_SIZE, Math.max(1, Math.floor(MAX_SCORES / Math.max(1, spec.labels.length))));
    const task: DriftTask = {
      watched: watchedOf(plan, spec, columns),
      labels: plan.labels,
      ownLabels: spec.labels,
      pieces: pieces.map((piece) => ({
        ...piece,
        answers: blobs.pathOf(piece.answers),
        rows: blobs.pathOf(piece.rows),
      })),
      sampleSize: SAMPLE_SIZE,
      seed: `rows of ${reference.id}`,
    };
    const window = { versionId: version.id, since: since.getTime() };
    const ids = await findSampledIds(db, principal, window, { scanned: SCANNED_PREDICTIONS, size });
    const thread: DriftThread = new AskedThread({
      file: 'drift-thread.js',
      workerData: task,
      ref: version.ref,
      signal,
    });
    try {
      await this.#sendPredictions(thread, ids, principal);
      const compared = await thread.ask<ComparedSamples>({ kind: 'compare' });
      return { ...compared, evaluationId: reference.id, undefinedReason: null };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing(reference.id, DELETED);
      throw error;
    } finally {
      await thread.end();
    }
  }

  async #sendPredictions(thread: DriftThread, ids: readonly string[], principal: Principal): Promise<void> {
    const { db, dataKeys } = this.#parts;
    for (let at = 0; at < ids.length; at += ROWS_A_READ) {
      const rows = await findSampled(db, principal, ids.slice(at, at + ROWS_A_READ));
      const keys = await dataKeys.find([...new Set(rows.flatMap(({ data_key }) => data_key ?? []))]);
      await withLentKeys(keys, (lent) => thread.ask<null>({ kind: 'predictions', rows, keys: lent }));
    }
  }
}

function nothing(evaluationId: string | null, undefinedReason: string): FoundDrift {
  return { evaluationId, undefinedReason, referenceRows: 0, recentPredictions: 0, measures: [] };
}

function watchedOf({ answers, columns: read }: Plan, spec: VersionSpec, columns: readonly DatasetColumn[]): Watched[] {
  const isOfClasses = answers === 'classification';
  const answer: Watched = { subject: 'ANSWER', name: null, type: isOfClasses ? 'CATEGORY' : 'NUMBER' };
  const scored = isOfClasses && spec.labels.length <= MAX_SCORED_LABELS ? spec.labels : [];
  const scores = [...new Set(scored)].map((name): Watched => ({ subject: 'SCORE', name, type: 'NUMBER' }));
  const typesRead = new Map(spec.columns.map(({ name, type }) => [name, type]));
  const inputs = columns.flatMap(({ name, type: stored }): Watched[] => {
    // Texts of CSV are categories if the version says so.
    const type = stored === 'TEXT' ? typesRead.get(name) : stored;
    const isNumber = type === 'NUMBER' || type === 'INTEGER';
    if (!read?.includes(name) || !(isNumber || type === 'CATEGORY' || type === 'BOOLEAN')) return [];
    return [{ subject: 'INPUT', name, type: isNumber ? 'NUMBER' : 'CATEGORY' }];
  });
  return [answer, ...scores, ...inputs.slice(0, MAX_COLUMNS)];
}

function evenly(pieces: readonly ReferencePiece[], most: number): readonly ReferencePiece[] {
  if (pieces.length <= most) return pieces;
  return Array.from({ length: most }, (_, i) => pieces[Math.floor((i * pieces.length) / most)] as ReferencePiece);
}
