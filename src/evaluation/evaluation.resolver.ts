import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { Version } from '../catalog/version.type.js';
import { Evaluation, EvaluationConnection, EvaluationOrigin, Metric } from './evaluation.type.js';
import type { EvaluationContext } from './loaders.js';

@Resolver(() => Evaluation)
export class EvaluationResolver {
  @FieldResolver(() => Version, {
    nullable: true,
    description: 'The version that was measured; null when you may not see it.',
  })
  evaluatedVersion(@Root() { versionId }: Evaluation, @Ctx() { catalog }: EvaluationContext): Promise<Version | null> {
    return catalog.version.load(versionId);
  }

  @FieldResolver(() => Dataset, {
    nullable: true,
    description: 'What it was measured on; null when you may not see it.',
  })
  dataset(@Root() { datasetId }: Evaluation, @Ctx() { catalog }: EvaluationContext): Promise<Dataset | null> {
    return catalog.dataset.load(datasetId);
  }

  @FieldResolver(() => [Metric], { description: 'What was measured.' })
  async metrics(
    @Root() { id }: Evaluation,
    @Arg('names', () => [String], { nullable: true, description: 'Only metrics of these names.' })
    names: string[] | null,
    @Ctx() { evaluations }: EvaluationContext,
  ): Promise<Metric[]> {
    const metrics = await evaluations.metrics.load(id);
    return names ? metrics.filter(({ name }) => names.includes(name)) : metrics;
  }
}

@Resolver(() => Version)
export class VersionEvaluationResolver {
  @FieldResolver(() => Evaluation, {
    nullable: true,
    description:
      'The newest that SUCCEEDED on the dataset (its default test data when omitted); COMPUTED wins over IMPORTED.',
  })
  evaluation(
    @Root() { id }: Version,
    @Arg('dataset', () => String, { nullable: true, description: 'Name of the dataset.' }) dataset: string | null,
    @Arg('origin', () => EvaluationOrigin, { nullable: true }) origin: keyof typeof EvaluationOrigin | null,
    @Ctx() { evaluations }: EvaluationContext,
  ): Promise<Evaluation | null> {
    return evaluations.best(id, { dataset, origin });
  }

  @FieldResolver(() => EvaluationConnection, { description: 'Newest first.' })
  async evaluations(
    @Root() { id }: Version,
    @Arg('first', () => Int, { defaultValue: 10 }) first: number,
    @Arg('after', () => String, { nullable: true }) after: string | null,
    @Ctx() { evaluations }: EvaluationContext,
  ): Promise<EvaluationConnection> {
    return new EvaluationConnection(await evaluations.pageOf('version', id, { first, after }));
  }
}

@Resolver(() => Dataset)
export class DatasetEvaluationResolver {
  @FieldResolver(() => EvaluationConnection, { description: 'Evaluations made on it, newest first.' })
  async evaluations(
    @Root() { id }: Dataset,
    @Arg('first', () => Int, { defaultValue: 10 }) first: number,
    @Arg('after', () => String, { nullable: true }) after: string | null,
    @Ctx() { evaluations }: EvaluationContext,
  ): Promise<EvaluationConnection> {
    return new EvaluationConnection(await evaluations.pageOf('dataset', id, { first, after }));
  }
}
