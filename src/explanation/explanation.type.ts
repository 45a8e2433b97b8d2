import { Field, Float, Int, ObjectType } from 'type-graphql';
import { Dataset } from '../catalog/dataset.type.js';
import { enumOf } from '../graphql/enum.type.js';
import { Problem } from '../graphql/problem.type.js';
import { FloatList, JSONValue } from '../graphql/scalars.js';

export const ExplanationMethod = enumOf('ExplanationMethod', 'How an answer is explained.', {
  EXACT_SHAPLEY:
    'Shapley values of all coalitions of features, against background rows ("interventional"). Attributions add up to `score` − `base`.',
  KERNEL_SHAP:
    'Shapley values estimated from a sample of coalitions (KernelSHAP with paired sampling). Attributions add up to `score` − `base`; each has a standard error.',
  OCCLUSION:
    'How much the score falls when a part of the text is left out, or a part of the image is hidden behind its mean color. Says where the model looks. Effects do not add up to the score.',
});
type ExplanationMethodName = keyof typeof ExplanationMethod;

@ObjectType({ description: 'How much one column of a row moved the score.' })
export class FeatureAttribution {
  @Field({ description: 'Name of the column.' })
  name!: string;

  @Field({ description: 'Name of the column for readers.' })
  title!: string;

  @Field(() => JSONValue, { nullable: true, description: 'Value in the row; null if it was missing.' })
  value!: unknown;

  @Field(() => Float, {
    description:
      'Shapley value, in the unit of the score: positive if the value of the column moves the score up, compared with the background rows.',
  })
  attribution!: number;

  @Field(() => Float, {
    description:
      'Standard error of `attribution` from sampling coalitions; 0 for EXACT_SHAPLEY. The choice of the background rows is not part of it.',
  })
  standardError!: number;
}

@ObjectType({ description: 'How much one part of a text moved the score.' })
export class TextAttribution {
  @Field({ description: 'Part of the text: a word, or several of a long text.' })
  text!: string;

  @Field(() => Int, { description: 'Where it begins, in UTF-16 code units.' })
  start!: number;

  @Field(() => Int, { description: 'Where it ends, exclusive, in UTF-16 code units.' })
  end!: number;

  @Field(() => Float, {
    description: 'Score of the text minus the score of the text without this part: positive if the part moves it up.',
  })
  attribution!: number;
}

@ObjectType({
  description: 'How much each part of an image moved the score: a grid of cells over the upright image, without gaps.',
})
export class HeatMap {
  @Field(() => Int, { description: 'Number of columns, 1 to 32.' })
  columns!: number;

  @Field(() => Int, { description: 'Number of rows, 1 to 32.' })
  rows!: number;

  @Field(() => FloatList, {
    description:
      'Of each cell, row by row from the top left: score of the image minus its score with the cell hidden, as the mean over four patches of two by two cells. Positive if the cell moves the score up.',
  })
  values!: readonly number[];
}

@ObjectType({
  description: 'Why a model gave an answer: what each part of the input contributed to the score of the answer.',
})
export class Explanation {
  @Field(() => ExplanationMethod, { description: 'How the attributions were computed.' })
  method!: ExplanationMethodName;

  @Field(() => String, {
    nullable: true,
    description: 'Class whose score is explained: the one that was answered. Null for a predicted number.',
  })
  label!: string | null;

  @Field(() => Float, { description: 'Score of `label`, from 0 to 1, or the predicted number, computed again.' })
  score!: number;

  @Field(() => Float, {
    nullable: true,
    description:
      'Mean score of the background rows, where the attributions of `features` begin. Null for texts and images.',
  })
  base!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: 'Sum of `base` and all attributions, minus `score`: 0 but for rounding. Null for texts and images.',
  })
  additivityError!: number | null;

  @Field(() => [FeatureAttribution], {
    nullable: true,
    description: 'One for each column, in the order of `signature.columns`. Null for texts and images.',
  })
  features!: FeatureAttribution[] | null;

  @Field(() => [TextAttribution], {
    nullable: true,
    description:
      'Parts of the text, in its order, with the separators between them left out. Null for rows and images.',
  })
  spans!: TextAttribution[] | null;

  @Field(() => HeatMap, {
    nullable: true,
    description:
      'Effects of the parts of the image. They are of a copy of at most 384 pixels, of which `score` is, too. Null for rows and texts.',
  })
  heatMap!: HeatMap | null;

  @Field(() => Dataset, {
    nullable: true,
    description: 'Dataset that the background rows are from. Null for texts and images.',
  })
  background!: Dataset | null;

  @Field(() => Int, { nullable: true, description: 'Number of background rows. Null for texts and images.' })
  backgroundRows!: number | null;

  @Field(() => Int, { description: 'Number of inputs that the model was run on for the explanation.' })
  modelCalls!: number;

  /** Not in the schema. */
  predictionId!: string;
}

@ObjectType({ description: 'The explanation, or the problem that prevented it: exactly one of them.' })
export class ExplanationPayload {
  @Field(() => Explanation, { nullable: true, description: 'The explanation; null if there is a problem.' })
  explanation!: Explanation | null;

  @Field(() => Problem, { nullable: true, description: 'Why there is no explanation; null if there is one.' })
  problem!: Problem | null;
}
