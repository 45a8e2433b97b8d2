/** Versions to choose between, as one request sees them: batched, and cached for that request only. */
import DataLoader from 'dataloader';
import type { Principal } from '../access/principal.js';
import type { EvaluationContext } from '../evaluation/loaders.js';
import type { ServingContext } from '../serving/loaders.js';
import type { CatalogDatabase } from '../storage/database.js';
import { loaderFor } from '../storage/loaders.js';
import type { TaskName } from '../tasks/tasks.js';
import { type Evaluated, findEvaluated, findUnevaluated, type Unevaluated } from './candidates.queries.js';
import type { Gap, Pair } from './ranking.js';

export interface ChoosingContext extends EvaluationContext, ServingContext {
  readonly choosingLoaders: ChoosingLoaders;
}

/** Versions that a dataset is asked for. */
const MAX_EVALUATED = 200;
const MAX_UNEVALUATED = 50;

/** The first of a list, and whether it has more. */
export interface Beginning<T> {
  readonly found: readonly T[];
  readonly hasMore: boolean;
}

export class ChoosingLoaders {
  readonly #db: CatalogDatabase;
  readonly #principal: Principal;
  readonly #evaluated = new Map<string, DataLoader<string, Beginning<Evaluated>>>();
  #gaps: DataLoader<Pair, Gap, string> | null = null;

  constructor(db: CatalogDatabase, principal: Principal) {
    this.#db = db;
    this.#principal = principal;
  }

  /** Versions with an evaluation on the dataset, best first by the metric. `task`: only its versions. */
  evaluated(datasetId: string, metric: string, task: TaskName | null): Promise<Beginning<Evaluated>> {
    const load = async (ids: readonly string[]) => {
      const wanted = { metric, task, limit: MAX_EVALUATED + 1 };
      const found = Map.groupBy(await findEvaluated(this.#db, this.#principal, ids, wanted), (one) => one.datasetId);
      return ids.map((id) => beginningOf(found.get(id) ?? [], MAX_EVALUATED));
    };
    return loaderFor(this.#evaluated, [metric, task], () => new DataLoader(load)).load(datasetId);
  }

  /** How two ranked versions differ. */
  gap(pair: Pair, find: (pairs: readonly Pair[]) => Promise<Gap[]>): Promise<Gap> {
    this.#gaps ??= new DataLoader(find, {
      cacheKeyFn: ({ candidate, other }) => `${candidate.evaluationId} ${other.evaluationId} ${candidate.metric?.name}`,
    });
    return this.#gaps.load(pair);
  }

  /** Versions of the task without an evaluation of its present rows. */
  async unevaluated(datasetId: string, task: TaskName): Promise<Beginning<Unevaluated>> {
    const limit = MAX_UNEVALUATED + 1;
    return beginningOf(await findUnevaluated(this.#db, this.#principal, { task, datasetId, limit }), MAX_UNEVALUATED);
  }
}

function beginningOf<T>(found: readonly T[], most: number): Beginning<T> {
  return { found: found.slice(0, most), hasMore: found.length > most };
}
