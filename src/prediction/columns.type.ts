/** The answers of one `predictMany` as columns, which take a fraction of the time that as many objects take. */
import { Field, ID, Int, ObjectType } from 'type-graphql';
import { Cost, type CostScope } from '../graphql/cost.js';
import { Problem } from '../graphql/problem.type.js';
import { FloatList } from '../graphql/scalars.js';
import { Sized } from '../graphql/sized.js';
import type { AnswerColumns, Column } from './answer-columns.js';
import { BYTES_PER_NUMBER } from './output-size.js';
import { Tensor } from './tensor.type.js';

/** Of a label, in an answer. */
const BYTES_PER_LABEL = 32;

const numbersPerRow = (perRow: (scope: CostScope) => number) => ({
  bytes: (_: unknown, scope: CostScope) => BYTES_PER_NUMBER * scope.pageSize * Math.max(1, perRow(scope)),
});
const ofEachRow = { elements: (_: unknown, { pageSize }: CostScope) => pageSize };

@ObjectType({ description: 'Problem with one of the inputs.' })
export class RowProblem {
  @Field(() => Int, { description: 'Position of the input, from 0.' })
  row!: number;

  @Field(() => Problem, { description: 'Why there is no prediction.' })
  problem!: Problem;
}

@ObjectType({
  description:
    'Answers to several inputs as columns: entry `i` of a list with one entry for each input belongs to input `i`. An entry is null if its input has a problem. Lists with several entries for each input are in row-major order. Answers with parts of their own, such as boxes and spans, have no columns: select `results`.',
})
export class PredictionColumns {
  constructor(private readonly answers: AnswerColumns) {
    this.count = answers.count;
  }

  @Field(() => Int, { description: 'Number of inputs.' })
  count: number;

  @Cost(ofEachRow)
  @Field(() => [ID], {
    nullable: 'itemsAndList',
    description: 'Ids of the predictions, one for each input; null if `record` was false.',
  })
  ids(): readonly (string | null)[] | null {
    return this.answers.ids;
  }

  @Cost({
    ...ofEachRow,
    bytes: (_, { pageSize, prediction }) => BYTES_PER_LABEL * pageSize * Math.max(1, prediction.targets),
  })
  @Field(() => [String], {
    nullable: 'itemsAndList',
    description:
      'Classes: one for each input, or one for each of `signature.targets` if the version has several. Null if the answers are not classes.',
  })
  labels(): readonly (string | null)[] | null {
    return this.answers.labels;
  }

  @Cost(numbersPerRow(({ prediction }) => prediction.targets))
  @Field(() => FloatList, {
    nullable: true,
    description:
      'Scores of `labels`, in their order, from 0 to 1. An entry is null if the model returns no probability. Null if the answers are not classes.',
  })
  scores(): Sized<ArrayLike<number>> | null {
    return listOf(this.answers.scores);
  }

  @Cost(numbersPerRow(({ prediction }) => prediction.labels))
  @Field(() => FloatList, {
    nullable: true,
    description:
      'Scores of all classes: for each input one for each of `signature.labels`, in their order, from 0 to 1. Null if the graph returns no probabilities, the version has several targets, or the inputs have labels of their own.',
  })
  classScores(): Sized<ArrayLike<number>> | null {
    return listOf(this.answers.classScores);
  }

  @Cost(numbersPerRow(({ prediction }) => Math.max(prediction.targets, prediction.outputValues)))
  @Field(() => FloatList, {
    nullable: true,
    description:
      'Numbers: for each input the predicted number, one for each of `signature.targets` if the version has several, or the `dimensions` values of an embedding. Null if the answers are neither.',
  })
  values(): Sized<ArrayLike<number>> | null {
    return listOf(this.answers.values);
  }

  // `outputValues` are those of all tensors of one input.
  @Cost(ofEachRow)
  @Field(() => [Tensor], {
    nullable: true,
    description:
      "The graph's outputs, with those of all inputs along the first dimension; zeros, or empty texts, where an input has a problem. Null if the answers are not tensors, or differ in shape: then select `results`.",
  })
  tensors(): Sized<Tensor[]> | null {
    const { tensors } = this.answers;
    return tensors && new Sized({ readBytes: tensors.bytes }, () => tensors.make().map((tensor) => new Tensor(tensor)));
  }

  @Cost(ofEachRow)
  @Field(() => [RowProblem], {
    description: 'Inputs without a prediction, in ascending order; empty if all have one.',
  })
  problems(): readonly RowProblem[] {
    return this.answers.problems;
  }
}

function listOf(column: Column<ArrayLike<number>> | null): Sized<ArrayLike<number>> | null {
  return column && new Sized({ jsonBytes: column.bytes }, () => column.make());
}
