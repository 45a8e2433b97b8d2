import { Field, Float, Int, ObjectType } from 'type-graphql';
import { Policy } from '../access/policy.js';
import { Cost } from '../graphql/cost.js';
import { enumOf } from '../graphql/enum.type.js';
import type { DriftSubject } from './drift-sample.js';
import type { DriftVerdict } from './measure-drift.js';

/** Of an answer, 20 scores and 50 columns. */
const MEASURES = 71;

const SubjectEnum = enumOf<DriftSubject>('DriftSubject', 'What is compared.', {
  ANSWER: 'The label or the number that the version predicts.',
  SCORE: 'The score of one label.',
  INPUT: 'A column of the rows that the version reads.',
});

const VerdictEnum = enumOf<DriftVerdict>('DriftVerdict', 'Whether values differ from those of the evaluation.', {
  DRIFT: 'They do: the adjusted p-value is at most 0.05, and the population stability index at least 0.1.',
  NO_DRIFT_SHOWN: 'A difference is not shown, or it is small.',
});

@Policy('history')
@ObjectType({ description: 'Test whether recent values and those of the evaluation come from the same distribution.' })
export class DriftTest {
  @Field(() => Float, {
    description:
      'Value of the test: of Kolmogorov–Smirnov, the greatest difference of the two cumulative distributions, 0 to 1; of chi-square, 0 or more.',
  })
  statistic!: number;

  @Field(() => Float, {
    description:
      'How likely such a difference, or a greater one, is without any drift, 0 to 1. Predictions count as independent of each other.',
  })
  pValue!: number;

  @Field(() => Float, {
    description: 'The p-value, adjusted (Holm) because many values are compared at once, 0 to 1.',
  })
  adjustedPValue!: number;
}

@Policy('history')
@ObjectType({ description: 'How recent values of one kind differ from those of the evaluation.' })
export class DriftMeasure {
  @Field(() => SubjectEnum, { description: 'What is compared.' })
  subject!: DriftSubject;

  @Field(() => String, {
    nullable: true,
    description: 'Label whose score is compared, or name of the column; null for the answer.',
  })
  name!: string | null;

  @Field(() => Int, { description: 'Values of the sample of the evaluation. Missing numbers do not count.' })
  referenceCount!: number;

  @Field(() => Int, { description: 'Values of the sample of recent predictions. Missing numbers do not count.' })
  recentCount!: number;

  @Field(() => Float, {
    nullable: true,
    description:
      'Population stability index, 0 or more: of numbers, in bins between the deciles of the evaluation; of categories, in the 50 most frequent ones, and one for all others. Without any drift it is about (bins − 1) · (1 / `referenceCount` + 1 / `recentCount`). Null for the reason in `undefinedReason`.',
  })
  stabilityIndex!: number | null;

  @Field(() => DriftTest, {
    nullable: true,
    description: 'Of numbers; null for categories, and for the reason in `undefinedReason`.',
  })
  kolmogorovSmirnov!: DriftTest | null;

  @Field(() => DriftTest, {
    nullable: true,
    description: 'Of categories; null for numbers, and for the reason in `undefinedReason`.',
  })
  chiSquare!: DriftTest | null;

  @Field(() => VerdictEnum, {
    nullable: true,
    description: 'Whether a difference is shown; null for the reason in `undefinedReason`.',
  })
  verdict!: DriftVerdict | null;

  @Field(() => String, {
    nullable: true,
    description: 'Why nothing is measured: a sample has fewer than 100 values. Null if something is.',
  })
  undefinedReason!: string | null;
}

@Policy('history')
@ObjectType({ description: 'How recent predictions of a version differ from those of an evaluation.' })
export class Drift {
  @Field(() => Int, {
    description: 'Rows of the evaluation in the sample that predictions are compared with, up to 5,000.',
  })
  referenceRows!: number;

  @Field(() => Int, {
    description:
      'Recorded predictions in the sample that is compared, up to 5,000, and up to 200,000 divided by the number of labels: of the newest 100,000 predictions of the version in the window, for all accounts together. The same predictions make the same sample.',
  })
  recentPredictions!: number;

  @Cost({ elements: MEASURES })
  @Field(() => [DriftMeasure], {
    description:
      'The answers; their scores, of versions with up to 20 labels; and up to 50 columns of rows that hold numbers, categories or booleans.',
  })
  measures!: readonly DriftMeasure[];

  @Field(() => String, {
    nullable: true,
    description: 'Why there are no measures: there is no evaluation to compare with. Null if there are measures.',
  })
  undefinedReason!: string | null;

  /** Not in the schema: `evaluation` is resolved from it. */
  evaluationId!: string | null;
}
