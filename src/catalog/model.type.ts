import { Field, Float, InputType, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Cost } from '../graphql/cost.js';
import { enumOf } from '../graphql/enum.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';
import { TASK_DESCRIPTIONS, type TaskName } from '../tasks/tasks.js';
import { RECENT_DAYS } from './model-uses.js';

export const TaskEnum = enumOf<TaskName>(
  'Task',
  'What a model does. Names are those of the Hugging Face tasks, except TENSOR.',
  TASK_DESCRIPTIONS,
);

export const VisibilityEnum = enumOf<'PUBLIC' | 'PRIVATE'>('Visibility', 'Who may see a model or a dataset.', {
  PUBLIC: 'Everybody who may read the catalog.',
  PRIVATE: 'The account that owns it, and administrators.',
});

const CARD_BYTES = 8_192;

@ObjectType({ description: 'Model card: what to know before using a model.' })
export class ModelCard {
  @Cost({ bytes: CARD_BYTES })
  @Field(() => String, {
    nullable: true,
    description: 'What the model is for: section "Intended use" of the card. Null if the card has none.',
  })
  intendedUse!: string | null;

  @Cost({ bytes: CARD_BYTES })
  @Field(() => String, {
    nullable: true,
    description: 'Where the model fails: section "Limitations" of the card. Null if the card has none.',
  })
  limitations!: string | null;

  @Cost({ bytes: CARD_BYTES })
  @Field(() => String, {
    nullable: true,
    description: 'What the model was trained on: section "Training data" of the card. Null if the card has none.',
  })
  trainingData!: string | null;

  @Cost({ bytes: CARD_BYTES })
  @Field(() => String, {
    nullable: true,
    description: 'What the model was evaluated on: section "Evaluation data" of the card. Null if the card has none.',
  })
  evaluationData!: string | null;

  @Cost({ bytes: CARD_BYTES })
  @Field(() => String, {
    nullable: true,
    description: 'Whom the model may harm: section "Ethical considerations" of the card. Null if the card has none.',
  })
  ethicalConsiderations!: string | null;

  @Cost({ bytes: CARD_BYTES })
  @Field({ description: 'The whole card as Markdown, without its front matter.' })
  markdown!: string;
}

@ObjectType({
  implements: Node,
  description: 'Named series of versions with a model card.',
})
export class Model extends Node {
  @Field({ description: 'Unique, stable name for use in references and URLs, matching `[a-z0-9][a-z0-9-]{0,63}`.' })
  name!: string;

  @Field({ description: 'Display name: the heading of the model card.' })
  title!: string;

  @Field(() => String, { nullable: true, description: 'First paragraph of the model card; null if there is none.' })
  summary!: string | null;

  @Field(() => TaskEnum, { description: 'What the model does.' })
  task!: TaskName;

  @Field(() => String, {
    nullable: true,
    description: 'Person or team responsible for the model, as free text; null if not stated.',
  })
  owner!: string | null;

  @Field(() => VisibilityEnum, { description: 'Who may see the model. `updateModel` changes it.' })
  visibility!: 'PUBLIC' | 'PRIVATE';

  @Field(() => String, {
    nullable: true,
    description: 'License of the model, as stated in its card, such as "mit"; null if not stated.',
  })
  license!: string | null;

  @Field(() => [String], { description: 'Tags from the model card, in alphabetical order.' })
  tags!: string[];

  @Field(() => DateTime, { description: 'When the model was registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When the model, its card, versions or aliases last changed.' })
  updatedAt!: Date;

  /** Not in the schema: the account, which not everybody may see, the default version, and the size of the card, which is read only if it is selected. */
  account!: string | null;
  defaultVersionId!: string | null;
  cardBytes!: number;
}

const ModelOrderField = enumOf('ModelOrderField', 'Fields that models can be sorted by.', {
  NAME: 'Sort by `name`.',
  CREATED_AT: 'Sort by `createdAt`.',
  UPDATED_AT: 'Sort by `updatedAt`.',
  SIZE: "Sort by the size of the default version's artifact, in bytes. Models without one come last, by name.",
  RECENT_USE: `Sort by the last day, in UTC, on which your account requested predictions of the model, recorded or not; a use appears within a minute. Models not used for ${RECENT_DAYS} days come last, by name, and so do all models if you may not read predictions.`,
  METRIC:
    'Sort by the metric of the default version that `ModelOrder.metric` names. Models without a value come last, by name.',
});

const OrderDirection = enumOf('OrderDirection', 'Sort direction.', {
  ASC: 'Ascending: A to Z, oldest or smallest first.',
  DESC: 'Descending: Z to A, newest or largest first.',
});

@InputType({ description: 'Metric that models are sorted by.' })
export class MetricOrder {
  @Field({ description: 'Name of the metric, such as "accuracy". Of several averages, the first one counts.' })
  metric!: string;

  @Field({
    description:
      'Name of the dataset. The value is that of the evaluation that `Version.evaluation` returns for it, over all classes.',
  })
  dataset!: string;
}

@InputType({ description: 'Sort order of models.' })
export class ModelOrder {
  @Field(() => ModelOrderField, { description: 'Field to sort by.' })
  field!: keyof typeof ModelOrderField;

  @Field(() => OrderDirection, { defaultValue: 'ASC', description: 'Sort direction.' })
  direction!: keyof typeof OrderDirection;

  @Field(() => MetricOrder, {
    nullable: true,
    description: 'Metric to sort by: required for METRIC, and only then allowed.',
  })
  metric?: MetricOrder | null;
}

@InputType({
  description:
    "Condition on a metric of a model's default version. Only metrics that cover all classes, from evaluations that succeeded, are considered.",
})
export class MetricFilter {
  @Field({ description: 'Name of the metric, such as "accuracy".' })
  metric!: string;

  @Field(() => String, { nullable: true, description: 'Name of the dataset of the evaluation. Default: any dataset.' })
  dataset?: string | null;

  @Field(() => Float, { nullable: true, description: 'Lowest accepted value, inclusive. Default: no lower bound.' })
  min?: number | null;

  @Field(() => Float, { nullable: true, description: 'Highest accepted value, inclusive. Default: no upper bound.' })
  max?: number | null;
}

@InputType({
  description:
    'Conditions on models. A model must meet every condition that is given. It meets a list, of at most 100 values, if any of them matches; an empty list is no condition.',
})
export class ModelFilter {
  @Field(() => [TaskEnum], { nullable: true, description: 'Tasks to include.' })
  tasks?: TaskName[] | null;

  @Field(() => [String], { nullable: true, description: 'Tags to include.' })
  tags?: string[] | null;

  @Field(() => [String], { nullable: true, description: 'Owners to include.' })
  owners?: string[] | null;

  @Field(() => [String], { nullable: true, description: 'Licenses to include, such as "mit".' })
  licenses?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: 'Frameworks of the default version to include, without version number: "tensorflow".',
  })
  frameworks?: string[] | null;

  @Field(() => SafeInt, { nullable: true, description: "Maximum size of the default version's artifact, in bytes." })
  maxSizeBytes?: number | null;

  @Field(() => MetricFilter, { nullable: true, description: 'Condition on a metric of the default version.' })
  metric?: MetricFilter | null;
}

export const FacetField = enumOf('FacetField', 'Properties that models are counted by.', {
  TASK: 'Task of the model.',
  TAG: 'Tags of the model; a model counts once for each.',
  LICENSE: 'License of the model.',
  FRAMEWORK: 'Framework of the default version, without version number.',
  OWNER: 'Owner of the model.',
});

@ObjectType({ description: 'One value of a facet and the number of models that have it.' })
export class FacetBucket {
  @Field({ description: 'The value, in the form that `ModelFilter` accepts.' })
  value!: string;

  @Field({ description: 'The value for readers, such as "Text classification" for TEXT_CLASSIFICATION.' })
  label!: string;

  @Field(() => SafeInt, {
    description:
      'Number of models with this value that meet all other conditions: the search, and the filter without its condition on this property.',
  })
  count!: number;

  @Field({ description: 'Whether the filter selects this value.' })
  selected!: boolean;
}

@ObjectType({
  description:
    'Number of models for each value of one property. The condition of the filter on this property does not count: the numbers tell what choosing another value would find.',
})
export class Facet {
  @Field(() => FacetField, { description: 'Property that models are counted by.' })
  field!: keyof typeof FacetField;

  @Cost({ elements: 50 })
  @Field(() => [FacetBucket], {
    description:
      'Values and their counts, most frequent first, at most 50. Those that the filter selects are among them, even if no model has them.',
  })
  buckets!: FacetBucket[];
}

/** Facets count up to 10,000 matching models, and as many again for each property that the filter has a condition on. */
const FACETS_POINTS = 400;

const ModelPage = connectionOf(Model);

@ObjectType({ description: 'One page of a list of models.' })
export class ModelConnection extends ModelPage {
  constructor(
    page: ConstructorParameters<typeof ModelPage>[0],
    readonly countFacets: () => Promise<Facet[]>,
  ) {
    super(page);
  }

  @Cost({ points: FACETS_POINTS })
  @Field(() => [Facet], {
    description:
      'Counts of the models by property: of all models, or of 10,000 of those that match a search or filter, if there are more. Computed only if selected, which adds 400 to the cost.',
  })
  facets(): Promise<Facet[]> {
    return this.countFacets();
  }
}
