import type { GraphQLResolveInfo } from 'graphql';
import { Arg, Ctx, FieldResolver, Info, Int, Resolver, Root } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { Version } from '../catalog/version.type.js';
import { AFTER, FIRST } from '../graphql/connection.type.js';
import { selects } from '../graphql/selection.js';
import { Evaluation, EvaluationConnection, EvaluationOrigin, Metric } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';

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

  @FieldResolver(() => [Metric], { description: 'Metrics of the evaluation.' })
  metrics(
    @Root() { id, knownMetrics }: Evaluation,
    @Arg('names', () => [String], {
      nullable: true,
      description: 'Names of the metrics to return, such as ["accuracy"]. Default: all.',
    })
    names: string[] | null,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Metric[] | Promise<Metric[]> {
    const named = (metrics: Metric[]) => (names ? metrics.filter(({ name }) => names.includes(name)) : metrics);
    return knownMetrics ? named(knownMetrics) : evaluationLoaders.metrics.load(id).then(named);
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
