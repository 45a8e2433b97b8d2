import { Arg, Ctx, FieldResolver, Int, Resolver, Root } from 'type-graphql';
import { checkRange } from '../graphql/check-range.js';
import { type Args, Cost } from '../graphql/cost.js';
import { create } from '../graphql/create.js';
import { Evaluation } from './evaluation.type.js';
import { type Importance, mostImportant } from './importance.js';
import { FeatureImportance, PermutationImportance } from './importance.type.js';
import type { EvaluationContext } from './loaders.js';
import { isSameMetric } from './paired.js';

const POINTS_PER_IMPORTANCE = 10;
const MAX_LISTED = 1_000;

@Resolver(() => Evaluation)
export class ImportanceResolver {
  @FieldResolver(() => PermutationImportance, {
    nullable: true,
    description: 'How much a metric depends on each column; null unless `importance` was asked for, and it SUCCEEDED.',
  })
  async importance(
    @Root() { id, jobState }: Evaluation,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<PermutationImportance | null> {
    const job = jobState === 'SUCCEEDED' ? await evaluationLoaders.job.load(id) : null;
    const asked: Importance | null = JSON.parse(job?.importance ?? 'null');
    if (!asked) return null;
    const metrics = await evaluationLoaders.metrics.load(id);
    const metric = metrics.find((one) => isSameMetric(one, asked)) ?? null;
    const { repeats, columns: featureCount } = asked;
    return create(PermutationImportance, { repeats, featureCount, metric, evaluationId: id });
  }
}

@Resolver(() => PermutationImportance)
export class FeatureImportanceResolver {
  @Cost({ points: POINTS_PER_IMPORTANCE, elements: ({ first }: Args) => Math.min(Number(first), MAX_LISTED) })
  @FieldResolver(() => [FeatureImportance], {
    description: 'Columns, the most important one first; those without numbers are the last.',
  })
  async features(
    @Root() { evaluationId }: PermutationImportance,
    @Arg('first', () => Int, {
      defaultValue: 100,
      description: `Number of columns to return, 1 to ${MAX_LISTED.toLocaleString('en')}. Other values are a BAD_USER_INPUT error.`,
    })
    first: number,
    @Ctx() { evaluationLoaders }: EvaluationContext,
  ): Promise<FeatureImportance[]> {
    checkRange('first', first, 1, MAX_LISTED);
    return mostImportant(await evaluationLoaders.parts(evaluationId, 'IMPORTANCE'))
      .slice(0, first)
      .map((one) => create(FeatureImportance, one));
  }
}
