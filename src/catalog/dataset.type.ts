import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../graphql/connection.type.js';
import { Node } from '../graphql/node.type.js';
import { SafeInt } from '../graphql/scalars.js';
import type { TaskName } from '../tasks/tasks.js';
import { TaskEnum } from './model.type.js';
import { Column } from './version.type.js';

@ObjectType({
  implements: Node,
  simpleResolvers: true,
  description:
    'A fixed set of rows: its digest names it. Training and test data of one source are two datasets, linked by `family`.',
})
export class Dataset extends Node {
  @Field({ description: 'Unique: "fashion-mnist-test".' })
  name!: string;

  @Field({ description: 'What a person calls it.' })
  title!: string;

  @Field(() => String, { nullable: true, description: 'What its parts have in common: "fashion-mnist".' })
  family!: string | null;

  @Field(() => String, { nullable: true, description: '"train" or "test".' })
  split!: string | null;

  @Field(() => TaskEnum, { description: 'What models can learn from it.' })
  task!: TaskName;

  @Field(() => SafeInt, { nullable: true, description: 'Null where only its description is registered.' })
  rowCount!: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'Digest of the data file; null where only its description is registered.',
  })
  sha256!: string | null;

  @Field(() => String, { nullable: true, description: 'Licence of the data; null where it is not stated.' })
  license!: string | null;

  @Field(() => String, { nullable: true, description: 'Where the data comes from.' })
  source!: string | null;

  @Field(() => String, { nullable: true, description: 'What its rows are; null where its owner does not say.' })
  description!: string | null;

  @Field(() => String, { nullable: true, description: 'The column that a model is asked to tell.' })
  target!: string | null;

  @Field(() => [Column], { description: 'What a row has.' })
  columns!: Column[];

  /** Not a field: the first rows, as JSON. */
  previewJson!: string;
}

@ObjectType({ description: 'A page of a list of datasets.' })
export class DatasetConnection extends connectionOf(Dataset) {}
