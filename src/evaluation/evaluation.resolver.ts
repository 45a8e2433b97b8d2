import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, FieldResolver, Info, Int, Resolver, Root } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { Model } from '../catalog/model.type.js';
import { Version } from '../catalog/version.type.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { selects } from '../graphql/selection.js';
import { targetsOf } from '../tasks/tasks.js';
import { Evaluation, EvaluationConnection, EvaluationOrigin, Metric } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';
import { metricTitle, metricUnit } from './metric-names.js';

@Resolver(() => Evaluation)
export class EvaluationResolver {
  @FieldResolver(() => Version, {
    nullable: true,
    description: 'Version that was evaluated; null if you may not see it.',
  })
  evaluatedVersion(
    @Root() { versionId }: Evaluation,
    @Ctx() { catalogLoaders }: EvaluationContext,
  ): Promise<Version | null> {
    return catalogLoaders.version.load(versionId);
  }

  @FieldResolver(() => Dataset, {
    nullable: true,
    description: 'Dataset that the version was evaluated on; null if you may not see it.',
  })
  dataset(@Root() { datasetId }: Evaluation, @Ctx() { catalogLoaders }: EvaluationContext): Promise<Dataset | null> {
    return catalogLoaders.dataset.load(datasetId);
  }

  @FieldResolver(() => Boolean, {
    description:
      'Whether the version was trained on the dataset, or on another one with the same file or the same rows: such metrics do not say how the version does on data that it has not seen. Datasets that you may not see are not compared.',
  })
  onTrainingData(@Root() { id }: Evaluation, @Ctx() { evaluationLoaders }: EvaluationContext): Promise<boolean> {
    return evaluationLoaders.isOnTrainingData.load(id);
  }

  @FieldResolver(() => [Metric], { description: 'Metrics of the evaluation.' })
  metrics(
    @Root() { id, versionId, knownMetrics }: Evaluation,
    @Arg('names', () => [String], {
      nullable: true,
      description: 'Names of the metrics to return, such as ["accuracy"]. Default: all. An empty list means all, too.',
    })
    names: string[] | null,
    @Ctx() context: EvaluationContext,
    @Info() info: GraphQLResolveInfo,
  ): Metric[] | Promise<Metric[]> {
    const named = (metrics: Metric[]) => (names?.length ? metrics.filter(({ name }) => names.includes(name)) : metrics);
    const found = knownMetrics ? named(knownMetrics) : context.evaluationLoaders.metrics.load(id).then(named);
    return selects(info, 'unit') ? withUnits(found, versionId, context) : found;
  }
}

/** The unit is that of the only number that the version predicts. */
export async function withUnits(
  metrics: Metric[] | Promise<Metric[]>,
  versionId: string,
  { catalogLoaders }: EvaluationContext,
): Promise<Metric[]> {
  const spec = (await catalogLoaders.spec.load(versionId))?.spec;
  const targets = spec ? targetsOf(spec) : [];
  const unit = targets.length === 1 ? (targets[0]?.unit ?? null) : null;
  return (await metrics).map((metric) => ({ ...metric, unit: metricUnit(metric.name, unit) }));
}

@Resolver(() => Metric)
export class MetricResolver {
  @FieldResolver(() => String, {
    description: 'Name for readers, with the average: "F1 (macro)", "Area under the ROC curve".',
  })
  title(@Root() { name, average }: Metric): string {
    return metricTitle(name, average);
  }
}

@Resolver(() => Model)
export class ModelHeadlineResolver {
  @FieldResolver(() => Metric, {
    nullable: true,
    description:
      "The metric to show first: of the default version's evaluation on its test dataset, the first one that covers all classes and has a value. Null if there is none.",
  })
  async headline(
    @Root() { defaultVersionId }: Model,
    @Ctx() context: EvaluationContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Metric | null> {
    if (defaultVersionId === null) return null;
    const choice = { dataset: null, origin: null, hasMetrics: true };
    const evaluation = await context.evaluationLoaders.best(defaultVersionId, choice);
    const first = evaluation?.knownMetrics?.find(({ label, value }) => label === null && value !== null);
    if (!first || !selects(info, 'unit')) return first ?? null;
    return (await withUnits([first], defaultVersionId, context))[0] ?? null;
  }
}

@Resolver(() => Version)
export class VersionEvaluationResolver {
  @FieldResolver(() => Evaluation, {
    nullable: true,
    description:
      'Evaluation of this version on one dataset: the newest COMPUTED one in state SUCCEEDED, otherwise the newest IMPORTED one. Null if there is none.',
  })
  evaluation(
    @Root() { id }: Version,
    @Arg('dataset', () => String, {
      nullable: true,
      description: "Name of the dataset. Default: the version's test dataset, as its model states it.",
    })
    dataset: string | null,
    @Arg('origin', () => EvaluationOrigin, { nullable: true, description: 'Origin to consider. Default: both.' })
    origin: keyof typeof EvaluationOrigin | null,
    @Ctx() { evaluationLoaders }: EvaluationContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Evaluation | null> {
    return evaluationLoaders.best(id, { dataset, origin, hasMetrics: selects(info, 'metrics') });
  }

  @FieldResolver(() => EvaluationConnection, { description: 'Evaluations of this version, newest first.' })
  async evaluations(
    @Root() { id }: Version,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationConnection> {
    return new EvaluationConnection(await evaluationLoaders.evaluationsOf('version', id, { first, after }));
  }
}

@Resolver(() => Dataset)
export class DatasetEvaluationResolver {
  @FieldResolver(() => EvaluationConnection, { description: 'Evaluations on this dataset, newest first.' })
  async evaluations(
    @Root() { id }: Dataset,
    @Arg('first', () => Int, { defaultValue: 10, description: FIRST }) first: number,
    @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | null,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<EvaluationConnection> {
    return new EvaluationConnection(await evaluationLoaders.evaluationsOf('dataset', id, { first, after }));
  }
}
