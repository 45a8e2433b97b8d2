/** Every resolver class of the schema, and how an instance is made from the app's parts. */

import type { ApiKeys } from '../access/api-keys.js';
import type { RegisteredOperations } from '../access/registered-operations.js';
import { AliasChangeResolver, AliasResolver } from '../catalog/alias.resolver.js';
import type { Catalog } from '../catalog/catalog.js';
import { DatasetResolver } from '../catalog/dataset.resolver.js';
import type { ListingCounts } from '../catalog/listing-counts.js';
import { ModelResolver } from '../catalog/model.resolver.js';
import { ArtifactResolver, VersionResolver } from '../catalog/version.resolver.js';
import type { Choosing } from '../choosing/choosing.js';
import {
  ChoosingResolver,
  DatasetLeaderboardResolver,
  DefeatResolver,
  MissingEvaluationResolver,
  RankedVersionResolver,
  RecommendationResolver,
  RefusedEvaluationResolver,
} from '../choosing/choosing.resolver.js';
import { RecommendationPlotResolver } from '../choosing/recommendation-plot.resolver.js';
import { DatasetRegistrationResolver } from '../datasets/dataset-registration.resolver.js';
import { DatasetRowResolver, DatasetRowsResolver } from '../datasets/dataset-rows.resolver.js';
import type { Datasets } from '../datasets/datasets.js';
import type { Engine } from '../engine/engine.js';
import { ComparisonResolver, VersionComparisonResolver } from '../evaluation/comparison.resolver.js';
import {
  DatasetEvaluationResolver,
  EvaluationResolver,
  MetricResolver,
  ModelHeadlineResolver,
  VersionEvaluationResolver,
} from '../evaluation/evaluation.resolver.js';
import { EvaluationJobResolver } from '../evaluation/evaluation-job.resolver.js';
import type { Evaluator } from '../evaluation/evaluator.js';
import {
  GateResolver,
  GateVerdictResolver,
  ModelGatesResolver,
  VersionGateResolver,
} from '../evaluation/gate.resolver.js';
import type { Gates } from '../evaluation/gates.js';
import { FeatureImportanceResolver, ImportanceResolver } from '../evaluation/importance.resolver.js';
import { ModelCardResolver } from '../evaluation/model-card.resolver.js';
import { PlotResolver } from '../evaluation/plot.resolver.js';
import type { Plots } from '../evaluation/plots.js';
import type { SealedPlots } from '../evaluation/sealed-plots.js';
import type { ComparisonNeeds } from '../evaluation/version-comparison.js';
import { ExplanationPlotResolver, ExplanationResolver } from '../explanation/explanation.resolver.js';
import type { Explanations } from '../explanation/explanations.js';
import type { ImportProgress } from '../importing/import-progress.js';
import { ImportResolver } from '../importing/imports.resolver.js';
import { DriftResolver, LiveDriftResolver } from '../monitoring/drift.resolver.js';
import type { Drifts } from '../monitoring/drifts.js';
import type { Live } from '../monitoring/live.js';
import { LiveMetricsResolver, VersionLiveResolver } from '../monitoring/live.resolver.js';
import { LiveGateResolver, ModelLiveGateResolver } from '../monitoring/live-gate.resolver.js';
import { DatasetPictureResolver } from '../prediction/dataset-picture.resolver.js';
import { ErasureResolver } from '../prediction/erasure.resolver.js';
import type { Erasures } from '../prediction/erasures.js';
import type { History } from '../prediction/history.js';
import { MaskResolver } from '../prediction/mask.resolver.js';
import { OutcomeResolver } from '../prediction/outcome.resolver.js';
import type { Outcomes } from '../prediction/outcomes.js';
import type { PictureUrls } from '../prediction/picture-urls.js';
import { PredictionResolver, VersionPredictionsResolver } from '../prediction/prediction.resolver.js';
import type { Predictions } from '../prediction/predictions.js';
import type { Replays } from '../prediction/replay.js';
import { ReplayResolver } from '../prediction/replay.resolver.js';
import { PublicationResolver } from '../publishing/publication.resolver.js';
import type { Publisher } from '../publishing/publisher.js';
import type { Registration } from '../publishing/registration.js';
import { UploadResolver } from '../publishing/upload.resolver.js';
import type { Uploads } from '../publishing/uploads.js';
import { MoveAliasResolver } from '../serving/alias.resolver.js';
import type { Serving } from '../serving/serving.js';
import { EngineResolver, LatencyResolver, VersionServingResolver } from '../serving/serving.resolver.js';
import type { BlobFolder } from '../storage/blobs.js';
import type { CatalogDatabase, PredictionDatabase } from '../storage/database.js';
import { AuditResolver } from './audit.resolver.js';
import { LimitsResolver } from './limits.resolver.js';
import { NodeResolver } from './node.resolver.js';
import { OperationsResolver } from './operations.resolver.js';
import { ViewerResolver } from './viewer.resolver.js';

export interface ResolverParts {
  readonly catalogDb: CatalogDatabase;
  readonly predictionDb: PredictionDatabase;
  readonly blobs: BlobFolder;
  readonly catalog: Catalog;
  readonly counts: ListingCounts;
  readonly engine: Engine;
  readonly predictions: Predictions;
  readonly replays: Replays;
  readonly explanations: Explanations;
  readonly evaluator: Evaluator;
  readonly plots: Plots;
  readonly sealedPlots: SealedPlots;
  readonly outcomes: Outcomes;
  readonly live: Live;
  readonly drifts: Drifts;
  readonly choosing: Choosing;
  readonly comparison: ComparisonNeeds;
  readonly gates: Gates;
  readonly erasures: Erasures;
  readonly history: History;
  readonly pictureUrls: PictureUrls;
  readonly imports: ImportProgress;
  readonly serving: Serving;
  readonly keys: ApiKeys;
  readonly operations: RegisteredOperations;
  readonly uploads: Uploads;
  readonly publisher: Publisher;
  readonly registration: Registration;
  readonly datasets: Datasets;
  readonly defaultDeadlineMs: number;
  readonly maxResponseBytes: number;
}

export type ResolverClass = new (...args: never[]) => object;

export const RESOLVERS: ReadonlyMap<ResolverClass, (parts: ResolverParts) => object> = new Map<
  ResolverClass,
  (parts: ResolverParts) => object
>([
  [ModelResolver, ({ catalogDb, counts }) => new ModelResolver(catalogDb, counts)],
  [VersionResolver, () => new VersionResolver()],
  [AliasResolver, () => new AliasResolver()],
  [AliasChangeResolver, () => new AliasChangeResolver()],
  [ArtifactResolver, () => new ArtifactResolver()],
  [DatasetResolver, ({ catalogDb }) => new DatasetResolver(catalogDb)],
  [DatasetRowsResolver, () => new DatasetRowsResolver()],
  [DatasetRowResolver, () => new DatasetRowResolver()],
  [DatasetRegistrationResolver, ({ datasets }) => new DatasetRegistrationResolver(datasets)],
  [MoveAliasResolver, ({ catalog, serving }) => new MoveAliasResolver(catalog, serving)],
  [VersionServingResolver, ({ engine, serving }) => new VersionServingResolver(engine, serving)],
  [LatencyResolver, ({ engine }) => new LatencyResolver(engine)],
  [EngineResolver, ({ engine }) => new EngineResolver(engine)],
  [
    PredictionResolver,
    ({ predictions, history, blobs, pictureUrls }) => new PredictionResolver(predictions, history, blobs, pictureUrls),
  ],
  [ExplanationResolver, ({ explanations }) => new ExplanationResolver(explanations)],
  [ExplanationPlotResolver, ({ sealedPlots }) => new ExplanationPlotResolver(sealedPlots)],
  [ReplayResolver, ({ replays }) => new ReplayResolver(replays)],
  [OutcomeResolver, ({ outcomes }) => new OutcomeResolver(outcomes)],
  [VersionLiveResolver, ({ live }) => new VersionLiveResolver(live)],
  [LiveMetricsResolver, () => new LiveMetricsResolver()],
  [ModelLiveGateResolver, ({ live }) => new ModelLiveGateResolver(live)],
  [LiveGateResolver, () => new LiveGateResolver()],
  [LiveDriftResolver, ({ drifts }) => new LiveDriftResolver(drifts)],
  [DriftResolver, () => new DriftResolver()],
  [DatasetPictureResolver, ({ pictureUrls }) => new DatasetPictureResolver(pictureUrls)],
  [MaskResolver, ({ pictureUrls }) => new MaskResolver(pictureUrls)],
  [ErasureResolver, ({ erasures }) => new ErasureResolver(erasures)],
  [VersionPredictionsResolver, ({ predictionDb }) => new VersionPredictionsResolver(predictionDb)],
  [EvaluationResolver, () => new EvaluationResolver()],
  [EvaluationJobResolver, ({ evaluator }) => new EvaluationJobResolver(evaluator)],
  [ImportanceResolver, () => new ImportanceResolver()],
  [FeatureImportanceResolver, () => new FeatureImportanceResolver()],
  [PlotResolver, ({ plots }) => new PlotResolver(plots)],
  [ComparisonResolver, ({ comparison }) => new ComparisonResolver(comparison)],
  [VersionComparisonResolver, () => new VersionComparisonResolver()],
  [GateResolver, ({ comparison, gates }) => new GateResolver(comparison.db, gates)],
  [GateVerdictResolver, () => new GateVerdictResolver()],
  [ModelGatesResolver, () => new ModelGatesResolver()],
  [VersionGateResolver, ({ gates }) => new VersionGateResolver(gates)],
  [MetricResolver, () => new MetricResolver()],
  [ModelHeadlineResolver, () => new ModelHeadlineResolver()],
  [VersionEvaluationResolver, () => new VersionEvaluationResolver()],
  [DatasetEvaluationResolver, () => new DatasetEvaluationResolver()],
  [ChoosingResolver, ({ choosing }) => new ChoosingResolver(choosing)],
  [DatasetLeaderboardResolver, ({ choosing }) => new DatasetLeaderboardResolver(choosing)],
  [RecommendationResolver, () => new RecommendationResolver()],
  [RecommendationPlotResolver, ({ sealedPlots }) => new RecommendationPlotResolver(sealedPlots)],
  [RankedVersionResolver, ({ choosing }) => new RankedVersionResolver(choosing)],
  [DefeatResolver, ({ choosing }) => new DefeatResolver(choosing)],
  [MissingEvaluationResolver, () => new MissingEvaluationResolver()],
  [RefusedEvaluationResolver, () => new RefusedEvaluationResolver()],
  [ModelCardResolver, () => new ModelCardResolver()],
  [UploadResolver, ({ uploads }) => new UploadResolver(uploads)],
  [
    PublicationResolver,
    ({ registration, publisher, catalog }) => new PublicationResolver(registration, publisher, catalog),
  ],
  [ImportResolver, ({ imports }) => new ImportResolver(imports)],
  [NodeResolver, () => new NodeResolver()],
  [ViewerResolver, ({ keys }) => new ViewerResolver(keys)],
  [OperationsResolver, ({ operations }) => new OperationsResolver(operations)],
  [AuditResolver, ({ catalogDb }) => new AuditResolver(catalogDb)],
  [
    LimitsResolver,
    ({ defaultDeadlineMs, maxResponseBytes }) => new LimitsResolver({ defaultDeadlineMs, maxResponseBytes }),
  ],
]);
