import { Field, Float, InputType, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { DateTime, SafeInt } from '../graphql/scalars.js';
import { TASKS, type TaskName } from '../tasks/tasks.js';
export const TaskEnum = Object.fromEntries(TASKS.map((task) => [task, task])) as Record<TaskName, TaskName>;
registerEnumType(TaskEnum, {
  name: 'Task',
  description:
    'What a model does, in the Hugging Face task vocabulary. TENSOR: no meaning known, tensors in, tensors out.',
});

@ObjectType({ simpleResolvers: true, description: 'The model card: what a person should know before using the model.' })
export class ModelCard {
  @Field(() => String, {
    nullable: true,
    description: 'What the model is for: its section of the card, null where there is none.',
  })
  intendedUse!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Where it fails: its section of the card, null where there is none.',
  })
  limitations!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'What it was trained on: its section of the card, null where there is none.',
  })
  trainingData!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'What it was measured on: its section of the card, null where there is none.',
  })
  evaluationData!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Whom it may harm: its section of the card, null where there is none.',
  })
  ethicalConsiderations!: string | null;

  @Field({ description: 'The whole card as markdown, without its front matter.' })
  markdown!: string;
}

@ObjectType({
  implements: Node,
  simpleResolvers: true,
  description: 'A model: a name under which versions are published.',
})
export class Model extends Node {
  @Field({ description: 'Unique, URL-safe, stable: what people type. [a-z0-9][a-z0-9-]{0,63}' })
  name!: string;

  @Field({ description: 'What a person calls it: the heading of its card.' })
  title!: string;

  @Field(() => String, { nullable: true, description: 'One paragraph: what it does and for whom.' })
  summary!: string | null;

  @Field(() => TaskEnum, { description: 'What it does.' })
  task!: TaskName;

  @Field(() => String, { nullable: true, description: 'Who answers for it; null where nobody is named.' })
  owner!: string | null;

  @Field(() => String, { nullable: true, description: 'Licence of the model, as a lower-case SPDX-like word: "mit".' })
  license!: string | null;

  @Field(() => ModelCard, { description: 'What a person should know before using it.' })
  card!: ModelCard;

  @Field(() => DateTime, { description: 'When it was first registered.' })
  createdAt!: Date;

  @Field(() => DateTime, { description: 'When it was last changed.' })
  updatedAt!: Date;

  /** Not a field: which version answers when none is named. */
  defaultVersionId!: string | null;
}

export const ModelOrderField = { NAME: 'NAME', CREATED_AT: 'CREATED_AT', UPDATED_AT: 'UPDATED_AT' } as const;
registerEnumType(ModelOrderField, { name: 'ModelOrderField', description: 'What models can be ordered by.' });

export const OrderDirection = { ASC: 'ASC', DESC: 'DESC' } as const;
registerEnumType(OrderDirection, { name: 'OrderDirection', description: 'Smallest first, or largest first.' });

@InputType({ description: 'The order of models. Without it: the best match first when searching, else by name.' })
export class ModelOrder {
  @Field(() => ModelOrderField, { description: 'What is ordered by.' })
  field!: keyof typeof ModelOrderField;

  @Field(() => OrderDirection, { defaultValue: 'ASC', description: 'Smallest or largest first.' })
  direction!: keyof typeof OrderDirection;
}

@InputType({ description: "Asks for a measured quality of a model's default version, over all rows of a dataset." })
export class MetricFilter {
  @Field({ description: 'Name of the metric: "accuracy".' })
  metric!: string;

  @Field(() => String, { nullable: true, description: 'Name of the dataset it was measured on; any when omitted.' })
  dataset?: string | null;

  @Field(() => Float, { nullable: true, description: 'At least this much.' })
  min?: number | null;

  @Field(() => Float, { nullable: true, description: 'At most this much.' })
  max?: number | null;
}

@InputType({
  description: 'Narrows models; all that is given must hold, and within a list, of at most 100 values, any may.',
})
export class ModelFilter {
  @Field(() => [TaskEnum], { nullable: true, description: 'Any of these tasks.' })
  tasks?: TaskName[] | null;

  @Field(() => [String], { nullable: true, description: 'Any of these tags.' })
  tags?: string[] | null;

  @Field(() => [String], { nullable: true, description: 'Any of these owners.' })
  owners?: string[] | null;

  @Field(() => [String], { nullable: true, description: 'Any of these licences.' })
  licenses?: string[] | null;

  @Field(() => [String], {
    nullable: true,
    description: 'Framework of the default version, without its number: "tensorflow".',
  })
  frameworks?: string[] | null;

  @Field(() => SafeInt, { nullable: true, description: 'Largest artifact of the default version, in bytes.' })
  maxSizeBytes?: number | null;

  @Field(() => MetricFilter, { nullable: true, description: 'How good its default version must be.' })
  metric?: MetricFilter | null;
}

export const FacetField = {
  TASK: 'TASK',
  TAG: 'TAG',
  LICENSE: 'LICENSE',
  FRAMEWORK: 'FRAMEWORK',
  OWNER: 'OWNER',
} as const;
registerEnumType(FacetField, { name: 'FacetField', description: 'What models can be counted by.' });

@ObjectType({ simpleResolvers: true, description: 'One value and how many models have it.' })
export class FacetBucket {
  @Field({ description: 'The value, as the filter takes it.' })
  value!: string;

  @Field(() => SafeInt, { description: 'Models that have it.' })
  count!: number;
}

@ObjectType({
  simpleResolvers: true,
  description: 'Counts of the models that the filter leaves, by one property; largest first, at most 50.',
})
export class Facet {
  @Field(() => FacetField, { description: 'The property that is counted by.' })
  field!: keyof typeof FacetField;

  @Field(() => [FacetBucket], { description: 'Its values, the most frequent first.' })
  buckets!: FacetBucket[];
}

const ModelPage = connectionOf(Model);

@ObjectType({ description: 'A page of a list of models.' })
export class ModelConnection extends ModelPage {
  constructor(
    page: ConstructorParameters<typeof ModelPage>[0],
    readonly countFacets: () => Promise<Facet[]>,
  ) {
    super(page);
  }

  @Field(() => [Facet], { description: 'For narrowing further; counted only when selected.' })
  facets(): Promise<Facet[]> {
    return this.countFacets();
  }
}
