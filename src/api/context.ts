/**
 * What resolvers see of a request: who asks, whether they still wait, and loaders that live as long as the request.
 *
 * Loaders are made when they are first used: a prediction needs none.
 */
import type { Principal } from '../access/principal.js';
import type { CatalogLoaders } from '../catalog/loaders.js';
import type { Connection } from '../engine/queue.js';
import type { EvaluationContext, EvaluationLoaders } from '../evaluation/loaders.js';
import type { PredictionLoader } from '../prediction/history.js';
import type { PredictionContext } from '../prediction/prediction.resolver.js';

export interface LoaderFactories {
  readonly catalog: () => CatalogLoaders;
  readonly evaluations: () => EvaluationLoaders;
  readonly predictionById: () => PredictionLoader;
}

/** Apollo Server copies the context's own properties for each request, so it keeps nothing in `#private` fields. */
export class RequestContext implements PredictionContext, EvaluationContext {
  private readonly factories: LoaderFactories;
  private loaders: { catalog?: CatalogLoaders; evaluations?: EvaluationLoaders; predictionById?: PredictionLoader } =
    {};

  constructor(
    readonly principal: Principal,
    readonly connection: Connection,
    loadersOf: (principal: Principal) => LoaderFactories,
  ) {
    this.factories = loadersOf(principal);
  }

  get catalog(): CatalogLoaders {
    this.loaders.catalog ??= this.factories.catalog();
    return this.loaders.catalog;
  }

  get evaluations(): EvaluationLoaders {
    this.loaders.evaluations ??= this.factories.evaluations();
    return this.loaders.evaluations;
  }

  get predictionById(): PredictionLoader {
    this.loaders.predictionById ??= this.factories.predictionById();
    return this.loaders.predictionById;
  }
}
