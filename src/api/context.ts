/**
 * What resolvers know about a request: its principal, its connection and the loaders of each slice.
 *
 * Loaders live as long as the request. They are created on first use, because a prediction needs none.
 */
import type { ExecutionResult } from 'graphql';
import type { Principal } from '../access/principal.js';
import { CatalogLoaders } from '../catalog/loaders.js';
import { type ChoosingContext, ChoosingLoaders } from '../choosing/loaders.js';
import { type DatasetContext, DatasetLoaders } from '../datasets/loaders.js';
import type { CallerConnection, ComputeMeter } from '../engine/queue.js';
import { EvaluationLoaders } from '../evaluation/loaders.js';
import { type PredictionContext, PredictionLoaders } from '../prediction/loaders.js';
import { type PublicationContext, PublicationLoaders } from '../publishing/loaders.js';
import { ServingLoaders } from '../serving/loaders.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { Databases } from '../storage/database.js';
import type { DataKeys } from '../vault/data-keys.js';
import type { AnswerState } from './answers.js';
import type { Admission } from './cost.js';

export type RequestDatabases = Pick<Databases, 'catalogDb' | 'catalogByKey' | 'predictionsByKey'> & {
  readonly dataKeys: DataKeys;
  readonly blobs: BlobFolder;
};

/** Apollo Server copies the context's own properties for each request, so nothing is kept in `#private` fields. */
export class RequestContext implements PredictionContext, ChoosingContext, PublicationContext, DatasetContext {
  private loaders: {
    catalog?: CatalogLoaders;
    datasets?: DatasetLoaders;
    serving?: ServingLoaders;
    evaluations?: EvaluationLoaders;
    choosing?: ChoosingLoaders;
    predictions?: PredictionLoaders;
    publications?: PublicationLoaders;
  } = {};
  /** Null until it is decided whether the operation may be executed. */
  admission: Admission | null = null;
  /** The result that Apollo Server must answer with, because the operation has been executed already. */
  executed: ExecutionResult | null = null;

  constructor(
    readonly principal: Principal,
    readonly connection: CallerConnection & { meter: ComputeMeter | null },
    readonly answer: AnswerState,
    private readonly databases: RequestDatabases,
  ) {}

  get catalogLoaders(): CatalogLoaders {
    this.loaders.catalog ??= new CatalogLoaders(this.databases.catalogDb, this.databases.catalogByKey, this.principal);
    return this.loaders.catalog;
  }

  get datasetLoaders(): DatasetLoaders {
    this.loaders.datasets ??= new DatasetLoaders(this.databases.catalogDb, this.principal, this.databases.blobs);
    return this.loaders.datasets;
  }

  get servingLoaders(): ServingLoaders {
    this.loaders.serving ??= new ServingLoaders(this.databases.catalogByKey, this.principal);
    return this.loaders.serving;
  }

  get evaluationLoaders(): EvaluationLoaders {
    this.loaders.evaluations ??= new EvaluationLoaders(this.databases.catalogDb, this.principal);
    return this.loaders.evaluations;
  }

  get choosingLoaders(): ChoosingLoaders {
    this.loaders.choosing ??= new ChoosingLoaders(this.databases.catalogDb, this.principal);
    return this.loaders.choosing;
  }

  get publicationLoaders(): PublicationLoaders {
    this.loaders.publications ??= new PublicationLoaders(this.databases.catalogByKey, this.principal);
    return this.loaders.publications;
  }

  get predictionLoaders(): PredictionLoaders {
    const { predictionsByKey, dataKeys } = this.databases;
    this.loaders.predictions ??= new PredictionLoaders(predictionsByKey, dataKeys, this);
    return this.loaders.predictions;
  }
}
