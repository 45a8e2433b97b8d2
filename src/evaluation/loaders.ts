/** Evaluations as one request sees them: batched, and cached for that request only. */
import DataLoader from 'dataloader';
import type { Principal } from '../access/principal.js';
import { type CatalogContext } from '../catalog/loaders.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loaderFor, loadMany, loadOne } from '../storage/loaders.js';
import type { EvaluationPartTable } from '../storage/migrations/evaluation.table.js';
import type { Page, PageArgs } from '../storage/pages.js';
import {
  type EvaluationChoice,
  type EvaluationParent,
  findBestEvaluations,
  findEvaluationPages,
  findEvaluationsByIds,
  findEvaluationsOnTrainingData,
  findMetrics,
  positionIn,
  toMetric,
} from './evaluation.queries.js';
import type { Evaluation } from './evaluation.type.js';
import { findGates } from './gate.queries.js';
import { findJobs, findParts } from './job.queries.js';
import { findTestDatasetIds } from './test-data.queries.js';

export interface EvaluationContext extends CatalogContext {
  readonly evaluationLoaders: EvaluationLoaders;
}

export class EvaluationLoaders {
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;
  readonly #pages = new Map<string, DataLoader<string, Page<Evaluation>>>();
  readonly #best = new Map<string, DataLoader<string, Evaluation | null>>();

  constructor(db: CatalogDatabase, principal: Principal) {
    this.#db = db;
    this.#principal = principal;
  }

  readonly evaluation = loadOne(
    (ids) => findEvaluationsByIds(this.#db, this.#principal, ids),
    ({ id }: Evaluation) => id,
  );
  readonly metrics = loadMany(
    (ids) => findMetrics(this.#db, this.#principal, ids),
    ({ evaluation_id }) => evaluation_id,
    toMetric,
  );

  readonly gates = loadMany(
    (ids) => findGates(this.#db, this.#principal, ids),
    ({ modelId }) => modelId,
    (gate) => gate,
  );

  readonly job = loadOne(
    (ids) => findJobs(this.#db, this.#principal, ids),
    ({ evaluation_id }) => evaluation_id,
  );

  /** In order. `label`: only those of this class. */
  parts(id: string, kind: EvaluationPartTable['kind'], label: string | null = null) {
    return findParts(this.#db, this.#principal, id, { kind, label });
  }

  readonly isOnTrainingData = new DataLoader<string, boolean>(async (ids) => {
    const found = new Set(await findEvaluationsOnTrainingData(this.#db, this.#principal, ids));
    return ids.map((id) => found.has(id));
  });

  async evaluationsOf(parent: EvaluationParent, parentId: string, args: PageArgs): Promise<Page<Evaluation>> {
    // Before the parents are batched: the cursor is wrong for all others.
    if (args.after != null) positionIn(parent, parentId, args.after);
    const load = async (ids: readonly string[]) => {
      const found = await findEvaluationPages(this.#db, this.#principal, parent, ids, args);
      return ids.map((id) => found.get(id) as Page<Evaluation>);
    };
    return loaderFor(this.#pages, [parent, args.first, args.after], () => new DataLoader(load)).load(parentId);
  }

  testDatasetIds(versionId: string): Promise<string[]> {
    return findTestDatasetIds(this.#db, this.#principal, versionId);
  }

  best(versionId: string, choice: EvaluationChoice): Promise<Evaluation | null> {
    const find = (ids: readonly string[]) => findBestEvaluations(this.#db, this.#principal, ids, choice);
    return loaderFor(this.#best, [choice.dataset, choice.origin, choice.hasMetrics], () =>
      loadOne(find, (found) => found.versionId),
    ).load(versionId);
  }
}
