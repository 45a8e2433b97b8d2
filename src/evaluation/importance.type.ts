import { Field, Float, InputType, Int, ObjectType } from 'type-graphql';
import { Cost } from '../graphql/cost.js';
import { MetricKeyInput } from './comparison.type.js';
import { Metric } from './evaluation.type.js';
import { DEFAULT_REPEATS, MAX_PERMUTED_ROWS, MAX_REPEATS } from './importance.js';

@InputType({
  description:
    'Permutation importance of the columns of the dataset that the version reads, as `permutation_importance` of scikit-learn (Breiman, 2001): each column is shuffled over the rows, the others stay as they are, and the version answers all rows again.',
})
export class ImportanceInput {
  @Field(() => MetricKeyInput, {
    nullable: true,
    description:
      'Metric that shows what shuffling does. Default: the usual one of the task, such as "accuracy" for classes and "mae" for numbers.',
  })
  metric?: MetricKeyInput | null;

  @Field(() => Int, {
    defaultValue: DEFAULT_REPEATS,
    description: `How often each column is shuffled, 1 to ${MAX_REPEATS}. Rows × columns × repeats may be at most ${MAX_PERMUTED_ROWS.toLocaleString('en')}, where fewer than 1,000 rows count as 1,000.`,
  })
  repeats!: number;
}

@ObjectType({ description: 'How much a metric depends on one column.' })
export class FeatureImportance {
  @Field({ description: 'Name of the column.' })
  feature!: string;

  @Field(() => Float, {
    nullable: true,
    description:
      'Mean over the repeats of what shuffling costs, in the unit of the metric: the metric of the rows as they are minus that of the shuffled ones; the other way round for metrics of which lower is better. So it is positive if the version needs the column, exactly 0 if no answer depends on it, and may be slightly negative by chance. Null for the reason in `undefinedReason`.',
  })
  mean!: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'Standard deviation of that over the repeats, divided by their number and not by one less; null if `mean` is. It tells how much depends on the shuffles, and not on the choice of the rows.',
  })
  standardDeviation!: number | null;

  @Cost({ elements: MAX_REPEATS })
  @Field(() => [Float], { nullable: true, description: 'The metric after each shuffle; null if `mean` is.' })
  permuted!: readonly number[] | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Why there are no numbers: the metric is undefined, or rows with shuffled values had no answer. Null otherwise.',
  })
  undefinedReason!: string | null;
}

@ObjectType({
  description:
    'Permutation importance. Columns that say the same are less important each, since the version still has the others. The same graph, rows and repeats give the same numbers.',
})
export class PermutationImportance {
  @Field(() => Int, { description: 'How often each column was shuffled.' })
  repeats!: number;

  @Field(() => Int, { description: 'Number of columns in `features`.' })
  featureCount!: number;

  @Field(() => Metric, {
    nullable: true,
    description: 'The metric of the rows as they are, which the importance is the loss of.',
  })
  metric!: Metric | null;

  /** Not in the schema: `features` are resolved from it. */
  evaluationId!: string;
}
