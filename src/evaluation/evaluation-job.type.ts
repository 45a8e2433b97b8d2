import { Field, Float, ID, InputType, Int, ObjectType } from 'type-graphql';
import { REASON } from '../access/reason.js';
import { Cost } from '../graphql/cost.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { FloatList, JSONValue, SafeInt, VersionRef } from '../graphql/scalars.js';
import { Evaluation, Metric } from './evaluation.type.js';
import { ImportanceInput } from './importance.type.js';
import { MAX_SLICED_SCORES, MAX_SLICES, MAX_TEXT_CHARACTERS, MAX_VALUES } from './slices.js';

/** Of all metrics of a slice that cover all classes. */
const METRICS_OF_SLICE = 16;
/** Points of a curve, at most. */
const BYTES_OF_CURVE = 12_000;

export const CurveKind = enumOf('CurveKind', 'Kind of curve of a class.', {
  ROC: 'Receiver operating characteristic: the false positive rate, and the true positive rate.',
  PR: 'Recall, and precision.',
  CALIBRATION: 'Mean predicted probability, and how often the class occurred, in up to 15 bins of equal width.',
});

@InputType({
  description:
    'Rows that are measured apart: those with a value (`equals`), with a number in a range, or, with neither, those of each value of the column.',
})
export class SliceInput {
  @Field({ description: 'Name of a column of the dataset.' })
  column!: string;

  @Field(() => JSONValue, {
    nullable: true,
    description: `Value of the column: a text of at most ${MAX_TEXT_CHARACTERS} characters, a number or a boolean. Default: each value is a slice, up to the ${MAX_VALUES} that most rows have; longer texts are in none.`,
  })
  equals?: unknown;

  @Field(() => Float, { nullable: true, description: 'Smallest number of the range. Default: no limit.' })
  minimum?: number | null;

  @Field(() => Float, { nullable: true, description: 'Largest number of the range. Default: no limit.' })
  maximum?: number | null;
}

@InputType({ description: 'What to evaluate.' })
export class EvaluateInput {
  @Field(() => VersionRef, { description: 'Version to evaluate.' })
  version!: string;

  @Field({ description: 'Name of the dataset, whose rows must be stored here.' })
  dataset!: string;

  @Field(() => [SliceInput], {
    nullable: true,
    description: `Slices, at most ${MAX_SLICES}, and at most ${MAX_SLICED_SCORES.toLocaleString('en')} divided by rows × classes of the dataset. Default: none.`,
  })
  slices?: SliceInput[] | null;

  @Field(() => ImportanceInput, {
    nullable: true,
    description: 'How much a metric depends on each column, for versions that read rows. Default: it is not measured.',
  })
  importance?: ImportanceInput | null;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@InputType({ description: 'Evaluation to cancel.' })
export class CancelEvaluationInput {
  @Field(() => ID, { description: 'Id of the evaluation.' })
  evaluation!: string;

  @Field(() => String, { nullable: true, description: REASON })
  reason?: string | null;
}

@ObjectType({ description: 'The evaluation, or the problem that prevented it: exactly one of them.' })
export class EvaluationPayload {
  @Field(() => Evaluation, { nullable: true, description: 'The evaluation; null if there is a problem.' })
  evaluation!: Evaluation | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is none; null otherwise.' })
  problem!: Problem | null;
}

@ObjectType({ description: 'How far an evaluation is.' })
export class EvaluationProgress {
  @Field(() => Float, {
    description:
      'Share of the rows whose answers are stored, in percent; with `importance`, of all rows that are to be run, counted after each column. At 100, the metrics are being computed.',
  })
  percent!: number;

  @Field(() => Float, {
    nullable: true,
    description: 'Rows per second since it was begun, or went on after a restart; null until the first 1,000 rows.',
  })
  rowsPerSecond!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Milliseconds until all rows have been run, at this rate; null if there is none.',
  })
  remainingMs!: number | null;
}

@ObjectType({ description: 'Row that the version did not answer.' })
export class EvaluationRowProblem {
  @Field(() => SafeInt, { description: 'Number of the row in the dataset, from 1.' })
  row!: number;

  @Field({ description: 'Why there is no answer, in English.' })
  message!: string;
}

@ObjectType({ description: 'How often each class was predicted for each true class.' })
export class ConfusionMatrix {
  @Field(() => [String], {
    description: 'Classes: those of the version, then others that only the dataset has.',
  })
  labels!: readonly string[];

  @Cost({ bytes: BYTES_OF_CURVE })
  @Field(() => [[Int]], {
    description:
      'Cells that are not 0, each as [index of the true class, index of the predicted class, number of rows].',
  })
  cells!: readonly (readonly number[])[];
}

@ObjectType({ description: 'Curve of one class against the others, with at most 1,000 points.' })
export class Curve {
  @Field({ description: 'The class.' })
  label!: string;

  @Cost({ bytes: BYTES_OF_CURVE })
  @Field(() => FloatList, { description: 'False positive rate, recall, or mean probability of each point, 0 to 1.' })
  x!: readonly number[];

  @Cost({ bytes: BYTES_OF_CURVE })
  @Field(() => FloatList, {
    description: 'True positive rate, precision, or share of the class at each point, 0 to 1.',
  })
  y!: readonly number[];

  @Cost({ bytes: BYTES_OF_CURVE })
  @Field(() => FloatList, {
    nullable: true,
    description:
      'Scores from which on rows count as the class, of each point but the first, where none does; null for CALIBRATION.',
  })
  thresholds!: readonly number[] | null;

  @Field(() => FloatList, { nullable: true, description: 'Numbers of rows in the bins; null for other curves.' })
  counts!: readonly number[] | null;
}

@ObjectType({ description: 'Part of the rows, measured apart.' })
export class EvaluationSlice {
  @Field({ description: 'Name of the column.' })
  column!: string;

  @Field(() => JSONValue, {
    nullable: true,
    description: 'Value of the column in these rows; null for a range, and for rows without a value.',
  })
  value!: unknown;

  @Field(() => Float, { nullable: true, description: 'Smallest number of the range; null if there is no limit.' })
  minimum!: number | null;

  @Field(() => Float, { nullable: true, description: 'Largest number of the range; null if there is no limit.' })
  maximum!: number | null;

  @Field(() => SafeInt, { description: 'Number of rows with an answer.' })
  rows!: number;

  @Cost({ elements: METRICS_OF_SLICE })
  @Field(() => [Metric], { description: 'Metrics of these rows that cover all classes.' })
  metrics!: readonly Metric[];
}
